"""Scenes pasted together from flat objects: quick to make and endlessly varied."""

from __future__ import annotations

import cv2
import numpy as np

from training.cutouts import Cutout, made_up_cutout, sprite_cutout
from training.degrade import degrade, jpeg_quality
from training.ledger import Ledger, Thing
from training.library import Library
from training.patterns import colour, ground, plain, recoloured
from training.scene import Scene

SIZES = ((384, 512), (384, 512), (384, 512), (512, 384), (512, 512))


def compose_collage(library: Library, rng: np.random.Generator, origin: str) -> Scene:
    """One collage."""
    height, width = SIZES[int(rng.integers(len(SIZES)))]
    canvas = Canvas(height, width, library, rng)
    for _ in range(int(np.clip(rng.geometric(0.13), 4, 20))):
        draw = rng.random()
        if draw < 0.08:
            canvas.put_carrier()
        elif draw < 0.14:
            canvas.put_alike()
        else:
            canvas.put(canvas.draw_cutout(), canvas.draw_size(), canvas.draw_centre())
    image = degrade(canvas.image, rng)
    masks = canvas.ledger.masks(canvas.ids)
    return Scene.encode(image, canvas.ids, masks, jpeg_quality(rng), origin)


class Canvas:
    """A picture in the making; objects are put on it from back to front."""

    def __init__(
        self, height: int, width: int, library: Library, rng: np.random.Generator
    ) -> None:
        self.library, self.rng = library, rng
        self.near = colour(rng) if rng.random() < 0.12 else None  # white on white, black on black
        self.image = _background(height, width, library, rng, self.near)
        self.ids = np.zeros((height, width), np.int32)
        self.ledger = Ledger()
        self.light = rng.normal(0, 1, 2)  # where shadows fall
        self.casts_shadows = rng.random() < 0.8

    def draw_size(self) -> float:
        """A length in pixels: mostly middling, some small, some huge."""
        low, high = (0.25, 1.1) if self.rng.random() < 0.35 else (0.07, 0.5)
        return min(self.ids.shape) * float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def draw_centre(self) -> np.ndarray:
        """A place (x, y), sometimes so near the border that the object is cut."""
        return self.rng.uniform(0.05, 0.95, 2) * self.ids.shape[::-1]

    def draw_cutout(self) -> Cutout:
        """Some object."""
        if self.near is None and self.rng.random() < 0.5:
            return sprite_cutout(self.library, self.rng)
        return made_up_cutout(self.library, self.rng, int(self.rng.integers(90, 260)), self.near)

    def put(
        self, cutout: Cutout, size: float, centre: np.ndarray, angle: float | None = None
    ) -> Thing:
        """Paste an object of a size (pixels) around a centre (x, y), with its shadow."""
        matrix = _placement(cutout, size, centre, angle, self.rng)
        window = _window(matrix, cutout.leaves.shape, self.ids.shape)
        area = float((cutout.leaves > 0).sum() * abs(np.linalg.det(matrix[:2, :2])))
        thing = self.ledger.add(cutout.source, cutout.name, cutout.parents, (), area)
        if window is not None:
            self._paste(cutout, matrix, window, thing)
        return thing

    def put_carrier(self) -> None:
        """A tray, plate or box with a few things on it."""
        tray = made_up_cutout(self.library, self.rng, 220, self.near)
        size, centre = min(self.ids.shape) * self.rng.uniform(0.4, 0.85), self.draw_centre()
        members = [self.put(tray, size, centre)]
        for _ in range(int(self.rng.integers(1, 5))):
            place = centre + self.rng.normal(0, size * 0.16, 2)
            members.append(self.put(self.draw_cutout(), size * self.rng.uniform(0.15, 0.4), place))
        self.ledger.group(members)

    def put_alike(self) -> None:
        """Several copies of one object that touch: a pile or a row."""
        cutout, size, centre = self.draw_cutout(), self.draw_size() * 0.6, self.draw_centre()
        step = self.rng.normal(0, 0.45 * size, 2) if self.rng.random() < 0.6 else None
        angle = self.rng.uniform(-180, 180)
        members = []
        for k in range(int(self.rng.integers(2, 7))):
            place = centre + (k * step if step is not None else self.rng.normal(0, 0.45 * size, 2))
            members.append(self.put(cutout, size, place, angle if step is not None else None))
        self.ledger.group(members)

    def _paste(
        self, cutout: Cutout, matrix: np.ndarray, window: tuple[slice, slice], thing: Thing
    ) -> None:
        """Warp an object into a window of the canvas: its shadow, its colours, its leaves."""
        rows, columns = window
        local = np.array([[1, 0, -columns.start], [0, 1, -rows.start], [0, 0, 1]]) @ matrix
        size = (columns.stop - columns.start, rows.stop - rows.start)
        alpha = cutout.rgba[..., 3:].astype(np.float32) / 255
        premultiplied = np.dstack([cutout.rgba[..., :3] * alpha, alpha])
        warped = cv2.warpPerspective(premultiplied, local, size, flags=cv2.INTER_LINEAR)
        leaves = cv2.warpPerspective(cutout.leaves, local, size, flags=cv2.INTER_NEAREST)
        view = self.image[rows, columns]
        under = view * self._shadow(warped[..., 3])[..., None] if self.casts_shadows else view
        blended = under * (1 - warped[..., 3:]) + warped[..., :3]
        self.image[rows, columns] = np.clip(blended, 0, 255).astype(np.uint8)
        solid = (leaves > 0) & (warped[..., 3] > 0.5)
        self.ids[rows, columns][solid] = leaves[solid].astype(np.int32) + thing.base - 1

    def _shadow(self, alpha: np.ndarray) -> np.ndarray:
        """The factor by which an object darkens what lies under and beside it."""
        reach = 0.03 * np.sqrt(alpha.size) * self.rng.uniform(0.3, 1.6)
        shift = np.array(
            [[1, 0, self.light[0] * reach], [0, 1, self.light[1] * reach]], np.float32
        )
        moved = cv2.warpAffine(alpha, shift, alpha.shape[::-1])
        soft = cv2.GaussianBlur(
            moved, (0, 0), max(1.0, reach * float(self.rng.uniform(0.15, 0.8)))
        )
        return 1 - np.float32(self.rng.uniform(0.2, 0.75)) * soft


