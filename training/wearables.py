"""Made-up clothes: shoes, hats, cloth, headphones."""

from __future__ import annotations

import numpy as np

from training.painter import Painter, Pieces
from training.solids import Look, ellipsoid, revolve, rounded, sheet, tube


def hat(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A crown with a brim or a peak, and a band."""
    radius, height = shape.uniform(0.07, 0.1), shape.uniform(0.06, 0.14)
    brim, squash = radius * shape.uniform(1.05, 1.9), shape.uniform(0.75, 1)
    dome = shape.uniform(0.5, 0.95)
    crown = [
        (radius, 0.012),
        (radius * 0.97, height * 0.5),
        (radius * dome, height * 0.92),
        (0, height),
    ]
    look = paint.textured() if shape.random() < 0.5 else paint.plain(0.03)
    pieces = [revolve(rounded(crown)[::-1], look, 0, squash, (2, 1))]
    angle = np.linspace(0, 2 * np.pi, 41)
    front = 1.0 if shape.random() < 0.5 else np.clip(np.cos(angle) * 1.4, 0, 1)
    reach = radius + (brim - radius) * front
    bend = 0.012 + shape.uniform(-0.01, 0.02) * np.cos(2 * angle)
    rings = [np.stack([r * np.cos(angle), r * np.sin(angle) * squash, z + 0 * angle], 1)
             for r, z in ((radius * 0.98, 0.014), (reach, np.maximum(bend, 0.001)))]  # fmt: skip
    pieces.append(sheet(np.stack(rings), look, 1))
    band = np.array([(radius * 1.01, 0.04), (radius * 1.015, 0.013)])
    return [*pieces, revolve(band, paint.plain(0.05), 2, squash)], ["brim", "band"]


def shoe(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A sole, an upper that rises towards the heel, an opening and laces."""
    length, t = shape.uniform(0.2, 0.3), np.linspace(0, 1, 22)
    width = length * 0.18 * (0.75 + 0.3 * np.sin(t * np.pi) ** 0.5 + 0.12 * np.sin(2 * np.pi * t))
    width *= np.sqrt(np.clip(1 - np.abs(2 * t - 1) ** 7, 0.01, 1))
    heel, toe = shape.uniform(0.06, 0.13), shape.uniform(0.035, 0.05)
    top = toe + (heel - toe) / (1 + np.exp((t - shape.uniform(0.42, 0.55)) * 14))
    top *= np.clip(1.02 - t**9, 0.2, 1)
    sole = shape.uniform(0.012, 0.03)
    angle = np.linspace(-0.15, np.pi + 0.15, 13)
    y, z = np.cos(angle), np.clip(np.sin(angle), 0, 1) ** 0.8
    upper = np.stack(
        [
            np.repeat(t[:, None] * length, 13, 1),
            width[:, None] * y * 0.95,
            sole * 0.7 + (top - sole)[:, None] * z,
        ],
        -1,
    )
    rim = np.array([-1.0, -1.0, 1.0, 1.0])
    low = np.stack([np.repeat(t[:, None] * length, 4, 1), width[:, None] * rim * 1.03,
                    np.repeat(np.array([[0, sole, sole, 0]]), 22, 0)], -1)  # fmt: skip
    look = paint.textured() if shape.random() < 0.4 else paint.plain(0.15)
    pieces, names = [sheet(upper, look, 0, (1, 2)), sheet(low, paint.plain(0.05), 1)], ["sole"]
    hole = np.stack(
        [
            length * (0.2 + 0.15 * np.cos(np.linspace(0, 6.3, 20))),
            width[4] * 0.55 * np.sin(np.linspace(0, 6.3, 20)),
            np.full(20, heel * 0.98),
        ],
        1,
    )
    hole[:, 2] += 0.004 - (hole[:, 0] - 0.2 * length) * 0.25
    centre = np.repeat(hole.mean(0)[None], 20, 0) - [0, 0, 0.01]
    pieces.append(sheet(np.stack([centre, hole]), Look((0.03, 0.03, 0.03)), 2))
    names.append("opening")
    if shape.random() < 0.6:
        lace = paint.plain(0.02)
        names.append("laces")
        for k in range(4):
            i = 11 + 2 * k
            arc = upper[i, 4:9] + [0, 0, 0.002]
            pieces.append(tube(arc, 0.0025, lace, 3, 6))
    return pieces, names


def cloth(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A towel, napkin or garment thrown down: a sheet with folds."""
    size, n = shape.uniform(0.12, 0.32, 2), 26
    y, x = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    z = np.zeros_like(x)
    for _ in range(5):
        k, phase = shape.normal(0, 3.5, 2), shape.uniform(0, 6.3)
        z += np.sin(k[0] * x + k[1] * y + phase) * 0.012 / (1 + 0.15 * np.abs(k).sum())
    z = np.maximum(z - np.quantile(z, 0.25), 0) * shape.uniform(0.4, 1.6) + 0.002
    bend = 1 + 0.12 * np.sin(3 * y + shape.uniform(0, 6.3))
    grid = np.stack([x * size[0] / 2 * bend, y * size[1] / 2 * (1 + 0.1 * np.sin(2.5 * x)), z], -1)
    look = paint.textured() if shape.random() < 0.6 else paint.plain(0.02)
    return [sheet(grid, look, 0, (2, 2))], []


def headset(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A band between two cups: headphones, goggles, spectacles, clamps."""
    wide, angle = shape.uniform(0.06, 0.09), np.linspace(0.1, np.pi - 0.1, 24)
    tall = wide * shape.uniform(0.6, 1.3)
    arc = np.stack([wide * np.cos(angle), 0 * angle, 0.03 + tall * np.sin(angle)], 1)
    pieces = [tube(arc, shape.uniform(0.004, 0.011), paint.plain(), 1)]
    cup, pad = paint.plain(), paint.plain(0.02)
    size = shape.uniform(0.02, 0.04)
    for side in (-1, 1):
        centre = np.array([side * wide, 0, size])
        pieces.append(ellipsoid(centre, np.array([size * 0.45, size * 0.9, size]), cup, 2))
        pieces.append(
            ellipsoid(
                centre - [side * size * 0.35, 0, 0],
                np.array([size * 0.3, size * 0.8, size * 0.85]),
                pad,
                3,
            )
        )
    return pieces, ["band", "cups", "pads"]
