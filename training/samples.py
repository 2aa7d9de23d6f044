"""Training samples: augmented pictures, the masks to find in them, and the first prompts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import IterableDataset, get_worker_info

from sam_ros.model.tiny_image_encoder import PATCH
from training.scene import GROUP, OBJECT, PART, Scene, load_shard, pixels

STRIDE = 4  # of the targets, as of the decoder's logits
KIND_SHARE = {OBJECT: 0.65, PART: 0.22, GROUP: 0.13}
AREA_POWER = 0.45  # masks are drawn with p ~ area ** AREA_POWER
MIN_AREA = 12  # pixels of the resized picture that a mask must show


@dataclass(frozen=True)
class Recipe:
    """How samples are made.

    Attributes:
        image_size: longest side of the pictures in pixels.
        masks: masks P drawn from each picture.
        boxes: the first so many of them are prompted by a box, the others by a click.
        augment: crops, flips and colours; off for evaluation.
    """

    image_size: int
    masks: int
    boxes: int
    augment: bool = True


@dataclass(frozen=True)
class Sample:
    """One picture with its masks, in the frame of the encoder's input.

    Attributes:
        image: (3, H, W) uint8 RGB, at the upper left; the sides are multiples of 16.
        size: (2,) height and width of the picture inside it.
        targets: (P, H/4, W/4) float32, the covered part of each cell.
        boxes: (P, 4) float32 noisy boxes x0, y0, x1, y1, pixel centres at integers.
        clicks: (P, 2) float32 clicks x, y inside the masks.
    """

    image: torch.Tensor
    size: torch.Tensor
    targets: torch.Tensor
    boxes: torch.Tensor
    clicks: torch.Tensor


class Samples(IterableDataset[Sample]):
    """An endless stream of batches from a folder of shards.

    Shards that appear while the stream runs are picked up at the next pass. The pictures of a
    batch are of one orientation, so that little of it is padding.

    Args:
        folder: of the shards.
        recipe: how samples are made.
        pictures: in a batch.
        seed: of everything that is drawn.
    """

    def __init__(self, folder: str | Path, recipe: Recipe, pictures: int, seed: int) -> None:
        self.folder = Path(folder)
        self.recipe = recipe
        self.pictures = pictures
        self.seed = seed

    def __iter__(self) -> Iterator[Sample]:
        waiting: dict[int, list[Sample]] = defaultdict(list)
        for sample in self._samples():
            height, width = (int(side) for side in sample.size)
            alike = waiting[(width > 1.1 * height) - (height > 1.1 * width)]
            alike.append(sample)
            if len(alike) == self.pictures:
                yield collate(alike)
                alike.clear()

    def _samples(self) -> Iterator[Sample]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        cv2.setNumThreads(0)
        rng = np.random.default_rng((self.seed, worker))
        scenes: dict[Path, list[Scene]] = {}
        while True:
            for path in sorted(self.folder.glob("*.npz")):
                if path not in scenes:
                    scenes[path] = load_shard(path)
            pool = [scene for shard in scenes.values() for scene in shard]
            if not pool:
                raise FileNotFoundError(f"folder: no shards (*.npz) in {self.folder}")
            for index in rng.permutation(len(pool))[worker::workers]:
                sample = make_sample(pool[index], self.recipe, rng)
                if sample is not None:
                    yield sample


def make_sample(scene: Scene, recipe: Recipe, rng: np.random.Generator) -> Sample | None:
    """Draw masks and prompts from one scene; None when nothing of it is visible in the crop."""
    image, ids = scene.image(), scene.ids()
    if recipe.augment:
        image, ids = _crop(image, ids, rng)
        image, ids = _flip(image, ids, rng)
        image = _recolour(image, rng)
    image, ids = _resize(image, ids, recipe.image_size)
    chosen = _choose(scene, ids, recipe.masks, rng)
    if not chosen:
        return None
    height, width = ids.shape
    sides = tuple(-(-side // PATCH) * PATCH for side in (height, width))
    padded = np.zeros((*sides, 3), np.uint8)
    padded[:height, :width] = image
    targets = [_target(mask, sides) for mask in chosen]
    boxes = [noisy_box(mask, rng) for mask in chosen]
    clicks = [click(mask, rng) for mask in chosen]
    return Sample(
        image=torch.from_numpy(padded).permute(2, 0, 1).contiguous(),
        size=torch.tensor([height, width]),
        targets=torch.from_numpy(np.stack(targets)),
        boxes=torch.from_numpy(np.stack(boxes)),
        clicks=torch.from_numpy(np.stack(clicks)),
    )


def collate(samples: list[Sample]) -> Sample:
    """Stack samples along a new first axis, padded to the largest sides."""
    height, width = (max(s.image.shape[axis] for s in samples) for axis in (1, 2))
    padded = [
        replace(
            s,
            image=_pad(s.image, height, width),
            targets=_pad(s.targets, height // STRIDE, width // STRIDE),
        )
        for s in samples
    ]
    fields = ("image", "size", "targets", "boxes", "clicks")
    return Sample(*(torch.stack([getattr(s, f) for s in padded]) for f in fields))


def _pad(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return F.pad(x, (0, width - x.shape[2], 0, height - x.shape[1]))


def click(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A click inside a (H, W) bool mask: half of them anywhere, half well inside, as people do."""
    if rng.random() < 0.5:
        depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)
        mask = depth[1:-1, 1:-1] >= 0.5 * depth.max()
    rows, columns = np.nonzero(mask)
    i = rng.integers(len(rows))
    return np.array([columns[i], rows[i]], np.float32)


