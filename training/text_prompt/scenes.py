"""Scenes as the text prompt is trained on them: encoded once by a `sam_tiny`, kept on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from sam_ros.engine.boxes import tight_box
from sam_ros.engine.segmenter import Segmenter
from sam_ros.engine.text import masked_crop
from sam_ros.model.text_prompt import digest
from training.clip.colours import shares
from training.clip.vocabulary import Vocabulary
from training.scene import OBJECT, Scene, load_shard, pixels

SMALLEST = 24  # pixels of an object's longer side
MOST = 10  # objects of a scene
SIZE = 96  # pixels of a crop


@dataclass(frozen=True)
class Encoded:
    """One scene, objects K.

    Attributes:
        features: (1, C, h, w) float16 image embedding.
        coverage: (K, 4h, 4w) uint8, the share 0..255 of each cell that an object covers.
        crops: (K, SIZE, SIZE, 3) uint8 RGB, as the engine shows an object to CLIP.
        labels: (K,) concepts; -1 for none.
        colours: (K, 11) float32 shares of the colour words.
    """

    features: Tensor
    coverage: Tensor
    crops: Tensor
    labels: Tensor
    colours: Tensor


def encode(
    scene: Scene, segmenter: Segmenter, vocabulary: Vocabulary, grey: tuple[int, ...]
) -> Encoded | None:
    """A scene through the encoder; None when it shows no object of a size."""
    image, ids = scene.image(), scene.ids()
    found = [(mask, pixels(ids, mask)) for mask in scene.masks if mask.kind == OBJECT]
    found = [(mask, table) for mask, table in found if _side(table) >= SMALLEST][:MOST]
    if not found:
        return None
    embedding = segmenter.set_image(image)
    h, w = embedding.features.shape[2:]
    crops, rows = [], []
    for _, table in found:
        crop = masked_crop(image, table, tight_box(table), grey)
        crops.append(cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
        rows.append(shares(np.dstack([image, np.where(table, 255, 0).astype(np.uint8)])))
    # Every side of the composed scenes fills whole cells: nothing is padded.
    small = [
        cv2.resize(table.astype(np.uint8) * 255, (4 * w, 4 * h), interpolation=cv2.INTER_AREA)
        for _, table in found
    ]
    return Encoded(
        embedding.features.half(),
        torch.from_numpy(np.stack(small)),
        torch.from_numpy(np.stack(crops)),
        torch.tensor([vocabulary.index(mask.name) if mask.name else -1 for mask, _ in found]),
        torch.from_numpy(np.stack(rows).astype(np.float32)),
    )


def prepare(
    shards: list[Path],
    weights: Path,
    segmenter: Segmenter,
    grey: tuple[int, ...],
    cache: Path,
    every: int,
) -> list[Encoded]:
    """The scenes of shards, every so many of each; encoded now unless these weights did before."""
    folder = cache / digest(weights)[:12]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = Vocabulary.read()
    found: list[Encoded] = []
    for shard in shards:
        path = folder / f"{shard.parent.name}-{shard.stem}-{every}.pt"
        if not path.exists():
            scenes = load_shard(shard)[::every]
            made = [encode(scene, segmenter, vocabulary, grey) for scene in scenes]
            torch.save([asdict(item) for item in made if item], path.with_suffix(".partial"))
            path.with_suffix(".partial").rename(path)
            print(path.name, flush=True)
        found += _read(path)
    return found


def _read(path: Path) -> Iterator[Encoded]:
    for row in torch.load(path, weights_only=True, mmap=True):
        yield Encoded(**row)


def _side(table: np.ndarray) -> int:
    return max(cv2.boundingRect(table.astype(np.uint8))[2:])
