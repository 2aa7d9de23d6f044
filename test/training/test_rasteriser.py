"""The rasteriser against shapes whose silhouette and depth are known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="the composer needs numba: install the extra `train`")

from training.rasteriser import Camera, rasterise
from training.solids import Look, cuboid, ellipsoid


def camera(height: int = 200, width: int = 240, focal: float = 300.0) -> Camera:
    """A camera on the -y axis, 2 m from the origin, looking along +y."""
    return Camera.looking_at(np.array([0.0, -2, 0]), np.zeros(3), focal, (height, width))


def test_sphere_has_the_analytic_silhouette_and_depth() -> None:
    """A ball of radius 0.5 at 2 m is a disc of f tan(asin(r / d)), 1.5 m away at its middle."""
    ball = ellipsoid(np.zeros(3), np.full(3, 0.5), Look())
    seen = rasterise(camera(), ball.corners, np.zeros(len(ball.corners), np.int32))
    radius = 300 * np.tan(np.arcsin(0.5 / 2))
    area = (seen.triangle >= 0).sum()
    assert area == pytest.approx(np.pi * radius**2, rel=0.03)  # the mesh is a polyhedron inside
    assert seen.covered[0] == area
    assert seen.depth[100, 120] == pytest.approx(1.5, abs=0.01)
    row, column = np.nonzero(seen.triangle >= 0)
    assert (row.mean() + 0.5, column.mean() + 0.5) == pytest.approx((100, 120), abs=0.3)


def test_box_face_is_exact() -> None:
    """The front face of a box is a rectangle of known pixels at one depth."""
    corners = np.concatenate([p.corners for p in cuboid(np.array([0.4, 0.2, 0.3]), Look())])
    seen = rasterise(camera(), corners, np.zeros(len(corners), np.int32))
    row, column = np.nonzero(np.abs(seen.depth - 1.9) < 1e-4)
    half, top = 300 / 1.9 * 0.2, 300 / 1.9 * 0.3
    assert column.min() == np.ceil(120 - half - 0.5)
    assert column.max() == np.floor(120 + half - 0.5)
    assert row.max() in (99, 100)
    assert row.min() == np.ceil(100 - top - 0.5)


def test_nearer_owner_wins_and_the_hidden_one_is_counted() -> None:
    """`covered` counts an object as if alone; `limit` hides what is behind."""
    square = np.array(
        [[[-1, 0, -1], [1, 0, -1], [1, 0, 1]], [[-1, 0, -1], [1, 0, 1], [-1, 0, 1]]], float
    )
    both = np.concatenate([square * 0.2, square * 0.2 - [0, 0.5, 0]])
    owners = np.array([0, 0, 1, 1], np.int32)
    seen = rasterise(camera(), both, owners)
    assert set(np.unique(owners[seen.triangle[seen.triangle >= 0]])) == {1}
    assert seen.covered[0] > 0.5 * seen.covered[1] > 0
    behind = rasterise(camera(), both[:2], owners[:2], seen.depth)
    assert (behind.triangle < 0).all()


def test_weights_are_perspective_correct() -> None:
    """The weights of a receding triangle give back the world point that the pixel shows."""
    corners = np.array([[[-0.5, -0.5, -0.2], [0.6, 1.0, -0.2], [0.0, 3.0, 0.8]]])
    view = camera()
    seen = rasterise(view, corners, np.zeros(1, np.int32))
    row, column = (values[37] for values in np.nonzero(seen.triangle == 0))
    b, c = seen.weight[row, column]
    point = (1 - b - c) * corners[0, 0] + b * corners[0, 1] + c * corners[0, 2]
    assert view.project(point) == pytest.approx(
        [column + 0.5, row + 0.5, seen.depth[row, column]], abs=1e-2
    )
