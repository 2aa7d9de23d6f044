"""Clicks in space and on pictures, from the topics of RViz, rqt_image_view and the like."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, PointStamped, TransformStamped
from node_client import FRAME_ID, GREEN, NodeClient, click, mask_of, scene, set_prompts
from node_process import NodeProcess
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from sam_ros.engine import rle
from sam_ros.msg import Prompt
from sam_ros.nodes.camera_info import pinhole
from sam_ros.nodes.processes import free_domain

NEED_TF = pytest.mark.skipif(
    find_spec("tf2_ros") is None,
    reason="needs tf2_ros, which comes with a ROS 2 installation (ros-$ROS_DISTRO-tf2-ros-py)",
)
HEIGHT, WIDTH = 240, 320
D = (0.12, -0.25, 0.002, -0.001, 0.08)
Floats = npt.NDArray[np.float64]


def landed(sam: Any) -> npt.NDArray[np.bool_]:
    """The selected mask of the first instance of the newest answer."""
    result = sam.received["instances"][-1]
    instance = result.instances[0]
    counts = np.array(instance.hypotheses[instance.selected].mask.counts, np.uint32)
    return np.asarray(rle.decode(counts, result.height, result.width))


def answer(sam: Any) -> Any:
    """The next answer."""
    sam.wait(lambda: sam.received["instances"])
    return sam.received["instances"][-1]


def test_a_right_click_refines_the_newest_object(sam: Any) -> None:
    """A background point of any viewer joins the object, which stays sticky."""
    header = sam.show(scene())
    set_prompts(sam, click(40, 30, header=header, object_id="cup", persistence=Prompt.STICKY))
    expected = [(40.0, 30.0)]
    sends = (
        ("image_mouse_right", Point(x=5.0, y=5.0)),
        ("sam/overlay_mouse_right", Point(x=6.0, y=5.0)),
        ("sam/background_point", PointStamped(header=header, point=Point(x=7.0, y=5.0))),
    )
    for topic, msg in sends:
        sam.forget()
        sam.send(topic, msg)
        sam.wait(lambda: sam.received["active_prompts"])
        (prompt,) = sam.received["active_prompts"][-1].prompts
        point = msg.point if isinstance(msg, PointStamped) else msg
        expected.append((point.x, point.y))
        assert [(item.x, item.y) for item in prompt.points] == expected
        assert list(prompt.point_labels) == [1] + [0] * (len(expected) - 1)
        assert (prompt.object_id, prompt.persistence) == ("cup", Prompt.STICKY)


def test_a_right_click_without_an_object_is_refused(sam: Any) -> None:
    sam.show(scene())
    sam.send("image_mouse_right", Point(x=5.0, y=5.0))
    sam.wait(lambda: "REFINE without an object_id" in sam.fact("last_problem"), 5)


def test_clicks_on_the_overlay_mean_its_picture(sam: Any) -> None:
    """A click on the camera's picture means the latest one, a click on ~/overlay that of it."""
    old = sam.show(scene())
    set_prompts(sam, click(40, 30, header=old))
    sam.wait(lambda: sam.received["overlay"])
    assert sam.received["overlay"][-1].header == old
    new = sam.show(scene())
    for topic, header in (("sam/overlay_mouse_left", old), ("image_mouse_left", new)):
        sam.forget()
        sam.send(topic, Point(x=110.0, y=80.0))
        assert answer(sam).header == header
        np.testing.assert_array_equal(landed(sam), mask_of(GREEN))
    assert sam.call("enable", data=False).success  # forgets all pictures, also that of the overlay
    assert sam.call("enable", data=True).success
    sam.send("sam/overlay_mouse_left", Point(x=110.0, y=80.0))
    sam.wait(lambda: "no ~/overlay has been published" in sam.fact("last_problem"))


def test_normalised_clicks(sam: Any) -> None:
    """0..1 over the picture, in the way of web consoles."""
    header = sam.show(scene())
    point = Point(x=110.5 / 160, y=80.5 / 120)
    sam.send("sam/normalized_point", PointStamped(header=header, point=point))
    assert answer(sam).header == header
    np.testing.assert_array_equal(landed(sam), mask_of(GREEN))


