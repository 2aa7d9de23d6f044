"""One object to segment, in pixels of the original image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sam_ros.engine.boxes import box_area, clip_box

FOREGROUND = 1
BACKGROUND = 0

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Prompt:
    """Points, a box and a mask that together point at one object.

    Coordinates are pixels of the original image: x right, y down, pixel centres at integers.

    Attributes:
        points: (N, 2) float32, columns x and y.
        labels: (N,) int32, 1 foreground, 0 background.
        box: (4,) float32 as x0, y0, x1, y1 or None. The part outside the image is cut off.
        mask: (H, W) bool of the original image's size or None: a rough mask of the object.
        logits: (h, w) float32 low-resolution logits of an earlier hypothesis or None; fed back as
            the mask prompt when a prompt is refined. Takes the place of ``mask``.
        token: (C,) float32 prompt token that words became (SAM, section 7.5), or None. It says
            what is meant; something else has to say where.
    """

    points: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    labels: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    box: npt.NDArray[np.float32] | None = None
    mask: npt.NDArray[np.bool_] | None = None
    logits: npt.NDArray[np.float32] | None = None
    token: npt.NDArray[np.float32] | None = None

    def validate(self, size: Size, logits_size: Size | None = None) -> None:
        """Check that the prompt can be answered on an image.

        Points lie within the outer edges of the image, -0.5..W - 0.5 and -0.5..H - 0.5. A box may
        reach beyond them, as those of detectors do, but not lie beyond them.

        Args:
            size: (H, W) of the image.
            logits_size: (h, w) of the model's mask prompt; None: the shape is not checked.

        Raises:
            ValueError: names the field, its value and what was expected.
        """
        if not len(self.points) and self.box is None and self.mask is None and self.logits is None:
            raise ValueError("prompt: empty; expected points, a box or a mask")
        self._check_points(size)
        self._check_labels()
        if self.box is not None:
            _check_box(self.box, size)
        if self.mask is not None:
            _check_mask(self.mask, size)
        if self.logits is not None:
            _check_logits(self.logits, logits_size)

    def _check_points(self, size: Size) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 2:
            raise ValueError(f"points: shape {self.points.shape}; expected (N, 2)")
        height, width = size
        limit = np.array((width, height)) - 0.5
        inside = ((self.points >= -0.5) & (self.points <= limit)).all(axis=1)  # NaN is outside
        if not inside.all():
            index = int(np.argmin(inside))
            raise ValueError(
                f"points[{index}]: {_text(self.points[index])}; expected x in -0.5..{limit[0]:g} "
                f"and y in -0.5..{limit[1]:g}, inside the image of {width} x {height} pixels"
            )

    def _check_labels(self) -> None:
        if self.labels.shape != (len(self.points),):
            raise ValueError(
                f"labels: shape {self.labels.shape}; expected ({len(self.points)},), one per point"
            )
        known = (self.labels == FOREGROUND) | (self.labels == BACKGROUND)
        if not known.all():
            index = int(np.argmin(known))
            raise ValueError(
                f"labels[{index}]: {self.labels[index]}; expected 1 (foreground) or 0 (background)"
            )


def _check_box(box: npt.NDArray[np.float32], size: Size) -> None:
    if box.shape != (4,):
        raise ValueError(f"box: shape {box.shape}; expected (4,) as x0, y0, x1, y1")
    if not np.isfinite(box).all():
        raise ValueError(f"box: {_text(box)}; expected finite numbers")
    if not (box[2] > box[0] and box[3] > box[1]):
        raise ValueError(f"box: {_text(box)}; expected x0 < x1 and y0 < y1")
    if not box_area(clip_box(box, size)):
        raise ValueError(
            f"box: {_text(box)}; expected to overlap the image of {size[1]} x {size[0]} pixels"
        )


def _check_mask(mask: npt.NDArray[np.bool_], size: Size) -> None:
    if mask.dtype != np.bool_ or mask.shape != tuple(size):
        raise ValueError(
            f"mask: {mask.dtype} of shape {mask.shape}; expected bool of the image's {tuple(size)}"
        )
    if not mask.any():
        raise ValueError("mask: 0 foreground pixels; expected at least 1")


def _check_logits(logits: npt.NDArray[np.float32], logits_size: Size | None) -> None:
    expected = tuple(logits_size) if logits_size else ("h", "w")
    if logits.ndim != 2 or (logits_size and logits.shape != expected):
        raise ValueError(f"logits: shape {logits.shape}; expected {expected}, low resolution")
    if not np.isfinite(logits).all():
        raise ValueError("logits: NaN or infinite; expected finite numbers")


def _text(values: npt.NDArray[Any]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
