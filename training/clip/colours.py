"""Colour words for a picture's object, from its pixels."""

from __future__ import annotations

import cv2
import numpy as np

from training.clip.vocabulary import COLOURS

HUES = (  # upper bound in OpenCV's half degrees, word for light pixels, word for dark ones
    (7, "red", "red"), (20, "orange", "brown"), (34, "yellow", "brown"), (82, "green", "green"),
    (130, "blue", "blue"), (152, "purple", "purple"), (171, "pink", "purple"), (180, "red", "red"),
)  # fmt: skip
DARK, BRIGHT, FADED = 55, 165, 50  # value, value, saturation, 0..255
MAIN, SECOND = 0.5, 0.25  # shares from which a colour is named


def shares(rgba: np.ndarray) -> np.ndarray:
    """How much of an object each of COLOURS covers.

    Args:
        rgba: (H, W, 4) uint8; alpha above 127 is the object.

    Returns:
        (11,) float, summing to 1 unless the object is empty.
    """
    hsv = cv2.cvtColor(np.ascontiguousarray(rgba[..., :3]), cv2.COLOR_RGB2HSV)
    hue, saturation, value = hsv[rgba[..., 3] > 127].astype(int).T
    words = np.zeros(hue.shape, int)
    bounds = [bound for bound, *_ in HUES]
    row = np.searchsorted(bounds, hue, side="right").clip(max=len(HUES) - 1)
    light = np.array([COLOURS.index(word) for _, word, _ in HUES])
    dark = np.array([COLOURS.index(word) for *_, word in HUES])
    words = np.where(value > 140, light[row], dark[row])
    rosy = (words == COLOURS.index("red")) & (value > 180) & (saturation < 130)
    words = np.where(rosy, COLOURS.index("pink"), words)
    grey = np.where(value > BRIGHT, COLOURS.index("white"), COLOURS.index("grey"))
    words = np.where(saturation < FADED, grey, words)
    words = np.where(value < DARK, COLOURS.index("black"), words)
    return np.bincount(words, minlength=len(COLOURS)) / max(1, len(words))


def named(row: np.ndarray) -> list[int]:
    """The colours that an object with these shares may be called by, at most two."""
    order = np.argsort(row)[::-1][:2]
    if row[order[0]] >= MAIN:
        return [int(order[0])]
    return [int(k) for k in order] if row[order].min() >= SECOND else []
