"""Removal of small islands and holes, which a mask decoder tends to hallucinate (SAM, section 8).

Foreground touches over edges and corners, background over edges only, so that a thin diagonal
line is one region and does close a loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sam_ros.engine.boxes import pixels_of, tight_box
from sam_ros.engine.transform import Size

Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int32]
Areas = npt.NDArray[np.int64]

MANY = 64  # small regions: from here on it is cheaper to label all of them at once


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
    if min_area <= 1:
        return mask
    found = _outlines(mask)
    narrow = [outline for outline in found if max(outline.size) < min_area + 2]
    if len(found) < 2 or not narrow:  # one region without a hole, or all of them are large
        return mask
    if len(narrow) == len(found) or len(narrow) > MANY:
        return _clean_all(mask, min_area, keep)
    cleaned = mask.copy()
    for outline in narrow:
        if outline.of_hole:
            window = cleaned[outline.window]
            window[...] = fill_holes(window, min_area)
    for outline in narrow:
        if not outline.of_hole:
            _remove(cleaned, outline, min_area, keep)
    return mask if np.array_equal(cleaned, mask) else cleaned


def _clean_all(mask: Mask, min_area: int, keep: Pixels | None) -> Mask:
    """As :func:`clean`, all regions at once."""
    rows, columns = pixels_of(tight_box(mask))
    window = mask[rows, columns]
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


@dataclass(frozen=True, eq=False)
class _Outline:
    """The outermost pixels of an island, or the island's pixels around one of its holes.

    Attributes:
        pixel: x, y of one of them.
        window: the rows and columns that they reach.
        size: of the window (H, W).
        of_hole: which of the two it is.
    """

    pixel: tuple[int, int]
    window: tuple[slice, slice]
    size: Size
    of_hole: bool


def _outlines(mask: Mask) -> list[_Outline]:
    """All outlines of a mask: a tenth of the price of its regions."""
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    found, tree = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outlines = []
    for points, (*_, parent) in zip(found, tree[0] if found else ()):
        x, y, w, h = cv2.boundingRect(points)
        first, window = points[0, 0], (slice(y, y + h), slice(x, x + w))
        outlines.append(_Outline((int(first[0]), int(first[1])), window, (h, w), parent >= 0))
    return outlines


def _remove(mask: Mask, outline: _Outline, min_area: int, keep: Pixels | None) -> None:
    """Take an island out of a mask if it is small and nobody clicked it."""
    y0, x0 = (max(side.start - 1, 0) for side in outline.window)
    window = mask[y0 : outline.window[0].stop + 1, x0 : outline.window[1].stop + 1]
    pixels = np.ascontiguousarray(window).view(np.uint8)
    _, labels = cv2.connectedComponents(pixels, connectivity=8)
    island = labels == labels[outline.pixel[1] - y0, outline.pixel[0] - x0]
    ours = tuple(slice(side.start - o, side.stop - o) for side, o in zip(outline.window, (y0, x0)))
    area = np.count_nonzero(island)
    if area >= min_area or area > np.count_nonzero(island[ours]):
        return  # large, or part of the island in whose hole it was until that was filled
    if keep is not None:
        clicked = _within(keep - (x0, y0), window.shape)
        if island[clicked[:, 1], clicked[:, 0]].any():
            return
    window[island] = False


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