def noisy_box(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The tight box of a mask; each edge moves by up to 10 % of the side (SAM, appendix A)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.array([columns[0], rows[0], columns[-1], rows[-1]], np.float32)
    side = np.array([box[2] - box[0], box[3] - box[1]] * 2) + 1
    limit = np.minimum(0.2 * side, 0.02 * max(mask.shape))
    box = box + np.clip(rng.normal(0, 0.1 * side), -limit, limit).astype(np.float32)
    high = np.array([mask.shape[1] - 1, mask.shape[0] - 1] * 2, np.float32)
    return np.clip(box, 0, high)


def _choose(
    scene: Scene, ids: np.ndarray, count: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw masks by kind and area among those that are visible."""
    visible = np.bincount(ids.ravel(), minlength=1 << 8)
    areas = np.array(
        [sum(visible[i] for i in m.leaves if i < len(visible)) for m in scene.masks], float
    )
    weights = np.where(areas >= MIN_AREA, areas**AREA_POWER, 0.0)
    for kind, share in KIND_SHARE.items():
        of_kind = np.array([m.kind == kind for m in scene.masks], bool)
        weights[of_kind] *= share / max(weights[of_kind].sum(), 1e-9)
    if weights.sum() == 0:
        return []
    drawn = rng.choice(
        len(weights),
        count,
        p=weights / weights.sum(),
        replace=int((weights > 0).sum()) < count,
    )
    return [pixels(ids, scene.masks[i])[: ids.shape[0]] for i in drawn]


def _target(mask: np.ndarray, sides: tuple[int, ...]) -> np.ndarray:
    padded = np.zeros(sides, np.float32)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    cells = (sides[1] // STRIDE, sides[0] // STRIDE)
    return cv2.resize(padded, cells, interpolation=cv2.INTER_AREA)


def _crop(
    image: np.ndarray, ids: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    if rng.random() < 0.4:
        return image, ids
    height, width = ids.shape
    scale = rng.uniform(0.5, 1.0)
    stretch = np.exp(rng.uniform(-0.12, 0.12))
    h, w = (int(min(n, n * scale * s)) for n, s in ((height, stretch), (width, 1 / stretch)))
    y, x = rng.integers(height - h + 1), rng.integers(width - w + 1)
    return image[y : y + h, x : x + w], ids[y : y + h, x : x + w]


def _flip(
    image: np.ndarray, ids: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    if rng.random() < 0.5:
        image, ids = image[:, ::-1], ids[:, ::-1]
    if rng.random() < 0.1:
        image, ids = image[::-1], ids[::-1]
    if rng.random() < 0.1:
        image, ids = image.transpose(1, 0, 2), ids.T
    return np.ascontiguousarray(image), np.ascontiguousarray(ids)


def _recolour(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gain and gamma for each channel through one table, then saturation."""
    levels = np.arange(256, dtype=np.float32)[:, None] / 255
    gamma = np.exp(rng.normal(0, 0.2))
    gain = np.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, 0.06, 3))
    table = np.clip(levels**gamma * gain * 255, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, np.repeat(table[:, None, :], 1, axis=1).reshape(1, 256, 3))
    saturation = 0.0 if rng.random() < 0.04 else rng.uniform(0.6, 1.3)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, saturation, grey, 1 - saturation, 0)


def _resize(image: np.ndarray, ids: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Resize so that the longest side is `side`, as the engine does."""
    scale = side / max(ids.shape)
    size = (max(1, round(ids.shape[1] * scale)), max(1, round(ids.shape[0] * scale)))
    area = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=area), cv2.resize(
        ids, size, interpolation=cv2.INTER_NEAREST_EXACT
    )
