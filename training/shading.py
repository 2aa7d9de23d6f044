"""Light on a rasterised scene: textures, a key light and its shadow, a room's light, gloss."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numba
import numpy as np

from training.mesh import Material
from training.rasteriser import Camera, Layer

GAMMA = (np.arange(256) / 255.0).astype(np.float32) ** np.float32(2.2)
SHADOW_SIZE = 640
HEIGHT_CELLS = 128
TAPS = np.array(
    [(0.1, 0.9), (-0.8, 0.4), (0.7, -0.5), (-0.3, -0.8), (0.9, 0.4), (-0.2, 0.1)], np.float32
)


@dataclass(frozen=True)
class Plane:
    """A flat piece of the surroundings, textured.

    Attributes:
        origin: (3,) a point on it.
        normal: (3,) unit length, towards the room.
        u: (3,) unit vector along the texture's u; v is across.
        half: half extents along u and v, metres.
        material: index into the palette.
        tiles: texture repeats per metre.
    """

    origin: np.ndarray
    normal: np.ndarray
    u: np.ndarray
    half: tuple[float, float]
    material: int
    tiles: float

    def row(self) -> np.ndarray:
        """Flattened for the kernel: (17,) float32."""
        v = np.cross(self.normal, self.u)
        values = [
            *self.origin,
            *self.normal,
            *self.u,
            *v,
            *self.half,
            self.material,
            self.tiles,
            0,
        ]
        return np.array(values, np.float32)


@dataclass(frozen=True)
class Palette:
    """All materials in flat arrays: rows of (r, g, b, opacity, gloss), and their textures."""

    rows: np.ndarray
    places: np.ndarray
    texels: np.ndarray

    @classmethod
    def of(cls, materials: list[Material], textures: list[np.ndarray]) -> Palette:
        """Materials whose `texture` indexes `textures`."""
        rows = np.array([[*m.colour, m.opacity, m.gloss] for m in materials], np.float32)
        starts = np.cumsum([0, *(t.shape[0] * t.shape[1] for t in textures)])
        places = np.array(
            [[starts[m.texture], *textures[m.texture].shape[:2]] if m.texture >= 0 else [-1, 0, 0]
             for m in materials], np.int64,
        )  # fmt: skip
        texels = np.concatenate(
            [t.reshape(-1, 3) for t in textures] or [np.zeros((1, 3), np.uint8)]
        )
        return cls(rows, places, texels)


@dataclass(frozen=True)
class Light:
    """Where light comes from.

    Attributes:
        around: (128, 256, 3) float32 linear, equirectangular, z up.
        diffuse: (16, 32, 3) float32, what a matt surface facing each direction receives.
        towards: (3,) unit vector to the key light.
        key: (3,) its linear RGB strength.
        softness: shadow blur in metres.
    """

    around: np.ndarray
    diffuse: np.ndarray
    towards: np.ndarray
    key: np.ndarray
    softness: float

    @classmethod
    def of(
        cls, around: np.ndarray, towards: np.ndarray, key: np.ndarray, softness: float
    ) -> Light:
        """Integrates the surrounding light over hemispheres."""
        coarse = cv2.resize(around, (32, 16), interpolation=cv2.INTER_AREA)
        total = _hemispheres() @ coarse.reshape(-1, 3)
        return cls(
            np.ascontiguousarray(around, np.float32),
            total.reshape(16, 32, 3).astype(np.float32),
            towards.astype(np.float32),
            key.astype(np.float32),
            softness,
        )


@functools.cache
def _hemispheres() -> np.ndarray:
    """What share of the light of each of 16 x 32 cells a surface facing each cell receives."""
    row, column = np.mgrid[0:16, 0:32] + 0.5
    polar, azimuth = row / 16 * np.pi, column / 32 * 2 * np.pi - np.pi
    ring = [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)]
    flat = np.stack(ring, -1).reshape(-1, 3)
    weights = np.clip(flat @ flat.T, 0, None) * np.sin(polar).ravel()
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def shade(
    camera: Camera, layer: Layer, light: Light, palette: Palette, planes: list[Plane],
    geometry: tuple[np.ndarray, ...], shadow: tuple[Camera, np.ndarray], heights: np.ndarray,
    reach: float,
) -> np.ndarray:  # fmt: skip
    """Colours of a layer, and of the planes and sky behind it.

    Args:
        camera: where from.
        layer: the rasterised triangles.
        light: the light.
        palette: the materials.
        planes: the surroundings; none: pixels without a triangle stay black and fully transparent.
        geometry: normals (N, 3, 3), uv (N, 3, 2), material (N,) of the triangles.
        shadow: the light's camera and its depth map.
        heights: (C, C) blurred heights of what stands within +-reach metres, for soft occlusion.
        reach: see heights.

    Returns:
        (H, W, 4) float32: linear RGB and opacity.
    """
    out = np.zeros((camera.height, camera.width, 4), np.float32)
    lamp, depths = shadow
    lamp_row = np.array(
        [*lamp.rotation.ravel(), *lamp.position, lamp.focal, depths.shape[0]], np.float32
    )
    rows = np.stack([plane.row() for plane in planes]) if planes else np.zeros((0, 17), np.float32)
    _shade(
        out, camera.rotation.astype(np.float32), np.float32(camera.focal),
        camera.position.astype(np.float32), layer.depth, layer.triangle, layer.weight, *geometry,
        rows, palette.rows, palette.places, palette.texels, GAMMA, light.around, light.diffuse,
        light.towards, light.key, light.softness, lamp_row, depths, heights, np.float32(reach),
        TAPS,
    )  # fmt: skip
    return out


@numba.njit(cache=True, fastmath=True, inline="always")
def _direction_cell(x, y, z, height, width):  # type: ignore[no-untyped-def]
    """The cell of an equirectangular map that a unit direction falls into."""
    row = int(np.arccos(min(max(z, -1.0), 1.0)) / np.pi * height)
    column = int((np.arctan2(y, x) / (2 * np.pi) + 0.5) * width)
    return min(row, height - 1), min(column, width - 1)


@numba.njit(cache=True, fastmath=True)
def _sky(x, y, z, around):  # type: ignore[no-untyped-def]
    """The light that comes from a unit direction, bilinear in an equirectangular map."""
    height, width = around.shape[0], around.shape[1]
    row = min(max(np.arccos(min(max(z, -1.0), 1.0)) / np.pi * height - 0.5, 0.0), height - 1.001)
    column = (np.arctan2(y, x) / (2 * np.pi) + 0.5) * width - 0.5
    i, j = int(row), int(np.floor(column))
    fy, fx = row - i, column - j
    left, right = j % width, (j + 1) % width
    red = (around[i, left, 0] * (1 - fx) + around[i, right, 0] * fx) * (1 - fy) + (
        around[i + 1, left, 0] * (1 - fx) + around[i + 1, right, 0] * fx
    ) * fy
    green = (around[i, left, 1] * (1 - fx) + around[i, right, 1] * fx) * (1 - fy) + (
        around[i + 1, left, 1] * (1 - fx) + around[i + 1, right, 1] * fx
    ) * fy
    blue = (around[i, left, 2] * (1 - fx) + around[i, right, 2] * fx) * (1 - fy) + (
        around[i + 1, left, 2] * (1 - fx) + around[i + 1, right, 2] * fx
    ) * fy
    return red, green, blue


@numba.njit(cache=True, fastmath=True)
def _texel(place, texels, gamma, u, v):  # type: ignore[no-untyped-def]
    """The linear colour of a mirrored-repeat texture at (u, v), bilinear."""
    start, height, width = place[0], place[1], place[2]
    x = (u - np.floor(u)) * width - 0.5
    y = (v - np.floor(v)) * height - 0.5
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - x0, y - y0
    red, green, blue = 0.0, 0.0, 0.0
    for dy in range(2):
        for dx in range(2):
            weight = (fx if dx else 1 - fx) * (fy if dy else 1 - fy)
            index = start + ((y0 + dy) % height) * width + (x0 + dx) % width
            red += weight * gamma[texels[index, 0]]
            green += weight * gamma[texels[index, 1]]
            blue += weight * gamma[texels[index, 2]]
    return red, green, blue


@numba.njit(cache=True, fastmath=True)
def _lit(px, py, pz, seed, lamp, depths, softness, taps):  # type: ignore[no-untyped-def]
    """The share of the key light that reaches a point: a few taps of the light's depth map."""
    x, y, z = px - lamp[9], py - lamp[10], pz - lamp[11]
    size = depths.shape[0]
    column = (lamp[0] * x + lamp[1] * y + lamp[2] * z) * lamp[12] + size / 2
    row = (lamp[3] * x + lamp[4] * y + lamp[5] * z) * lamp[12] + size / 2
    depth = lamp[6] * x + lamp[7] * y + lamp[8] * z
    radius = softness * lamp[12]
    turn = seed * 6.2832
    c, s = np.cos(turn) * radius, np.sin(turn) * radius
    lit = 0.0
    for k in range(taps.shape[0]):
        i = int(row + c * taps[k, 0] + s * taps[k, 1])
        j = int(column - s * taps[k, 0] + c * taps[k, 1])
        if (
            i < 0
            or j < 0
            or i >= size
            or j >= size
            or depths[i, j] > depth - 2.2 / lamp[12] - 0.5 * softness
        ):
            lit += 1.0
    return lit / taps.shape[0]


