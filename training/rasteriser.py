"""A z-buffer rasteriser: which triangle is seen at each pixel, how far away, and where on it."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

NEAR = 0.02  # metres; triangles that come nearer than this are left out


@dataclass(frozen=True)
class Camera:
    """A pinhole, or an orthographic projection for light (focal: pixels per metre).

    Attributes:
        position: (3,) in metres, world frame (z up).
        rotation: (3, 3) rows are the camera's right, down and forward axes in the world.
        focal: focal length in pixels.
        height: rows of the picture.
        width: columns of the picture.
        perspective: false for parallel rays.
    """

    position: np.ndarray
    rotation: np.ndarray
    focal: float
    height: int
    width: int
    perspective: bool = True

    @classmethod
    def looking_at(
        cls, position: np.ndarray, target: np.ndarray, focal: float, size: tuple[int, int],
        roll: float = 0.0, perspective: bool = True,
    ) -> Camera:  # fmt: skip
        """A camera at `position` whose centre pixel shows `target`; roll in radians."""
        forward = (target - position) / np.linalg.norm(target - position)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        if np.linalg.norm(right) < 1e-6:
            right = np.array([1.0, 0.0, 0.0])
        right /= np.linalg.norm(right)
        down = np.cross(forward, right)
        turned = np.cos(roll) * right + np.sin(roll) * down
        axes = np.stack([turned, np.cross(forward, turned), forward])
        return cls(np.asarray(position, float), axes, focal, *size, perspective)

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) to column, row (pixels) and depth along the axis (metres)."""
        local = (points - self.position) @ self.rotation.T
        scale = self.focal / np.maximum(local[..., 2], 1e-6) if self.perspective else self.focal
        column = local[..., 0] * scale + self.width / 2
        row = local[..., 1] * scale + self.height / 2
        return np.stack([column, row, local[..., 2]], -1).astype(np.float32)

    def rays(self) -> np.ndarray:
        """The direction in the world of each pixel's ray, unit length: (H, W, 3) float32."""
        row, column = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32) + 0.5
        x, y = (column - self.width / 2) / self.focal, (row - self.height / 2) / self.focal
        rays = np.stack([x, y, np.ones_like(x)], -1) @ self.rotation.astype(np.float32)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


@dataclass(frozen=True)
class Layer:
    """What is nearest at each pixel.

    Attributes:
        depth: (H, W) float32 metres along the camera's axis, infinite where nothing is.
        triangle: (H, W) int32 index, -1 where nothing is.
        weight: (H, W, 2) float32, perspective-correct weights of the second and third corner.
        covered: (owners,) int64, pixels each owner would cover were nothing in front of it.
    """

    depth: np.ndarray
    triangle: np.ndarray
    weight: np.ndarray
    covered: np.ndarray


def rasterise(
    camera: Camera, triangles: np.ndarray, owners: np.ndarray, limit: np.ndarray | None = None
) -> Layer:
    """Draw triangles, both sides, nearest wins.

    Args:
        camera: where from.
        triangles: (N, 3, 3) float corners in the world, metres.
        owners: (N,) int32, the object each belongs to, 0..; triangles of one owner stand together.
        limit: (H, W) depth beyond which nothing is drawn (a layer already there), or None.
    """
    shape = (camera.height, camera.width)
    depth = np.full(shape, np.inf, np.float32) if limit is None else limit.copy()
    triangle = np.full(shape, -1, np.int32)
    weight = np.zeros((*shape, 2), np.float32)
    covered = np.zeros(int(owners.max(initial=-1)) + 1, np.int64)
    stamp = np.full(shape, -1, np.int32)
    corners = camera.project(triangles)
    _fill(
        corners,
        owners.astype(np.int32),
        camera.perspective,
        depth,
        triangle,
        weight,
        covered,
        stamp,
    )
    return Layer(depth, triangle, weight, covered)


@numba.njit(cache=True, fastmath=True)
def _fill(corners, owners, perspective, depth, triangle, weight, covered, stamp):  # type: ignore[no-untyped-def]
    """Scan the bounding box of each triangle; inside, interpolate and keep the nearest."""
    height, width = depth.shape
    for n in range(corners.shape[0]):
        x0, y0, z0 = corners[n, 0, 0], corners[n, 0, 1], corners[n, 0, 2]
        x1, y1, z1 = corners[n, 1, 0], corners[n, 1, 1], corners[n, 1, 2]
        x2, y2, z2 = corners[n, 2, 0], corners[n, 2, 1], corners[n, 2, 2]
        if perspective and min(z0, z1, z2) < NEAR:
            continue
        double_area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        left, right = (
            max(0, int(min(x0, x1, x2) - 0.5)),
            min(width - 1, int(max(x0, x1, x2) + 0.5)),
        )
        top, bottom = (
            max(0, int(min(y0, y1, y2) - 0.5)),
            min(height - 1, int(max(y0, y1, y2) + 0.5)),
        )
        if abs(double_area) < 1e-9 or left > right or top > bottom:
            continue
        if right - left > 4 * width or bottom - top > 4 * height:
            continue
        inverse = 1.0 / double_area
        for row in range(top, bottom + 1):
            py = row + 0.5
            for column in range(left, right + 1):
                px = column + 0.5
                b = ((px - x0) * (y2 - y0) - (x2 - x0) * (py - y0)) * inverse
                c = ((x1 - x0) * (py - y0) - (px - x0) * (y1 - y0)) * inverse
                a = 1.0 - b - c
                if a < 0.0 or b < 0.0 or c < 0.0:
                    continue
                if perspective:
                    z = 1.0 / (a / z0 + b / z1 + c / z2)
                    b, c = b * z / z1, c * z / z2
                else:
                    z = a * z0 + b * z1 + c * z2
                if stamp[row, column] != owners[n]:
                    stamp[row, column] = owners[n]
                    covered[owners[n]] += 1
                if z < depth[row, column]:
                    depth[row, column] = z
                    triangle[row, column] = n
                    weight[row, column, 0] = b
                    weight[row, column, 1] = c
