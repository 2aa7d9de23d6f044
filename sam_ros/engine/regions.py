"""Removal of small regions as the reference's mask generator does it.

It differs from :mod:`sam_ros.engine.islands`, which cleans the masks of prompts: here background
touches over corners too, and background at the picture's border is filled like a hole.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sam_ros.engine.islands import Areas, Labels, labelled

Mask = npt.NDArray[np.bool_]


def remove_small_regions(mask: Mask, min_area: int) -> Mask:
    """Fill small regions of background, then remove small islands.

    Args:
        mask: (H, W) bool.
        min_area: pixels a region must have to stay.

    Returns:
        (H, W) bool; ``mask`` itself when there was no small region. The largest island stays.
    """
    labels, small, _ = _regions(~mask, min_area)
    filled = mask | small[labels] if small.any() else mask
    labels, small, areas = _regions(filled, min_area)
    if not small.any():
        return filled
    stays = ~small
    stays[0] = False
    if not stays.any():
        stays[1 + areas[1:].argmax()] = True
    return stays[labels]


def _regions(mask: Mask, min_area: int) -> tuple[Labels, npt.NDArray[np.bool_], Areas]:
    """The number of each pixel's region, which regions are small, and their areas."""
    labels, areas = labelled(np.ascontiguousarray(mask).view(np.uint8), connectivity=8)
    small = areas < min_area
    small[0] = False  # what is not in the mask
    return labels, small, areas
