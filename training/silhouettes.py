"""Outlines of made-up flat things: round, angular, holed, branched and thin."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

SHIFT = 4  # cv2 draws with 1/16 pixel


def silhouette(size: int, rng: np.random.Generator) -> np.ndarray:
    """An outline drawn at random: (size, size) uint8 coverage 0..255, filling the square."""
    kinds, weights = zip(*KINDS, strict=True)
    draw = kinds[int(rng.choice(len(kinds), p=np.array(weights) / sum(weights)))]
    return cv2.GaussianBlur(draw(size, rng), (0, 0), 0.6)


def blob(size: int, rng: np.random.Generator) -> np.ndarray:
    """A closed curve of a few low frequencies: pebbles, fruit, puddles."""
    angle = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    radius = np.ones_like(angle)
    for k in range(1, int(rng.integers(3, 9))):
        radius += rng.normal(0, 0.35 / k**1.1) * np.cos(k * angle + rng.uniform(0, 6.3))
    radius = np.clip(radius, 0.15, None)
    stretch = np.array([1, rng.uniform(0.35, 1)])
    return _filled(np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None] * stretch, size)


def polygon(size: int, rng: np.random.Generator) -> np.ndarray:
    """A polygon, regular, irregular or a star."""
    corners = int(rng.integers(3, 9))
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    if rng.random() < 0.6:
        angle = np.arange(corners) * 2 * np.pi / corners
    radius = np.ones(corners)
    if rng.random() < 0.35:
        angle = np.arange(2 * corners) * np.pi / corners
        radius = np.where(np.arange(2 * corners) % 2, rng.uniform(0.35, 0.8), 1)
    return _filled(np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None], size)


def box(size: int, rng: np.random.Generator) -> np.ndarray:
    """A rectangle with straight or round corners: books, cards, phones, trays."""
    canvas = np.zeros((size, size), np.uint8)
    half = int(size * 0.48 * rng.uniform(0.25, 1))
    corner = int(half * (rng.uniform(0, 0.9) if rng.random() < 0.6 else 0))
    top, bottom, left, right = (
        size // 2 - half,
        size // 2 + half,
        int(size * 0.02),
        int(size * 0.98),
    )
    cv2.rectangle(canvas, (left, top + corner), (right, bottom - corner), 255, -1)
    cv2.rectangle(canvas, (left + corner, top), (right - corner, bottom), 255, -1)
    for x in (left + corner, right - corner):
        for y in (top + corner, bottom - corner):
            cv2.circle(canvas, (x, y), corner, 255, -1)
    return canvas


def ellipse(size: int, rng: np.random.Generator) -> np.ndarray:
    """A disc or an oval: plates, coins, buttons."""
    canvas = np.zeros((size, size), np.uint8)
    axes = (
        int(size * 0.49),
        int(size * 0.49 * (1 if rng.random() < 0.4 else rng.uniform(0.25, 1))),
    )
    cv2.ellipse(canvas, (size // 2, size // 2), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    return canvas


def holed(size: int, rng: np.random.Generator) -> np.ndarray:
    """A shape with another one cut out of it: rings, frames, handles of scissors."""
    outer = (ellipse, box, blob, polygon)[int(rng.integers(4))](size, rng)
    inner = (ellipse, box, blob)[int(rng.integers(3))](
        max(12, int(size * rng.uniform(0.35, 0.85))), rng
    )
    offset = (size - inner.shape[0]) // 2
    outer[offset : offset + inner.shape[0], offset : offset + inner.shape[0]][inner > 127] = 0
    return outer


def mug(size: int, rng: np.random.Generator) -> np.ndarray:
    """A body with one or two loops at its sides: mugs, jugs, baskets, bags."""
    canvas = np.zeros((size, size), np.uint8)
    ring = (int(size * rng.uniform(0.1, 0.2)), int(size * rng.uniform(0.12, 0.26)))
    stroke = max(2, int(size * rng.uniform(0.03, 0.07)))
    half = (int(size * rng.uniform(0.2, 0.28)), int(size * rng.uniform(0.25, 0.45)))
    centre = (size // 2 - ring[0] // 2, size // 2)
    sides = (1, -1) if rng.random() < 0.2 else (1,)
    for side in sides:
        cv2.ellipse(
            canvas,
            (centre[0] + side * half[0], centre[1]),
            ring,
            0,
            0,
            360,
            255,
            stroke,
            cv2.LINE_AA,
        )
    taper, bulge = rng.uniform(0.6, 1.2), rng.uniform(-0.15, 0.25)
    t = np.linspace(-1, 1, 24)
    width = half[0] * (1 + (taper - 1) * (t + 1) / 2 + bulge * (1 - t * t))
    right = np.stack([centre[0] + width, centre[1] + t * half[1]], 1)
    left = np.stack([centre[0] - width, centre[1] + t * half[1]], 1)[::-1]
    cv2.fillPoly(canvas, [np.concatenate([right, left]).astype(np.int32)], 255, cv2.LINE_AA)
    return canvas


def bottle(size: int, rng: np.random.Generator) -> np.ndarray:
    """A symmetric profile: bottles, vases, lamps, skittles."""
    knots = np.sort(np.concatenate([[0, 1], rng.uniform(0, 1, 4)]))
    widths = rng.uniform(0.2, 1, 6) * rng.uniform(0.35, 0.9)
    t = np.linspace(0, 1, 80)
    profile = np.interp(t, knots, widths)
    if rng.random() < 0.6:
        profile = cv2.blur(profile.astype(np.float32)[None], (15, 1))[0]
    outline = np.concatenate(
        [np.stack([profile, 2 * t - 1], 1), np.stack([-profile, 2 * t - 1], 1)[::-1]]
    )
    return _filled(outline, size)


def stroke(size: int, rng: np.random.Generator) -> np.ndarray:
    """A thin curve: cables, straps, pens, wires."""
    straight = rng.random() < 0.4
    knots = np.cumsum(rng.normal(0, 1, (2 if straight else int(rng.integers(3, 7)), 2)), 0)
    t = np.linspace(0, len(knots) - 1, 80)
    path = np.stack([np.interp(t, np.arange(len(knots)), knots[:, i]) for i in range(2)], 1)
    path = cv2.blur(path.astype(np.float32), (1, 21), borderType=cv2.BORDER_REPLICATE)
    canvas = np.zeros((size, size), np.uint8)
    thickness = max(2, int(size * np.exp(rng.uniform(np.log(0.014), np.log(0.1)))))
    points = (_normalised(path) * (size - 2 * thickness - 2) + thickness + 1) * (1 << SHIFT)
    cv2.polylines(canvas, [points.astype(np.int32)], False, 255, thickness, cv2.LINE_AA, SHIFT)
    return canvas


def branched(size: int, rng: np.random.Generator) -> np.ndarray:
    """A body with limbs: figurines, tools, toys, plants."""
    canvas = np.zeros((size, size), np.uint8)
    centre = rng.uniform(0.4, 0.6, 2) * size
    cv2.circle(
        canvas,
        tuple(int(v) for v in centre),
        int(size * rng.uniform(0.1, 0.22)),
        255,
        -1,
        cv2.LINE_AA,
    )
    start = rng.uniform(0, 6.3)
    limbs = int(rng.integers(2, 7))
    for k in range(limbs):
        angle, length = (
            start + 6.3 * k / limbs + rng.normal(0, 0.25),
            size * rng.uniform(0.22, 0.42),
        )
        end = centre + length * np.array([np.cos(angle), np.sin(angle)])
        width = max(2, int(size * rng.uniform(0.02, 0.14)))
        a, b = (tuple(int(v) for v in point) for point in (centre, end))
        cv2.line(canvas, a, b, 255, width, cv2.LINE_AA)
        cv2.circle(canvas, b, int(width * rng.uniform(0.5, 1.2)), 255, -1, cv2.LINE_AA)
    return canvas


def letter(size: int, rng: np.random.Generator) -> np.ndarray:
    """A fat letter or digit: holed and bent shapes, all connected."""
    canvas = np.zeros((size, size), np.uint8)
    character = str(rng.choice(list("ABCDEGHJKLMNPRSTUXYZ0123456789")))
    font = int(rng.choice((cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX)))
    thickness = max(3, int(size * rng.uniform(0.05, 0.17)))
    (width, height), _ = cv2.getTextSize(character, font, 1.0, 1)
    scale = (size * 0.95 - thickness) / max(width, height)
    origin = (int((size - width * scale) / 2), int((size + height * scale) / 2))
    cv2.putText(canvas, character, origin, font, scale, 255, thickness, cv2.LINE_AA)
    return canvas


def _filled(outline: np.ndarray, size: int) -> np.ndarray:
    """A closed (N, 2) outline of any extent, fitted into the square."""
    canvas = np.zeros((size, size), np.uint8)
    points = (_normalised(outline) * (size - 4) + 2) * (1 << SHIFT)
    cv2.fillPoly(canvas, [points.astype(np.int32)], 255, cv2.LINE_AA, SHIFT)
    return canvas


def _normalised(points: np.ndarray) -> np.ndarray:
    """Points moved and scaled into the unit square, aspect kept, centred."""
    low, high = points.min(0), points.max(0)
    return (points - (low + high) / 2) / max(float((high - low).max()), 1e-6) + 0.5


KINDS: tuple[tuple[Callable[[int, np.random.Generator], np.ndarray], float], ...] = (
    (blob, 3), (polygon, 1.5), (box, 4), (ellipse, 2), (holed, 1.5), (mug, 1.5),
    (bottle, 2.5), (stroke, 2), (branched, 1.5), (letter, 0.7),
)  # fmt: skip
