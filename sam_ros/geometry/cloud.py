"""Depth pictures to points in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sam_ros.geometry.camera import Camera
from sam_ros.geometry.surface import RIM, Bools, Depth, surface

Points = npt.NDArray[np.float32]
ALL = slice(None)


@dataclass(frozen=True, eq=False)
class Patch:
    """What a depth picture shows of one object.

    Attributes:
        rows, columns: the part of the picture around it.
        kept: (h, w) bool, the pixels of that part whose depth is the object's.
        points: (N, 3) float32 of those pixels, row by row [m].
    """

    rows: slice
    columns: slice
    kept: Bools
    points: Points


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
    near = depth[rows, columns]
    kept = surface(near, mask[rows, columns], camera.pitch)
    found = np.flatnonzero(kept)
    points = np.take(camera.ray_planes[:, rows, columns].reshape(3, -1), found, axis=1)
    points *= near.ravel()[found]
    points += _origin(camera)[:, None]
    return Patch(rows, columns, kept, points.T)


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
    for axis, start in enumerate(_origin(camera)):
        plane = out[..., axis]
        np.multiply(camera.ray_planes[axis, rows], depth[rows], out=plane)
        if start:
            plane += start


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
