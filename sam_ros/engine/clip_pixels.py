"""Pictures as the image tower wants them, done in torch on the tower's device.

A checkpoint's ``preprocessor_config.json`` says how its pictures were resized, cropped and
normalised. This follows it; Pillow, which transformers resizes with, sometimes takes the rows
before the columns, so that a value may be a grey level or two away from its.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

Size = tuple[int, int]
Picture = npt.NDArray[np.uint8]

MODES = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers
FILES = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True)
class Pixels:
    """From (H, W, 3) uint8 RGB to the input of an image tower.

    Attributes:
        resize: (h, w) to resize to, the length of the shorter side, or None to leave the size.
        crop: (h, w) cut out of the middle, or None.
        mode: interpolation, bilinear or bicubic.
        scale: that 0..255 are multiplied with.
        mean, std: of the scaled channels R, G, B.
    """

    resize: Size | int | None
    crop: Size | None
    mode: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def read(cls, folder: Path) -> Pixels:
        """Reads what the checkpoint in a folder says.

        Raises:
            ValueError: there is no such file, or it asks for something unknown.
        """
        path = next((folder / name for name in FILES if (folder / name).is_file()), None)
        if path is None:
            raise ValueError(f"{folder}: no {FILES[0]}; expected the files of save_pretrained")
        values = json.loads(path.read_text())
        return cls.of(values.get("image_processor", values))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Pixels:
        """Makes sense of the entries of ``preprocessor_config.json``."""
        mode = MODES.get(values.get("resample", 3))
        if mode is None:
            raise ValueError(f"resample: {values['resample']}; expected 2 (bilinear) or 3 (cubic)")
        normalise = values.get("do_normalize", True)
        return cls(
            resize=_resize(values["size"]) if values.get("do_resize", True) else None,
            crop=_crop(values["crop_size"]) if values.get("do_center_crop") else None,
            mode=mode,
            scale=float(values.get("rescale_factor", 1 / 255))
            if values.get("do_rescale", True)
            else 1.0,
            mean=tuple(values["image_mean"]) if normalise else (0.0,) * 3,
            std=tuple(values["image_std"]) if normalise else (1.0,) * 3,
        )

    @property
    def colour(self) -> tuple[int, ...]:
        """The mean R, G, B of 0..255, which is about zero once it is normalised."""
        return tuple(min(255, max(0, round(value / self.scale))) for value in self.mean)

    def __call__(self, rgb: Picture, device: torch.device) -> Tensor:
        """The picture as transformers' image processor makes it, (3, h, w)."""
        image = _to_tensor(rgb, device)
        if self.resize is not None:
            image = _resized(image, _target(self.resize, rgb.shape[:2]), self.mode)
        if self.crop is not None:
            image = _cropped(image, self.crop)
        return self._normalised(image)

    def squashed(self, rgb: Picture, size: Size, device: torch.device) -> Tensor:
        """The whole picture in (h, w), whatever its aspect ratio: nothing is cut off."""
        return self._normalised(_resized(_to_tensor(rgb, device), size, self.mode))

    def _normalised(self, image: Tensor) -> Tensor:
        mean, std = (image.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (image * self.scale - mean) / std


def _to_tensor(rgb: Picture, device: torch.device) -> Tensor:
    """(3, H, W) float32, 0..255."""
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise ValueError(f"rgb: {rgb.dtype} of shape {rgb.shape}; expected uint8 of (H, W, 3)")
    return torch.from_numpy(rgb.copy()).to(device).permute(2, 0, 1).float()


def _resized(image: Tensor, size: Size, mode: str) -> Tensor:
    """As Pillow does it: across, then down, both times rounded to whole numbers of 0..255."""
    for stage in ((image.shape[1], size[1]), size):
        if tuple(image.shape[1:]) != stage:
            image = F.interpolate(image[None], stage, mode=mode, antialias=True)[0]
            image = (image + 0.5).floor().clamp(0, 255)
    return image


def _cropped(image: Tensor, size: Size) -> Tensor:
    """The middle; what is missing there is black."""
    (height, width), (rows, columns) = image.shape[1:], size
    top, left = (height - rows) // 2, (width - columns) // 2
    return F.pad(image, (-left, left + columns - width, -top, top + rows - height))


def _target(resize: Size | int, size: tuple[int, ...]) -> Size:
    if isinstance(resize, tuple):
        return resize
    height, width = size
    if height <= width:
        return resize, int(resize * width / height)
    return int(resize * height / width), resize


def _resize(size: Any) -> Size | int:
    if isinstance(size, Mapping) and "shortest_edge" in size:
        return int(size["shortest_edge"])
    return int(size) if isinstance(size, int) else _crop(size)


def _crop(size: Any) -> Size:
    if isinstance(size, int):
        return size, size
    try:
        return int(size["height"]), int(size["width"])
    except (KeyError, TypeError):
        raise ValueError(
            f"size: {size}; expected height and width, or shortest_edge alone"
        ) from None
