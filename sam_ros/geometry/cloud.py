"""Depth pictures to points in space."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sam_ros.geometry.camera import Camera
from sam_ros.geometry.surface import RIM, Bools, Depth, surface

Points = npt.NDArray[np.float32]
ALL = slice(None)
BLOCK = 48  # rows written at a time, to stay in the cache


@dataclass(frozen=True, eq=False)
class Patch:
    """What a depth picture shows of one object.

    Attributes:
        rows, columns: the part of the picture around it.
        depth: (h, w) float32 metres of that part.
        kept: (h, w) bool, the pixels of that part whose depth is the object's.
        camera: of the picture.
    """

    rows: slice
    columns: slice
    depth: Depth
    kept: Bools
    camera: Camera

    @cached_property
    def points(self) -> Points:
        """(N, 3) float32 of all kept pixels, row by row [m]."""
        return self._sampled(1)

    def some(self, most: int) -> Points:
        """(N, 3) float32 of kept pixels on a grid wide enough for about ``most`` of them [m]."""
        return self._sampled(math.ceil(math.sqrt(np.count_nonzero(self.kept) / most)) or 1)

    def _sampled(self, step: int) -> Points:
        found = np.flatnonzero(self.kept[::step, ::step])
        rays = self.camera.ray_planes[:, self.rows, self.columns][:, ::step, ::step]
        points = np.take(rays.reshape(3, -1), found, axis=1)
        points *= np.take(self.depth[::step, ::step], found)
        points += _origin(self.camera)[:, None]
        return points.T


def patch(depth: Depth, mask: Bools, box: npt.NDArray[np.float32], camera: Camera) -> Patch:
    """The points of one object, without flying pixels and what else its mask holds.

    Args:
        depth: (H, W) float32 metres, NaN where there is none.
        mask: (H, W) bool.
        box: (4,) x0, y0, x1, y1 around the mask, through the outer edges of its pixels.
        camera: of a picture of that size.

    Raises:
        ValueError: depth and mask are not of the camera's size.
    """
    _check(depth, camera)
    _check(mask, camera)
    left, top = np.maximum(np.ceil(box[:2]).astype(int) - RIM, 0)  # with some of what is around
    right, bottom = np.ceil(box[2:]).astype(int) + RIM
    rows, columns = slice(top, bottom), slice(left, right)
    near = np.ascontiguousarray(depth[rows, columns])
    kept = surface(near, mask[rows, columns], camera.pitch)
    return Patch(rows, columns, near, kept, camera)


def fill_points(out: Points, depth: Depth, camera: Camera, rows: slice = ALL) -> None:
    """Writes every pixel's point, NaN where there is no depth.

    Args:
        out: (h, W, 3) float32 for the points of those rows [m]; any strides.
        depth: (H, W) float32 metres, NaN where there is none.
        camera: of a picture of that size.
        rows: of the picture.

    Raises:
        ValueError: the depth is not of the camera's size.
    """
    _check(depth, camera)
    depth, rays, origin = depth[rows], camera.ray_planes[:, rows], _origin(camera)
    for start in range(0, len(out), BLOCK):
        block = slice(start, start + BLOCK)
        for axis in range(3):
            np.multiply(rays[axis, block], depth[block], out=out[block, :, axis])
    if origin.any():
        out += origin


def moved(points: Points, transform: npt.NDArray[np.float64]) -> Points:
    """Points (..., 3) in another frame, by the (4, 4) matrix that leads there."""
    turn, shift = transform[:3, :3].astype(np.float32), transform[:3, 3].astype(np.float32)
    return np.asarray(points @ turn.T + shift)


def _origin(camera: Camera) -> npt.NDArray[np.float32]:
    return camera.origin.astype(np.float32)


def _check(pixels: Depth | Bools, camera: Camera) -> None:
    if pixels.shape != camera.size:
        raise ValueError(
            f"depth: {pixels.shape[1]} x {pixels.shape[0]} px; expected {camera.width} x "
            f"{camera.height} px, the size of the image it is registered to"
        )
