"""CLIP and SigLIP: texts and pictures as vectors of one space (arXiv 2103.00020, 2303.15343).

The towers are those of the transformers library. Nothing is downloaded, no code of a checkpoint
runs, and what is computed stays on the device.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPModel, PreTrainedTokenizerFast, SiglipModel
from transformers.utils import logging as hub

from sam_ros.engine.clip_folder import ClipError, find_folder, kind_of
from sam_ros.engine.clip_pixels import Picture, Pixels

Mask = npt.NDArray[np.bool_]

BATCH = 32  # pictures or texts that a tower takes at once
REMEMBERED = 2048  # texts whose embeddings are kept


class Clip:
    """Both towers of one checkpoint. Not locked: one thread owns it.

    Args:
        model: transformers' CLIPModel or SiglipModel, in eval mode on its device.
        tokenizer: of the same checkpoint.
        pixels: how it wants its pictures.
    """

    def __init__(self, model: Any, tokenizer: Any, pixels: Pixels) -> None:
        self.pixels = pixels
        self._model, self._tokenizer = model, tokenizer
        self._is_siglip = isinstance(model, SiglipModel)
        vision = model.config.vision_config
        self._size = (vision.image_size, vision.image_size)
        self._grid = vision.image_size // vision.patch_size
        self._texts: OrderedDict[str, Tensor] = OrderedDict()

    @classmethod
    def load(cls, source: str | Path, device: str | torch.device) -> Clip:
        """Loads a checkpoint onto a device, in float32.

        Args:
            source: see :func:`find_folder`.
            device: such as cpu or cuda.

        Raises:
            ClipError: it is not there, incomplete, damaged, or of another architecture.
        """
        folder = find_folder(source)
        kind = kind_of(folder)
        try:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
            clip = cls(_model(folder, kind).to(device), tokenizer, _pixels(folder))
            clip.embed_images([np.zeros((8, 8, 3), np.uint8)])  # the files fit each other
            clip.embed_texts(["a", "a b"])
        except ClipError:
            raise
        except Exception as error:  # the libraries raise all kinds for a damaged file
            raise ClipError(f"{folder}: {error}") from error
        return clip

    @property
    def device(self) -> torch.device:
        """Where the towers are."""
        device: torch.device = self._model.logit_scale.device
        return device

    @property
    def has_bias(self) -> bool:
        """Whether a logit of 0 means as likely as not (SigLIP); CLIP's can only be compared."""
        return self._is_siglip

    @torch.inference_mode()
    def logits(self, images: Tensor, texts: Tensor) -> Tensor:
        """How well pictures and texts fit, as the checkpoint was trained to say.

        Args:
            images: (N, D) unit vectors.
            texts: (T, D) unit vectors.

        Returns:
            (N, T): the cosine, scaled, and for SigLIP moved by its bias.
        """
        scaled = images @ texts.T * self._model.logit_scale.exp()
        return scaled + self._model.logit_bias if self._is_siglip else scaled

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """(N, D) unit vectors; those of texts that were asked for before are remembered.

        Longer texts than the tower takes (CLIP: 77 tokens) are cut.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        known = {text: self._texts[text] for text in texts if text in self._texts}
        for start in range(0, len(new), BATCH):
            part = new[start : start + BATCH]
            known.update(zip(part, self._encode_texts(part), strict=True))
        for text, vector in known.items():
            self._texts[text] = vector
            self._texts.move_to_end(text)
        while len(self._texts) > REMEMBERED:
            self._texts.popitem(last=False)
        return torch.stack([known[text] for text in texts])

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Picture]) -> Tensor:
        """(N, D) unit vectors of pictures, each (H, W, 3) uint8 RGB of any size."""
        pixels = torch.stack([self.pixels(image, self.device) for image in images])
        pooled = [self._model.vision_model(part).pooler_output for part in pixels.split(BATCH)]
        return self._project("visual_projection", torch.cat(pooled))

    @torch.inference_mode()
    def dense(self, rgb: Picture, masks: Sequence[Mask]) -> Tensor:
        """(N, D) unit vectors of the parts of one picture, from one pass of the image tower.

        The tower makes its vector of a picture by attention to the patches. Here it does so once
        for each mask, and attends to the patches in proportion to how much of them the mask
        covers; the patches themselves see the whole picture, squashed into the tower's square. A
        mask of everything therefore gives what the tower makes of that square.

        Args:
            rgb: (H, W, 3) uint8 RGB.
            masks: each (H, W) bool, at least one, none empty.
        """
        pixels = self.pixels.squashed(rgb, self._size, self.device)[None]
        bias = torch.from_numpy(np.stack([_shares(mask, self._grid) for mask in masks]))
        bias = bias.to(self.device).log()  # (N, P): 0 on patches inside, -inf outside
        pool = _pool_siglip if self._is_siglip else _pool_clip
        return self._project("visual_projection", pool(self._model.vision_model, pixels, bias))

    def _encode_texts(self, texts: list[str]) -> Tensor:
        tokens = self._tokenizer(
            texts,
            padding="max_length" if self._is_siglip else True,  # as they were trained
            truncation=True,
            max_length=self._model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        pooled = self._model.text_model(input_ids=tokens["input_ids"].to(self.device))
        return self._project("text_projection", pooled.pooler_output)

    def _project(self, name: str, pooled: Tensor) -> Tensor:
        """Unit vectors of the common space; SigLIP's towers end in it already."""
        projected: Tensor = pooled if self._is_siglip else getattr(self._model, name)(pooled)
        return F.normalize(projected, dim=-1)


