"""Cameras against OpenCV: points to pixels and pixels to rays, for every distortion model."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_ros.geometry.camera import Camera, Window, calibrated

SIZE = (480, 640)
K = np.array([[500.0, 0.0, 320.5], [0.0, 510.0, 238.25], [0.0, 0.0, 1.0]])
P = np.array([[450.0, 0.0, 318.0, 0.0], [0.0, 450.0, 240.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
LENSES = {
    "none": ("", []),
    "plumb_bob": ("plumb_bob", [-0.28, 0.08, 1e-3, -5e-4, -0.01]),
    "four": ("plumb_bob", [-0.1, 0.02, 1e-3, -5e-4]),
    "azure": ("rational_polynomial", [0.51, -2.6, 7e-4, -2e-4, 1.5, 0.39, -2.4, 1.4]),
    "prism": (
        "rational_polynomial",
        [0.2, -0.3, 7e-4, -2e-4, 0.1, 0.3, -0.2, 0.05, 1e-3, -2e-3, 2e-3, 1e-3],
    ),
    "equidistant": ("equidistant", [-0.02, 0.01, -4e-3, 5e-4]),
}


def camera(name: str = "none", **fields: Any) -> Camera:
    model, d = LENSES[name]
    values = {"size": SIZE, "model": model, "k": K, "d": d, "r": np.eye(3), "p": P, **fields}
    return calibrated(**values)


def opencv_pixels(name: str, points: np.ndarray) -> np.ndarray:
    model, d = LENSES[name]
    project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints
    zero = np.zeros(3)
    return project(points.reshape(-1, 1, 3), zero, zero, K, np.array(d))[0].reshape(-1, 2)


def seen_points(count: int = 500, slope: float = 0.7) -> np.ndarray:
    """Points in front of the camera, x / z and y / z up to a slope."""
    random = np.random.default_rng(1)
    points = random.uniform(-slope, slope, (count, 3))
    points[:, 2] = random.uniform(0.2, 5.0, count)
    points[:, :2] *= points[:, 2:]
    return points


@pytest.mark.parametrize("name", LENSES)
def test_points_fall_on_the_pixels_of_opencv(name: str) -> None:
    points = seen_points()
    pixels, in_front = camera(name).project(points)
    assert in_front.all()
    np.testing.assert_allclose(pixels, opencv_pixels(name, points), atol=1e-6)


@pytest.mark.parametrize("name", LENSES)
def test_rays_lead_back_to_their_pixels(name: str) -> None:
    """Every pixel of the picture, corners included, to 1e-4 px."""
    some = camera(name)
    rows, columns = np.mgrid[: SIZE[0] : 7, : SIZE[1] : 7]
    pixels = np.stack((columns.ravel(), rows.ravel()), axis=1).astype(float)
    rays = some.rays(pixels)
    assert np.isfinite(rays).all() and (rays[:, 2] == 1).all()
    back, valid = some.project(rays * 2.5)
    assert valid.all()
    np.testing.assert_allclose(back, pixels, atol=1e-4)


@pytest.mark.parametrize("name", ["plumb_bob", "azure", "prism", "equidistant"])
def test_rays_are_those_of_opencv(name: str) -> None:
    """Near the axis, where OpenCV's own iteration converges."""
    model, d = LENSES[name]
    pixels = np.random.default_rng(2).uniform((160, 120), (480, 360), (200, 2))
    if model == "equidistant":
        expected = cv2.fisheye.undistortPoints(pixels[:, None], K, np.array(d))
    else:
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-12)
        expected = cv2.undistortPointsIter(pixels[:, None], K, np.array(d), None, None, stop)
    np.testing.assert_allclose(camera(name).rays(pixels)[:, :2], expected[:, 0], atol=1e-7)


@settings(max_examples=60)
@given(
    k1=st.floats(-0.4, 0.4),
    k2=st.floats(-0.2, 0.2),
    k3=st.floats(-0.1, 0.1),
    p1=st.floats(-2e-3, 2e-3),
    p2=st.floats(-2e-3, 2e-3),
    model=st.sampled_from(["plumb_bob", "rational_polynomial", "equidistant"]),
)
def test_what_is_seen_can_be_looked_back_at(
    k1: float, k2: float, k3: float, p1: float, p2: float, model: str
) -> None:
    """Points that the camera calls valid come back from their pixels, whatever the lens."""
    d = {
        "plumb_bob": [k1, k2, p1, p2, k3],
        "rational_polynomial": [k1, k2, p1, p2, k3, k2 / 2, k3 / 2, 0.0],
        "equidistant": [k1 / 4, k2 / 4, k3 / 4, p1],
    }[model]
    some = calibrated(SIZE, model, K, d, np.eye(3), P)
    points = seen_points(100, slope=0.6)
    pixels, valid = some.project(points)
    largest = np.tan(some._lens.largest)
    inner = np.hypot(points[:, 0], points[:, 1]) / points[:, 2] < 0.9 * largest
    assert valid[inner].all()
    rays = some.rays(pixels[inner])
    np.testing.assert_allclose(rays * points[inner, 2:], points[inner], atol=2e-5)


def test_points_behind_the_camera_have_no_pixel() -> None:
    pixels, in_front = camera("plumb_bob").project(
        np.array([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0], [0.1, 0.1, 1.0], [np.nan, 0.0, 1.0]])
    )
    assert in_front.tolist() == [False, False, True, False]
    assert np.isnan(pixels[~in_front]).all()


