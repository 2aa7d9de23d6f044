"""Everyday objects made up from a design number: tableware, packages, books, tools, clothes, figures."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from training.library import Library
from training.mesh import Mesh, joined
from training.patterns import colour, figured, lettering, recoloured, tiled, weave
from training.solids import Look, cuboid, ellipsoid, face, revolve, sheet, tube

DESIGNS = 1 << 20


def household(
    library: Library,
    rng: np.random.Generator,
    wanted: str | None = None,
    tone: np.ndarray | None = None,
) -> Mesh:
    """An object drawn at random: its shape follows from its design number, its look from `rng`.

    Args:
        library: what prints and textures are drawn from, and which designs it admits.
        rng: chooses.
        wanted: a kind, or any.
        tone: a colour 0..255 that plain pieces stay close to, or None.
    """
    names = [name for name, _, _ in KINDS]
    weights = np.array([weight for *_, weight in KINDS])
    name = wanted or names[int(rng.choice(len(names), p=weights / weights.sum()))]
    design = int(rng.integers(DESIGNS))
    while not library.admits(f"household/{name}-{design}"):
        design = int(rng.integers(DESIGNS))
    make = KINDS[names.index(name)][1]
    pieces, parts = make(np.random.default_rng(design), Painter(library, rng, tone))
    mesh = joined(pieces, f"household/{name}-{design}", name, parts)
    return mesh.moved(np.eye(3))


class Painter:
    """Draws looks: plain, textured, printed, transparent."""

    def __init__(
        self, library: Library, rng: np.random.Generator, tone: np.ndarray | None = None
    ) -> None:
        self.library, self.rng, self.tone = library, rng, tone

    def plain(self, gloss: float | None = None) -> Look:
        """One colour; plastic, ceramic or paint."""
        shine = float(self.rng.beta(1, 2.5)) if gloss is None else gloss
        return Look(_unit(colour(self.rng, self.tone)), None, 1.0, shine)

    def metal(self) -> Look:
        """Steel, brass or coloured metal."""
        grey = self.rng.uniform(0.35, 0.75)
        return Look(
            tuple(np.clip(grey + self.rng.normal(0, 0.03, 3), 0, 1)),
            None,
            1.0,
            float(self.rng.uniform(0.5, 0.95)),
        )

    def glass(self) -> Look:
        """Clear or tinted."""
        tint = np.clip(0.9 - self.rng.uniform(0, 0.7) * self.rng.random(3), 0, 1)
        return Look(tuple(tint), None, float(self.rng.uniform(0.08, 0.4)), 0.9)

    def any(self) -> Look:
        """Plain, or with a texture."""
        if self.tone is not None or self.rng.random() < 0.6:
            return self.plain()
        return self.textured()

    def textured(self) -> Look:
        """Covered by a surface, a cloth or a photograph of the library."""
        draw = self.rng.random()
        if draw < 0.55:
            picture = tiled(
                self.library.surface(self.rng), 192, 192, float(self.rng.uniform(0.4, 1))
            )
            picture = recoloured(np.ascontiguousarray(picture), self.rng)
        elif draw < 0.75:
            picture = weave(192, 192, self.rng)
        elif draw < 0.85:
            picture = figured(192, 192, self.library, self.rng)
        else:
            picture = cv2.resize(
                self.library.photograph(self.rng), (192, 192), interpolation=cv2.INTER_AREA
            )
        return Look((1, 1, 1), picture, 1.0, float(self.rng.beta(1, 5)))

    def printed(self, aspect: float = 1.0) -> Look:
        """A label or a cover: a ground with lettering and figures; aspect: width over height."""
        height = 160
        width = int(np.clip(height * aspect, 48, 480))
        picture = np.broadcast_to(colour(self.rng), (height, width, 3)).copy()
        if self.rng.random() < 0.3:
            picture = tiled(self.library.surface(self.rng), height, width, 0.6).astype(np.float32)
        for _ in range(int(self.rng.integers(0, 3))):
            self._stamp(picture)
        for _ in range(int(self.rng.integers(1, 4))):
            h, w = (
                int(height * self.rng.uniform(0.15, 0.7)),
                int(width * self.rng.uniform(0.3, 0.95)),
            )
            y, x = int(self.rng.integers(height - h + 1)), int(self.rng.integers(width - w + 1))
            ink = lettering(h, w, self.rng)[..., None].astype(np.float32) / 255
            picture[y : y + h, x : x + w] = (
                picture[y : y + h, x : x + w] * (1 - ink) + colour(self.rng) * ink
            )
        return Look(
            (1, 1, 1), picture.clip(0, 255).astype(np.uint8), 1.0, float(self.rng.beta(1, 4))
        )

    def photograph(self) -> Look:
        """A picture in a frame or on a screen."""
        if self.rng.random() < 0.5:
            return Look(
                (1, 1, 1), cv2.resize(self.library.photograph(self.rng), (224, 160)), 1.0, 0.3
            )
        return self.printed(1.4)

    def _stamp(self, picture: np.ndarray) -> None:
        """Put a cut-out of the library on a print."""
        size = int(min(picture.shape[:2]) * self.rng.uniform(0.3, 0.9))
        figure = cv2.resize(
            self.library.sprite(self.rng).rgba, (size, size), interpolation=cv2.INTER_AREA
        )
        y, x = (int(self.rng.integers(picture.shape[i] - size + 1)) for i in range(2))
        alpha = figure[..., 3:].astype(np.float32) / 255
        window = picture[y : y + size, x : x + size]
        window[:] = window * (1 - alpha) + figure[..., :3] * alpha


Pieces = tuple[list[Mesh], list[str]]


def mug(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A cup with a handle, with or without print."""
    radius, height = shape.uniform(0.032, 0.05), shape.uniform(0.06, 0.12)
    taper, wall = shape.uniform(0.75, 1.1), 0.004
    outer = [(0, 0), (radius * taper, 0), (radius * (taper + 1) / 2, height / 2), (radius, height)]
    inner = [(radius - wall, height), ((radius - wall) * taper, wall * 2), (0, wall * 2)]
    look = paint.any() if paint.rng.random() < 0.85 else paint.printed(2.5)
    inside = look if shape.random() < 0.6 else paint.plain()
    pieces = [revolve(_round(outer), look, 0, repeat=(2, 1)), revolve(np.array(inner), inside, 0)]
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
    profile = [(0, 0), (radius * 0.9, 0), (radius, 0.01), (radius * waist, height * shoulder / 2),
               (radius, height * shoulder), (neck, height * min(0.93, shoulder + shape.uniform(0.08, 0.2))),
               (neck, height * 0.95), (0, height * 0.95)]  # fmt: skip
    draw = shape.random()
    look = paint.glass() if draw < 0.35 else paint.metal() if draw < 0.42 else paint.plain()
    pieces, names = [revolve(_round(profile), look, 0, squash)], []
    if shape.random() < 0.85:
        names.append("cap")
        cap = np.array([(neck * 1.15, height * 0.9), (neck * 1.15, height), (0, height)])
        pieces.append(revolve(_round(list(map(tuple, cap))), paint.plain(), len(names), squash))
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
    for axis, other in ((0, 1), (1, 0)):
        bar = size.copy()
        bar[axis], bar[2] = 0.008, rim
        for sign in (-1, 1):
            shift = np.zeros(3)
            shift[axis] = sign * size[axis] / 2
            pieces += [_shifted(piece, shift) for piece in cuboid(bar, look)]
    return pieces, []


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
        _unit(colour(paint.rng)) if shape.random() < 0.5 else (0.03, 0.03, 0.035), None, 1.0, 0.4
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
    path = path + [0, 0, radius]
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