def _model(folder: Path, kind: str) -> nn.Module:
    """The towers, in eval mode; every weight is in the file, and nothing else is."""
    library: Any = SiglipModel if kind == "siglip" else CLIPModel
    with _quiet():
        model, info = library.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    for what in ("missing", "unexpected", "mismatched"):
        names = sorted(str(name) for name in info[f"{what}_keys"])
        if names:
            raise ClipError(f"{folder}: {len(names)} {what} weights, such as {names[0]}")
    model.requires_grad_(False)
    towers: nn.Module = model.eval()
    return towers


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's progress bar and its pages about weights, which our error sums up."""
    report = logging.getLogger("transformers")
    level, bar = report.level, hub.is_progress_bar_enabled()
    report.setLevel(logging.CRITICAL)
    hub.disable_progress_bar()
    try:
        yield
    finally:
        report.setLevel(level)
        if bar:
            hub.enable_progress_bar()


def _pixels(folder: Path) -> Pixels:
    try:
        return Pixels.read(folder)
    except (ValueError, KeyError, TypeError) as error:
        raise ClipError(f"{folder}: preprocessor_config.json: {error}") from error


def _shares(mask: Mask, grid: int) -> npt.NDArray[np.float32]:
    """(P,) How much of each patch a mask covers, over the most it covers of any; row by row."""
    shares = cv2.resize(mask.astype(np.float32), (grid, grid), interpolation=cv2.INTER_AREA)
    most = shares.max()
    if not most > 0:
        raise ValueError("masks: one is empty; expected at least 1 pixel")
    ratio: npt.NDArray[np.float32] = (shares / most).reshape(-1)
    return ratio


def _pool_clip(vision: Any, pixels: Tensor, bias: Tensor) -> Tensor:
    """(N, C): a copy of the class token for each mask, which only it and its patches can see."""
    tokens = vision.pre_layrnorm(vision.embeddings(pixels))  # (1, 1 + P, C), the class token first
    count, seen = len(bias), tokens.shape[1]
    tokens = torch.cat((tokens, tokens[:, :1].expand(-1, count, -1)), dim=1)
    total = seen + count
    allowed = tokens.new_full((total, total), float("-inf"))  # rows look at columns
    allowed[:seen, :seen] = 0
    allowed[seen:, 1:seen] = bias
    allowed.diagonal()[seen:] = 0
    encoded = vision.encoder(inputs_embeds=tokens, attention_mask=allowed[None, None])
    pooled: Tensor = vision.post_layernorm(encoded.last_hidden_state[0, seen:])
    return pooled


def _pool_siglip(vision: Any, pixels: Tensor, bias: Tensor) -> Tensor:
    """(N, C): the attention pooling of the tower, once for each mask."""
    head, patches = vision.head, vision(pixels).last_hidden_state  # (1, P, C)
    probes = head.probe.expand(-1, len(bias), -1)
    attended = head.attention(probes, patches, patches, attn_mask=bias, need_weights=False)[0]
    pooled: Tensor = attended + head.mlp(head.layernorm(attended))
    return pooled[0]
