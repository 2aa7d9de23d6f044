"""The library's meshes: household models with real sizes, and random shapes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training.mesh import Mesh
from training.wavefront import read_obj

MAX_BYTES = 2_500_000  # larger models have more triangles than a scene can afford
RANDOM_SHAPES = 400


@dataclass(frozen=True)
class Listing:
    """A model's row in its catalogue: file, phrase, longest side in metres, category."""

    path: Path
    name: str
    longest: float
    category: str


def read_meshes(raw: Path) -> Iterator[Mesh]:
    """All usable models of the unpacked sources, in a fixed order."""
    for catalogue in sorted((raw / "furniture").glob("*/PluginFurnitureCatalog.properties")):
        for listing in _listings(catalogue):
            if listing.path.is_file() and listing.path.stat().st_size <= MAX_BYTES:
                source = f"furniture/{catalogue.parent.name}/{listing.path.stem}"
                mesh = read_obj(listing.path, source, listing.name, y_up=True)
                if mesh is not None:
                    yield mesh.moved(np.eye(3) * listing.longest)
    for path in sorted((raw / "shapes").rglob("*.obj"))[:RANDOM_SHAPES]:
        mesh = read_obj(path, f"shapes/{path.stem}", "", y_up=False)
        if mesh is not None:
            whole = replace(mesh, part=np.zeros_like(mesh.part), part_names=())
            yield whole.moved(np.eye(3) * 0.1)


def _listings(catalogue: Path) -> list[Listing]:
    """The movable models of a catalogue."""
    rows: dict[str, dict[str, str]] = {}
    for line in catalogue.read_text(encoding="latin-1").splitlines():
        found = re.match(r"(\w+)#(\d+)=(.*)", line)
        if found:
            rows.setdefault(found.group(2), {})[found.group(1)] = found.group(3).strip()
    return [
        Listing(
            catalogue.parent / row["model"].lstrip("/"),
            row.get("name", "").lower(),
            max(float(row.get(key, 0)) for key in ("width", "depth", "height")) / 100,
            row.get("category", ""),
        )
        for row in rows.values()
        if row.get("doorOrWindow") != "true" and row.get("model", "").endswith(".obj")
    ]
