"""Made-up things on a desk: printed, written with, plugged in, worked with."""

from __future__ import annotations

import cv2
import numpy as np

from training.mesh import Mesh
from training.painter import Painter, Pieces, linear
from training.patterns import colour
from training.solids import Look, cuboid, ellipsoid, face, revolve, shifted, tube


def book(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A cover with print and pages; lying or standing."""
    size = np.array(
        [shape.uniform(0.11, 0.22), shape.uniform(0.15, 0.28), shape.uniform(0.006, 0.05)]
    )
    cover = paint.printed(size[0] / size[1]) if shape.random() < 0.6 else paint.any()
    page = Look((0.86, 0.83, 0.76), None, 1.0, 0.02)
    inset = np.array([0.006, 0.008, 0.003])
    pieces = [face(size, 2, 1, cover), face(size, 2, -1, cover), face(size, 0, -1, paint.any())]
    pages, names = size - 2 * inset, ["pages"]
    for axis, sign in ((0, 1), (1, 1), (1, -1)):
        pieces.append(face(pages, axis, sign, page, 1, inset[2]))
    _decals(pieces, names, size, 2, shape, paint)
    return pieces, names


def carton(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A box with prints on its faces."""
    size = shape.uniform(0.03, 0.2, 3) * [1, 0.7, 1.2]
    ground = paint.printed() if shape.random() < 0.35 else paint.any()
    pieces: list[Mesh] = cuboid(size, ground)
    names: list[str] = []
    for axis in range(3):
        if shape.random() < 0.6:
            _decals(pieces, names, size, axis, shape, paint)
    return pieces, names


def device(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A slab with a screen or keys: phones, tablets, remotes, keyboards, calculators."""
    size = np.array(
        [shape.uniform(0.04, 0.2), shape.uniform(0.1, 0.28), shape.uniform(0.006, 0.025)]
    )
    look = Look(
        linear(colour(paint.rng)) if shape.random() < 0.5 else (0.03, 0.03, 0.035), None, 1.0, 0.4
    )
    pieces, names = cuboid(size, look), []
    if shape.random() < 0.6:
        names.append("screen")
        screen = (
            Look((0.02, 0.02, 0.03), None, 1.0, 0.8)
            if shape.random() < 0.6
            else paint.photograph()
        )
        top = shape.uniform(0.03, 0.5)
        pieces.append(face(size, 2, 1, screen, 1, 0.0, (0.05, top, 0.95, 0.97), 0.0004))
    rows, columns = int(shape.integers(2, 7)), int(shape.integers(2, 5))
    if not names or shape.random() < 0.3:
        key = paint.plain()
        for i in range(rows):
            for j in range(columns):
                u, v = 0.1 + 0.8 * j / columns, 0.05 + 0.5 * i / rows
                window = (u, v, u + 0.6 / columns, v + 0.32 / rows)
                pieces.append(face(size, 2, 1, key, len(names) + 1, 0.0, window, 0.0015))
        names.append("keys")
    return pieces, names


def frame(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A picture in a frame, leaning or lying."""
    size = np.array([shape.uniform(0.1, 0.3), 0.015, shape.uniform(0.1, 0.3)])
    border, look = shape.uniform(0.01, 0.035), paint.any()
    u, v = border / size[0], border / size[2]
    pieces = cuboid(size, look)
    pieces.append(face(size, 1, -1, paint.photograph(), 1, 0.0, (u, v, 1 - u, 1 - v), 0.0006))
    names = ["picture"]
    if shape.random() < 0.4:
        names.append("mount")
        m = 1 + shape.uniform(0.4, 1.2)
        pieces[-1] = face(
            size, 1, -1, paint.photograph(), 1, 0.0, (u * m, v * m, 1 - u * m, 1 - v * m), 0.0012
        )
        pieces.append(
            face(size, 1, -1, Look((0.85, 0.84, 0.8)), 2, 0.0, (u, v, 1 - u, 1 - v), 0.0006)
        )
    return pieces, names


def pen(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A thin stick with a cap or a tip, lying: pens, brushes, screwdrivers, candles."""
    length, radius = shape.uniform(0.1, 0.24), shape.uniform(0.003, 0.012)
    split, tip = shape.uniform(0.2, 0.75), shape.uniform(0.1, 1.0)
    x = np.array([0, 0, split, split]) * length
    first = tube(np.stack([x[1:3], [0, 0], [radius, radius]], 1), radius, paint.any(), 0, 12)
    t = np.linspace(split, 1, 5) * length
    size = radius * shape.uniform(0.6, 1.5) * np.array([1, 1, 1, 0.9, tip * 0.5])
    second = tube(np.stack([t, 0 * t, 0 * t + radius], 1), size, paint.any(), 1, 12)
    ends = [ellipsoid(np.array([px, 0, radius]), np.array([r * 0.4, r, r]), paint.plain(), part)
            for px, r, part in ((0.0, radius, 0), (length, size[-1], 1))]  # fmt: skip
    return [first, second, *ends], ["end"]


def cable(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A cord that winds over the table, with a plug at each end."""
    radius, look = shape.uniform(0.0018, 0.005), paint.plain()
    t = np.linspace(0, 1, 70)
    if shape.random() < 0.4:
        turns, wide = shape.uniform(1, 3.5), shape.uniform(0.03, 0.09)
        path = np.stack(
            [
                wide * (1 + 0.2 * t) * np.cos(6.3 * turns * t),
                wide * np.sin(6.3 * turns * t),
                0.004 * t,
            ],
            1,
        )
    else:
        knots = np.cumsum(shape.normal(0, 0.06, (6, 2)), 0)
        flat = np.stack([np.interp(t * 5, range(6), knots[:, i]) for i in range(2)], 1)
        flat = cv2.blur(flat.astype(np.float32), (1, 19), borderType=cv2.BORDER_REPLICATE)
        path = np.concatenate([flat, 0.003 * np.sin(9 * t)[:, None] ** 2], 1)
    path = path + np.array([0, 0, radius])
    pieces, names = [tube(path, radius, look)], []
    for end, before in ((0, 3), (-1, -4)):
        if shape.random() < 0.8:
            names.append("plug")
            step = (path[end] - path[before]) / max(
                float(np.linalg.norm(path[end] - path[before])), 1e-6
            )
            reach = np.stack([path[end], path[end] + step * shape.uniform(0.015, 0.04)])
            pieces.append(tube(reach, radius * shape.uniform(1.6, 3.2), paint.plain(), len(names)))
    return pieces, names


def tool(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A handle and a head across it, lying: hammers, brushes, razors, spanners."""
    length, radius = shape.uniform(0.12, 0.28), shape.uniform(0.006, 0.016)
    t = np.linspace(0, 1, 8)
    grip = radius * (1 + 0.25 * np.sin(t * shape.uniform(2, 9)))
    handle = tube(np.stack([t * length, 0 * t, 0 * t + radius * 1.3], 1), grip, paint.any(), 1, 10)
    size = np.array(
        [shape.uniform(0.02, 0.06), shape.uniform(0.03, 0.11), shape.uniform(0.012, 0.035)]
    )
    look = paint.metal() if shape.random() < 0.5 else paint.any()
    head = [
        shifted(piece, np.array([length, shape.uniform(-0.2, 0.2) * 0, 0]))
        for piece in cuboid(size, look, 2)
    ]
    return [handle, *head], ["handle", "head"]


def ring(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A thing with a hole: tape rolls, bracelets, wreaths, headbands, tyres."""
    radius, thick = shape.uniform(0.02, 0.07), shape.uniform(0.004, 0.02)
    tall = shape.uniform(0.5, 2.5) * thick
    angle = np.linspace(0, 2 * np.pi, 12)
    power = shape.uniform(0.4, 1)
    curve = [np.sign(f) * np.abs(f) ** power for f in (np.cos(angle), np.sin(angle))]
    profile = np.stack([radius + thick * curve[0], tall * (1 + curve[1])], 1)
    return [revolve(profile, paint.any(), 0, shape.uniform(0.7, 1), (6, 1))], []


def _decals(
    pieces: list[Mesh],
    names: list[str],
    size: np.ndarray,
    axis: int,
    shape: np.random.Generator,
    paint: Painter,
) -> None:
    """Put one or two printed fields on a face of a box, each a part."""
    for _ in range(int(shape.integers(0, 3))):
        u, v = shape.uniform(0.04, 0.4, 2)
        window = (u, v, u + shape.uniform(0.2, 0.96 - u), v + shape.uniform(0.15, 0.96 - v))
        look = (
            paint.printed((window[2] - window[0]) / (window[3] - window[1]))
            if shape.random() < 0.7
            else paint.photograph()
        )
        names.append("print")
        for sign in (-1, 1):
            pieces.append(
                face(size, axis, sign, look, len(names), 0.0, window, 0.0004 * len(names))
            )
