"""Flat objects for collages: a sprite, or a silhouette painted, shaded and divided into parts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.library import Library
from training.patterns import colour, figured, lettering, plain, recoloured, tiled, weave
from training.silhouettes import silhouette

DESIGNS = 1 << 20  # so many silhouettes exist; each is an object of its own


@dataclass(frozen=True)
class Cutout:
    """A flat object.

    Attributes:
        rgba: (H, W, 4) uint8 RGBA.
        leaves: (H, W) uint8, 0 outside, 1 the body, k + 1 its k-th part.
        parents: for each part the part that it lies in (0: the body).
        source: identity.
        name: an English phrase, or empty.
    """

    rgba: np.ndarray
    leaves: np.ndarray
    parents: tuple[int, ...]
    source: str
    name: str = ""


def sprite_cutout(library: Library, rng: np.random.Generator) -> Cutout:
    """A drawing or icon of the library, sometimes in other colours."""
    sprite = library.sprite(rng)
    rgba = sprite.rgba.copy()
    if rng.random() < 0.5:
        rgba[..., :3] = recoloured(np.ascontiguousarray(rgba[..., :3]), rng, 0.8)
    if rng.random() < 0.3:
        rgba[..., :3] = rgba[..., [[1, 2, 0], [2, 0, 1], [0, 2, 1]][int(rng.integers(3))]]
    leaves = np.where(rgba[..., 3] > 127, sprite.parts + 1, 0).astype(np.uint8)
    return Cutout(rgba, leaves, (0,) * int(sprite.parts.max()), sprite.source, sprite.name)


def made_up_cutout(
    library: Library, rng: np.random.Generator, size: int, near: np.ndarray | None = None
) -> Cutout:
    """A silhouette with up to three levels of nested shapes; near: a colour to stay close to."""
    design = int(rng.integers(DESIGNS))
    while not library.admits(f"shape/{design}"):
        design = int(rng.integers(DESIGNS))
    cover = silhouette(size, np.random.default_rng(design))
    rgb = _paint(cover, library, rng, near)
    leaves = (cover > 127).astype(np.uint8)
    parents: list[int] = []
    for _ in range(int(rng.choice(5, p=[0.4, 0.25, 0.15, 0.12, 0.08]))):
        _inset(rgb, leaves, parents, library, rng, near)
    if rng.random() < 0.85:
        rgb = _shade(rgb, cover, library, rng)
    return Cutout(np.dstack([rgb, cover]), leaves, tuple(parents), f"shape/{design}")


def _paint(
    cover: np.ndarray, library: Library, rng: np.random.Generator, near: np.ndarray | None
) -> np.ndarray:
    """Colours for a silhouette, before shading: (H, W, 3) uint8."""
    height, width = cover.shape
    draw = rng.random() if near is None else 0.0
    if draw < 0.45:
        return plain(height, width, rng, near)
    if draw < 0.75:
        texture = tiled(library.surface(rng), height, width, float(rng.uniform(0.4, 1.5)))
        return recoloured(np.ascontiguousarray(texture), rng)
    if draw < 0.85:
        return weave(height, width, rng)
    if draw < 0.9:
        return figured(height, width, library, rng)
    return cv2.resize(library.photograph(rng), (width, height), interpolation=cv2.INTER_AREA)


def _inset(
    rgb: np.ndarray,
    leaves: np.ndarray,
    parents: list[int],
    library: Library,
    rng: np.random.Generator,
    near: np.ndarray | None,
) -> None:
    """Add one part inside a part that is there: a shape, a band or a block of print."""
    size = leaves.shape[0]
    inside = np.argwhere(leaves > 0)
    centre = inside[int(rng.integers(len(inside)))]
    parent = int(leaves[tuple(centre)])
    if (leaves == parent).sum() < 500 or len(parents) > 12:
        return
    cover = _inset_cover(size, centre, rng)
    region = (cover > 127) & (leaves == parent)
    if region.sum() < 40:
        return
    if rng.random() < 0.25:
        fill = rgb * 0.2 + colour(rng, near) * 0.8
        ink = lettering(size, size, rng)[..., None].astype(np.float32) / 255
        fill = fill * (1 - ink) + colour(rng) * ink
    else:
        fill = _paint(cover, library, rng, near).astype(np.float32)
    alpha = (cover / 255.0 * (leaves == parent))[..., None]
    rgb[:] = (rgb * (1 - alpha) + fill * alpha).astype(np.uint8)
    parents.append(parent - 1)
    leaves[region] = len(parents) + 1


def _inset_cover(size: int, centre: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where an inset lies: a band across, or a smaller silhouette around a point; (S, S) uint8."""
    if rng.random() < 0.35:
        rows = np.abs(np.arange(size) - centre[0]) < size * rng.uniform(0.05, 0.22)
        band = np.repeat(rows[:, None], size, axis=1).astype(np.uint8) * 255
        return np.ascontiguousarray(band if rng.random() < 0.7 else band.T)
    shape = silhouette(max(16, int(size * rng.uniform(0.15, 0.6))), rng)
    cover = np.zeros((size, size), np.uint8)
    y, x = (int(c - shape.shape[0] // 2) for c in centre)
    y0, x0 = max(y, 0), max(x, 0)
    y1, x1 = min(y + shape.shape[0], size), min(x + shape.shape[0], size)
    cover[y0:y1, x0:x1] = shape[y0 - y : y1 - y, x0 - x : x1 - x]
    return cover


def _shade(
    rgb: np.ndarray, cover: np.ndarray, library: Library, rng: np.random.Generator
) -> np.ndarray:
    """Make a flat shape look round or bevelled: its distance to the edge becomes a height."""
    distance = cv2.distanceTransform((cover > 127).astype(np.uint8), cv2.DIST_L2, 3)
    radius = max(2.0, float(distance.max()) * rng.uniform(0.15, 1.0))
    height = np.sqrt(np.clip(1 - (1 - np.clip(distance / radius, 0, 1)) ** 2, 0, 1)) * radius
    height = cv2.GaussianBlur(height, (0, 0), max(1.0, radius * 0.12)) * rng.uniform(0.4, 1.1)
    dx, dy = cv2.Sobel(height, -1, 1, 0) / 8, cv2.Sobel(height, -1, 0, 1) / 8
    length = np.sqrt(dx * dx + dy * dy + 1)
    u, v = -dx / length, -dy / length
    if rng.random() < 0.6:
        ball = library.matcap(rng)
        look = cv2.remap(ball, (u * 0.47 + 0.5) * 127, (v * 0.47 + 0.5) * 127, cv2.INTER_LINEAR)
        if rng.random() < 0.25:
            return look
        grey = look.astype(np.float32).mean(2, keepdims=True)
        factor = 0.35 + 0.75 * grey / max(40.0, float(grey.max()))
        gloss = np.clip(look.astype(np.float32) - 190, 0, None) * rng.uniform(0, 1.5)
        return np.clip(rgb * factor + gloss, 0, 255).astype(np.uint8)
    angle, strength = rng.uniform(0, 6.3), rng.uniform(0.2, 0.8)
    factor = (
        1 + strength * (u * np.cos(angle) + v * np.sin(angle)) - 0.3 * strength * (1 - 1 / length)
    )
    return np.clip(rgb * factor[..., None], 0, 255).astype(np.uint8)
