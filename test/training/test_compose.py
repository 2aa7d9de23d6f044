"""Whole scenes, from a small library made for the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("numba", reason="the composer needs numba: install the extra `train`")

from training.blobs import save_blobs
from training.collage import compose_collage
from training.compose import compose_scene
from training.household import KINDS, household
from training.ledger import MIN_PIXELS
from training.library import Library, is_held_out
from training.mesh import Mesh, joined
from training.scene import OBJECT, Scene
from training.solids import Look, cuboid
from training.sprites import Sprite, divide
from training.tabletop import compose_tabletop

OBJECTS = 64


def picture(shade: int) -> bytes:
    """A small textured picture as JPEG."""
    rng = np.random.default_rng(shade)
    return cv2.imencode(".jpg", rng.integers(0, 255, (128, 128, 3)).astype(np.uint8))[1].tobytes()


def cutout(index: int) -> Sprite:
    """A disc with a bar across it."""
    rgba = np.zeros((120, 120, 4), np.uint8)
    cv2.circle(rgba, (60, 60), 55, (200, 40 + index, 60, 255), -1)
    cv2.rectangle(rgba, (20, 50), (100, 75), (30, 60, 220, 255), -1)
    return Sprite(rgba, divide(rgba), f"disc/{index}", "disc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of drawn discs, one box and noise textures."""
    path = tmp_path_factory.mktemp("library")
    sprites = [cutout(k) for k in range(OBJECTS)]
    save_blobs(path / "sprites.npz", [(s.source, s.name, False, 2) for s in sprites],
               [blob for s in sprites for blob in s.encode()])  # fmt: skip
    box = joined(cuboid(np.array([0.1, 0.06, 0.2]), Look()), "", "box", ())
    meshes = [replace(box, source=f"box/{k}") for k in range(OBJECTS)]
    table = [(mesh.source, "box", False, 1) for mesh in meshes]
    save_blobs(path / "meshes.npz", table, [mesh.encode() for mesh in meshes])
    for name in ("surfaces", "photographs", "matcaps"):
        save_blobs(
            path / f"{name}.npz",
            [(f"{name}/{k}", "", True, 1) for k in range(3)],
            [picture(k) for k in range(3)],
        )
    light = np.full((128, 256, 3), 0.2, np.float16).tobytes()
    save_blobs(path / "environments.npz", [("environments/0", "", True, 1)], [light])
    return path


@pytest.mark.parametrize("compose", [compose_collage, compose_tabletop])
def test_scene_follows_from_its_seed(folder: Path, compose: Callable[..., Scene]) -> None:
    """The same seed gives the same bytes, another one other bytes."""
    library = Library(folder)
    first, again, other = (compose(library, np.random.default_rng(s), "") for s in (5, 5, 6))
    assert first == again
    assert first.jpeg != other.jpeg


@pytest.mark.parametrize("compose", [compose_collage, compose_tabletop])
def test_masks_are_consistent_with_the_ids(folder: Path, compose: Callable[..., Scene]) -> None:
    """Every mask is visible; parts lie inside their object and objects do not overlap."""
    library = Library(folder)
    for seed in range(4):
        scene = compose(library, np.random.default_rng(seed), "")
        assert scene.image().shape[:2] == scene.ids().shape
        owner: dict[int, str] = {}
        for index, mask in enumerate(scene.masks):
            assert scene.mask(index).sum() >= MIN_PIXELS
            if mask.kind == OBJECT:
                assert not owner.keys() & set(mask.leaves)
                owner |= dict.fromkeys(mask.leaves, mask.source)
            else:
                assert {owner[leaf] for leaf in mask.leaves} <= set(mask.source.split("+"))


def test_held_out_objects_never_meet_the_others(folder: Path) -> None:
    """Train and validation scenes share no object."""
    seen: dict[bool, set[str]] = {}
    for held_out, subset in ((False, "train"), (True, "val")):
        library = Library(folder, held_out)
        scenes = [compose_scene(library, 3, subset, index) for index in range(5)]
        seen[held_out] = {s for scene in scenes for m in scene.masks for s in m.source.split("+")}
    assert seen[True] and all(is_held_out(source) for source in seen[True])
    assert seen[False] and not any(is_held_out(source) for source in seen[False])


@pytest.mark.parametrize("kind", [name for name, *_ in KINDS])
def test_every_kind_of_object_is_sound(folder: Path, kind: str) -> None:
    """Objects stand on the ground, have a household size; their parts and materials exist."""
    library, rng = Library(folder), np.random.default_rng(1)
    for _ in range(2):
        mesh = household(library, rng, kind)
        assert np.isfinite(mesh.corners).all() and np.isfinite(mesh.normals).all()
        assert mesh.corners[..., 2].min() == pytest.approx(0, abs=1e-6)
        assert 0.01 < mesh.size.max() < 0.8
        assert mesh.part.max() <= len(mesh.part_names)
        assert mesh.material.max() < len(mesh.materials)
        assert max(m.texture for m in mesh.materials) < len(mesh.textures)


def test_parts_of_a_drawing_follow_its_colours() -> None:
    """The bar across the disc is a part; shading alone is none."""
    sprite = cutout(0)
    assert (sprite.parts[62, 30:90] == sprite.parts[62, 60]).all() and sprite.parts[62, 60] > 0
    ramp = np.zeros((120, 120, 4), np.uint8)
    ramp[10:110, 10:110] = 255
    ramp[10:110, 10:110, :3] = np.linspace(60, 200, 100, dtype=np.uint8)[None, :, None]
    assert divide(ramp).max() == 0


def test_mesh_survives_encoding(folder: Path) -> None:
    """Shape and parts are kept exactly, normals and coordinates nearly."""
    mesh = household(Library(folder), np.random.default_rng(2), "bottle")
    copy = Mesh.decode(mesh.encode())
    assert (copy.corners == mesh.corners).all() and (copy.part == mesh.part).all()
    assert np.abs(copy.normals - mesh.normals).max() < 0.01
    assert copy.materials == mesh.materials and copy.part_names == mesh.part_names
