"""Pictures of named objects for `clip_tiny`: `python -m training.clip.crops`.

They come from the composed scenes of `training.compose`, from further tabletops rendered with
named models only, and from the library's drawings laid over grounds and photographs.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.clip.colours import shares
from training.clip.vocabulary import Vocabulary
from training.degrade import degrade
from training.library import Entry, Library
from training.mesh import Mesh
from training.patterns import ground, recoloured
from training.scene import OBJECT, PART, Scene, load_shard, pixels
from training.sprites import Sprite
from training.tabletop import compose_tabletop

SIZE = 96  # pixels; training cuts windows from it
UNNAMED, GROUND = -1, -2  # labels of what is no concept of the vocabulary, and of no thing
SMALLEST = 20  # pixels of the longer side in a scene
PER_CONCEPT = 24  # pictures of drawings for each concept, as far as variants make sense
VARIANTS = (2, 8)  # of one drawing
SETS = ("train", "val")


@dataclass(frozen=True)
class Crop:
    """A square picture around one object.

    Attributes:
        rgba: (SIZE, SIZE, 4) uint8; alpha is the object's mask, the background is real.
        label: index of the concept, or UNNAMED, or GROUND.
        source: identity of the object.
    """

    rgba: np.ndarray
    label: int
    source: str


class NamedLibrary(Library):
    """A library whose models all have a name in the vocabulary, each concept equally often."""

    def __init__(self, folder: Path, held_out: bool, vocabulary: Vocabulary) -> None:
        super().__init__(folder, held_out)
        self.by_concept: dict[int, list[Entry]] = {}
        for entry in self._meshes:
            label = vocabulary.index(entry.name)
            if label >= 0:
                self.by_concept.setdefault(label, []).append(entry)

    def mesh(self, rng: np.random.Generator) -> Mesh:
        """A named household model."""
        labels = sorted(self.by_concept)
        entries = self.by_concept[labels[int(rng.integers(len(labels)))]]
        return self._mesh(entries[int(rng.integers(len(entries)))].blobs[0])

    def drawings(self) -> list[Entry]:
        """The cut-outs of this set."""
        return self._sprites


def scene_crops(scene: Scene, vocabulary: Vocabulary, rng: np.random.Generator) -> Iterator[Crop]:
    """Every named object of a scene, some of the unnamed ones, and what is no whole thing."""
    image, ids = scene.image(), scene.ids()
    things = []
    for mask in scene.masks:
        label = vocabulary.index(mask.name) if mask.name else UNNAMED
        if mask.kind == OBJECT and (label >= 0 or rng.random() < 0.25):
            table = pixels(ids, mask)
            x, y, w, h = cv2.boundingRect(table.astype(np.uint8))
            if max(w, h) >= SMALLEST:
                yield Crop(cut(image, table, (x, y, w, h), rng), label, mask.source)
                things.append(table)
    if rng.random() < 0.5:
        yield from _ground_crop(image, ids, scene.origin, rng)
    if things and rng.random() < 0.8:
        table = things[int(rng.integers(len(things)))]
        parts = [pixels(ids, mask) for mask in scene.masks if mask.kind == PART]
        yield from _fragment_crop(image, table, parts, scene.origin, rng)


def cut(
    image: np.ndarray, mask: np.ndarray, box: tuple[int, int, int, int], rng: np.random.Generator
) -> np.ndarray:
    """A square with some room around a box (x, y, w, h): (SIZE, SIZE, 4) uint8."""
    x, y, w, h = box
    side = max(w, h) * rng.uniform(1.05, 1.6)
    centre = np.array([x + w / 2, y + h / 2]) + rng.normal(0, 0.04, 2) * side
    scale = SIZE / side
    linear = np.array([[scale, 0, SIZE / 2 - scale * centre[0]],
                       [0, scale, SIZE / 2 - scale * centre[1]]])  # fmt: skip
    if scale < 1:  # averaged first: warping alone would skip pixels
        sigma = 0.35 / scale
        low, high = ((centre + sign * (side / 2 + 4 * sigma)).astype(int) for sign in (-1, 1))
        low = low.clip(0)
        image, mask = (a[low[1] : high[1], low[0] : high[0]] for a in (image, mask))
        linear[:, 2] += scale * low
        image = cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.5 else image
    warp = functools.partial(cv2.warpAffine, M=linear, dsize=(SIZE, SIZE), flags=cv2.INTER_LINEAR)
    rgb = warp(image, borderMode=cv2.BORDER_REFLECT_101)
    alpha = warp(mask.astype(np.uint8) * 255)
    return np.dstack([rgb, alpha])


def _ground_crop(
    image: np.ndarray, ids: np.ndarray, source: str, rng: np.random.Generator
) -> Iterator[Crop]:
    """A window that shows hardly any object, under a blob as a mask."""
    for _ in range(6):
        side = int(rng.integers(40, 160))
        y, x = (int(rng.integers(0, n - side)) for n in ids.shape)
        if (ids[y : y + side, x : x + side] > 0).mean() < 0.04:
            blob = np.zeros(ids.shape, np.uint8)
            axes = (int(side * rng.uniform(0.2, 0.5)), int(side * rng.uniform(0.2, 0.5)))
            cv2.ellipse(
                blob, (x + side // 2, y + side // 2), axes, rng.uniform(0, 180), 0, 360, 1, -1
            )
            yield Crop(cut(image, blob > 0, (x, y, side, side), rng), GROUND, source)
            return


def _fragment_crop(
    image: np.ndarray, thing: np.ndarray, parts: list[np.ndarray], source: str,
    rng: np.random.Generator,
) -> Iterator[Crop]:  # fmt: skip
    """What everything mode finds besides things: a piece of one, a part, what is around it."""
    x, y, w, h = cv2.boundingRect(thing.astype(np.uint8))
    rows, columns = np.ogrid[: thing.shape[0], : thing.shape[1]]
    draw = rng.random()
    if draw < 0.4:  # less than half, on one side of a line
        angle = rng.uniform(0, 2 * np.pi)
        along = columns * np.cos(angle) + rows * np.sin(angle)
        mask = thing & (along > np.quantile(along[thing], rng.uniform(0.55, 0.85)))
    elif draw < 0.7 and parts:
        mask = parts[int(rng.integers(len(parts)))]
        if 2 * (mask & thing).sum() > thing.sum():  # nearly the whole thing
            return
    else:  # around it
        room = rng.uniform(0.1, 0.6, 4) * max(w, h)
        mask = ~thing & (columns > x - room[0]) & (columns < x + w + room[1])
        mask &= (rows > y - room[2]) & (rows < y + h + room[3])
    box = cv2.boundingRect(mask.astype(np.uint8))
    if max(box[2:]) >= SMALLEST:
        yield Crop(cut(image, mask, box, rng), GROUND, source)


def drawing_crops(
    library: NamedLibrary, vocabulary: Vocabulary, rng: np.random.Generator
) -> Iterator[Crop]:
    """Variants of every named drawing over grounds."""
    named = [(e, vocabulary.index(e.name)) for e in library.drawings() if e.name]
    named = [(entry, label) for entry, label in named if label >= 0]
    counts = np.bincount([label for _, label in named], minlength=len(vocabulary.concepts))
    for entry, label in named:
        sprite = Sprite.decode(entry.blobs[0], entry.blobs[1], entry.source, entry.name)
        for _ in range(int(np.clip(PER_CONCEPT / counts[label], *VARIANTS))):
            yield Crop(over_ground(sprite.rgba, library, rng), label, entry.source)


def over_ground(rgba: np.ndarray, library: Library, rng: np.random.Generator) -> np.ndarray:
    """A drawing turned, recoloured and laid over a ground with clutter: (SIZE, SIZE, 4) uint8."""
    big = SIZE * 4 // 3  # averaged at the end
    canvas = np.ascontiguousarray(_covering(library, big, rng))
    for _ in range(int(rng.choice(3, p=[0.5, 0.35, 0.15]))):
        other = library.sprite(rng).rgba
        offset = rng.choice([-1, 1], 2) * rng.uniform(0.25, 0.6, 2)
        canvas, _ = _lay(canvas, other, rng.uniform(0.4, 0.8), offset, rng)
    if rng.random() < 0.35:
        rgba = np.dstack([recoloured(np.ascontiguousarray(rgba[..., :3]), rng, 0.7), rgba[..., 3]])
    canvas, alpha = _lay(canvas, rgba, rng.uniform(0.62, 0.92), rng.normal(0, 0.04, 2), rng)
    if rng.random() < 0.2:  # something stands in front of a corner
        offset = rng.choice([-1, 1], 2) * rng.uniform(0.4, 0.6, 2)
        canvas, front = _lay(canvas, library.sprite(rng).rgba, rng.uniform(0.3, 0.5), offset, rng)
        alpha = np.where(front > 127, 0, alpha).astype(np.uint8)
    picture = cv2.resize(np.dstack([canvas, alpha]), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return np.dstack([degrade(np.ascontiguousarray(picture[..., :3]), rng), picture[..., 3]])


def _covering(library: Library, size: int, rng: np.random.Generator) -> np.ndarray:
    """Something to lie on: a ground, a photograph's piece, or white."""
    draw = rng.random()
    if draw < 0.12:
        return np.full((size, size, 3), rng.integers(200, 256), np.uint8)
    if draw < 0.3:
        photograph = library.photograph(rng)
        side = int(rng.integers(120, min(photograph.shape[:2])))
        y, x = (int(rng.integers(0, n - side + 1)) for n in photograph.shape[:2])
        window = photograph[y : y + side, x : x + side]
        return cv2.resize(window, (size, size), interpolation=cv2.INTER_AREA)
    return ground(size, size, library, rng)


