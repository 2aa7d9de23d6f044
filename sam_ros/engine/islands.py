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
    if min_area <= 1 or not mask.size:
        return mask
    found, tree = cv2.findContours(
        np.ascontiguousarray(mask).view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
    )
    windows = np.array([cv2.boundingRect(outline) for outline in found]).reshape(-1, 4)
    narrow = np.flatnonzero(windows[:, 2:].max(axis=1, initial=0) < min_area + 2)
    if len(found) < 2 or not len(narrow):  # one region without a hole, or all of them are large
        return mask
    if len(narrow) == len(found) or len(narrow) > MANY:
        return _clean_all(mask, min_area, keep)
    of_holes = tree[0][narrow, 3] >= 0
    islands = narrow[~of_holes]
    cleaned = mask.copy()
    _fill(cleaned, windows[narrow[of_holes]], min_area)
    pixels = np.array([found[index][0, 0] for index in islands]).reshape(-1, 2)
    _remove(cleaned, windows[islands], pixels, min_area, keep)
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
    filled = mask.copy()
    _fill(filled, np.array([(0, 0, *mask.shape[::-1])]), min_area)
    return mask if np.array_equal(filled, mask) else filled


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


class _Sheet:
    """Windows of a mask side by side, with a pixel of nothing around each, to be labelled at once.

    Args:
        shape: (H, W) of the mask.
        boxes: (N, 4) x, y, width, height of the windows.
        margin: pixels by which each is made larger, as far as the mask goes.
    """

    def __init__(self, shape: Size, boxes: Pixels, margin: int = 0) -> None:
        first = np.maximum(boxes[:, :2] - margin, 0)
        last = np.minimum(boxes[:, :2] + boxes[:, 2:] + margin, shape[::-1])
        width, height = (last - first).T
        left = np.cumsum(width + 1) - width
        self.size = int(height.max(initial=0)) + 2, int((width + 1).sum()) + 1
        self.offset = np.stack((left, np.ones_like(left)), 1) - first  # from the mask to the sheet
        corners = np.stack((*first.T, *last.T, left), 1).tolist()
        self.windows = [(slice(y, b), slice(x, a)) for x, y, a, b, _ in corners]
        self.places = [(slice(1, 1 + b - y), slice(at, at + a - x)) for x, y, a, b, at in corners]

    def lay(self, mask: Mask) -> npt.NDArray[np.uint8]:
        """The windows of a mask, on a sheet that is empty elsewhere."""
        sheet = np.zeros(self.size, np.uint8)
        for place, window in zip(self.places, self.windows, strict=True):
            sheet[place] = mask[window]
        return sheet


def _fill(mask: Mask, boxes: Pixels, min_area: int) -> None:
    """Fill the small holes in some windows (N, 4) of a mask."""
    if not len(boxes):
        return
    sheet = _Sheet(mask.shape, boxes)
    # What is around a window is background, and what touches it is not enclosed.
    labels, areas = labelled(1 - sheet.lay(mask), connectivity=4)
    small = areas < min_area
    small[[0, labels[0, 0]]] = False
    filled = small[labels]
    for place, window in zip(sheet.places, sheet.windows, strict=True):
        mask[window] |= filled[place]


def _remove(mask: Mask, boxes: Pixels, pixels: Pixels, min_area: int, keep: Pixels | None) -> None:
    """Take islands out of a mask that are small and that nobody clicked.

    Args:
        mask: (H, W) bool, changed.
        boxes: (N, 4) of the islands.
        pixels: (N, 2) x, y of one pixel of each.
        min_area: pixels that an island must have to stay.
        keep: (N, 2) x, y of pixels whose islands stay.
    """
    if not len(boxes):
        return
    sheet = _Sheet(mask.shape, boxes, margin=1)
    labels, areas = labelled(sheet.lay(mask), connectivity=8)
    x, y = (pixels + sheet.offset).T
    island = labels[y, x]
    # One that goes on beyond its box is part of the island in whose hole it was until that was
    # filled.
    around = labels.copy()
    first = boxes[:, :2] + sheet.offset
    for (x0, y0), (x1, y1) in zip(first.tolist(), (first + boxes[:, 2:]).tolist(), strict=True):
        around[y0:y1, x0:x1] = 0
    stays = areas >= min_area
    stays[around.ravel()] = True
    for clicked in keep if keep is not None else ():
        for window, (dx, dy) in zip(sheet.windows, sheet.offset.tolist(), strict=True):
            if all(side.start <= at < side.stop for side, at in zip(window, clicked[::-1])):
                stays[labels[clicked[1] + dy, clicked[0] + dx]] = True
    for index in np.flatnonzero(~stays[island]):
        mask[sheet.windows[index]] &= labels[sheet.places[index]] != island[index]


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
