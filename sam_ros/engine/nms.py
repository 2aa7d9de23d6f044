"""Non-maximum suppression: of several masks of one object, the best stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def box_nms(boxes: Boxes, scores: Scores, threshold: float) -> npt.NDArray[np.int64]:
    """Which boxes stay, best first; equal to torchvision's nms, also in its rounding.

    Args:
        boxes: (N, 4) x0, y0, x1, y1.
        scores: (N,).
        threshold: a box whose IoU with a better one that stays is above it goes.

    Returns:
        (K,) indices; of equal scores the first comes first.
    """
    x0, y0, x1, y1 = boxes.T
    areas = (x1 - x0) * (y1 - y0)
    order = np.argsort(-scores, kind="stable")
    stays: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        stays.append(int(best))
        width = np.minimum(x1[best], x1[order]) - np.maximum(x0[best], x0[order])
        height = np.minimum(y1[best], y1[order]) - np.maximum(y0[best], y0[order])
        common = width.clip(0) * height.clip(0)
        with np.errstate(invalid="ignore"):  # 0 / 0: two empty boxes have nothing in common
            iou = common / (areas[best] + areas[order] - common)
        order = order[~(iou > threshold)]
    return np.array(stays, np.int64)


def mask_nms(masks: Sequence[Mask], threshold: float) -> list[int]:
    """Which masks stay.

    Args:
        masks: (H, W) bool each, best first.
        threshold: a mask whose IoU with a better one that stays is above it goes.

    Returns:
        Indices in order.
    """
    areas = [int(np.count_nonzero(mask)) for mask in masks]
    stays: list[int] = []
    for index, mask in enumerate(masks):
        if all(
            _iou(mask, areas[index], masks[other], areas[other], threshold) <= threshold
            for other in stays
        ):
            stays.append(index)
    return stays


def _iou(a: Mask, area_a: int, b: Mask, area_b: int, threshold: float) -> float:
    """IoU 0..1 of two masks; 0 without a look where their areas alone keep it at the threshold."""
    if min(area_a, area_b) <= threshold * max(area_a, area_b):
        return 0.0
    common = int(np.count_nonzero(a & b))
    return common / (area_a + area_b - common)
