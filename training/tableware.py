"""Made-up things to eat and drink with."""

from __future__ import annotations

import numpy as np

from training.painter import Painter, Pieces
from training.solids import Look, cuboid, revolve, rounded, sheet, shifted, tube


def mug(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A cup with a handle, with or without print."""
    radius, height = shape.uniform(0.032, 0.05), shape.uniform(0.06, 0.12)
    taper, wall = shape.uniform(0.75, 1.1), 0.004
    outer = [(0, 0), (radius * taper, 0), (radius * (taper + 1) / 2, height / 2), (radius, height)]
    inner = [(radius - wall, height), ((radius - wall) * taper, wall * 2), (0, wall * 2)]
    look = paint.any() if paint.rng.random() < 0.85 else paint.printed(2.5)
    inside = look if shape.random() < 0.6 else paint.plain()
    pieces = [revolve(rounded(outer), look, 0, repeat=(2, 1)), revolve(np.array(inner), inside, 0)]
    names = ["handle"]
    angle = np.linspace(-1.9, 1.9, 14) * shape.uniform(0.8, 1)
    reach, tall = shape.uniform(0.022, 0.034), height * shape.uniform(0.25, 0.36)
    start = radius * (taper + 1) / 2
    loop = np.stack(
        [start + reach * (np.cos(angle) + 0.25), 0 * angle, height * 0.5 + tall * np.sin(angle)], 1
    )
    pieces.append(
        tube(
            loop, shape.uniform(0.0035, 0.007), look if look.texture is None else paint.plain(), 1
        )
    )
    if shape.random() < 0.4:
        names.append("coffee")
        level = height * shape.uniform(0.5, 0.9)
        ring = np.array(
            [(0, level), ((radius - wall) * (taper + (1 - taper) * level / height), level)]
        )
        pieces.append(revolve(ring, Look((0.12, 0.06, 0.03), None, 1.0, 0.5), 2))
    return pieces, names


def bottle(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A body, a neck, a cap and mostly a label; glass, plastic or metal."""
    radius, height = shape.uniform(0.02, 0.045), shape.uniform(0.1, 0.3)
    neck, shoulder = radius * shape.uniform(0.25, 0.7), shape.uniform(0.5, 0.8)
    squash = 1.0 if shape.random() < 0.7 else shape.uniform(0.45, 0.8)
    waist = shape.uniform(0.85, 1.05)
    taper = height * min(0.93, shoulder + shape.uniform(0.08, 0.2))
    profile = [(0, 0), (radius * 0.9, 0), (radius, 0.01), (radius * waist, height * shoulder / 2),
               (radius, height * shoulder), (neck, taper),
               (neck, height * 0.95), (0, height * 0.95)]  # fmt: skip
    draw = shape.random()
    look = paint.glass() if draw < 0.35 else paint.metal() if draw < 0.42 else paint.plain()
    pieces, names = [revolve(rounded(profile), look, 0, squash)], []
    if shape.random() < 0.85:
        names.append("cap")
        cap = np.array([(neck * 1.15, height * 0.9), (neck * 1.15, height), (0, height)])
        pieces.append(revolve(rounded(list(map(tuple, cap))), paint.plain(), len(names), squash))
    if shape.random() < 0.75:
        names.append("label")
        low, high = (
            height * shape.uniform(0.08, 0.25),
            height * (shoulder - shape.uniform(0.03, 0.12)),
        )
        t = np.linspace(0, 1, 6)
        size = np.interp(
            low + (high - low) * t, [p[1] for p in profile[1:6]], [p[0] for p in profile[1:6]]
        )
        band = np.stack([size * 1.02 + 0.0006, low + (high - low) * t], 1)[::-1]
        pieces.append(revolve(band, paint.printed(2.2), len(names), squash))
    return pieces, names


def can(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A cylinder with ends: cans, jars, tubs, candles, rolls."""
    radius, height = shape.uniform(0.02, 0.06), shape.uniform(0.03, 0.16)
    side = paint.printed(2.5) if shape.random() < 0.65 else paint.any()
    rim = height * shape.uniform(0.03, 0.2)
    body = np.array([(radius, height - rim), (radius * shape.uniform(0.85, 1.1), 0), (0, 0)])
    lid = np.array(
        [
            (0, height),
            (radius * 0.96, height),
            (radius * 1.02, height - rim * 0.2),
            (radius * 1.02, height - rim),
        ]
    )
    end = paint.metal() if shape.random() < 0.5 else paint.plain()
    return [revolve(body, side, 0), revolve(lid, end, 1)], ["lid"]


def bowl(shape: np.random.Generator, paint: Painter) -> Pieces:
    """An open round vessel, deep or flat; sometimes filled."""
    radius, depth = shape.uniform(0.06, 0.14), shape.uniform(0.012, 0.09)
    t = np.linspace(0, 1, 8)
    curve = t ** shape.uniform(1.5, 4) * depth
    outer = np.stack([radius * t, curve], 1)
    inner = np.stack([radius * t[::-1] * 0.97, curve[::-1] + 0.004], 1)
    look = paint.any()
    pieces, names = (
        [
            revolve(outer, look, 0),
            revolve(inner, look if shape.random() < 0.7 else paint.any(), 0),
        ],
        [],
    )
    if depth > 0.035 and shape.random() < 0.35:
        names.append("content")
        level = shape.uniform(0.5, 0.85)
        ring = np.array(
            [
                (0, depth * level + 0.006),
                (radius * np.interp(level * depth, curve, t), depth * level),
            ]
        )
        pieces.append(revolve(ring, paint.any(), 1, repeat=(1, 1)))
    return pieces, names


def tray(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A flat tray or board with a rim."""
    size = np.array([shape.uniform(0.2, 0.42), shape.uniform(0.15, 0.3), 0.008])
    look, rim = paint.any(), shape.uniform(0.004, 0.03)
    pieces = cuboid(size, look)
    for axis in range(2):
        bar = size.copy()
        bar[axis], bar[2] = 0.008, rim
        for sign in (-1, 1):
            shift = np.zeros(3)
            shift[axis] = sign * size[axis] / 2
            pieces += [shifted(piece, shift) for piece in cuboid(bar, look)]
    return pieces, []


def tumbler(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A drinking glass, a wine glass, a jar of glass; empty or filled."""
    radius, height = shape.uniform(0.025, 0.045), shape.uniform(0.07, 0.16)
    base = radius * shape.uniform(0.6, 1)
    wall = [
        (0, 0.002),
        (base, 0.002),
        ((base + radius) / 2 * shape.uniform(0.9, 1.15), height / 2),
        (radius, height),
    ]
    if shape.random() < 0.35:
        stem = height * 0.45
        wall = [
            (0, 0),
            (base, 0.001),
            (0.004, 0.008),
            (0.004, stem),
            (radius * 1.1, height * 0.72),
            (radius * 0.85, height),
        ]
    pieces, names = [revolve(rounded(wall), paint.glass(), 0)], []
    if shape.random() < 0.45:
        names.append("drink")
        z0, z1 = (
            (height * 0.5, height * 0.75)
            if len(wall) > 4
            else (0.008, height * shape.uniform(0.4, 0.85))
        )
        r = radius * 0.8 if len(wall) > 4 else (base + radius) / 2 * 0.88
        drink = Look(
            tuple(paint.rng.uniform(0.1, 0.9, 3)), None, float(shape.uniform(0.5, 1)), 0.4
        )
        pieces.append(revolve(np.array([(0, z0), (r * 0.9, z0), (r, z1), (0, z1)]), drink, 1))
    return pieces, names


def cutlery(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A flat long tool: spoon, knife, spatula, ruler, key, scissors' half."""
    length, t = shape.uniform(0.12, 0.3), np.linspace(0, 1, 24)
    head = shape.uniform(0.2, 0.45)
    handle = 0.004 + 0.006 * shape.random() * np.sin(np.clip(t / (1 - head), 0, 1) * np.pi)
    bulge = np.sqrt(np.clip(1 - ((t - 1 + head / 2) / (head / 2)) ** 2, 0, 1)) ** shape.uniform(
        0.4, 1.2
    )
    width = np.maximum(handle * (t < 1 - head * 0.9) + 0.002, bulge * shape.uniform(0.008, 0.035))
    lift = 0.003 + 0.012 * shape.random() * (1 - np.cos(t * 2 * np.pi)) / 2
    side = np.linspace(-1, 1, 5)
    dent = -0.006 * shape.random() * bulge[:, None] * (1 - side**2)
    grid = np.stack(
        [np.repeat(t[:, None] * length, 5, 1), width[:, None] * side, lift[:, None] + dent], -1
    )
    look = paint.metal() if shape.random() < 0.65 else paint.any()
    split = int(24 * (1 - head))
    grip = look if shape.random() < 0.6 else paint.any()
    return [sheet(grid[: split + 1], grip, 1), sheet(grid[split:], look, 2)], ["handle", "head"]