def test_points_where_the_polynomial_folds_back_have_no_pixel() -> None:
    """With k1 = -0.28 alone the picture's radius grows to the slope 1.09 only."""
    some = calibrated(SIZE, "plumb_bob", K, [-0.28, 0, 0, 0, 0], np.eye(3), P)
    slopes = np.array([0.5, 1.08, 1.10, 1.5, 5.0])
    points = np.stack((slopes, 0 * slopes, 1 + 0 * slopes), axis=1)
    _, valid = some.project(points)
    assert valid.tolist() == [True, True, False, False, False]
    assert np.isnan(some.rays(np.array([[5000.0, 238.25]]))).any()


def test_equidistant_reaches_to_the_side() -> None:
    """89 degrees off the axis is still a pixel, and no other ray's."""
    some = calibrated(SIZE, "equidistant", K, [0, 0, 0, 0], np.eye(3), P)
    angle = np.radians([10.0, 60.0, 89.0])
    points = np.stack((np.sin(angle), 0 * angle, np.cos(angle)), axis=1)
    pixels, valid = some.project(points)
    assert valid.all()
    np.testing.assert_allclose(pixels[:, 0], 320.5 + 500 * angle)
    rays = some.rays(pixels)
    np.testing.assert_allclose(np.arctan(rays[:, 0]), angle, atol=1e-6)


def test_a_rectified_picture_follows_p_and_ignores_the_distortion() -> None:
    some = camera("plumb_bob", rectified=True)
    points = seen_points(50)
    expected = points @ P[:, :3].T
    np.testing.assert_allclose(some.project(points)[0], expected[:, :2] / expected[:, 2:])


def test_the_second_camera_of_a_stereo_pair_looks_from_its_own_place() -> None:
    second = P.copy()
    second[0, 3] = -450.0 * 0.12  # 12 cm to the right
    some = camera(p=second, rectified=True)
    points = seen_points(50)
    homogeneous = np.hstack((points, np.ones((50, 1)))) @ second.T
    pixels, _ = some.project(points)
    np.testing.assert_allclose(pixels, homogeneous[:, :2] / homogeneous[:, 2:])
    back = some.origin + some.rays(pixels) * points[:, 2:]
    np.testing.assert_allclose(back, points, atol=1e-9)


def test_a_raw_picture_of_a_stereo_pair_is_turned_by_r() -> None:
    """The optical frame has the axes of the rectified camera: OpenCV turns by R back."""
    turn = cv2.Rodrigues(np.array([0.01, -0.02, 0.03]))[0]
    some = camera("plumb_bob", r=turn)
    points = seen_points(50, 0.5)
    d = np.array(LENSES["plumb_bob"][1])
    back = cv2.Rodrigues(turn.T)[0]
    expected = cv2.projectPoints(points[:, None], back, np.zeros(3), K, d)[0].reshape(-1, 2)
    pixels, _ = some.project(points)
    np.testing.assert_allclose(pixels, expected, atol=1e-6)
    raw = points @ turn
    np.testing.assert_allclose(some.rays(pixels) * raw[:, 2:], points, atol=1e-5)


def test_region_and_binning_are_those_of_the_picture() -> None:
    """A point that falls on u of the sensor falls on (u - x) / binning of the picture."""
    whole = camera("plumb_bob")
    part = camera("plumb_bob", window=Window(100, 60, 400, 300, (2, 2)))
    assert part.size == (150, 200)
    points = seen_points(50, 0.2)
    pixels, _ = part.project(points)
    np.testing.assert_allclose(pixels, (whole.project(points)[0] - (100, 60)) / 2)
    half = camera(window=Window(binning=(2, 4)))
    assert half.size == (120, 320)


def test_the_planes_of_rays_are_the_rays_of_all_pixels() -> None:
    some = camera("plumb_bob")
    assert some.ray_planes.shape == (3, *SIZE)
    expected = some.rays(np.array([[12.0, 34.0]]))[0]
    np.testing.assert_allclose(some.ray_planes[:, 34, 12], expected, atol=1e-6)


def test_contains_ends_at_the_outer_edges_of_the_pixels() -> None:
    pixels = np.array([[-0.6, 5], [-0.5, 5], [639.4, 479.4], [639.6, 5], [5, np.nan]])
    assert camera().contains(pixels).tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"k": np.zeros(9)}, "K: focal lengths 0, 0; expected .* not calibrated"),
        ({"k": np.full(9, np.nan)}, "K: focal lengths nan"),
        ({"k": []}, "K: 0 numbers; expected 9"),
        ({"p": np.zeros(12), "rectified": True}, "P: focal lengths 0, 0"),
        ({"size": (0, 640)}, "height: 0; expected at least 1"),
        ({"r": 2 * np.eye(3)}, "R: .* expected a rotation"),
        ({"model": "pinhole", "d": [0.1]}, "distortion_model: 'pinhole'; expected one of plumb"),
        ({"model": "plumb_bob", "d": [0.1, 0.2]}, "D: 2 coefficients; plumb_bob expects 4 or 5"),
        ({"model": "equidistant", "d": []}, "D: 0 coefficients; equidistant expects 4"),
        ({"model": "plumb_bob", "d": [np.inf] * 5}, "D: .* expected finite"),
        ({"model": "rational_polynomial", "d": [0.0] * 13 + [0.1]}, "no tilted sensor"),
    ],
)
def test_what_is_no_calibration_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        camera(**fields)


def test_a_camera_without_r_looks_straight() -> None:
    points = seen_points(10)
    np.testing.assert_array_equal(
        camera(r=np.zeros(9)).project(points)[0], camera().project(points)[0]
    )