def test_a_point_in_the_optical_frame_needs_no_tf(sam: Any) -> None:
    """It is projected as it is, on the picture of its stamp or else on the latest."""
    first, second = sam.show(scene()), sam.show(scene())
    info = pinhole(second, 120, 160, 60)
    focal, cx, cy = info.k[0], info.k[2], info.k[5]
    point = Point(x=2 * (110 - cx) / focal, y=2 * (80 - cy) / focal, z=2.0)
    now = Header(stamp=Time(sec=9_999), frame_id=FRAME_ID)
    for stamped, picture in ((first, first), (now, second)):
        sam.forget()

        def answered(header: Header = stamped) -> bool:
            sam.send("camera_info", info)
            sam.send("/clicked_point", PointStamped(header=header, point=point))
            return bool(sam.wait(lambda: sam.received["instances"], 0.5, fail=False))

        sam.wait(answered)
        assert answer(sam).header == picture
        np.testing.assert_array_equal(landed(sam), mask_of(GREEN))


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ((0.0, 0.0, -1.5), "lies 1.500 m behind the camera 'camera_optical'"),
        ((4.0, 0.0, 2.0), "outside of the picture of 160 x 120 px"),
        ((0.0, 0.0, 0.0), "behind the camera"),
        ((float("nan"), 0.0, 1.0), "nan"),
    ],
)
def test_what_the_camera_does_not_see_is_told(sam: Any, place: Any, text: str) -> None:
    """With where it fell; the node goes on."""
    header = sam.show(scene())
    point = Point(**dict(zip("xyz", place, strict=True)))

    def told() -> bool:
        sam.send("camera_info", pinhole(header, 120, 160, 60))
        sam.send("/clicked_point", PointStamped(header=header, point=point))
        return bool(sam.wait(lambda: text in sam.fact("last_problem"), 1.5, fail=False))

    sam.wait(told)
    assert not sam.received["instances"]


