"""Where everything mode clicks: crops of a picture and a grid of points on each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil

import numpy as np
import numpy.typing as npt

Size = tuple[int, int]


@dataclass(frozen=True)
class Crop:
    """A part of a picture that is encoded by itself.

    Attributes:
        x0, y0: column and row of its first pixel.
        x1, y1: one behind its last pixel.
        layer: 0 for the whole picture, then 1, 2, ... for ever smaller parts.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    layer: int = 0

    @property
    def size(self) -> Size:
        """(H, W) in pixels."""
        return self.y1 - self.y0, self.x1 - self.x0

    def points(self, per_side: int) -> npt.NDArray[np.float64]:
        """A grid of clicks, (per_side ** 2, 2) x, y in pixels of the crop, row by row."""
        steps = np.linspace(1 / (2 * per_side), 1 - 1 / (2 * per_side), per_side)
        x, y = np.meshgrid(steps * self.size[1], steps * self.size[0])
        return np.stack((x, y), axis=-1).reshape(-1, 2)


def crops_of(size: Size, layers: int, overlap_ratio: float) -> Iterator[Crop]:
    """The whole picture, then for each layer i a raster of 2 ** i by 2 ** i crops.

    As in the reference, which goes through a raster column by column; crops too thin to have a
    pixel, of a tiny picture, are left out.

    Args:
        size: (H, W) of the picture.
        layers: beyond the whole picture; 0 or more.
        overlap_ratio: overlap in the first layer, 0..1 of the short side; halved by each further
            layer.
    """
    height, width = size
    yield Crop(0, 0, width, height)
    for layer in range(1, layers + 1):
        count = 2**layer
        overlap = int(overlap_ratio * min(size) * 2 / count)
        w, h = (ceil((overlap * (count - 1) + side) / count) for side in (width, height))
        for i, j in product(range(count), range(count)):
            x0, y0 = (w - overlap) * i, (h - overlap) * j
            crop = Crop(x0, y0, min(x0 + w, width), min(y0 + h, height), layer)
            if min(crop.size) > 0:
                yield crop
