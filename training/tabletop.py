"""Rendered scenes: things on a table or in a room, seen by a robot's camera."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from training.degrade import degrade, jpeg_quality
from training.ledger import Ledger, Thing
from training.library import Library
from training.mesh import Material, Mesh
from training.patterns import colour, ground, plain, recoloured, tiled
from training.placement import Placement, place_things
from training.rasteriser import Camera, Layer, rasterise
from training.scene import Scene
from training.shading import HEIGHT_CELLS, SHADOW_SIZE, Light, Palette, Plane, shade

SIZES = ((384, 512), (384, 512), (384, 512), (512, 384), (512, 512))
FINER = 1.5  # rendered so much larger, then averaged
CAMERA_PITCH = ((4, 18), (18, 72), (72, 89))  # degrees below the horizon
PITCH_SHARE = (0.25, 0.65, 0.10)
GLASS = 0.9  # opacity below which a surface belongs to the layer that is seen through


def compose_tabletop(library: Library, rng: np.random.Generator, origin: str) -> Scene:
    """One rendered scene."""
    size = SIZES[int(rng.integers(len(SIZES)))]
    camera = _camera(size, rng)
    tone = colour(rng) if rng.random() < 0.1 else None  # white on white, black on black
    stage = Stage(library, rng, tone)
    for placement in place_things(library, camera, rng, tone):
        stage.put(placement)
    image, ids = stage.render(camera, size)
    masks = stage.ledger.masks(ids)
    return Scene.encode(degrade(image, rng), ids, masks, jpeg_quality(rng), origin)


class Stage:
    """Meshes gathered into flat arrays, the surroundings and the light."""

    def __init__(
        self, library: Library, rng: np.random.Generator, tone: np.ndarray | None = None
    ) -> None:
        self.library, self.rng, self.tone, self.ledger = library, rng, tone, Ledger()
        self.materials: list[Material] = []
        self.textures: list[np.ndarray] = []
        self.pieces: list[tuple[Mesh, Thing, int]] = []
        self.groups: dict[int, list[Thing]] = {}
        self.planes = self._surroundings()
        self.light = self._light()

    def put(self, placement: Placement) -> None:
        """Add an object where it was placed."""
        mesh = placement.mesh
        parents = (0,) * len(mesh.part_names)
        thing = self.ledger.add(mesh.source, mesh.name, parents, mesh.part_names)
        self.pieces.append((mesh, thing, len(self.materials)))
        offset = len(self.textures)
        self.materials += [
            replace(m, texture=m.texture + offset) if m.texture >= 0 else m for m in mesh.materials
        ]
        self.textures += mesh.textures
        for group in placement.groups:
            self.groups.setdefault(group, []).append(thing)

    def render(self, camera: Camera, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The picture (H, W, 3) uint8 RGB before the camera's effects, and its leaf ids (H, W)."""
        for members in self.groups.values():
            self.ledger.group(members)
        corners, geometry, leaf, owner = self._gather()
        palette = Palette.of(self.materials, self.textures)
        clear = palette.rows[geometry[2], 3] < GLASS
        solid = rasterise(camera, corners[~clear], owner[~clear])
        shadow, heights, reach = self._darkness(corners, owner, ~clear)
        around = (shadow, heights, reach)
        seen = [g[~clear] for g in geometry]
        picture = shade(camera, solid, self.light, palette, self.planes, tuple(seen), *around)[
            ..., :3
        ]
        ids = _leaves(solid, leaf[~clear])
        covered = np.bincount(np.arange(len(solid.covered)), solid.covered, len(self.pieces))
        if clear.any():
            layer = rasterise(camera, corners[clear], owner[clear], solid.depth)
            panes = shade(
                camera, layer, self.light, palette, [], tuple(g[clear] for g in geometry), *around
            )
            picture = _through(picture, panes)
            ids = np.where(layer.triangle >= 0, _leaves(layer, leaf[clear]), ids)
            covered[: len(layer.covered)] = np.maximum(
                covered[: len(layer.covered)], layer.covered
            )
        for (_, thing, _), area in zip(self.pieces, covered, strict=True):
            thing.area = float(area) / FINER**2
        return self._developed(picture, size), _sampled(ids, size)

    def _gather(self) -> tuple[np.ndarray, tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """Corners, (normals, uv, material), leaf and owner of all triangles."""
        meshes = [mesh for mesh, *_ in self.pieces]
        leaf = np.concatenate([mesh.part + thing.base for mesh, thing, _ in self.pieces])
        owner = np.repeat(np.arange(len(meshes)), [len(mesh.part) for mesh in meshes]).astype(
            np.int32
        )
        material = np.concatenate([mesh.material + first for mesh, _, first in self.pieces])
        arrays = [
            np.concatenate([getattr(m, key) for m in meshes])
            for key in ("corners", "normals", "uv")
        ]
        return arrays[0], (arrays[1], arrays[2], material), leaf.astype(np.int32), owner

    def _darkness(
        self, corners: np.ndarray, owner: np.ndarray, solid: np.ndarray
    ) -> tuple[tuple[Camera, np.ndarray], np.ndarray, float]:
        """The key light's depth map and the blurred heights from above."""
        points = corners.reshape(-1, 3)
        low, high = points.min(0), points.max(0)
        middle, span = (low + high) / 2, float(np.linalg.norm(high - low)) + 0.1
        square = (SHADOW_SIZE, SHADOW_SIZE)
        lamp = Camera.looking_at(
            middle + self.light.towards * span, middle, SHADOW_SIZE / span, square, 0.0, False
        )
        depths = rasterise(lamp, corners[solid], owner[solid]).depth
        reach = float(np.abs(points[:, :2]).max()) + 0.05
        cells = (HEIGHT_CELLS, HEIGHT_CELLS)
        above = Camera(np.array([0.0, 0.0, 10.0]), np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, -1]]),
                       HEIGHT_CELLS / (2 * reach), *cells, False)  # fmt: skip
        top = rasterise(above, corners, owner).depth
        heights = np.where(np.isfinite(top), 10 - top, 0).astype(np.float32)
        sigma = HEIGHT_CELLS * 0.02 / reach
        return (lamp, depths), cv2.GaussianBlur(heights, (0, 0), max(0.6, sigma)), reach

    def _surroundings(self) -> list[Plane]:
        """A table top, perhaps with a floor and a wall, or a sheet that goes up behind."""
        rng, turn = self.rng, self.rng.uniform(0, 6.3)
        u = np.array([np.cos(turn), np.sin(turn), 0])
        up, origin = np.array([0.0, 0, 1]), np.zeros(3)
        wide = 9.0 if rng.random() < 0.45 else rng.uniform(0.5, 1.3)
        top = self._surface()
        planes = [Plane(origin, up, u, (wide, wide * rng.uniform(0.6, 1)), top, self._tiles())]
        if rng.random() < 0.25:  # a sheet of cloth or paper that goes up behind the things
            wall = np.array([rng.normal(0, 0.15), -1, 0])
            wall /= np.linalg.norm(wall)
            far, across = -wall * rng.uniform(0.3, 1.2), np.cross(up, wall)
            sheet = replace(planes[0], half=(9.0, 9.0))
            return [sheet, Plane(far, wall, across, (9.0, 9.0), top, sheet.tiles)]
        if rng.random() < 0.6:
            floor = np.array([0, 0, -rng.uniform(0.4, 0.9)])
            planes.append(Plane(floor, up, u, (4.0, 4.0), self._surface(), self._tiles()))
        if rng.random() < 0.5:
            away = rng.uniform(0.45, 2.0)
            wall = np.array([rng.normal(0, 0.25), -1, 0])
            wall /= np.linalg.norm(wall)
            across = np.cross(up, wall)
            planes.append(
                Plane(-wall * away, wall, across, (6.0, 6.0), self._surface(), self._tiles())
            )
        return planes

    def _surface(self) -> int:
        """A new material for a plane; its index."""
        picture = np.ascontiguousarray(self._covering(320))
        mirrored = np.block(
            [[[picture], [picture[:, ::-1]]], [[picture[::-1]], [picture[::-1, ::-1]]]]
        )
        self.textures.append(np.ascontiguousarray(mirrored))
        gloss = float(self.rng.beta(1, 5)) if self.rng.random() < 0.85 else 0.7
        self.materials.append(Material((1, 1, 1), len(self.textures) - 1, 1.0, gloss))
        return len(self.materials) - 1

    def _covering(self, size: int) -> np.ndarray:
        """What covers a plane: something calm for half of them, else anything. (S, S, 3) uint8."""
        if self.tone is not None:
            return plain(size, size, self.rng, self.tone)
        if self.rng.random() < 0.4:
            texture = tiled(self.library.surface(self.rng, plain=True), size, size, 1.0)
            return recoloured(np.ascontiguousarray(texture), self.rng, 0.6)
        return ground(size, size, self.library, self.rng)

    def _tiles(self) -> float:
        """Texture repeats per metre."""
        return float(np.exp(self.rng.uniform(np.log(0.35), np.log(2.5))))

    def _light(self) -> Light:
        """A room's light, turned at random, and a lamp or window of its own."""
        rng = self.rng
        around = np.roll(self.library.environment(rng), int(rng.integers(256)), axis=1)
        height, turn = np.deg2rad(rng.uniform(25, 85)), rng.uniform(0, 6.3)
        towards = np.array(
            [np.cos(height) * np.cos(turn), np.cos(height) * np.sin(turn), np.sin(height)]
        )
        warmth = rng.normal(0, 0.12)
        strength = rng.uniform(0.1, 1.6) if rng.random() < 0.85 else 0.0
        key = strength * np.array([1 + warmth, 1, 1 - warmth])
        return Light.of(
            around, towards, key, float(np.exp(rng.uniform(np.log(0.002), np.log(0.03))))
        )

    def _developed(self, picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Averaged to the final size, exposed and encoded: uint8."""
        small = cv2.resize(np.minimum(picture, 8), size[::-1], interpolation=cv2.INTER_AREA)
        middle, bright = np.quantile(small.mean(2)[::4, ::4], (0.6, 0.97)) + 1e-3
        gain = 0.28 / middle
        if self.rng.random() < 0.75:  # a camera that spares the highlights
            gain = min(gain, 0.95 / bright)
        exposed = small * np.float32(gain)
        return (np.clip(exposed, 0, 1) ** np.float32(1 / 2.2) * 255).astype(np.uint8)


def _camera(size: tuple[int, int], rng: np.random.Generator) -> Camera:
    """A camera at a robot's height that looks down at the table; rendered `FINER`."""
    low, high = CAMERA_PITCH[int(rng.choice(len(CAMERA_PITCH), p=PITCH_SHARE))]
    pitch = np.deg2rad(rng.uniform(low, high))
    distance = float(np.exp(rng.uniform(np.log(0.45), np.log(1.5))))
    position = distance * np.array([0, -np.cos(pitch), np.sin(pitch)])
    target = rng.normal(0, 0.04, 3) * distance
    focal = max(size) * FINER * rng.uniform(0.75, 1.25)
    shape = (int(size[0] * FINER), int(size[1] * FINER))
    return Camera.looking_at(position, target, focal, shape, rng.normal(0, 0.04))


def _leaves(layer: Layer, leaf: np.ndarray) -> np.ndarray:
    """Leaf ids of a layer, 0 where nothing is."""
    return np.where(layer.triangle >= 0, leaf[np.maximum(layer.triangle, 0)], 0)


def _through(picture: np.ndarray, panes: np.ndarray) -> np.ndarray:
    """Lay a layer that is seen through over a picture, bending what is behind a little."""
    opacity = panes[..., 3:]
    inside = (opacity > 0).astype(np.float32)
    bent = cv2.GaussianBlur(opacity[..., 0], (0, 0), 4)
    row, column = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(np.float32)
    dx, dy = cv2.Sobel(bent, -1, 1, 0), cv2.Sobel(bent, -1, 0, 1)
    behind = cv2.remap(
        picture, column + 30 * dx, row + 30 * dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    behind = np.where(inside > 0, behind * 0.93, picture)
    return behind * (1 - opacity) + panes[..., :3] * np.maximum(opacity, 0)


def _sampled(ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Leaf ids at the final pixels' centres."""
    row = ((np.arange(size[0]) + 0.5) * ids.shape[0] / size[0]).astype(int)
    column = ((np.arange(size[1]) + 0.5) * ids.shape[1] / size[1]).astype(int)
    return np.ascontiguousarray(ids[row[:, None], column])
