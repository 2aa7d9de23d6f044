"""A table with things on it, seen by a camera: depth, masks and the true boxes, by ray casting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from sam_ros.geometry.camera import Camera, calibrated

Floats = npt.NDArray[np.float64]
TABLE = (90, 90, 90)


@dataclass(frozen=True, eq=False)
class Cuboid:
    """A box: its middle [m], sides [m] and axes (columns) in the optical frame; a colour."""

    center: Floats
    size: Floats
    axes: Floats
    colour: tuple[int, int, int]

    def distance(self, rays: Floats) -> Floats:
        """Depth at which rays meet it, infinity where they do not."""
        origin, directions = -self.center @ self.axes, rays @ self.axes
        with np.errstate(all="ignore"):
            first, second = (
                (-self.size / 2 - origin) / directions,
                (self.size / 2 - origin) / (directions),
            )
        near, far = np.minimum(first, second).max(-1), np.maximum(first, second).min(-1)
        return np.where((near < far) & (near > 0), near, np.inf)


@dataclass(frozen=True, eq=False)
class Ball:
    """A sphere: middle and radius [m]; a colour."""

    center: Floats
    radius: float
    colour: tuple[int, int, int]

    def distance(self, rays: Floats) -> Floats:
        """Depth at which rays meet it, infinity where they do not."""
        a, b = (rays**2).sum(-1), rays @ self.center
        inside = b**2 - a * (self.center @ self.center - self.radius**2)
        return np.where(inside > 0, (b - np.sqrt(np.maximum(inside, 0))) / a, np.inf)


@dataclass(frozen=True, eq=False)
class Tabletop:
    """What the camera sees.

    Attributes:
        rgb: (H, W, 3) uint8, one colour for each thing.
        depth: (H, W) float32 [m].
        numbers: (H, W) 0 for the table, 1.. for the things in order.
        points: (H, W, 3) [m].
    """

    camera: Camera
    things: tuple[Cuboid | Ball, ...]
    rgb: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float32]
    numbers: npt.NDArray[np.int64]
    points: Floats


@cache
def camera(height: int = 480, width: int = 640, focal: float = 600.0) -> Camera:
    """An ideal camera."""
    k = (focal, 0, (width - 1) / 2, 0, focal, (height - 1) / 2, 0, 0, 1)
    p = (focal, 0, (width - 1) / 2, 0, 0, focal, (height - 1) / 2, 0, 0, 0, 1, 0)
    return calibrated((height, width), "plumb_bob", k, [0.0] * 5, np.eye(3), p)


@cache
def render(some: Camera, tilt: float = 50.0, distance: float = 0.8) -> Tabletop:
    """Two boxes and a ball on a table.

    Args:
        some: the camera.
        tilt: by which it looks down [degrees].
        distance: from the camera to the middle of the table [m].
    """
    down = _turn(0, tilt)  # columns: the axes of the table, x right, y down, z away
    middle, up = np.array([0.0, 0.0, distance]), -down[:, 1]

    def standing(x: float, z: float, size: tuple[float, float, float], yaw: float) -> Cuboid:
        place = middle + down @ np.array([x, 0.0, z]) + up * size[1] / 2
        return Cuboid(place, np.array(size), down @ _turn(1, yaw), COLOURS[len(things)])

    things: list[Cuboid | Ball] = []
    things.append(standing(-0.2, 0.03, (0.12, 0.08, 0.06), 25))
    things.append(standing(0.06, -0.05, (0.07, 0.15, 0.09), -40))
    things.append(Ball(middle + down @ np.array([0.24, -0.05, 0.04]), 0.05, COLOURS[2]))
    return _seen(some, tuple(things), up, up @ middle)


COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200))


def _seen(
    some: Camera, things: tuple[Cuboid | Ball, ...], normal: Floats, offset: float
) -> Tabletop:
    rays = np.moveaxis(some.ray_planes, 0, -1).astype(np.float64)
    with np.errstate(all="ignore"):
        table = offset / (rays @ normal)
    layers = np.stack(
        [np.where(table > 0, table, np.inf), *(item.distance(rays) for item in things)]
    )
    numbers, depth = layers.argmin(axis=0), layers.min(axis=0)
    rgb = np.array([TABLE, *(item.colour for item in things)], np.uint8)[numbers]
    return Tabletop(some, things, rgb, depth.astype(np.float32), numbers, rays * depth[..., None])


def _turn(axis: int, degrees: float) -> Floats:
    """A rotation about one axis."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn[a, a], turn[a, b], turn[b, a], turn[b, b] = cosine, -sine, sine, cosine
    return turn
