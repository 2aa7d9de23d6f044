"""Boxes as (4,) float32 x0, y0, x1, y1 through the outer edges of pixels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Box = npt.NDArray[np.float32]


def tight_box(mask: npt.NDArray[np.bool_]) -> Box:
    """The smallest box that holds every pixel of a mask.

    Args:
        mask: (H, W) bool.

    Returns:
        Through the outer edges: the lone pixel x, y has x - 0.5, y - 0.5, x + 0.5, y + 0.5. Zeros
        when the mask is empty.
    """
    if not mask.size:
        return np.zeros(4, np.float32)
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    if not w:
        return np.zeros(4, np.float32)
    return np.array((x, y, x + w, y + h), np.float32) - np.float32(0.5)


def centre_and_size(box: Box) -> tuple[float, float, float, float]:
    """X and y of the centre, width and height [px]."""
    x0, y0, x1, y1 = box.tolist()
    return (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0


def clip_box(box: Box, size: tuple[int, int]) -> Box:
    """Cut a box at the outer edges of an image of (H, W) pixels."""
    height, width = size
    limit = np.array((width, height, width, height), np.float32) - np.float32(0.5)
    return np.clip(box, np.float32(-0.5), limit)


def box_area(box: Box) -> float:
    """Area in square pixels; 0 for a reversed box, which is what no overlap looks like."""
    width, height = float(box[2] - box[0]), float(box[3] - box[1])
    return max(width, 0.0) * max(height, 0.0)


def intersect(a: Box, b: Box) -> Box:
    """The common part of two boxes; its area is 0 when there is none."""
    return np.concatenate((np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])))


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union, 0..1; 0 when both boxes are empty."""
    common = box_area(intersect(a, b))
    union = box_area(a) + box_area(b) - common
    return common / union if union else 0.0


def pixels_of(box: Box) -> tuple[slice, slice]:
    """The rows and columns of the pixels that a box of whole pixels covers."""
    x0, y0, x1, y1 = (round(float(edge) + 0.5) for edge in box)
    return slice(y0, max(y1, y0)), slice(x0, max(x1, x0))
