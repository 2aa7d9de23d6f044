"""Removal of small islands and holes, which a mask decoder tends to hallucinate (SAM, section 8).

Foreground touches over edges and corners, background over edges only, so that a thin diagonal
line is one region and does close a loop.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sam_ros.engine.boxes import pixels_of, tight_box

Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int32]
Areas = npt.NDArray[np.int64]


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
    if min_area <= 1 or not window.size or not _may_change(window, min_area):
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
    labels, areas = labelled(outside, connectivity=4)
    if len(areas) <= 2:  # the mask and its surroundings
        return mask
    small = areas < min_area
    small[[0, labels[0, 0]]] = False
    return mask | small[labels[1:-1, 1:-1]] if small.any() else mask


def remove_islands(mask: Mask, min_area: int, keep: Pixels | None = None) -> Mask:
    """Remove regions of fewer than ``min_area`` pixels; the largest always stays.

    Args:
        mask: (H, W) bool.
        min_area: pixels.
        keep: (N, 2) x, y of pixels whose regions stay.
    """
    labels, areas = labelled(np.ascontiguousarray(mask).view(np.uint8), connectivity=8)
    if len(areas) <= 2:  # background and one region
        return mask
    stays = areas >= min_area
    stays[1 + areas[1:].argmax()] = True
    if keep is not None and len(keep):
        stays[labels[keep[:, 1], keep[:, 0]]] = True
    stays[0] = False
    return mask if stays[1:].all() else stays[labels]


def island_at(mask: Mask, pixel: Pixels) -> Mask:
    """The one region of a mask that holds a pixel.

    Args:
        mask: (H, W) bool.
        pixel: (2,) x, y.

    Returns:
        (H, W) bool; ``mask`` itself when the pixel is not in it, or when it is one region.
    """
    if not mask[pixel[1], pixel[0]]:
        return mask
    rows, columns = pixels_of(tight_box(mask))
    labels, areas = labelled(np.ascontiguousarray(mask[rows, columns]).view(np.uint8), 8)
    if len(areas) <= 2:  # background and one region
        return mask
    result = np.zeros_like(mask)
    result[rows, columns] = labels == labels[pixel[1] - rows.start, pixel[0] - columns.start]
    return result


def _may_change(mask: Mask, min_area: int) -> bool:
    """Whether some island or hole is narrow enough: one of N pixels is not wider than N.

    The outlines, a tenth of the regions' price, spare most masks these. A hole's outline runs
    through the pixels around it.
    """
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    outlines, _ = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if len(outlines) < 2:  # one region without a hole
        return False
    return any(max(cv2.boundingRect(outline)[2:]) < min_area + 2 for outline in outlines)


def labelled(pixels: npt.NDArray[Any], connectivity: int) -> tuple[Labels, Areas]:
    """The label of each pixel's region, background 0, and the area of each label.

    Counted by runs of a label: OpenCV's own measures take three times as long as its labels.

    Args:
        pixels: (H, W) uint8, not zero where a region is.
        connectivity: 4, or 8 to let regions touch over corners too.
    """
    count, labels = cv2.connectedComponents(pixels, connectivity=connectivity)
    flat = labels.ravel()
    starts = np.concatenate(((0,), np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = np.diff(starts, append=flat.size)
    return np.asarray(labels, np.int32), np.bincount(flat[starts], lengths, count).astype(np.int64)


def _within(pixels: Pixels, size: tuple[int, ...]) -> Pixels:
    """Those of (N, 2) x, y that lie in an array of (H, W)."""
    inside: Pixels = pixels[((pixels >= 0) & (pixels < (size[1], size[0]))).all(axis=1)]
    return inside