def _lay(
    canvas: np.ndarray, rgba: np.ndarray, share: float, offset: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Lay a drawing over a square canvas, with a soft shadow; also its (S, S) uint8 cover."""
    size = canvas.shape[0]
    height, width = rgba.shape[:2]
    scale = share * size / max(height, width)
    angle = np.deg2rad(rng.normal(0, 14))
    c, s = np.cos(angle) * scale, np.sin(angle) * scale
    flip = -1.0 if rng.random() < 0.5 else 1.0
    squeeze = rng.uniform(0.8, 1.0)
    linear = np.array([[c * flip, -s * squeeze], [s * flip, c * squeeze]])
    middle = (0.5 + offset) * size
    matrix = np.column_stack([linear, middle - linear @ [width / 2, height / 2]])
    small = rgba
    if scale < 0.6:
        small = cv2.GaussianBlur(rgba, (0, 0), 0.3 / scale)
    laid = cv2.warpAffine(small, matrix, (size, size), flags=cv2.INTER_LINEAR)
    alpha = laid[..., 3].astype(np.float32) / 255
    shadow = np.roll(alpha, rng.integers(-8, 9, 2), (0, 1))
    dark = 1 - rng.uniform(0, 0.5) * cv2.GaussianBlur(shadow, (0, 0), rng.uniform(2, 8))
    light = laid[..., :3] * np.float32(rng.uniform(0.75, 1.1))
    mixed = canvas * dark[..., None] * (1 - alpha[..., None]) + light * alpha[..., None]
    return np.clip(mixed, 0, 255).astype(np.uint8), laid[..., 3]


def collect(work: Path, subset: str, shards: int, rendered: int, seed: int) -> Iterator[Crop]:
    """All crops of a set, in a fixed order."""
    vocabulary = Vocabulary.read()
    held_out = subset == "val"
    library = NamedLibrary(work / "library", held_out, vocabulary)
    rng = np.random.default_rng((seed, SETS.index(subset)))
    for path in sorted((work / "scenes" / subset).glob("*.npz"))[:shards]:
        for scene in load_shard(path):
            yield from scene_crops(scene, vocabulary, rng)
    yield from drawing_crops(library, vocabulary, rng)
    for index in range(rendered):
        scene = compose_tabletop(library, rng, f"named {seed} {subset} {index}")
        yield from scene_crops(scene, vocabulary, rng)


def save(folder: Path, crops: Iterator[Crop], every: int = 4000) -> None:
    """Write crops as parts that `Pictures` reads: `NNN.npy` and `NNN.npz`."""
    folder.mkdir(parents=True, exist_ok=True)
    batch: list[Crop] = []
    part = 0
    for crop in crops:
        batch.append(crop)
        if len(batch) == every:
            _save_part(folder, part, batch)
            batch, part = [], part + 1
    _save_part(folder, part, batch)


def _save_part(folder: Path, part: int, crops: list[Crop]) -> None:
    """One part."""
    np.savez(
        folder / f"{part:03d}.npz", labels=np.array([c.label for c in crops], np.int16),
        sources=np.array([c.source for c in crops]),
        colours=np.stack([shares(c.rgba) for c in crops]).astype(np.float16),
    )  # fmt: skip
    np.save(folder / f"{part:03d}.npy", np.stack([c.rgba for c in crops]))
    print(f"{folder.name} part {part}: {len(crops)} pictures", flush=True)


def main() -> None:
    """Read the command line and collect both sets."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("training/data"))
    parser.add_argument("--shards", type=int, default=1000, help="take the first so many")
    parser.add_argument("--rendered", type=int, default=160, help="further scenes for training")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for subset, rendered in (("train", options.rendered), ("val", options.rendered // 5)):
        crops = collect(options.work, subset, options.shards, rendered, options.seed)
        save(options.work / "clip" / subset, crops)


if __name__ == "__main__":
    main()
