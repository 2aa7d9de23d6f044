"""What the image encoder makes of one frame; every prompt on that frame reuses it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sam_ros.engine.transform import Transform


@dataclass(frozen=True, eq=False)
class Embedding:
    """The image embedding of one frame, kept on the model's device.

    Attributes:
        features: (1, C, h, w) as the image encoder gives it.
        transform: between the frame's pixels and the encoder's input.
        rgb: (H, W, 3) uint8, the frame itself, not copied: its edges tell where exactly a thing
            ends. None where nobody shall look at them.
    """

    features: torch.Tensor
    transform: Transform
    rgb: npt.NDArray[np.uint8] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frame in pixels."""
        return self.transform.size

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        return self.features.nbytes