def fruit(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A smooth lump, now and then with a stalk: fruit, stones, soap, buns, toys."""
    radii = shape.uniform(0.02, 0.06) * np.array(
        [1, shape.uniform(0.6, 1), shape.uniform(0.4, 1.1)]
    )
    body = ellipsoid(np.array([0, 0, radii[2]]), radii, paint.any())
    wave = shape.normal(0, 1, (3, 3)) / radii.max() * 0.8
    bump = 1 + 0.09 * np.sin(body.corners @ wave.T.astype(np.float32)).sum(-1, keepdims=True)
    centre = np.array([0, 0, radii[2]], np.float32)
    lump = Mesh((body.corners - centre) * bump + centre, body.normals, body.uv, body.material,
                body.part, body.materials, body.textures)  # fmt: skip
    if shape.random() < 0.5:
        return [lump], []
    stalk = np.array(
        [[0, 0, radii[2] * 1.8], [0.004, 0, radii[2] * 2.1], [0.012, 0.004, radii[2] * 2.3]]
    )
    return [lump, tube(stalk, 0.0025, paint.plain(), 1)], ["stalk"]


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
    pieces = [revolve(_round(crown)[::-1], look, 0, squash, (2, 1))]
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


def figurine(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A small statue: base, body, head, limbs."""
    height, wide = shape.uniform(0.08, 0.22), shape.uniform(0.14, 0.26)
    one = paint.any() if shape.random() < 0.45 else None
    look = lambda: one or paint.any()  # noqa: E731
    pieces, names = [], []
    foot = height * shape.uniform(0.03, 0.12)
    if shape.random() < 0.6:
        base = [(0, 0), (height * 0.24, 0), (height * shape.uniform(0.18, 0.24), foot), (0, foot)]
        pieces.append(revolve(np.array(base), look(), 1))
        names.append("base")
    body = height * np.array([wide, wide * shape.uniform(0.6, 1), 0.3])
    names.append("body")
    pieces.append(ellipsoid(np.array([0, 0, foot + height * 0.3]), body, look(), len(names)))
    head = height * shape.uniform(0.11, 0.2)
    names.append("head")
    neck = np.array([shape.normal(0, 0.03) * height, 0, foot + height * 0.56 + head * 0.8])
    pieces.append(ellipsoid(neck, head * shape.uniform(0.8, 1.2, 3), look(), len(names)))
    if shape.random() < 0.4:
        names.append("ears")
        ear = look()
        pieces += [
            ellipsoid(
                neck + [0, s * head * 0.7, head],
                head * np.array([0.3, 0.3, shape.uniform(0.4, 1.2)]),
                ear,
                len(names),
            )
            for s in (-1, 1)
        ]
    limb = look()
    for side in (-1, 1):
        end = np.array(
            [shape.uniform(-0.1, 0.3), side * shape.uniform(0.25, 0.5), shape.uniform(0.15, 0.75)]
        )
        path = np.linspace([0, side * wide * 0.6, 0.42], end, 5) * height + [0, 0, foot]
        pieces.append(tube(path, height * np.linspace(0.07, 0.045, 5), limb, 0))
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
    pieces, names = [revolve(_round(wall), paint.glass(), 0)], []
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


def ring(shape: np.random.Generator, paint: Painter) -> Pieces:
    """A thing with a hole: tape rolls, bracelets, wreaths, headbands, tyres."""
    radius, thick = shape.uniform(0.02, 0.07), shape.uniform(0.004, 0.02)
    tall = shape.uniform(0.5, 2.5) * thick
    angle = np.linspace(0, 2 * np.pi, 12)
    power = shape.uniform(0.4, 1)
    curve = [np.sign(f) * np.abs(f) ** power for f in (np.cos(angle), np.sin(angle))]
    profile = np.stack([radius + thick * curve[0], tall * (1 + curve[1])], 1)
    return [revolve(profile, paint.any(), 0, shape.uniform(0.7, 1), (6, 1))], []


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
        _shifted(piece, np.array([length, shape.uniform(-0.2, 0.2) * 0, 0]))
        for piece in cuboid(size, look, 2)
    ]
    return [handle, *head], ["handle", "head"]


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


