"""One object to segment, in pixels of the original image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FOREGROUND = 1
BACKGROUND = 0


@dataclass(frozen=True, eq=False)
class Prompt:
    """Points, a box and a mask that together point at one object.

    Coordinates are pixels of the original image: x right, y down, pixel centres at integers.

    Attributes:
        points: (N, 2) float32, columns x and y.
        labels: (N,) int32, 1 foreground, 0 background.
        box: (4,) float32 as x0, y0, x1, y1 or None.
        mask: (H, W) bool of the original image's size or None: a rough mask of the object.
        logits: (h, w) float32 low-resolution logits of an earlier hypothesis or None; fed back as
            the mask prompt when a prompt is refined. Takes the place of ``mask``.
    """

    points: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    labels: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    box: npt.NDArray[np.float32] | None = None
    mask: npt.NDArray[np.bool_] | None = None
    logits: npt.NDArray[np.float32] | None = None
