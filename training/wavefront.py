"""Reads Wavefront OBJ models with their materials, groups and textures."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from training.mesh import Material, Mesh, smooth_normals
from training.surfaces import fit, to_rgb

MAX_TRIANGLES = 30000
MAX_PARTS = 14
SMALLEST_PART = 0.015  # of the surface


def read_obj(path: Path, source: str, name: str, y_up: bool) -> Mesh | None:
    """The model in a file, one metre long at most, or None where it is unfit.

    Args:
        path: the .obj file; the .mtl and textures are found beside it.
        source: identity of the object.
        name: an English phrase, or empty.
        y_up: whether the file's up axis is y (else z).
    """
    points, coordinates, faces, looks, groups = _parse(path)
    if not 4 <= len(faces) <= MAX_TRIANGLES:
        return None
    corners = points[np.clip(faces[..., 0], 0, len(points) - 1)]
    if y_up:
        corners = corners[..., [0, 2, 1]] * np.array([1, -1, 1])
    extent = float(np.ptp(corners.reshape(-1, 3), axis=0).max())
    if not 0 < extent < np.inf:
        return None
    uv = coordinates[np.clip(faces[..., 1], 0, len(coordinates) - 1)] * [1, -1] + [0, 1]
    uv = np.clip(uv, -60, 60)
    materials, textures, index = _materials(path, looks)
    part, part_names = _parts(corners, looks, groups)
    mesh = Mesh(
        (corners / extent).astype(np.float32), smooth_normals(corners), uv.astype(np.float32),
        index, part, materials, textures, part_names, source, name,
    )  # fmt: skip
    return mesh.moved(np.eye(3))


def _parse(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str], list[str]]:
    """Points, texture coordinates, (N, 3, 2) indices, and per triangle its material and group."""
    points: list[list[str]] = []
    coordinates: list[list[str]] = [["0", "0"]]
    faces: list[list[tuple[int, int]]] = []
    looks: list[str] = []
    groups: list[str] = []
    look = group = ""
    for line in path.read_text(errors="replace").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "v":
            points.append(rest.split()[:3])
        elif word == "vt":
            coordinates.append(rest.split()[:2])
        elif word == "f":
            ring = [_corner(item, len(points), len(coordinates) - 1) for item in rest.split()]
            for k in range(1, len(ring) - 1):
                faces.append([ring[0], ring[k], ring[k + 1]])
                looks.append(look)
                groups.append(group)
        elif word == "usemtl":
            look = rest.strip()
        elif word in ("g", "o"):
            group = rest.strip()
    return (
        np.array(points, np.float64).reshape(-1, 3),
        np.array([c if len(c) == 2 else ["0", "0"] for c in coordinates], np.float64),
        np.array(faces, np.int64).reshape(-1, 3, 2), looks, groups,
    )  # fmt: skip


def _corner(item: str, points: int, coordinates: int) -> tuple[int, int]:
    """`v/vt/vn` to (point index, coordinate index + 1; 0: none)."""
    fields = item.split("/")
    point = int(fields[0])
    texture = int(fields[1]) if len(fields) > 1 and fields[1] else 0
    return (
        point - 1 if point > 0 else points + point,
        texture if texture >= 0 else coordinates + 1 + texture,
    )


def _materials(
    path: Path, looks: list[str]
) -> tuple[tuple[Material, ...], tuple[np.ndarray, ...], np.ndarray]:
    """The materials used, their textures, and for each triangle the index of its material."""
    described: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for file in sorted(path.parent.glob("*.mtl")):
        for line in file.read_text(errors="replace").splitlines():
            word, _, rest = line.strip().partition(" ")
            if word == "newmtl":
                current = described.setdefault(rest.strip(), {})
            elif word:
                current[word] = rest.strip()
    names = sorted(set(looks))
    materials, textures = [], []
    for name in names:
        rows = described.get(name, {})
        texture = _texture(path, rows.get("map_Kd", ""))
        materials.append(_material(rows, len(textures) if texture is not None else -1))
        textures += [texture] if texture is not None else []
    return tuple(materials), tuple(textures), np.array([names.index(n) for n in looks], np.int32)


def _material(rows: dict[str, str], texture: int) -> Material:
    """A material from its lines in the .mtl file."""
    red, green, blue = (_numbers(rows.get("Kd", ""), 3) or [0.7, 0.7, 0.7])[:3]
    shine, power = (
        np.mean(_numbers(rows.get("Ks", ""), 3) or [0.1]),
        (_numbers(rows.get("Ns", ""), 1) or [10])[0],
    )
    opacity = (_numbers(rows.get("d", ""), 1) or [1.0])[0]
    if texture >= 0 and max(red, green, blue) < 0.05:
        red = green = blue = 0.8
    gloss = float(np.clip(shine * min(power, 200) / 120, 0, 1))
    linear = (red**2.2, green**2.2, blue**2.2)  # the file's colours are as displayed
    return Material(linear, texture, float(np.clip(opacity, 0.15, 1)), gloss)


def _texture(path: Path, name: str) -> np.ndarray | None:
    """The picture a material names, at most 256 px long."""
    file = path.parent / name.split("\\")[-1].strip()
    picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED) if name and file.is_file() else None
    return fit(to_rgb(picture), 256) if picture is not None and picture.dtype == np.uint8 else None


def _parts(
    corners: np.ndarray, looks: list[str], groups: list[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Parts by material, or by group where there is one material only; small ones stay body."""
    labels = looks if len(set(looks)) > 1 else groups
    surface = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    part = np.zeros(len(corners), np.int32)
    names: list[str] = []
    array = np.array(labels)
    for label in sorted(set(labels)):
        chosen = array == label
        if (
            len(set(labels)) > 1
            and surface[chosen].sum() > SMALLEST_PART * surface.sum()
            and len(names) < MAX_PARTS
        ):
            names.append(_word(label))
            part[chosen] = len(names)
    return part, tuple(names)


def _word(label: str) -> str:
    """A label as an English word, or nothing where it is a counter or a code."""
    words = re.findall(r"[A-Za-z]{4,}", label)
    return (
        words[0].lower()
        if words and not re.search(r"(?i)material|default|object|group|mesh", label)
        else ""
    )


def _numbers(text: str, count: int) -> list[float]:
    """The first numbers of a line, or an empty list where it has fewer."""
    try:
        values = [float(item) for item in text.split()[:count]]
    except ValueError:
        return []
    return values if len(values) == count else []
