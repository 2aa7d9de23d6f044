"""Triangle meshes with materials and named parts; reading and storing them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import cv2
import numpy as np


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        colour: RGB in 0..1, multiplies the texture.
        texture: index into the mesh's textures, -1 for none.
        opacity: 1 solid, below 0.9 seen through like glass.
        gloss: 0 matt .. 1 mirror-like.
    """

    colour: tuple[float, float, float] = (0.8, 0.8, 0.8)
    texture: int = -1
    opacity: float = 1.0
    gloss: float = 0.1


@dataclass(frozen=True)
class Mesh:
    """An object's shape, z up, standing on z = 0 around the origin.

    Attributes:
        corners: (N, 3, 3) float32 metres.
        normals: (N, 3, 3) float32 unit length, at the corners.
        uv: (N, 3, 2) float32 texture coordinates; v grows downwards.
        material: (N,) int32 index into `materials`.
        part: (N,) int32, 0 the body, k the k-th part.
        materials: the looks.
        textures: (h, w, 3) uint8 RGB each.
        part_names: for each part a word, or empty.
        source: identity.
        name: an English phrase, or empty.
    """

    corners: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    part: np.ndarray
    materials: tuple[Material, ...]
    textures: tuple[np.ndarray, ...] = ()
    part_names: tuple[str, ...] = ()
    source: str = ""
    name: str = ""
    tags: tuple[str, ...] = field(default_factory=tuple)

    @property
    def size(self) -> np.ndarray:
        """The extent along x, y and z: (3,) metres."""
        low, high = _bounds(self.corners)
        return high - low

    def moved(self, linear: np.ndarray, offset: np.ndarray | None = None) -> Mesh:
        """Transformed by a (3, 3) matrix, then set on z = 0 around the origin, then offset."""
        corners = self.corners @ linear.T.astype(np.float32)
        low, high = _bounds(corners)
        corners -= np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]], np.float32)
        normals = self.normals
        if not np.array_equal(linear, np.eye(3)):
            normals = normals @ np.linalg.inv(linear).astype(np.float32)
            normals /= np.sqrt(np.maximum((normals * normals).sum(-1, keepdims=True), 1e-18))
        if offset is not None:
            corners = corners + offset.astype(np.float32)
        return replace(self, corners=corners, normals=normals)

    def encode(self) -> bytes:
        """One compressed blob."""
        table = {
            "materials": [asdict(material) for material in self.materials],
            "part_names": self.part_names, "source": self.source, "name": self.name,
            "tags": self.tags, "textures": len(self.textures),
        }  # fmt: skip
        points, index = np.unique(self.corners.reshape(-1, 3), axis=0, return_inverse=True)
        arrays = {f"texture{i}": _jpeg(texture) for i, texture in enumerate(self.textures)}
        stream = io.BytesIO()
        np.savez_compressed(
            stream, points=points, index=index.astype(np.int32),
            normals=np.round(self.normals * 127).astype(np.int8), uv=self.uv.astype(np.float16),
            material=self.material.astype(np.uint8), part=self.part.astype(np.uint8),
            table=np.frombuffer(json.dumps(table).encode(), np.uint8), **arrays,
        )  # fmt: skip
        return stream.getvalue()

    @classmethod
    def decode(cls, blob: bytes) -> Mesh:
        """The reverse of `encode` (normals and uv rounded)."""
        with np.load(io.BytesIO(blob)) as file:
            table = json.loads(file["table"].tobytes())
            textures = tuple(
                np.ascontiguousarray(
                    cv2.imdecode(file[f"texture{i}"], cv2.IMREAD_COLOR)[..., ::-1]
                )
                for i in range(table["textures"])
            )
            return cls(
                file["points"][file["index"]].reshape(-1, 3, 3),
                file["normals"].astype(np.float32) / 127, file["uv"].astype(np.float32),
                file["material"].astype(np.int32), file["part"].astype(np.int32),
                tuple(Material(**{**m, "colour": tuple(m["colour"])}) for m in table["materials"]),
                textures, tuple(table["part_names"]), table["source"], table["name"],
                tuple(table["tags"]),
            )  # fmt: skip


def smooth_normals(corners: np.ndarray, crease: float = 0.6) -> np.ndarray:
    """Corner normals (N, 3, 3), averaged over the triangles at a point that agree within a crease.

    Args:
        corners: (N, 3, 3).
        crease: cosine below which an edge stays sharp.
    """
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit = faces / np.maximum(np.linalg.norm(faces, axis=1, keepdims=True), 1e-12)
    keys = np.round(corners.reshape(-1, 3) / max(float(np.ptp(corners)), 1e-6) * 20000).astype(
        np.int64
    )
    _, index = np.unique(keys @ np.array([1, 50021, 50021 * 50021]), return_inverse=True)
    total = np.zeros((index.max() + 1, 3))
    np.add.at(total, index, np.repeat(faces, 3, axis=0))
    mean = total[index] / np.maximum(np.linalg.norm(total[index], axis=1, keepdims=True), 1e-12)
    flat = np.repeat(unit, 3, axis=0)
    smooth = (mean * flat).sum(1, keepdims=True) > crease
    return np.where(smooth, mean, flat).reshape(-1, 3, 3).astype(np.float32)


def joined(meshes: Sequence[Mesh], source: str, name: str, part_names: Sequence[str]) -> Mesh:
    """One object of several pieces; `part` of the pieces already count from the whole's body."""
    materials, textures, index = [], [], []
    for mesh in meshes:
        index.append(mesh.material + len(materials))
        materials += [
            replace(m, texture=m.texture + len(textures)) if m.texture >= 0 else m
            for m in mesh.materials
        ]
        textures += mesh.textures
    arrays = [
        np.concatenate([getattr(m, key) for m in meshes]) for key in ("corners", "normals", "uv")
    ]
    parts = np.concatenate([mesh.part for mesh in meshes])
    return Mesh(
        *arrays, np.concatenate(index), parts, tuple(materials), tuple(textures),
        tuple(part_names), source, name,
    )  # fmt: skip


def _bounds(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest coordinates: (3,), (3,)."""
    columns = np.ascontiguousarray(corners.reshape(-1, 3).T)
    return columns.min(1), columns.max(1)


def _jpeg(rgb: np.ndarray) -> np.ndarray:
    """A texture's bytes as an array."""
    return cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].ravel()