@numba.njit(cache=True, fastmath=True)
def _open(px, py, pz, heights, reach):  # type: ignore[no-untyped-def]
    """How open the sky is above a point, 0.35..1, from the blurred heights around it."""
    cells = heights.shape[0]
    i = int((py / reach * 0.5 + 0.5) * cells)
    j = int((px / reach * 0.5 + 0.5) * cells)
    if i < 0 or j < 0 or i >= cells or j >= cells:
        return 1.0
    above = max(heights[i, j] - pz, 0.0)
    return 1.0 - 0.65 * above / (above + 0.03 * reach)


@numba.njit(cache=True, fastmath=True)
def _plane_hit(eye, rx, ry, rz, planes):  # type: ignore[no-untyped-def]
    """The nearest plane along a ray: (index or -1, distance, u, v in metres)."""
    best, nearest, best_u, best_v = -1, np.float32(1e9), np.float32(0), np.float32(0)
    for k in range(planes.shape[0]):
        p = planes[k]
        facing = rx * p[3] + ry * p[4] + rz * p[5]
        if facing > -1e-5:
            continue
        distance = (
            (p[0] - eye[0]) * p[3] + (p[1] - eye[1]) * p[4] + (p[2] - eye[2]) * p[5]
        ) / facing
        if 0 < distance < nearest:
            x, y, z = (
                eye[0] + rx * distance - p[0],
                eye[1] + ry * distance - p[1],
                eye[2] + rz * distance - p[2],
            )
            u, v = x * p[6] + y * p[7] + z * p[8], x * p[9] + y * p[10] + z * p[11]
            if abs(u) < p[12] and abs(v) < p[13]:
                best, nearest, best_u, best_v = k, distance, u, v
    return best, nearest, best_u, best_v


