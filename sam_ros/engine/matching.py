"""Which masks of one picture are those of another, by their overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sam_ros.engine.boxes import box_area, intersect, pixels_of
from sam_ros.engine.hypothesis import Hypothesis


def match(
    before: Sequence[Hypothesis], now: Sequence[Hypothesis], threshold: float
) -> dict[int, int]:
    """Pair masks of two pictures of one size, the surest pairs first.

    Greedy on purpose: the best sum of overlaps over all pairs would give up a sure pair for two
    doubtful ones, and an object would change its name.

    Args:
        before: masks of the earlier picture.
        now: masks of the later one.
        threshold: IoU, 0..1, that a pair must have at least.

    Returns:
        Index in ``now`` to index in ``before``; each is in one pair at most.
    """
    pairs = [
        (mask_iou(old, new), i, j) for i, old in enumerate(before) for j, new in enumerate(now)
    ]
    found: dict[int, int] = {}
    for iou, i, j in sorted(pairs, key=lambda pair: -pair[0]):
        if iou >= threshold and iou > 0 and j not in found and i not in found.values():
            found[j] = i
    return found


def mask_iou(a: Hypothesis, b: Hypothesis) -> float:
    """IoU of two masks, 0..1, counted where their boxes meet."""
    common_box = intersect(a.box, b.box)
    if box_area(common_box) == 0:
        return 0.0
    window = pixels_of(common_box)
    common = int(np.count_nonzero(a.mask[window] & b.mask[window]))
    return common / (a.area + b.area - common)
