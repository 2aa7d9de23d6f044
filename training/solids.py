"""Pieces that objects are built of: sheets, revolved profiles, tubes, boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.mesh import Material, Mesh

SEGMENTS = 26


@dataclass(frozen=True)
class Look:
    """Colour (RGB 0..1), texture or None, opacity and gloss of a piece."""

    colour: tuple[float, float, float] = (0.8, 0.8, 0.8)
    texture: np.ndarray | None = None
    opacity: float = 1.0
    gloss: float = 0.1


def sheet(
    points: np.ndarray, look: Look, part: int = 0, repeat: tuple[float, float] = (1, 1)
) -> Mesh:
    """A smooth surface through a grid of points.

    Args:
        points: (n, m, 3) metres.
        look: its look; the texture spans the grid `repeat` times along m (u) and n (v).
        part: 0 the body, or a part's number.
        repeat: times along u and v.
    """
    n, m = points.shape[:2]
    along, across = _steps(points), _steps(points.swapaxes(0, 1)).swapaxes(0, 1)
    if np.allclose(points[:, 0], points[:, -1]):  # closed: smooth across the seam
        across[:, [0, -1]] = (points[:, 1] - points[:, -2])[:, None]
    normals = _cross(across, along)
    normals /= np.sqrt(np.maximum((normals * normals).sum(-1, keepdims=True), 1e-24))
    v, u = np.meshgrid(np.linspace(0, repeat[1], n), np.linspace(0, repeat[0], m), indexing="ij")
    index = np.arange(n * m).reshape(n, m)
    a, b, c, d = (
        i.ravel() for i in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    )
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    textures = () if look.texture is None else (look.texture,)
    material = Material(look.colour, len(textures) - 1, look.opacity, look.gloss)
    count = len(faces)
    return Mesh(
        points.reshape(-1, 3)[faces].astype(np.float32),
        normals.reshape(-1, 3)[faces].astype(np.float32),
        np.stack([u, v], -1).reshape(-1, 2)[faces].astype(np.float32),
        np.zeros(count, np.int32), np.full(count, part, np.int32), (material,), textures,
    )  # fmt: skip


def revolve(
    profile: np.ndarray,
    look: Look,
    part: int = 0,
    squash: float = 1.0,
    repeat: tuple[float, float] = (1, 1),
) -> Mesh:
    """A profile (n, 2) of radius and height, turned around the z axis; squash: y against x."""
    angle = np.linspace(2 * np.pi, 0, SEGMENTS + 1)  # so that print reads from outside
    radius, height = profile[:, :1], np.repeat(profile[:, 1:], SEGMENTS + 1, axis=1)
    ring = [radius * np.cos(angle), radius * np.sin(angle) * squash, height]
    return sheet(np.stack(ring, -1), look, part, repeat)


def tube(
    path: np.ndarray, radius: np.ndarray | float, look: Look, part: int = 0, sides: int = 9
) -> Mesh:
    """A round tube along a path (n, 3), its radius fixed or given at each point."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
    reference = (
        np.array([0.0, 0.0, 1.0]) if abs(tangent[:, 2]).max() < 0.95 else np.array([0.3, 1.0, 0.2])
    )
    side = np.cross(tangent, reference)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12)
    up = np.cross(side, tangent)
    angle = np.linspace(0, 2 * np.pi, sides + 1)[None, :, None]
    size = np.broadcast_to(np.asarray(radius, float), (len(path),))[:, None, None]
    ring = np.cos(angle) * side[:, None] + np.sin(angle) * up[:, None]
    return sheet(path[:, None] + size * ring, look, part, (1, 4))


def cuboid(size: np.ndarray, look: Look, part: int = 0, base: float = 0.0) -> list[Mesh]:
    """A box (3,) around the z axis, its bottom at height `base`: six faces."""
    return [face(size, axis, sign, look, part, base) for axis in range(3) for sign in (-1, 1)]


def face(
    size: np.ndarray, axis: int, sign: int, look: Look, part: int = 0, base: float = 0.0,
    window: tuple[float, float, float, float] = (0, 0, 1, 1), lift: float = 0.0,
) -> Mesh:  # fmt: skip
    """One face of a box, or a window (u0, v0, u1, v1 in 0..1) of it lifted off by some metres."""
    half = np.asarray(size, float) / 2
    first, second = [(1, 2), (0, 2), (0, 1)][axis]
    mirror = {(0, -1): -1, (1, 1): -1, (2, -1): -1}.get((axis, sign), 1)  # read from outside
    u = (np.array([window[0], window[2]]) * 2 - 1) * half[first] * mirror
    v = (np.array([window[3], window[1]]) * 2 - 1) * half[second]
    points = np.zeros((2, 2, 3))
    points[..., axis] = sign * (half[axis] + lift)
    points[..., first] = u[None, :]
    points[..., second] = v[:, None]
    points[..., 2] += half[2] + base
    return sheet(points, look, part)


def ellipsoid(
    centre: np.ndarray, radii: np.ndarray, look: Look, part: int = 0, turn: float = 0.0
) -> Mesh:
    """An ellipsoid with half axes (3,), turned about the y axis."""
    polar = np.linspace(0, np.pi, 13)
    ball = revolve(np.stack([np.sin(polar), np.cos(polar)], 1), look, part)
    c, s = np.cos(turn), np.sin(turn)
    linear = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ np.diag(radii)
    corners = ball.corners @ linear.T.astype(np.float32) + centre.astype(np.float32)
    normals = ball.corners @ np.linalg.inv(linear).astype(np.float32)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    return Mesh(corners, normals, ball.uv, ball.material, ball.part, ball.materials, ball.textures)


def _steps(points: np.ndarray) -> np.ndarray:
    """Central differences along the first axis (one-sided at its ends)."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    return padded[2:] - padded[:-2]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cross product of (..., 3) arrays, without numpy's generality."""
    x, y, z = (a[..., i] for i in range(3))
    u, v, w = (b[..., i] for i in range(3))
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], -1)


def rounded(profile: list[tuple[float, float]], steps: int = 4) -> np.ndarray:
    """A profile's corners smoothed a little: (n, 2)."""
    points = np.array(profile, float)
    t = np.linspace(0, len(points) - 1, (len(points) - 1) * steps + 1)
    dense = np.stack([np.interp(t, np.arange(len(points)), points[:, i]) for i in range(2)], 1)
    smooth = dense.copy()
    smooth[1:-1] = (dense[:-2] + 2 * dense[1:-1] + dense[2:]) / 4
    return smooth[::-1]


def shifted(mesh: Mesh, offset: np.ndarray) -> Mesh:
    """A piece moved by (3,) metres."""
    return Mesh(mesh.corners + offset.astype(np.float32), mesh.normals, mesh.uv, mesh.material,
                mesh.part, mesh.materials, mesh.textures)  # fmt: skip