@numba.njit(cache=True, fastmath=True)
def _mixed(weight, normals, uvs, rx, ry, rz):  # type: ignore[no-untyped-def]
    """A triangle's unit normal, turned to the viewer, and texture coordinates at a point of it."""
    b, c = weight[0], weight[1]
    a = 1 - b - c
    nx = a * normals[0, 0] + b * normals[1, 0] + c * normals[2, 0]
    ny = a * normals[0, 1] + b * normals[1, 1] + c * normals[2, 1]
    nz = a * normals[0, 2] + b * normals[1, 2] + c * normals[2, 2]
    length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-6
    if nx * rx + ny * ry + nz * rz > 0:
        length = -length
    u = a * uvs[0, 0] + b * uvs[1, 0] + c * uvs[2, 0]
    v = a * uvs[0, 1] + b * uvs[1, 1] + c * uvs[2, 1]
    return nx / length, ny / length, nz / length, u, v


@numba.njit(cache=True, fastmath=True)
def _reflect(pixel, ray, normal, albedo, row, opened, lit, around, diffuse, towards, key):  # type: ignore[no-untyped-def]
    """Write the light that a surface sends to the viewer, and its opacity, into a pixel."""
    grazing = ray[0] * normal[0] + ray[1] * normal[1] + ray[2] * normal[2]
    mx, my = ray[0] - 2 * grazing * normal[0], ray[1] - 2 * grazing * normal[1]
    mz = ray[2] - 2 * grazing * normal[2]
    i, j = _direction_cell(normal[0], normal[1], normal[2], diffuse.shape[0], diffuse.shape[1])
    opacity, gloss = row[3], row[4]
    fresnel = (0.04 + 0.96 * (1 + grazing) ** 5) * gloss + 0.5 * max(gloss - 0.5, 0.0)
    shine = 0.0
    if lit > 0:
        glance = max(mx * towards[0] + my * towards[1] + mz * towards[2], 0.0)
        shine = glance ** (8 + 150 * gloss) * gloss * 1.5
    mirrored = _sky(mx, my, mz, around)
    for k in range(3):
        received = diffuse[i, j, k] * opened + key[k] * lit
        # below the horizon a mirror shows the table, not the room
        seen = mirrored[k] * opened if mz >= -0.1 else 0.3 * diffuse[i, j, k]
        matt = albedo[k] * received * (1 - fresnel * 0.7)
        pixel[k] = matt + fresnel * min(seen, 6.0) + shine * key[k]
    clear = (1 - opacity) * ((1 + grazing) ** 3 + 0.2 * fresnel)
    pixel[3] = min(1.0, opacity + clear + shine)


