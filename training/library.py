"""The library of material that scenes are composed of, and what of it is held out."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from training.blobs import load_blobs, save_blobs
from training.mesh import Mesh
from training.meshes import read_meshes
from training.sprites import Sprite, read_sprites
from training.surfaces import read_environments, read_matcaps, read_photographs, read_surfaces

HELD_OUT = 16  # one of so many objects is never seen in training

T = TypeVar("T")


def is_held_out(source: str) -> bool:
    """Whether an object's identity belongs to the held-out share (about 6 %)."""
    return zlib.crc32(source.encode()) % HELD_OUT == 0


@dataclass(frozen=True)
class Entry:
    """A row of the library: identity, name, whether it covers evenly, where its bytes are."""

    source: str
    name: str
    uniform: bool
    blobs: tuple[bytes, ...]


class Library:
    """Everything that scenes are made of, kept encoded in memory and decoded when drawn.

    Args:
        folder: where `build` wrote the collections.
        held_out: draw only held-out objects if true, only the others if false. Surfaces,
            photographs and light are not objects and are shared.
    """

    def __init__(self, folder: str | Path, held_out: bool = False) -> None:
        self.held_out = held_out
        collections = {name: _load(Path(folder) / f"{name}.npz") for name in COLLECTIONS}
        self._sprites = [e for e in collections["sprites"] if is_held_out(e.source) == held_out]
        self._meshes = [e for e in collections["meshes"] if is_held_out(e.source) == held_out]
        self._surfaces = collections["surfaces"]
        self._plain = [e for e in self._surfaces if e.uniform]
        self._photographs = collections["photographs"]
        self._matcaps = collections["matcaps"]
        self._environments = collections["environments"]
        self._picture = functools.lru_cache(400)(_decode_picture)
        self._mesh = functools.lru_cache(400)(Mesh.decode)

    def sprite(self, rng: np.random.Generator, index: int | None = None) -> Sprite:
        """A cut-out drawn at random; an index (taken modulo) names one."""
        entry = self._sprites[
            (rng.integers(1 << 30) if index is None else index) % len(self._sprites)
        ]
        return Sprite.decode(entry.blobs[0], entry.blobs[1], entry.source, entry.name)

    def mesh(self, rng: np.random.Generator) -> Mesh:
        """A household model or a random shape, as large as in reality."""
        return self._mesh(_draw(self._meshes, rng).blobs[0])

    def surface(self, rng: np.random.Generator, plain: bool = False) -> np.ndarray:
        """A texture (H, W, 3) uint8 RGB; plain: one that looks the same everywhere."""
        return self._picture(_draw(self._plain if plain else self._surfaces, rng).blobs[0])

    def photograph(self, rng: np.random.Generator) -> np.ndarray:
        """A photograph (H, W, 3) uint8 RGB."""
        return self._picture(_draw(self._photographs, rng).blobs[0])

    def matcap(self, rng: np.random.Generator) -> np.ndarray:
        """A shaded sphere (128, 128, 3) uint8 RGB."""
        return self._picture(_draw(self._matcaps, rng).blobs[0])

    def environment(self, rng: np.random.Generator) -> np.ndarray:
        """Light all around, equirectangular: (128, 256, 3) float32 linear RGB, median 0.2."""
        blob = _draw(self._environments, rng).blobs[0]
        return np.frombuffer(blob, np.float16).reshape(128, 256, 3).astype(np.float32)

    def admits(self, source: str) -> bool:
        """Whether an object of this identity may appear in this library's scenes."""
        return is_held_out(source) == self.held_out


def build(work: Path) -> None:
    """Make the collections below `<work>/library` from the unpacked sources; keep those there."""
    for name, read in COLLECTIONS.items():
        path = work / "library" / f"{name}.npz"
        if not path.exists():
            entries = read(work / "raw")
            table = [(e.source, e.name, e.uniform, len(e.blobs)) for e in entries]
            save_blobs(path, table, [blob for entry in entries for blob in entry.blobs])


def _load(path: Path) -> list[Entry]:
    """Read one collection."""
    table, blobs = load_blobs(path)
    starts = np.cumsum([0, *(row[3] for row in table)])
    return [
        Entry(source, name, uniform, tuple(blobs[start : start + count]))
        for (source, name, uniform, count), start in zip(table, starts, strict=False)
    ]


def _draw(entries: Sequence[T], rng: np.random.Generator) -> T:
    """One of several."""
    return entries[int(rng.integers(len(entries)))]


def _decode_picture(blob: bytes) -> np.ndarray:
    """A picture's bytes to (H, W, 3) uint8 RGB."""
    bgr = cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(bgr[..., ::-1])


def _jpeg(rgb: np.ndarray) -> bytes:
    """A picture's bytes."""
    return cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def _sprite_entries(raw: Path) -> list[Entry]:
    return [Entry(s.source, s.name, False, s.encode()) for s in read_sprites(raw)]


def _mesh_entries(raw: Path) -> list[Entry]:
    return [Entry(m.source, m.name, False, (m.encode(),)) for m in read_meshes(raw)]


def _surface_entries(raw: Path) -> list[Entry]:
    return [Entry(s, "", uniform, (_jpeg(rgb),)) for rgb, s, uniform in read_surfaces(raw)]


def _photograph_entries(raw: Path) -> list[Entry]:
    return [Entry(source, "", False, (_jpeg(rgb),)) for rgb, source in read_photographs(raw)]


def _matcap_entries(raw: Path) -> list[Entry]:
    return [Entry(source, "", False, (_jpeg(rgb),)) for rgb, source in read_matcaps(raw)]


def _environment_entries(raw: Path) -> list[Entry]:
    return [Entry(source, "", True, (data.tobytes(),)) for data, source in read_environments(raw)]


COLLECTIONS: dict[str, Callable[[Path], list[Entry]]] = {
    "sprites": _sprite_entries,
    "meshes": _mesh_entries,
    "surfaces": _surface_entries,
    "photographs": _photograph_entries,
    "matcaps": _matcap_entries,
    "environments": _environment_entries,
}

__all__ = ["Entry", "Library", "build", "is_held_out"]