class Robot:
    """A camera that drives and turns with the robot; TF every 20 ms, camera behind base.

    Args:
        sam: the client that publishes for it.
    """

    def __init__(self, sam: Any) -> None:
        from tf2_msgs.msg import TFMessage
        from tf2_ros import StaticTransformBroadcaster

        self._sam, self._message = sam, TFMessage
        self._tf = sam.node.create_publisher(TFMessage, "/tf", 100)
        self._static = StaticTransformBroadcaster(sam.node)
        self._mount = (0.2, 0.05, 0.6), (-0.5, 0.5, -0.5, 0.5)  # optical axes on the base
        self._static.sendTransform(self._transform("base", FRAME_ID, 0.0, *self._mount))

    def pose(self, seconds: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Of the base on the map: 0.8 m/s ahead, 0.7 rad/s to the left."""
        half = 0.35 * (seconds - 100)
        place = (1 + 0.8 * (seconds - 100), 2.0, 0.0)
        return place, (0.0, 0.0, float(np.sin(half)), float(np.cos(half)))

    def drive(self, start: float, end: float) -> None:
        """Publishes where it was."""
        for seconds in np.arange(start, end + 1e-6, 0.02):
            moved = self._transform("map", "base", float(seconds), *self.pose(float(seconds)))
            self._tf.publish(self._message(transforms=[moved]))

    def pixel(self, point: Floats, info: CameraInfo, seconds: float) -> Floats:
        """Where a point of the map appears, by OpenCV."""
        turn, shift = _rotation(self.pose(seconds)[1]), np.array(self.pose(seconds)[0])
        mount_turn, mount_shift = _rotation(self._mount[1]), np.array(self._mount[0])
        seen = mount_turn.T @ (turn.T @ (point - shift) - mount_shift)
        k = np.array(info.k).reshape(3, 3)
        found, _ = cv2.projectPoints(seen[None], np.zeros(3), np.zeros(3), k, np.array(info.d))
        return np.asarray(found.reshape(2))

    def _transform(
        self, parent: str, child: str, seconds: float, place: Any, turn: Any
    ) -> TransformStamped:
        msg = TransformStamped(header=_header(parent, seconds), child_frame_id=child)
        t, q = msg.transform.translation, msg.transform.rotation
        t.x, t.y, t.z = place
        q.x, q.y, q.z, q.w = turn
        return msg


def _header(frame: str, seconds: float) -> Header:
    whole, rest = divmod(round(seconds * 1e9), 1_000_000_000)
    return Header(stamp=Time(sec=whole, nanosec=rest), frame_id=frame)


def _rotation(q: Any) -> Floats:
    x, y, z, w = q
    vector = np.array((x, y, z))
    norm = float(np.linalg.norm(vector))
    if norm == 0:
        return np.eye(3)
    angle = 2 * np.arctan2(norm, w)
    return np.asarray(cv2.Rodrigues(vector / norm * angle)[0])


def every_pixel_another_colour() -> npt.NDArray[np.uint8]:
    """A mask of the stub segmenter is then the pixel that was asked for."""
    numbers = np.arange(HEIGHT * WIDTH, dtype=np.uint32).reshape(HEIGHT, WIDTH)
    return np.stack((numbers >> 16, numbers >> 8, numbers), axis=-1).astype(np.uint8)


@NEED_TF
def test_clicks_on_the_map_of_a_moving_robot(start_node: Any, client: Any) -> None:
    """They land within a pixel of where the point was when the picture was taken."""
    start_node("multimask:=never")
    client.wait_for_node()
    robot = Robot(client)
    client.wait(lambda: robot._tf.get_subscription_count() > 0)
    client.wait(lambda: client._publishers["camera_info"].get_subscription_count() > 0)
    picture = every_pixel_another_colour()
    robot.drive(99.5, 99.98)
    shifts = []
    for index, point in enumerate(([4.0, 2.3, 0.4], [5.0, 2.2, 1.0], [3.5, 1.9, 0.2])):
        taken = 100.01 + 0.11 * index  # between two transforms
        client.show(picture, _header(FRAME_ID, taken))
        info = pinhole(_header(FRAME_ID, taken), HEIGHT, WIDTH, 70)
        info.d = list(D)
        client.send("camera_info", info)
        client.spin(0.1)
        client.received["instances"].clear()
        now = taken + 0.1
        msg = PointStamped(header=_header("map", now))
        msg.point.x, msg.point.y, msg.point.z = point
        client.send("/clicked_point", msg)
        robot.drive(taken - 0.03, now + 0.02)  # TF comes after the click, as it often does
        expected = robot.pixel(np.array(point), info, taken)
        shifts.append(np.linalg.norm(robot.pixel(np.array(point), info, now) - expected))
        result = answer(client)
        assert result.header == info.header
        ((row, column),) = np.argwhere(landed(client))
        assert np.abs(np.array((column, row)) - expected).max() <= 0.51
    assert min(shifts) > 5  # with the transform of now it would have been wrong


@NEED_TF
@pytest.mark.parametrize(
    ("frame", "taken", "text"),
    [
        ("moon", 200.0, "no transform from 'moon' to 'camera_optical'"),
        ("map", 300.0, "no transform from 'map' to 'camera_optical' at 300.000000000"),
        ("map", 1.0, "no transform from 'map' to 'camera_optical' at 1.000000000"),
        ("", 200.1, "header.frame_id: empty"),
    ],
)
def test_missing_transforms_are_told(client: Any, frame: str, taken: float, text: str) -> None:
    """Unknown, not yet or too old: the 2-D outputs go on. Uses the node of the test before."""
    header = _header(FRAME_ID, taken)
    client.show(every_pixel_another_colour(), header)
    client.send("camera_info", pinhole(header, HEIGHT, WIDTH, 70))
    client.spin(0.1)
    client.send("/clicked_point", PointStamped(header=_header(frame, taken), point=Point(z=1.0)))
    client.wait(lambda: text in client.fact("last_problem"), 5)
    client.received["instances"].clear()
    client.send("sam/point", PointStamped(header=header, point=Point(x=9.0, y=8.0)))
    assert answer(client).header == header


def test_without_tf2_ros_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node runs all the same, and answers clicks that need no transform."""
    (tmp_path / "tf2_ros.py").write_text("raise ImportError('hidden by a test')")
    paths = (str(tmp_path), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    domain = free_domain()
    node = NodeProcess(domain, tmp_path / "output.log")
    client = NodeClient(domain, ["instances"])
    try:
        client.wait_for_node()
        header = client.show(scene())
        client.wait(lambda: client._publishers["camera_info"].get_subscription_count() > 0)
        client.send("camera_info", pinhole(header, 120, 160, 60))
        client.spin(0.1)
        point = PointStamped(header=Header(frame_id="map"), point=Point(z=1.0))
        client.send("/clicked_point", point)
        client.wait(
            lambda: "apt install ros-$ROS_DISTRO-tf2-ros-py" in client.fact("last_problem")
        )
        assert "tf2_ros is not installed" in client.fact("transforms")
        client.send("sam/point", PointStamped(header=header, point=Point(x=110.0, y=80.0)))
        assert answer(client).header == header
    finally:
        client.close()
        node.end()
