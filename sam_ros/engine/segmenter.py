"""Pictures and prompts in, ranked masks out: the use of the model without ROS."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from itertools import groupby, product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sam_ros.engine.batching import batches, encode_prompts
from sam_ros.engine.boundary import sharpen
from sam_ros.engine.boxes import tight_box
from sam_ros.engine.config import EngineConfig
from sam_ros.engine.decoder import make_decoder
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.encoder import Encoder, TorchEncoder
from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.islands import clean, island_at
from sam_ros.engine.prompt import FOREGROUND, Prompt
from sam_ros.engine.ranking import is_single_click, pixels_at, points_agreement, rank
from sam_ros.engine.transform import Size, Transform
from sam_ros.engine.upload import fetch, upload
from sam_ros.engine.upsampling import Patch, Upsampler
from sam_ros.model import Sam

MOST_TOGETHER = 4  # pictures in a batch
CORES = torch.get_num_threads()

Picture = npt.NDArray[np.uint8]


class Segmenter:
    """Segments pictures with one model. Numpy in, numpy out; embeddings stay on the device.

    One thread owns a segmenter; another one may encode pictures meanwhile.

    Args:
        sam: the model, in eval mode, on the device it shall run on. Its weights are final.
        config: may be replaced at any time through the attribute of this name.
        encoder: runs the image encoder, of :func:`make_encoder`. None: torch, as the model is.
    """

    def __init__(
        self, sam: Sam, config: EngineConfig | None = None, encoder: Encoder | None = None
    ) -> None:
        self.sam = sam
        self.config = config or EngineConfig()
        self.encoder = encoder or TorchEncoder(sam)
        self._decoder = make_decoder(sam)
        self._upsampler: Upsampler | None = None
        self._encoding = threading.Lock()

    @property
    def runtime(self) -> str:
        """What runs the image encoder and in which precision, as "torch float32"."""
        return f"{self.encoder.runtime} {str(self.encoder.dtype).removeprefix('torch.')}"

    @property
    def most_together(self) -> int:
        """Pictures that are worth encoding in one batch.

        On a GPU, which one picture of a small model leaves idle. On a CPU a batch takes as long as
        its pictures one after the other, and the first of them would wait for the last.
        """
        return MOST_TOGETHER if self.sam.device.type == "cuda" else 1

    @property
    def overlaps(self) -> bool:
        """Whether the next picture shall be encoded while prompts on one are decoded.

        On a CPU, whose cores neither of them fills. A GPU does one thing after the other.
        """
        return self.sam.device.type == "cpu" and CORES > 1

    @contextmanager
    def beside(self, other: bool = True) -> Iterator[None]:
        """What the calling thread encodes or decodes within it leaves cores to the other stage.

        The looks of ``sam_tiny`` take as long as its encoder, so each gets half of the cores. With
        the other models nearly all the time is the encoder's, and neither gives way.

        Args:
            other: whether the other stage is at work.
        """
        before = torch.get_num_threads()
        if other:
            torch.set_num_threads(max(1, CORES // 2) if self.sam.looks > 1 else CORES)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def twin(self, config: EngineConfig) -> Segmenter:
        """The same model, weights and recordings, with settings of its own: another camera's."""
        other = copy(self)
        other.config = config
        return other

    def set_image(self, rgb: Picture) -> Embedding:
        """Encode a picture once; every prompt on it then costs a light decoding.

        Args:
            rgb: (H, W, 3) uint8 of any size from 1 x 1.

        Raises:
            ValueError: the array is something else.
        """
        return self.set_images([rgb])[0]

    @torch.inference_mode()
    def set_images(self, pictures: Sequence[Picture]) -> list[Embedding]:
        """Encode several pictures, in a batch those that follow each other with equal sides.

        Args:
            pictures: each as :meth:`set_image` takes it.

        Raises:
            ValueError: an array is something else; none is encoded then.
        """
        for rgb in pictures:
            if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
                what = f"{rgb.dtype} of shape {rgb.shape}"
                raise ValueError(f"rgb: {what}; expected uint8 of (H, W, 3)")
        device, side = self.sam.device, self.sam.image_size
        transforms = [Transform((rgb.shape[0], rgb.shape[1]), side) for rgb in pictures]
        inputs = [
            self.sam.preprocess(transform.scale_image(upload(rgb, device)).float())
            for transform, rgb in zip(transforms, pictures, strict=True)
        ]
        features: list[Tensor] = []
        for _, alike in groupby(inputs, lambda x: x.shape):
            features += self._encode(list(alike))
        return [Embedding(*parts) for parts in zip(features, transforms, pictures, strict=True)]

    @torch.inference_mode()
    def segment(self, embedding: Embedding, prompts: Sequence[Prompt]) -> list[Hypotheses]:
        """Answer prompts on one picture, as many together as the decoder can take.

        Args:
            embedding: of the picture, made by the same model.
            prompts: any number, each for one object.

        Returns:
            The hypotheses of each prompt, in the order of ``prompts``.

        Raises:
            ValueError: a prompt is wrong; names the prompt, the field, its value and what was
                expected. No prompt is answered then.
        """
        config, low_size = self.config, self.sam.prompt_encoder.mask_input_size
        _validate(prompts, embedding.size, low_size)
        upsampler = self._upsampler_of(embedding)
        answers: dict[int, Hypotheses] = {}
        for batch in batches(prompts, config.multimask, config.prompts_per_batch):
            asked = [prompts[index] for index in batch.indices]
            found = self._find(embedding, upsampler, asked, batch.multimask)
            again = batch.multimask and self.sam.looks > 1
            if again:
                found = self._look_again(embedding, upsampler, asked, found)
            for index, candidates in zip(batch.indices, found, strict=True):
                prompt = prompts[index]
                final = [self._finish(embedding, prompt, item, again) for item in candidates]
                answers[index] = rank(prompt, final, config).packed()
        return [answers[index] for index in range(len(prompts))]

    def _encode(self, inputs: list[Tensor]) -> list[Tensor]:
        """The embeddings (1, C, h, w) of inputs (1, 3, H, W) of one shape."""
        with self._encoding:
            features = self.encoder(torch.cat(inputs) if len(inputs) > 1 else inputs[0])
        # The decoder reads cells, so their channels shall be the last in memory, once for all.
        features = features.contiguous(memory_format=torch.channels_last)
        # A part of a batch would keep the memory of the others.
        return [x.clone() for x in features.split(1)] if len(inputs) > 1 else [features]

    def _decode(
        self, embedding: Embedding, prompts: Sequence[Prompt], multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Low-resolution logits (B, M, h, w) and predicted IoU (B, M), 0..1, on the device."""
        encoder = self.sam.prompt_encoder
        sparse, dense = encode_prompts(encoder, embedding.transform, prompts)
        logits, predicted_iou = self._decoder(embedding.features, sparse, dense, multimask)
        return logits, predicted_iou.float().clamp(0, 1)

    def _upsampler_of(self, embedding: Embedding) -> Upsampler:
        """The upsampler of pictures of this size, which are the next ones' size as a rule."""
        transform, low_size = embedding.transform, self.sam.prompt_encoder.mask_input_size
        kept = self._upsampler
        if kept is None or (kept.transform, kept.low_size) != (transform, low_size):
            kept = self._upsampler = Upsampler(transform, low_size, embedding.features.device)
        return kept

    def _find(
        self,
        embedding: Embedding,
        upsampler: Upsampler,
        prompts: Sequence[Prompt],
        multimask: bool,
    ) -> list[list[Hypothesis]]:
        """The masks of each prompt of one batch, not yet ranked."""
        config = self.config
        logits, predicted_iou = self._decode(embedding, prompts, multimask)
        low, quality = fetch(logits), fetch(predicted_iou)
        patches = upsampler(logits.flatten(0, 1), self.sam.mask_threshold, config.stability_offset)
        found: list[list[Hypothesis]] = [[] for _ in prompts]
        places = product(range(len(prompts)), range(logits.shape[1]))
        for (row, column), patch in zip(places, patches, strict=True):  # a patch was waited for
            one, iou = low[row, column].float().numpy(), float(quality[row, column])
            found[row].append(
                _hypothesis(prompts[row], patch, upsampler.size, iou, one, config.min_area_px)
            )
        return found

    def _look_again(
        self,
        embedding: Embedding,
        upsampler: Upsampler,
        prompts: Sequence[Prompt],
        found: Sequence[Sequence[Hypothesis]],
    ) -> list[list[Hypothesis]]:
        """The masks of lone clicks asked for again, each by its own box.

        From the third look on the click and the mask's logits are a prompt as well. How likely a
        mask is meant was said at the first look: its predicted IoU stays.
        """
        better = [list(candidates) for candidates in found]
        places = [
            (row, column)
            for row, candidates in enumerate(found)
            for column, first in enumerate(candidates)
            if first.area and is_single_click(prompts[row])
        ]
        limit = self.config.prompts_per_batch
        for look, start in product(range(1, self.sam.looks), range(0, len(places), limit)):
            some = places[start : start + limit]
            seen = [better[row][column] for row, column in some]
            asked = [
                replace(prompts[row], box=item.box, logits=item.logits)
                if look > 1
                else Prompt(box=item.box)
                for (row, _), item in zip(some, seen, strict=True)
            ]
            answers = self._find(embedding, upsampler, asked, multimask=False)
            for (row, column), item, (again,) in zip(some, seen, answers, strict=True):
                if again.area:
                    better[row][column] = replace(again, predicted_iou=item.predicted_iou)
        return better

    def _finish(
        self, embedding: Embedding, prompt: Prompt, item: Hypothesis, again: bool
    ) -> Hypothesis:
        """A mask with its boundary at the picture's edges, if it shall be.

        One that was asked for again by a lone click is in the end the region that was clicked;
        before, its scattered regions tell how far the object reaches.
        """
        mask, config = item.mask, self.config
        wanted = self.sam.soft if config.sharpen is None else config.sharpen
        clicked = pixels_at(prompt.points[prompt.labels == FOREGROUND], embedding.size)
        if wanted and item.area and embedding.rgb is not None:
            sharp = sharpen(embedding.rgb, mask, item.logits, embedding.transform, prompt.box)
            sharp = clean(sharp, config.min_area_px, keep=clicked)
            if points_agreement(sharp, prompt) >= points_agreement(mask, prompt):
                mask = sharp
        if again and item.area and is_single_click(prompt) and len(clicked):
            mask = island_at(mask, clicked[0])
        if mask is item.mask:
            return item
        return replace(item, mask=mask, area=int(np.count_nonzero(mask)), box=tight_box(mask))


def _validate(prompts: Sequence[Prompt], size: Size, low_size: Size) -> None:
    for index, prompt in enumerate(prompts):
        try:
            prompt.validate(size, low_size)
        except ValueError as error:
            raise ValueError(f"prompts[{index}]: {error}") from None


def _hypothesis(
    prompt: Prompt,
    patch: Patch,
    size: Size,
    predicted_iou: float,
    logits: npt.NDArray[np.float32],
    min_area: int,
) -> Hypothesis:
    """One mask, cleaned and measured, not yet ranked."""
    clicked = pixels_at(prompt.points[prompt.labels == FOREGROUND], size)
    cleaned = clean(patch.mask, min_area, keep=clicked - (patch.x, patch.y))
    patch = replace(patch, mask=cleaned)
    return Hypothesis(
        mask=patch.full(size),
        score=0.0,
        predicted_iou=predicted_iou,
        stability=patch.stability,
        area=int(np.count_nonzero(cleaned)),
        box=patch.box,
        parent=-1,
        logits=logits.copy(),  # a view would hold on to the whole batch
    )
