"""Text as a prompt of ``sam_tiny``: a CLIP embedding becomes a token and a drawn rough mask.

SAM, section 7.5: the prompt is a CLIP vector, of an object's picture while training and of words
afterwards. A small decoder does not learn from a token alone where to look, so the vector is also
compared with every cell of the image embedding, and the resemblance is drawn as the mask prompt
that the decoder knows already. Encoder, prompt encoder and decoder stay as they are. Whether an
answer is what was meant, cells and CLIP say together.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from sam_ros.model.checkpoint import CheckpointError, load_checkpoint
from sam_ros.model.layers import MLP, LayerNorm2d

SIZES = (
    "token.layers.0.weight",
    "cells.0.weight",
    "token.layers.1.weight",
)  # they tell the others
TAKEN = 20.0  # taken off the logit of a cell that another answer covers


class TextPrompt(nn.Module):
    """Projects CLIP vectors into the prompts of a frozen ``sam_tiny``.

    Args:
        clip_dim: width of the CLIP vectors.
        features: channels of the image embedding, all of its resolutions folded into one.
        dim: width of the decoder's tokens.
        width: of the space in which cells and vectors are compared.
    """

    def __init__(self, clip_dim: int, features: int, dim: int, width: int = 128) -> None:
        super().__init__()
        self.token = MLP(clip_dim, 2 * dim, dim, depth=2)
        self.query = MLP(clip_dim, 2 * width, 2 * width, depth=2)
        self.cells = nn.Sequential(
            nn.Conv2d(features, width, kernel_size=1),
            LayerNorm2d(width),
            nn.GELU(),
            nn.Conv2d(width, width, kernel_size=5, padding=2, groups=width),
            nn.Conv2d(width, width, kernel_size=1),
            LayerNorm2d(width),
        )
        self.resemblance = nn.Sequential(
            nn.GELU(),
            nn.Conv2d(width, 32, kernel_size=1),
            nn.GELU(),
            nn.Conv2d(32, 1, kernel_size=1),
        )
        self.verdict = nn.Linear(2, 1)
        with torch.no_grad():  # until it is calibrated CLIP decides alone
            self.verdict.weight.copy_(torch.tensor([[1.0, 0.0]]))
            self.verdict.bias.zero_()

    def forward(self, vectors: Tensor, image_embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Make the prompts of one image.

        Args:
            vectors: (B, D) CLIP vectors of unit length.
            image_embedding: (1, C, h, w).

        Returns:
            Sparse embeddings (B, 1, dim), and (B, 1, h, w) logits of cells that are meant.
        """
        vectors = vectors * vectors.shape[1] ** 0.5  # components of about 1
        scale, shift = self.query(vectors)[:, :, None, None].chunk(2, dim=1)
        logits = self.resemblance(self.cells(image_embedding) * (1 + scale) + shift)
        return self.token(vectors)[:, None], logits

    def judge(self, clip: Tensor, resemblance: Tensor) -> Tensor:
        """How likely masks are what vectors mean, 0..1.

        Args:
            clip: (N, B) log odds by the crops of the masks.
            resemblance: (N, B) highest logit of a cell that each mask covers.
        """
        return self.verdict(torch.stack((clip, resemblance), dim=-1))[..., 0].sigmoid()


def as_mask_prompt(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Spread (B, 1, h, w) logits of cells over the (H, W) map that mask prompts are drawn on.

    Right of and below the image the logits of its edge go on, as in an answer fed back.
    """
    fine = F.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
    right, below = size[1] - fine.shape[3], size[0] - fine.shape[2]
    return F.pad(fine, (0, right, 0, below), mode="replicate")


def load_text_prompt(path: Path, sam: Path, clip: Path) -> TextPrompt:
    """Loads the projection that belongs to a model and a CLIP.

    Args:
        path: written by ``training.text_prompt.train``.
        sam: the weights of the model.
        clip: the weights of the CLIP.

    Raises:
        CheckpointError: it is not there, damaged, or was trained for others.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, "pt") as file:
            made_for = file.metadata() or {}
            sizes = [file.get_slice(name).get_shape() for name in SIZES]
    except Exception as error:  # anything may surface from the bytes of a foreign file
        raise CheckpointError(f"{path}: {error}") from error
    for name, weights in (("sam", sam), ("clip", clip)):
        if made_for.get(name) != digest(weights):
            raise CheckpointError(f"{path} was not trained for {weights}")
    prompt = TextPrompt(clip_dim=sizes[0][1], features=sizes[1][1], dim=sizes[2][0])
    load_checkpoint(prompt, path, "the text prompt")
    return prompt.eval()


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits; "" where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
