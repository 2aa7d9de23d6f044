"""Masks as the run lengths of COCO: column by column, the background's run first.

The runs alternate between background and foreground, so a mask whose first pixel is foreground
starts with a run of 0. Equal to the uncompressed form of pycocotools.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.uint32]


def encode(mask: npt.NDArray[np.bool_]) -> Counts:
    """Run lengths of a mask.

    Args:
        mask: (H, W) bool.

    Returns:
        (R,) uint32, no run but the first is 0; their sum is H * W.

    Raises:
        ValueError: the mask is no (H, W) array of bool.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"mask: {mask.dtype} of shape {mask.shape}; expected bool of (H, W)")
    if not mask.size:
        return np.zeros(0, np.uint32)
    # cv2 turns columns into rows in blocks, nine times faster than a strided copy
    pixels = cv2.transpose(np.ascontiguousarray(mask).view(np.uint8)).ravel()
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    start = (0, 0) if pixels[0] else (0,)
    edges = np.concatenate((start, changes, (pixels.size,)))
    return np.diff(edges).astype(np.uint32)


def decode(counts: npt.ArrayLike, height: int, width: int) -> npt.NDArray[np.bool_]:
    """The mask of run lengths.

    Args:
        counts: (R,) run lengths in pixels.
        height: rows of the mask.
        width: columns of the mask.

    Returns:
        (height, width) bool.

    Raises:
        ValueError: the runs do not fill the mask exactly.
    """
    runs = np.asarray(counts, np.int64)
    if runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        filled, pixels = int(runs.sum()), height * width
        raise ValueError(f"counts: runs of {filled} px; expected {height} x {width} = {pixels} px")
    if not height * width:
        return np.zeros((height, width), np.bool_)
    values = (np.arange(runs.size) % 2).astype(np.uint8)
    columns = np.repeat(values, runs).reshape(width, height)
    return cv2.transpose(columns).view(np.bool_)


def area(counts: npt.ArrayLike) -> int:
    """Foreground pixels of run lengths."""
    return int(np.asarray(counts, np.int64)[1::2].sum())
