"""Everyday objects made up from a design number; the kinds are in the modules imported here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.belongings import book, cable, carton, device, frame, pen, ring, tool
from training.figures import figurine, fruit
from training.library import Library
from training.mesh import Mesh, joined
from training.painter import Painter, Pieces
from training.tableware import bottle, bowl, can, cutlery, mug, tray, tumbler
from training.wearables import cloth, hat, headset, shoe

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


KINDS: tuple[tuple[str, Callable[[np.random.Generator, Painter], Pieces], float], ...] = (
    ("mug", mug, 3),
    ("bottle", bottle, 3.5),
    ("can", can, 2.5),
    ("bowl", bowl, 1.5),
    ("tray", tray, 0.4),
    ("book", book, 3.5),
    ("carton", carton, 3),
    ("device", device, 2),
    ("pen", pen, 2),
    ("cable", cable, 1.5),
    ("cutlery", cutlery, 1.5),
    ("fruit", fruit, 2),
    ("hat", hat, 2),
    ("shoe", shoe, 2.5),
    ("figurine", figurine, 2.5),
    ("frame", frame, 1.5),
    ("cloth", cloth, 1.5),
    ("tumbler", tumbler, 1.5),
    ("ring", ring, 1),
    ("headset", headset, 1),
    ("tool", tool, 1.2),
)
