"""Reading of OBJ models."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.wavefront import MAX_TRIANGLES, read_obj

OBJ = """
mtllib thing.mtl
v 0 0 0
v 2 0 0
v 2 1 0
v 0 1 0
v 0 0 1
vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl Wooden_Board
f 1/1 2/2 3/3 4/4
usemtl Material_7
f -5//1 -4//1 -1//1
"""
MTL = """
newmtl Wooden_Board
Kd 0 0 0
map_Kd board.png
newmtl Material_7
Kd 1 0.5 0
d 0.3
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A textured square and a half transparent triangle."""
    (tmp_path / "thing.obj").write_text(OBJ * 2)
    (tmp_path / "thing.mtl").write_text(MTL)
    cv2.imwrite(str(tmp_path / "board.png"), np.full((8, 16, 3), 100, np.uint8))
    return tmp_path / "thing.obj"


def test_shape_parts_and_materials(model: Path) -> None:
    """Polygons are divided, negative indices count back, y becomes up, materials become parts."""
    mesh = read_obj(model, "a/thing", "thing", y_up=True)
    assert mesh is not None
    assert len(mesh.corners) == 6
    assert mesh.size == pytest.approx([1, 0.5, 0.5])
    assert mesh.part_names == ("", "wooden")  # a counter is no name
    wooden = mesh.materials[mesh.material[0]]
    assert mesh.textures[wooden.texture].shape == (8, 16, 3)
    assert wooden.colour[0] > 0.3  # black under a texture means: as the texture
    clear = mesh.materials[mesh.material[2]]
    assert clear.opacity == pytest.approx(0.3)
    assert clear.colour == pytest.approx((1, 0.5**2.2, 0))


def test_an_unfit_model_is_none(tmp_path: Path) -> None:
    """A model without faces or with too many triangles is left out."""
    path = tmp_path / "thing.obj"
    path.write_text("v 0 0 0\n")
    assert read_obj(path, "a/x", "", y_up=False) is None
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n" + "f 1 2 3\n" * (MAX_TRIANGLES + 1))
    assert read_obj(path, "a/x", "", y_up=False) is None
