"""What is missing or wrong about depth, calibration and frames is told, and the rest goes on."""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from robot import SPATIAL, Robot, shifted


def test_without_a_calibration_it_is_told_and_masks_go_on(uncalibrated: Robot) -> None:
    """The first test of the file: no camera_info has been published yet.

    The warning is not repeated more than once a second.
    """
    header = uncalibrated.show()
    uncalibrated.prompt(header)
    uncalibrated.client.wait(lambda: bool(uncalibrated.got["mask"]))
    text = "camera_info: none has arrived on /camera_info yet"
    uncalibrated.client.wait(lambda: uncalibrated.measure(header) or uncalibrated.warned(text), 20)
    assert not any(uncalibrated.got[name] for name in SPATIAL)
    before, began = uncalibrated.node.output.count(text), time.monotonic()
    for _ in range(20):
        uncalibrated.prompt(uncalibrated.show())
        uncalibrated.measure(header)
    uncalibrated.client.spin(0.5)
    assert uncalibrated.node.output.count(text) - before <= time.monotonic() - began + 1


@pytest.mark.parametrize(
    ("shift", "text"),
    [(None, "depth: none"), (50_000_000, "depth: none within sync_slop, 0.02 s")],
)
def test_missing_depth_is_told_and_masks_go_on(robot: Robot, shift: int | None, text: str) -> None:
    header = robot.show()
    robot.prompt(header)
    robot.client.wait(lambda: bool(robot.got["mask"]))

    def told() -> bool:
        if shift is not None:
            robot.measure(shifted(header, shift))
        return robot.warned(text)

    robot.client.wait(told, 20)
    assert not any(robot.got[name] for name in SPATIAL)
    assert robot.last("mask").header == header


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"k": [0.0] * 9}, "K: focal lengths 0, 0"),
        ({"width": 320, "height": 240}, "320 x 240 px; expected 640 x 480 px"),
        ({"distortion_model": "odd", "d": [0.1]}, "distortion_model: 'odd'"),
    ],
)
def test_a_bad_calibration_is_told_and_masks_go_on(
    robot: Robot, fields: dict[str, Any], text: str
) -> None:
    robot.calibrate(**fields)
    header = robot.show()
    robot.prompt(header)
    robot.client.wait(lambda: bool(robot.got["mask"]))
    robot.client.wait(lambda: robot.measure(header) or robot.warned(text), 20)
    assert not any(robot.got[name] for name in SPATIAL)


@pytest.mark.parametrize(
    ("depth", "encoding", "text"),
    [
        (np.ones((240, 320), np.float32), "32FC1", "320 x 240 px; expected 640 x 480 px"),
        (np.ones((480, 640), np.uint8), "mono8", "depth.encoding: 'mono8'"),
        (np.zeros((480, 640), np.uint16), "16UC1", "fewer than 10 readings on"),
    ],
)
def test_bad_depth_is_told_and_masks_go_on(
    robot: Robot, depth: np.ndarray, encoding: str, text: str
) -> None:
    header = robot.show()
    robot.prompt(header)
    robot.client.wait(lambda: bool(robot.got["mask"]))
    robot.client.wait(lambda: robot.measure(header, depth, encoding) or robot.warned(text), 20)
    assert robot.last("mask").header == header


def test_without_tf_frames_are_told_and_clouds_go_on(robot: Robot) -> None:
    if find_spec("tf2_msgs"):
        pytest.skip("tf2_msgs is installed")
    with robot.client.parameter("publish_tf", True):
        header = robot.show()
        robot.prompt(header)
        robot.client.wait(lambda: robot.measure(header) or robot.complete())
        assert robot.warned("publish_tf: tf2_msgs is not installed")


def test_another_frame_that_nobody_knows_is_told_and_masks_go_on(robot: Robot) -> None:
    with robot.client.parameter("target_frame", "nowhere"):
        header = robot.show()
        robot.prompt(header)
        robot.client.wait(lambda: bool(robot.got["mask"]))
        robot.client.wait(lambda: robot.measure(header) or robot.warned("target_frame: "), 20)
        assert not any(robot.got[name] for name in SPATIAL)
