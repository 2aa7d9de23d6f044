"""What needs no learning: the peers that an embedded model has to beat."""

from __future__ import annotations

import cv2
import numpy as np


def fill(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Everything inside the box x0, y0, x1, y1; (H, W) bool."""
    x0, y0, x1, y1 = np.round(box).astype(int)
    mask = np.zeros(image.shape[:2], bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def grab_cut(image: np.ndarray, box: np.ndarray, side: int = 480) -> np.ndarray:
    """GrabCut (Rother et al. 2004) from the box, five rounds on a copy of `side` pixels."""
    scale = min(1.0, side / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    x0, y0, x1, y1 = np.round(box * scale).astype(int)
    labels = np.zeros(small.shape[:2], np.uint8)
    rect = (int(x0), int(y0), int(max(2, x1 - x0 + 1)), int(max(2, y1 - y0 + 1)))
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(small, labels, rect, *models, 5, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # it has no background to learn from when the box fills the picture
        return fill(image, box)
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    size = image.shape[1::-1]
    return cv2.resize(found, size, interpolation=cv2.INTER_NEAREST).astype(bool)


def smoothed(image: np.ndarray) -> np.ndarray:
    """The picture without its noise, for :func:`flood_fill`."""
    return cv2.bilateralFilter(image, 7, 30, 5)


def flood_fill(smooth: np.ndarray, point: np.ndarray, tolerance: int = 20) -> np.ndarray:
    """Pixels connected to the click whose colour is within the tolerance of it."""
    mask = np.zeros((smooth.shape[0] + 2, smooth.shape[1] + 2), np.uint8)
    seed = tuple(int(v) for v in np.round(point))
    flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
    cv2.floodFill(smooth, mask, seed, 0, (tolerance,) * 3, (tolerance,) * 3, flags)
    return mask[1:-1, 1:-1].astype(bool)


def superpixels(image: np.ndarray, side: int = 320) -> np.ndarray:
    """Felzenszwalb segments (2004): their numbers, (H, W) int32."""
    from skimage.segmentation import felzenszwalb

    scale = min(1.0, side / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    segments = felzenszwalb(small, scale=300, sigma=0.8, min_size=50).astype(np.int32)
    return cv2.resize(segments, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def superpixel(segments: np.ndarray, point: np.ndarray) -> np.ndarray:
    """The segment under the click."""
    x, y = np.round(point).astype(int)
    return segments == segments[y, x]