def _round(profile: list[tuple[float, float]], steps: int = 4) -> np.ndarray:
    """A profile's corners smoothed a little: (n, 2)."""
    points = np.array(profile, float)
    t = np.linspace(0, len(points) - 1, (len(points) - 1) * steps + 1)
    dense = np.stack([np.interp(t, np.arange(len(points)), points[:, i]) for i in range(2)], 1)
    smooth = dense.copy()
    smooth[1:-1] = (dense[:-2] + 2 * dense[1:-1] + dense[2:]) / 4
    return smooth[::-1]


def _shifted(mesh: Mesh, offset: np.ndarray) -> Mesh:
    """A piece moved by (3,) metres."""
    return Mesh(mesh.corners + offset.astype(np.float32), mesh.normals, mesh.uv, mesh.material,
                mesh.part, mesh.materials, mesh.textures)  # fmt: skip


def _unit(rgb: np.ndarray) -> tuple[float, float, float]:
    """A colour 0..255 (gamma encoded) as linear 0..1."""
    red, green, blue = (float(v) for v in (rgb / 255) ** 2.2 * 0.9 + 0.02)
    return red, green, blue


KINDS: tuple[tuple[str, Callable[[np.random.Generator, Painter], Pieces], float], ...] = (
    ("mug", mug, 3), ("bottle", bottle, 3.5), ("can", can, 2.5), ("bowl", bowl, 1.5), ("tray", tray, 0.4),
    ("book", book, 3.5), ("carton", carton, 3), ("device", device, 2), ("pen", pen, 2), ("cable", cable, 1.5),
    ("cutlery", cutlery, 1.5), ("fruit", fruit, 2), ("hat", hat, 2), ("shoe", shoe, 2.5), ("figurine", figurine, 2.5),
    ("frame", frame, 1.5), ("cloth", cloth, 1.5), ("tumbler", tumbler, 1.5), ("ring", ring, 1), ("headset", headset, 1),
    ("tool", tool, 1.2),
)  # fmt: skip