@numba.njit(cache=True, fastmath=True)
def _shade(
    out, axes, focal, eye, depth, triangle, weight, normals, uvs, material, planes, rows, places,
    texels, gamma, around, diffuse, towards, key, softness, lamp, depths, heights, reach, taps,
):  # type: ignore[no-untyped-def]  # fmt: skip
    """For each pixel: find the surface, its normal and colour, then add up the light."""
    height, width = out.shape[0], out.shape[1]
    for i in range(height):
        for j in range(width):
            ax, ay = (j + 0.5 - width / 2) / focal, (i + 0.5 - height / 2) / focal
            along = np.float32(1 / np.sqrt(ax * ax + ay * ay + 1))
            rx = (ax * axes[0, 0] + ay * axes[1, 0] + axes[2, 0]) * along
            ry = (ax * axes[0, 1] + ay * axes[1, 1] + axes[2, 1]) * along
            rz = (ax * axes[0, 2] + ay * axes[1, 2] + axes[2, 2]) * along
            n = triangle[i, j]
            if n >= 0:
                distance, m = depth[i, j] / along, material[n]
                nx, ny, nz, u, v = _mixed(weight[i, j], normals[n], uvs[n], rx, ry, rz)
            elif planes.shape[0] == 0:
                continue
            else:
                k, distance, u, v = _plane_hit(eye, rx, ry, rz, planes)
                if k < 0:
                    out[i, j, 0], out[i, j, 1], out[i, j, 2] = _sky(rx, ry, rz, around)
                    out[i, j, 3] = 1
                    continue
                nx, ny, nz, m = planes[k, 3], planes[k, 4], planes[k, 5], int(planes[k, 14])
                u, v = u * planes[k, 15], v * planes[k, 15]
            red, green, blue = rows[m, 0], rows[m, 1], rows[m, 2]
            if places[m, 0] >= 0:
                tr, tg, tb = _texel(places[m], texels, gamma, u, v)
                red, green, blue = red * tr, green * tg, blue * tb
            px, py, pz = eye[0] + rx * distance, eye[1] + ry * distance, eye[2] + rz * distance
            opened = _open(px + nx * 0.01, py + ny * 0.01, pz + nz * 0.004, heights, reach)
            lit = max(nx * towards[0] + ny * towards[1] + nz * towards[2], 0.0)
            if lit > 0:
                seed = ((i * 7919 + j * 104729 + (i * j) % 37 * 613) % 1009) / 1009.0
                x, y, z = px + nx * 0.003, py + ny * 0.003, pz + nz * 0.003
                lit *= _lit(x, y, z, seed, lamp, depths, softness, taps)
            _reflect(
                out[i, j], (rx, ry, rz), (nx, ny, nz), (red, green, blue), rows[m], opened, lit,
                around, diffuse, towards, key,
            )  # fmt: skip
