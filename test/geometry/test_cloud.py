"""Points and boxes of a table seen by a camera, against the truth."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from tabletop import Ball, Cuboid, Tabletop, camera, render

from sam_ros.geometry.boxes import fit
from sam_ros.geometry.cloud import fill_points, moved, patch
from sam_ros.geometry.surface import eroded

NEAR = 5e-3  # m


def box_of(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    edges = (columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5)
    return np.array(edges, np.float32)


def object_points(
    table: Tabletop, number: int, depth: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    mask = table.numbers == number if mask is None else mask
    return patch(depth, mask, box_of(mask), table.camera).points


def assert_is(cuboid: Cuboid, points: np.ndarray) -> None:
    """Middle, sides and axes of the box, whatever its axes are called."""
    box = fit(points)
    likeness = np.abs(box.axes.T @ cuboid.axes)
    order = likeness.argmax(axis=1)
    assert sorted(order) == [0, 1, 2]
    assert np.linalg.norm(box.center - cuboid.center) < NEAR
    np.testing.assert_allclose(box.size, cuboid.size[order], atol=NEAR)
    assert np.degrees(np.arccos(np.minimum(likeness.max(axis=1), 1))).max() < 2
    np.testing.assert_allclose(np.linalg.det(box.axes), 1)


@pytest.mark.parametrize("tilt", [30.0, 50.0, 62.0])
@pytest.mark.parametrize("number", [1, 2])
def test_boxes_are_those_of_the_things(tilt: float, number: int) -> None:
    table = render(camera(), tilt)
    thing = table.things[number - 1]
    assert isinstance(thing, Cuboid)
    assert_is(thing, object_points(table, number, table.depth))


def test_a_ball_is_as_wide_as_it_is() -> None:
    """Of a ball, the half towards the camera is seen: two sides are its diameter."""
    table = render(camera())
    ball = table.things[2]
    assert isinstance(ball, Ball)
    box = fit(object_points(table, 3, table.depth))
    sides = np.sort(box.size)
    np.testing.assert_allclose(sides[1:], 2 * ball.radius, atol=NEAR)
    assert sides[0] < 2 * ball.radius + NEAR


def test_flying_pixels_do_not_count() -> None:
    """Readings between the thing and what lies behind, two pixels to both sides of its rim."""
    table = render(camera())
    thing, mask = table.things[1], table.numbers == 2
    assert isinstance(thing, Cuboid)
    random, depth = np.random.default_rng(0), table.depth.copy()
    rim = ~eroded(mask, 2) & ~eroded(~mask, 2)
    depth[rim] += random.uniform(0, 0.3, rim.sum()).astype(np.float32) * (
        random.random(rim.sum()) < 0.7
    )
    wild = patch(depth, mask, box_of(mask), table.camera)
    inside = (wild.points - thing.center) @ thing.axes
    assert (np.abs(inside) < thing.size / 2 + 0.01).all(axis=1).mean() > 0.995
    assert len(wild.points) > 0.85 * mask.sum()
    box = fit(wild.points)
    assert np.linalg.norm(box.center - thing.center) < 2 * NEAR
    np.testing.assert_allclose(np.sort(box.size), np.sort(thing.size), atol=2 * NEAR)


def test_a_mask_that_spills_onto_a_far_wall_is_cut_back() -> None:
    table = render(camera())
    mask = table.numbers == 2
    depth, spilled = table.depth.copy(), mask.copy()
    spilled |= np.roll(mask, 25, axis=1) & (table.numbers == 0)
    depth[(table.numbers == 0)] = 2.5
    thing = table.things[1]
    assert isinstance(thing, Cuboid) and spilled.sum() > 1.2 * mask.sum()
    points = object_points(table, 2, depth, spilled)
    assert points[:, 2].max() < 1.0
    assert_is(thing, points)


def test_holes_in_the_depth_are_left_out() -> None:
    table = render(camera())
    depth = table.depth.copy()
    depth[np.random.default_rng(1).random(depth.shape) < 0.3] = np.nan
    thing = table.things[0]
    assert isinstance(thing, Cuboid)
    points = object_points(table, 1, depth)
    assert np.isfinite(points).all()
    assert_is(thing, points)


def test_thin_things_keep_their_pixels() -> None:
    """A cable of three pixels has no middle to speak of."""
    some = camera(40, 60)
    depth, mask = np.full((40, 60), 0.8, np.float32), np.zeros((40, 60), np.bool_)
    mask[20:23, 5:55] = True
    assert len(patch(depth, mask, box_of(mask), some).points) == mask.sum()


def test_without_depth_there_are_no_points() -> None:
    some = camera(40, 60)
    mask = np.zeros((40, 60), np.bool_)
    mask[10:20, 10:20] = True
    found = patch(np.full((40, 60), np.nan, np.float32), mask, box_of(mask), some)
    assert found.points.shape == (0, 3)
    with pytest.raises(ValueError, match="points: 0"):
        fit(found.points)


def test_every_pixel_has_its_point() -> None:
    table = render(camera())
    points = np.empty((480, 640, 3), np.float32)
    fill_points(points, table.depth, table.camera)
    np.testing.assert_allclose(points, table.points, atol=1e-5)
    with pytest.raises(ValueError, match="640 x 479 px; expected 640 x 480 px"):
        fill_points(points, table.depth[1:], table.camera)


def test_a_patch_has_the_points_of_its_pixels() -> None:
    table = render(camera())
    mask = table.numbers == 1
    found = patch(table.depth, mask, box_of(mask), table.camera)
    whole = np.zeros_like(mask)
    whole[found.rows, found.columns] = found.kept
    assert not (whole & ~mask).any()
    np.testing.assert_allclose(found.points, table.points[whole], atol=1e-5)


@settings(max_examples=40)
@given(
    sides=st.tuples(*[st.floats(0.02, 0.5)] * 3),
    vector=st.tuples(*[st.floats(-3, 3)] * 3),
    place=st.tuples(*[st.floats(-1, 1)] * 3),
)
def test_a_box_contains_its_points_and_turns_with_them(
    sides: tuple[float, ...], vector: tuple[float, ...], place: tuple[float, ...]
) -> None:
    import cv2

    turn = cv2.Rodrigues(np.array(vector))[0]
    corners = np.random.default_rng(3).uniform(-0.5, 0.5, (800, 3)) * sides
    points = (corners @ turn.T + place).astype(np.float32)
    box = fit(points)
    within = np.abs((points - box.center) @ box.axes) <= box.size / 2 + 1e-5
    assert within.all(axis=1).all()
    x, y, z, w = box.quaternion
    assert w >= 0
    back = cv2.Rodrigues(
        2 * np.arccos(min(w, 1)) * np.array((x, y, z)) / max(1e-12, np.sqrt(1 - min(w, 1) ** 2))
    )[0]
    np.testing.assert_allclose(back, box.axes, atol=1e-6)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, place
    again = box.moved(matrix)
    np.testing.assert_allclose(again.center, moved(box.center[None], matrix)[0], atol=1e-5)
    np.testing.assert_allclose(again.axes, turn @ box.axes)


def test_a_box_leaves_its_points_alone() -> None:
    """Whatever their memory looks like: they are published as well."""
    table = render(camera())
    found = patch(table.depth, table.numbers == 2, box_of(table.numbers == 2), table.camera)
    before = found.points.copy()
    fit(found.points)
    np.testing.assert_array_equal(found.points, before)


@pytest.mark.parametrize("most", [100, 3000, 10**9])
def test_some_points_are_some_of_all(most: int) -> None:
    """On a grid: about as many as asked for, and the same box."""
    table = render(camera())
    found = patch(table.depth, table.numbers == 2, box_of(table.numbers == 2), table.camera)
    some = found.some(most)
    assert {tuple(point) for point in some} <= {tuple(point) for point in found.points}
    assert 0.4 * min(most, len(found.points)) < len(some) < 1.1 * most
    if most > 100:
        thing = table.things[1]
        assert isinstance(thing, Cuboid)
        assert_is(thing, some)


def test_axes_are_named_after_the_cameras() -> None:
    """A box that stands straight before the camera is not turned by 90 degrees."""
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (3000, 3)) * (0.3, 0.1, 0.2)
    points = (points + np.array((0, 0, 1))).astype(np.float32)
    box = fit(points)
    np.testing.assert_allclose(box.size, (0.3, 0.1, 0.2), atol=0.01)
    assert np.trace(box.axes) > 2.9
