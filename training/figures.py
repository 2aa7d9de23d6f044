"""Made-up lumps and statues."""

from __future__ import annotations

import numpy as np

from training.mesh import Mesh
from training.painter import Painter, Pieces
from training.solids import ellipsoid, revolve, tube


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
                neck + np.array([0, s * head * 0.7, head]),
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
