"""Batches of pictures for `clip_tiny`: drawn by concept, as a camera may see them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.clip.colours import named
from training.clip.crops import GROUND, UNNAMED
from training.clip.towers import IMAGE_SIZE, MEAN, STD
from training.clip.vocabulary import COLOURS

RARER = 0.6  # 1 draws every concept equally often, 0 every picture
SHARES = {UNNAMED: 0.08, GROUND: 0.12}  # of a batch


@dataclass(frozen=True)
class Batch:
    """Pictures and what is known of them.

    Attributes:
        pixels: (B, 3, S, S) float32, normalised.
        labels: (B,) int concept, UNNAMED or GROUND.
        colours: (B, 11) bool, words their objects may be called by.
    """

    pixels: np.ndarray
    labels: np.ndarray
    colours: np.ndarray


class Pictures:
    """The crops of a set, mapped from disk.

    Args:
        folder: where `training.clip.crops` wrote the set.
    """

    def __init__(self, folder: Path) -> None:
        tables = [np.load(path) for path in sorted(folder.glob("*.npz"))]
        if not tables:
            raise ValueError(f"{folder}: no pictures, expected what training.clip.crops writes")
        self.parts = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))]
        self.labels = np.concatenate([t["labels"] for t in tables]).astype(int)
        self.sources = np.concatenate([t["sources"] for t in tables])
        self.shares = np.concatenate([t["colours"] for t in tables]).astype(np.float32)
        self.colours = np.zeros((len(self.labels), len(COLOURS)), bool)
        for row, share in enumerate(self.shares):
            self.colours[row, named(share)] = self.labels[row] != GROUND
        self._starts = np.cumsum([0, *(len(part) for part in self.parts)])
        self._weights = self._chances()

    def __len__(self) -> int:
        return len(self.labels)

    def rgba(self, index: int) -> np.ndarray:
        """One crop: (96, 96, 4) uint8."""
        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        return np.array(self.parts[part][index - self._starts[part]])

    def batch(self, size: int, rng: np.random.Generator) -> Batch:
        """Crops drawn by concept and augmented."""
        rows = rng.choice(len(self), size, p=self._weights)
        crops = [self.rgba(int(row)) for row in rows]
        grounds = [crops[int(rng.integers(size))][..., :3] for _ in rows]
        pixels = np.stack([augment(c, g, rng) for c, g in zip(crops, grounds, strict=True)])
        return Batch(normalised(pixels), self.labels[rows], self.colours[rows])

    def plain(self, rows: np.ndarray, masked: bool = False) -> np.ndarray:
        """Crops as they are, or on grey: (B, 3, S, S) float32, normalised."""
        crops = [self.rgba(int(row)) for row in rows]
        if masked:
            crops = [on_plain(crop, np.full(3, 128)) for crop in crops]
        size = (IMAGE_SIZE, IMAGE_SIZE)
        small = [cv2.resize(c[..., :3], size, interpolation=cv2.INTER_AREA) for c in crops]
        return normalised(np.stack(small))

    def _chances(self) -> np.ndarray:
        """How likely each crop is drawn."""
        weights = np.zeros(len(self.labels))
        for label in np.unique(self.labels):
            chosen = self.labels == label
            weights[chosen] = chosen.sum() ** -RARER
        rest = 1 - sum(SHARES.values())
        weights *= rest / weights[self.labels >= 0].sum()
        for label, share in SHARES.items():
            chosen = self.labels == label
            weights[chosen] = share / max(1, chosen.sum())
        return weights / weights.sum()


def normalised(pixels: np.ndarray) -> np.ndarray:
    """(B, S, S, 3) 0..255 to (B, 3, S, S) float32 as the image tower wants it."""
    scaled = (pixels.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)


def on_plain(rgba: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """The object on one colour: (H, W, 3) uint8."""
    return on_ground(rgba, np.broadcast_to(colour.astype(np.uint8), (*rgba.shape[:2], 3)))


def on_ground(rgba: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """The object on another ground: (H, W, 3) uint8."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return (rgba[..., :3] * alpha + ground * (1 - alpha)).astype(np.uint8)


def augment(rgba: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A crop as it may reach the model.

    Args:
        rgba: (96, 96, 4) uint8.
        other: (96, 96, 3) uint8, another crop, for a new background.
        rng: chooses.

    Returns:
        (S, S, 3) uint8: masked or not, cut, turned, in other light, blurred.
    """
    rgb = _background(rgba, other, rng)
    rgb = _window(rgb, rng).astype(np.float32)
    grey = rgb.mean(2, keepdims=True)
    rgb = grey + (rgb - grey) * np.float32(rng.uniform(0.65, 1.3))
    middle = np.float32(rng.uniform(80, 160))
    rgb = (
        middle + (rgb - middle) * np.float32(rng.uniform(0.7, 1.3)) + np.float32(rng.normal(0, 14))
    )
    rgb = rgb * rng.normal(1, 0.05, 3).astype(np.float32)
    if rng.random() < 0.3:
        rgb = cv2.GaussianBlur(rgb, (0, 0), float(rng.uniform(0.4, 1.4)))
    if rng.random() < 0.3:
        rgb = rgb + rng.standard_normal(rgb.shape, np.float32) * np.float32(rng.uniform(1, 9))
    return np.clip(rgb, 0, 255).astype(np.uint8)


def _background(rgba: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A plain one, most often grey as in the engine's crops; the real one, blurred, or another."""
    draw = rng.random()
    if draw < 0.2:
        return np.ascontiguousarray(rgba[..., :3])
    rgba = _ragged(rgba, rng)
    if draw < 0.84:
        level = float(rng.choice([128, 0, 255, -1], p=[0.7, 0.1, 0.1, 0.1]))
        colour = np.full(3, level) if level >= 0 else rng.uniform(0, 255, 3)
        return on_plain(rgba, colour)
    if draw < 0.9:
        return on_ground(rgba, cv2.GaussianBlur(rgba[..., :3], (0, 0), 8))
    return on_ground(rgba, other[:, ::-1])


def _ragged(rgba: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """With a mask that is a little too small or too large, as found ones are."""
    if rng.random() < 0.5:
        return rgba
    change = cv2.erode if rng.random() < 0.5 else cv2.dilate
    brush = np.ones(rng.integers(2, 6, 2), np.uint8)
    return np.dstack([rgba[..., :3], change(np.ascontiguousarray(rgba[..., 3]), brush)])


def _window(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A window of a crop, perhaps mirrored or turned, at the model's size."""
    size = rgb.shape[0]
    scale = size * rng.uniform(0.68, 1.05) / IMAGE_SIZE
    stretch = np.exp(rng.normal(0, 0.08))
    angle = rng.normal(0, 0.15)
    c, s = np.cos(angle) * scale, np.sin(angle) * scale
    flip = -1.0 if rng.random() < 0.5 else 1.0
    linear = np.array([[c * flip * stretch, -s], [s * flip, c / stretch]])
    room = max(0.0, size - scale * IMAGE_SIZE) / 2
    middle = np.full(2, size / 2) + rng.uniform(-room, room, 2)
    matrix = np.column_stack([linear, middle - linear @ np.full(2, IMAGE_SIZE / 2)])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        rgb, matrix, (IMAGE_SIZE, IMAGE_SIZE), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
