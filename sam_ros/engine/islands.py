"""Removal of small islands and holes, which a mask decoder tends to hallucinate (SAM, section 8).

Foreground touches over edges and corners, background over edges only, so that a thin diagonal
line is one region and does close a loop.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from sam_ros.engine.boxes import pixels_of, tight_box

Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.int64]


def clean(mask: Mask, min_area: int, keep: Pixels | None = None) -> Mask:
    """Fill small holes, then remove small islands.

    Args:
        mask: (H, W) bool.
        min_area: pixels a region must have to stay.
        keep: (N, 2) x, y of pixels whose islands stay however small they are: somebody clicked
            them.

    Returns:
        (H, W) bool; ``mask`` itself when nothing had to change. Never empty unless ``mask`` is.
    """
    rows, columns = pixels_of(tight_box(mask))
    window = mask[rows, columns]
    if min_area <= 1 or not window.size:
        return mask
    origin = (columns.start, rows.start)
    inside = _within(keep - origin, window.shape) if keep is not None else None
    cleaned = remove_islands(fill_holes(window, min_area), min_area, inside)
    if cleaned is window:
        return mask
    result = mask.copy()
    result[rows, columns] = cleaned
    return result


def fill_holes(mask: Mask, min_area: int) -> Mask:
    """Fill background of fewer than ``min_area`` pixels that the mask encloses.

    Background that reaches the border of the array is not enclosed.
    """
    outside = cv2.copyMakeBorder((~mask).view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, labels, measures, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    if count <= 2:  # the mask and its surroundings
        return mask
    small = measures[:, cv2.CC_STAT_AREA] < min_area
    small[[0, labels[0, 0]]] = False
    return mask | small[labels[1:-1, 1:-1]] if small.any() else mask


def remove_islands(mask: Mask, min_area: int, keep: Pixels | None = None) -> Mask:
    """Remove regions of fewer than ``min_area`` pixels; the largest always stays.

    Args:
        mask: (H, W) bool.
        min_area: pixels.
        keep: (N, 2) x, y of pixels whose regions stay.
    """
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    count, labels, measures, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    if count <= 2:  # background and one region
        return mask
    areas = measures[:, cv2.CC_STAT_AREA]
    stays = areas >= min_area
    stays[1 + areas[1:].argmax()] = True
    if keep is not None and len(keep):
        stays[labels[keep[:, 1], keep[:, 0]]] = True
    stays[0] = False
    return mask if stays[1:].all() else stays[labels]


def _within(pixels: Pixels, size: tuple[int, ...]) -> Pixels:
    """Those of (N, 2) x, y that lie in an array of (H, W)."""
    inside: Pixels = pixels[((pixels >= 0) & (pixels < (size[1], size[0]))).all(axis=1)]
    return inside
