"""Between the pixels of an image and the square input of the image encoder.

The image is scaled until its longest side fills the square and padded at the right and bottom,
as SAM was trained (appendix A, image encoder). Equal to the reference's ResizeLongestSide, with
one addition: the short side of an extreme image is at least one pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

Size = tuple[int, int]

# Logit of a pixel inside (outside: minus this) a mask given as yes or no: a probability of 0.999.
MASK_LOGIT = 7.0


@dataclass(frozen=True)
class Transform:
    """The scaling of one image size.

    Attributes:
        size: (H, W) of the original image in pixels.
        image_size: side of the encoder's square input in pixels.

    Raises:
        ValueError: the image has no pixel.
    """

    size: Size
    image_size: int

    def __post_init__(self) -> None:
        if min(self.size) < 1:
            raise ValueError(
                f"size: {self.size[0]} x {self.size[1]}; expected at least 1 x 1 pixel"
            )

    @property
    def input_size(self) -> Size:
        """(h, w) of the scaled image inside the square, in pixels."""
        scale = self.image_size / max(self.size)
        h, w = (max(1, int(side * scale + 0.5)) for side in self.size)
        return h, w

    def to_input(self, points: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
        """Map (..., 2) x, y from the original image to the encoder's input."""
        return (points * self._scale()).astype(np.float32)

    def to_original(self, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Map (..., 2) x, y from the encoder's input to the original image."""
        return (points / self._scale()).astype(np.float32)

    def scale_image(self, rgb: Tensor) -> Tensor:
        """Scale (H, W, 3) uint8 to (1, 3, h, w) of the input size: grey levels, on its device."""
        return self._resize(rgb.permute(2, 0, 1)[None])

    def mask_logits(self, mask: npt.NDArray[np.bool_], low_size: Size) -> Tensor:
        """Turn a mask of the original image into the mask prompt the prompt encoder reads.

        Args:
            mask: (H, W) bool.
            low_size: (h, w) of the mask prompt, which covers the whole square.

        Returns:
            (1, 1, h, w) float32: the covered share of each cell as -MASK_LOGIT..MASK_LOGIT, the
            padding at -MASK_LOGIT.
        """
        white = mask.astype(np.uint8) * np.uint8(255)
        scaled = self._resize(torch.from_numpy(white)[None, None])
        height, width = self.input_size
        padding = (0, self.image_size - width, 0, self.image_size - height)
        covered = F.adaptive_avg_pool2d(F.pad(scaled.float() / 255, padding), low_size)
        return (2 * covered - 1) * MASK_LOGIT

    def _resize(self, x: Tensor) -> Tensor:
        """Antialiased as Pillow does it, which the reference uses: at most one grey level off."""
        if x.is_cuda:  # where torch has no antialiasing of bytes
            return self.resize_floats(x)
        x = F.interpolate(x, self.input_size, mode="bilinear", align_corners=False, antialias=True)
        return x.contiguous()

    def resize_floats(self, x: Tensor) -> Tensor:
        """As bytes are scaled, by way of floats: grey levels as float32."""
        size = self.input_size
        x = F.interpolate(x.float(), size, mode="bilinear", align_corners=False, antialias=True)
        return x.round_().clamp_(0, 255)

    def _scale(self) -> npt.NDArray[np.float64]:
        """Input pixels per original pixel along x and y; the rounding makes them differ."""
        (new_h, new_w), (old_h, old_w) = self.input_size, self.size
        return np.array((new_w / old_w, new_h / old_h))
