"""The whole model: three parts and the normalisation of their input."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_ros.model.mask_decoder import MaskDecoder
from sam_ros.model.prompt_encoder import PromptEncoder

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


class Sam(nn.Module):
    """Segment Anything (2304.02643): encode an image once, then decode prompt after prompt.

    Call the parts: ``image_encoder``, ``prompt_encoder``, ``mask_decoder``.

    Attributes:
        image_size: longest side of the image in the input of the encoder, pixels.
        side_step: images are padded until both sides are a multiple of it, pixels. The paper's
            models take squares: it is their ``image_size``.
        mask_threshold: logits above it belong to the mask.
        looks: how often the masks of a lone click are asked for, each with what the one before
            gave. Once as in the paper; a small model answers a box far better than a click.
        soft: whether the boundaries of its masks are rough, and better read from the picture.
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    mask_threshold: float = 0.0
    looks: int = 1
    soft: bool = False

    def __init__(
        self,
        image_encoder: nn.Module,
        prompt_encoder: PromptEncoder,
        mask_decoder: MaskDecoder,
        image_size: int,
        side_step: int | None = None,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        self.image_size = image_size
        self.side_step = side_step or image_size
        # On the CPU also when the module is built on the meta device: no checkpoint brings them.
        mean = torch.tensor(PIXEL_MEAN, device="cpu").reshape(3, 1, 1)
        std = torch.tensor(PIXEL_STD, device="cpu").reshape(3, 1, 1)
        self.register_buffer("pixel_mean", mean, persistent=False)
        self.register_buffer("pixel_std", std, persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.pixel_mean.device

    def preprocess(self, x: Tensor) -> Tensor:
        """Normalise images and pad them at the right and at the bottom.

        Args:
            x: (B, 3, h, w) float RGB 0..255; the longest side is ``image_size`` (at most).

        Returns:
            (B, 3, H, W), the input of ``image_encoder``; sides are multiples of ``side_step``.
        """
        h, w = x.shape[-2:]
        if max(h, w) > self.image_size:
            raise ValueError(f"image is {h} x {w} px, expected at most {self.image_size} a side")
        x = (x - self.pixel_mean) / self.pixel_std
        return F.pad(x, (0, -w % self.side_step, 0, -h % self.side_step))