def _background(
    height: int, width: int, library: Library, rng: np.random.Generator, near: np.ndarray | None
) -> np.ndarray:
    """What lies behind everything: one ground, or a wall above a table."""
    if near is not None:
        return plain(height, width, rng, near)
    picture = np.ascontiguousarray(ground(height, width, library, rng))
    if rng.random() < 0.25:
        other = ground(height, width, library, rng)
        slope, level = rng.normal(0, 0.12), rng.uniform(0.2, 0.6) * height
        edge = np.arange(height)[:, None] < level + slope * (np.arange(width)[None] - width / 2)
        picture = np.where(edge[..., None], other, picture)
    return recoloured(picture, rng, 0.5)


def _placement(
    cutout: Cutout, size: float, centre: np.ndarray, angle: float | None, rng: np.random.Generator
) -> np.ndarray:
    """The (3, 3) map from an object's pixels to the canvas."""
    height, width = cutout.leaves.shape
    scale = size / max(height, width)
    upright = cutout.name and rng.random() < 0.6
    turn = (
        np.deg2rad(rng.normal(0, 12) if upright else rng.uniform(-180, 180))
        if angle is None
        else np.deg2rad(angle)
    )
    flip = -1 if angle is None and rng.random() < 0.5 else 1
    squash = rng.uniform(0.6, 1) if angle is None and rng.random() < 0.3 else 1.0
    linear = (
        scale
        * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        @ np.diag([flip, squash])
    )
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre - linear @ (np.array([width, height]) / 2)
    return matrix


def _window(
    matrix: np.ndarray, shape: tuple[int, ...], canvas: tuple[int, ...]
) -> tuple[slice, slice] | None:
    """The (rows, columns) of the canvas that an object and its shadow can touch, or None."""
    height, width = shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]) @ matrix.T
    low, high = corners[:, :2].min(0), corners[:, :2].max(0)
    margin = 0.15 * float((high - low).max()) + 4
    x0, y0 = (max(0, int(v - margin)) for v in low)
    x1, y1 = (min(canvas[1 - i], int(v + margin) + 1) for i, v in enumerate(high))
    return (slice(y0, y1), slice(x0, x1)) if x1 - x0 > 2 and y1 - y0 > 2 else None
