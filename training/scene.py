"""A composed scene, its table of masks, and the shards that hold scenes on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np

from training.blobs import load_blobs, save_blobs

OBJECT, PART, GROUP = 0, 1, 2
KINDS = ("object", "part", "group")


@dataclass(frozen=True)
class Mask:
    """One mask: the union of some of a scene's leaf regions.

    Attributes:
        leaves: leaf ids (each at least 1) whose union is the mask.
        kind: OBJECT, PART or GROUP.
        source: identity of the object, `<collection>/<name>`; a group joins its members' by `+`.
        name: an English word or phrase for it, or empty.
    """

    leaves: tuple[int, ...]
    kind: int
    source: str
    name: str = ""

    def __post_init__(self) -> None:
        if not self.leaves or min(self.leaves) < 1:
            raise ValueError(f"leaves: {self.leaves}, expected at least one id, each 1 or more")
        if self.kind not in (OBJECT, PART, GROUP):
            raise ValueError(f"kind: {self.kind}, expected one of 0, 1, 2 ({', '.join(KINDS)})")


@dataclass(frozen=True)
class Scene:
    """A picture whose pixels are divided into leaf regions, and the masks built from them.

    Attributes:
        jpeg: the picture, encoded as JPEG.
        ids_png: (H, W) leaf ids as PNG, uint8 or uint16; 0 is background.
        masks: the table of masks.
        origin: how and from which (seed, index) it was composed.
    """

    jpeg: bytes
    ids_png: bytes
    masks: tuple[Mask, ...] = field(default_factory=tuple)
    origin: str = ""

    @classmethod
    def encode(
        cls, image: np.ndarray, ids: np.ndarray, masks: Sequence[Mask], quality: int, origin: str
    ) -> Scene:
        """Encode a (H, W, 3) uint8 RGB picture (JPEG quality 1..100) and its (H, W) leaf ids."""
        if image.shape[:2] != ids.shape:
            raise ValueError(f"ids: shape {ids.shape}, expected the picture's {image.shape[:2]}")
        depth = np.uint8 if int(ids.max(initial=0)) < 256 else np.uint16
        _, jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        _, png = cv2.imencode(".png", ids.astype(depth))
        return cls(jpeg.tobytes(), png.tobytes(), tuple(masks), origin)

    def image(self) -> np.ndarray:
        """The picture: (H, W, 3) uint8 RGB."""
        bgr = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)
        return np.ascontiguousarray(bgr[..., ::-1])

    def ids(self) -> np.ndarray:
        """Leaf ids: (H, W) uint8 or uint16, 0 is background."""
        return cv2.imdecode(np.frombuffer(self.ids_png, np.uint8), cv2.IMREAD_UNCHANGED)

    def mask(self, index: int) -> np.ndarray:
        """The pixels of `masks[index]`: (H, W) bool."""
        return pixels(self.ids(), self.masks[index])


def pixels(ids: np.ndarray, mask: Mask) -> np.ndarray:
    """The pixels of a mask in a map of leaf ids: (H, W) bool."""
    table = np.zeros(max(int(ids.max(initial=0)), max(mask.leaves)) + 1, bool)
    table[list(mask.leaves)] = True
    return table[ids]


def save_shard(path: str | Path, scenes: Iterable[Scene]) -> None:
    """Write scenes to one `.npz`; the file appears under its name only when complete."""
    scenes = list(scenes)
    blobs = [blob for scene in scenes for blob in (scene.jpeg, scene.ids_png)]
    table = [{"origin": s.origin, "masks": [asdict(m) for m in s.masks]} for s in scenes]
    save_blobs(path, table, blobs)


def load_shard(path: str | Path) -> list[Scene]:
    """Read the scenes of one shard (still encoded: `image()`, `ids()` and `mask()` decode)."""
    table, blobs = load_blobs(path)
    return [
        Scene(
            blobs[2 * i],
            blobs[2 * i + 1],
            tuple(Mask(**{**mask, "leaves": tuple(mask["leaves"])}) for mask in row["masks"]),
            row["origin"],
        )
        for i, row in enumerate(table)
    ]
