"""A scene in space as messages, in the camera's frame and in another one."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from std_msgs.msg import Header

from sam_ros.engine.boxes import tight_box
from sam_ros.nodes import clouds
from sam_ros.nodes.depth import metres
from sam_ros.nodes.images import ImageError, to_image
from sam_ros.nodes.space import View

sys.path.insert(0, str(Path(__file__).parents[1] / "geometry"))
from tabletop import camera, render

SHIFT = np.array((1.0, -2.0, 0.5))


def scene() -> Any:
    """The table with its tall box as the target."""
    table = render(camera())
    mask = table.numbers == 2
    chosen = SimpleNamespace(mask=mask, box=tight_box(mask), score=0.8, area=int(mask.sum()))
    item = SimpleNamespace(
        object_id="tall", instance_id=7, label="", label_score=0.0, chosen=chosen
    )
    frame = SimpleNamespace(header=Header(frame_id="optical"), rgb=table.rgb, size=mask.shape)
    return SimpleNamespace(frame=frame, results=(item,), target=item)


@pytest.fixture(params=[False, True])
def transform(request: pytest.FixtureRequest) -> np.ndarray | None:
    """None, or the camera's frame turned a quarter about z and shifted."""
    if not request.param:
        return None
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]], SHIFT
    return matrix


def expected(points: np.ndarray, transform: np.ndarray | None) -> np.ndarray:
    return points if transform is None else points @ transform[:3, :3].T + transform[:3, 3]


def test_points_and_boxes_are_given_in_one_frame(transform: np.ndarray | None) -> None:
    table = render(camera())
    view = View(scene(), table.depth, table.camera, "map", transform)
    room = clouds.Room()
    values = room.records(480 * 640).reshape(480, 640, 5)
    view.fill(values)
    np.testing.assert_allclose(clouds.places(values), expected(table.points, transform), atol=1e-5)
    target = clouds.Room().records(view.target_count)
    view.fill_target(target)
    ((_, box),) = view.boxes
    np.testing.assert_allclose(clouds.places(target).mean(axis=0), box.centroid, atol=1e-3)
    thing = table.things[1]
    np.testing.assert_allclose(box.center, expected(thing.center, transform), atol=5e-3)
    msg = clouds.to_transform(view.header, "sam/tall", box)
    assert (msg.header.frame_id, msg.child_frame_id) == ("map", "sam/tall")
    assert msg.transform.translation.x == pytest.approx(box.center[0])
    detection = clouds.to_detection(view.header, view.boxes[0][0], box)
    assert detection.results[0].hypothesis.class_id == "object"
    assert detection.results[0].hypothesis.score == pytest.approx(0.8)
    assert detection.bbox.center.orientation == msg.transform.rotation


def test_a_room_grows_and_shrinks() -> None:
    room = clouds.Room()
    for count in (5, 0, 9, 2):
        room.records(count)[:] = count
        msg = room.cloud(Header())
        assert (msg.width, len(msg.data)) == (count, 20 * count)
        assert set(np.frombuffer(msg.data, np.uint32)) <= {count}


def test_depth_is_metres_and_nan() -> None:
    """Whatever the encoding, and where the driver says that it has no reading."""
    raw = np.array([[0.0, 1.5, np.nan, np.inf, -1.0]], np.float32)
    np.testing.assert_array_equal(
        metres(to_image(raw, "32FC1", Header()), 0.001), [[np.nan, 1.5, np.nan, np.nan, np.nan]]
    )
    millimetres = to_image(np.array([[0, 1500, 65535]], np.uint16), "16UC1", Header())
    np.testing.assert_allclose(metres(millimetres, 0.001), [[np.nan, 1.5, 65.535]], rtol=1e-6)
    np.testing.assert_allclose(metres(millimetres, 0.0001), [[np.nan, 0.15, 6.5535]], rtol=1e-6)
    with pytest.raises(ImageError, match="depth.encoding: 'rgb8'; expected 32FC1 or 16UC1"):
        metres(to_image(np.zeros((1, 1, 3), np.uint8), "rgb8", Header()), 0.001)
