"""Cut-outs: drawings and rendered icons with transparency, divided into parts by colour."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

LONGEST = 288
SMALLEST_PART = 0.02  # of the picture
SHARP_EDGE = 9.0  # Lab units per pixel; shading changes more slowly
SKIN_TONES = tuple(f"1f3f{tone}" for tone in "bcdef")
PER_FOLDER = 40  # no folder of a collection may dominate it


@dataclass(frozen=True)
class Sprite:
    """A cut-out: (H, W, 4) uint8 RGBA, (H, W) uint8 part ids (1..K; 0: rest), identity, name."""

    rgba: np.ndarray
    parts: np.ndarray
    source: str
    name: str

    def encode(self) -> tuple[bytes, bytes]:
        """The picture as WebP, the parts as PNG."""
        bgra = cv2.cvtColor(self.rgba, cv2.COLOR_RGBA2BGRA)
        webp = cv2.imencode(".webp", bgra, [cv2.IMWRITE_WEBP_QUALITY, 90])[1]
        return webp.tobytes(), cv2.imencode(".png", self.parts)[1].tobytes()

    @classmethod
    def decode(cls, webp: bytes, png: bytes, source: str, name: str) -> Sprite:
        """The reverse of `encode`."""
        bgra = cv2.imdecode(np.frombuffer(webp, np.uint8), cv2.IMREAD_UNCHANGED)
        parts = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        return cls(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA), parts, source, name)


def read_sprites(raw: Path) -> Iterator[Sprite]:
    """All usable cut-outs of the unpacked sources, in a fixed order."""
    for path in sorted((raw / "emoji").rglob("*.webp")):
        if not any(tone in path.stem for tone in SKIN_TONES):
            yield from _read(path, f"emoji/{path.stem.split('-')[0]}", _emoji_name(path.stem))
    taken: Counter[Path] = Counter()
    for path in sorted((raw / "clipart").rglob("*.png"), key=lambda p: (_spread(p), p)):
        if taken[path.parent] < PER_FOLDER:
            found = list(_read(path, f"clipart/{path.stem}", _file_name(path.stem)))
            taken[path.parent] += len(found)
            yield from found


def _read(path: Path, source: str, name: str) -> Iterator[Sprite]:
    """The cut-out in a file, or nothing where the file is not one."""
    bgra = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if bgra is None or bgra.ndim != 3 or bgra.shape[2] != 4 or bgra.dtype != np.uint8:
        return
    x, y, w, h = cv2.boundingRect((bgra[..., 3] > 127).astype(np.uint8))
    if min(w, h) < 20 or max(w, h) < 90:
        return
    scale = min(LONGEST / max(w, h), 1.5)
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    rgba = cv2.cvtColor(bgra[y : y + h, x : x + w], cv2.COLOR_BGRA2RGBA)
    rgba = cv2.resize(rgba, None, fx=scale, fy=scale, interpolation=kind)
    if _is_one_thing(rgba[..., 3] > 127):
        yield Sprite(rgba, divide(rgba), source, name)


def _is_one_thing(solid: np.ndarray) -> bool:
    """Whether a silhouette is mostly one connected, filled region, and not a plain rectangle."""
    stats = cv2.connectedComponentsWithStats(solid.astype(np.uint8))[2][1:]
    areas = np.sort(stats[:, cv2.CC_STAT_AREA])[::-1]
    fill = solid.mean()
    inner = cv2.erode(np.pad(solid, 1).astype(np.uint8), np.ones((5, 5), np.uint8))
    return bool(
        len(areas)
        and areas[0] > 0.85 * areas.sum()
        and fill > 0.12
        and inner.sum() > 0.35 * areas.sum()
    )


def divide(rgba: np.ndarray, colours: int = 5) -> np.ndarray:
    """Part ids of a cut-out: connected regions of one colour, large enough and sharply bounded.

    Args:
        rgba: (H, W, 4) uint8.
        colours: how many colours are told apart.

    Returns:
        (H, W) uint8, 1..K for parts, 0 for the rest of the cut-out and outside of it.
    """
    solid = rgba[..., 3] > 127
    smooth = cv2.medianBlur(np.ascontiguousarray(rgba[..., :3]), 5)
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).astype(np.float32)
    slope = np.hypot(cv2.Sobel(lab, -1, 1, 0), cv2.Sobel(lab, -1, 0, 1)).max(-1) / 8
    lab[..., 0] *= 0.6  # shading matters less than hue
    samples = lab[solid][:: max(1, int(solid.sum()) // 1500)]
    cv2.setRNGSeed(1)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 1.0)
    centres = cv2.kmeans(samples, colours, None, stop, 1, cv2.KMEANS_PP_CENTERS)[2]
    label = np.argmin(np.stack([((lab - c) ** 2).sum(-1) for c in _distinct(centres)]), 0)
    inside = cv2.erode(np.pad(solid, 1).astype(np.uint8), np.ones((7, 7), np.uint8))[1:-1, 1:-1]
    parts = np.zeros(solid.shape, np.uint8)
    for value in range(int(label.max()) + 1):
        for region in _regions((label == value) & solid):
            edge = cv2.morphologyEx(region, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
            slopes = slope[(edge & inside) > 0]
            if len(slopes) > 15 and np.median(slopes) > SHARP_EDGE and parts.max() < 12:
                parts[region > 0] = parts.max() + 1
    return parts


def _regions(mask: np.ndarray) -> Iterator[np.ndarray]:
    """The connected regions of a mask that are large enough for a part, as (H, W) uint8."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, component, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    for k in range(1, count):
        if stats[k, cv2.CC_STAT_AREA] > max(SMALLEST_PART * mask.size, 60):
            yield (component == k).astype(np.uint8)


def _distinct(centres: np.ndarray, distance: float = 22.0) -> list[np.ndarray]:
    """Colour centres without those that are nearly another one."""
    kept: list[np.ndarray] = []
    for centre in centres:
        if all(np.linalg.norm(centre - other) > distance for other in kept):
            kept.append(centre)
    return kept


def _emoji_name(stem: str) -> str:
    """The English phrase of an emoji's first code point."""
    return unicodedata.name(chr(int(stem.split("-")[0], 16)), "").lower()


def _file_name(stem: str) -> str:
    """An English phrase from a file name: words only, without counters and authors' marks."""
    words = [word for word in stem.lower().replace("-", "_").split("_") if word.isalpha()]
    return " ".join(words[:3])


def _spread(path: Path) -> int:
    """An order that takes files evenly from a folder instead of its first ones."""
    return sum(ord(c) * (31**i % 997) for i, c in enumerate(path.stem)) % 1009
