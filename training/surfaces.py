"""Flat pictures: textures of surfaces, photographs, light environments and matcaps."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
import cv2
import numpy as np

LONGEST = 448
FREE_PHOTOGRAPHS = (
    "Aitzol_Berasategi",
    "freespace",
    "Clements_Engelhardt",
    "Mudgal",
    "Jakkub_Mede",
)
GROUND = ("brick", "grass", "gravel")  # the other pictures of that package are for demonstrations


def read_surfaces(raw: Path) -> Iterator[tuple[np.ndarray, str, bool]]:
    """Textures: ((H, W, 3) uint8 RGB, identity, whether it looks the same everywhere)."""
    for folder in ("furniture", "surfaces", "ground"):
        for path in sorted((raw / folder).rglob("*")):
            if path.suffix.lower() in (".jpg", ".png") and "plugin" not in path.name.lower():
                picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
                if _is_texture(picture) and (folder != "ground" or path.stem in GROUND):
                    rgb = fit(to_rgb(picture), LONGEST)
                    yield rgb, f"{folder}/{path.stem}", _is_uniform(rgb)


def read_photographs(raw: Path) -> Iterator[tuple[np.ndarray, str]]:
    """Photographs under CC-BY or CC0: ((H, W, 3) uint8 RGB, identity)."""
    for path in sorted((raw / "photographs").rglob("*.jpg")):
        if any(author in path.name for author in FREE_PHOTOGRAPHS):
            yield fit(to_rgb(cv2.imread(str(path))), 900), f"photographs/{path.stem}"


def read_environments(raw: Path) -> Iterator[tuple[np.ndarray, str]]:
    """Light all around: ((128, 256, 3) float16 linear RGB, median 0.2, at most 20; identity)."""
    for path in sorted((raw / "environments").rglob("hdri/*.exr.js")):
        bgr = cv2.imdecode(_embedded(path), cv2.IMREAD_UNCHANGED)
        linear = cv2.resize(bgr[..., 2::-1], (256, 128), interpolation=cv2.INTER_AREA)
        scaled = np.clip(linear * (0.2 / max(float(np.median(linear)), 1e-4)), 0, 20)
        yield scaled.astype(np.float16), f"environments/{path.name.split('.')[0]}"


def read_matcaps(raw: Path) -> Iterator[tuple[np.ndarray, str]]:
    """Shaded spheres, a material's look by surface normal: ((128, 128, 3) uint8, identity)."""
    for path in sorted((raw / "environments").rglob("matcaps/*.webp.js")):
        picture = to_rgb(cv2.imdecode(_embedded(path), cv2.IMREAD_UNCHANGED))
        yield cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA), f"matcaps/{path.stem}"


def to_rgb(picture: np.ndarray) -> np.ndarray:
    """What cv2.imread gives, as (H, W, 3) uint8 RGB; transparent pixels become white."""
    if picture.ndim == 2:
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    rgb = picture[..., 2::-1].astype(np.float32)
    if picture.shape[2] == 4:
        alpha = picture[..., 3:].astype(np.float32) / 255
        rgb = rgb * alpha + 255 * (1 - alpha)
    return np.ascontiguousarray(rgb.astype(np.uint8))


def fit(rgb: np.ndarray, longest: int) -> np.ndarray:
    """Shrink so that the longest side is at most `longest`."""
    scale = min(1.0, longest / max(rgb.shape[:2]))
    return cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _is_texture(picture: np.ndarray | None) -> bool:
    """Whether a file holds an 8-bit picture large and opaque enough to cover something."""
    return (
        picture is not None
        and picture.dtype == np.uint8
        and min(picture.shape[:2]) >= 120
        and (picture.ndim == 2 or picture.shape[2] == 3 or float(picture[..., 3].mean()) > 250)
    )


def _is_uniform(rgb: np.ndarray) -> bool:
    """Whether coarse blocks of a picture have nearly one colour: a surface, not a print."""
    blocks = cv2.resize(rgb, (5, 5), interpolation=cv2.INTER_AREA).reshape(25, 3)
    return bool(blocks.std(0).max() < 16)


def _embedded(path: Path) -> np.ndarray:
    """The bytes that a JavaScript module carries as a base64 address."""
    found = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text())
    if found is None:
        raise ValueError(f"{path}: expected base64 data")
    return np.frombuffer(base64.b64decode(found.group(1)), np.uint8)
