"""A robot before a table: colour, depth and calibration in, boxes and clouds out, over DDS."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from geometry_msgs.msg import TransformStamped
from robot import NAMES, SPATIAL, Robot, shifted
from sensor_msgs.msg import PointCloud2

sys.path.insert(0, str(Path(__file__).parents[1] / "geometry"))
from tabletop import Ball

NEAR = 5e-3  # m
UP = np.array((0.0, 0.0, 5.0))  # from the map to the camera


@pytest.fixture
def placed(robot: Robot) -> Robot:
    """All outputs of one picture have arrived."""
    header = robot.show()
    robot.prompt(header)
    robot.client.wait(lambda: bool(robot.got["instances"]))
    robot.client.wait(lambda: robot.measure(header) or robot.complete())
    robot.header = header
    return robot


def fields_of(cloud: PointCloud2) -> dict[str, np.ndarray]:
    """The columns of a cloud by name, read as its fields say."""
    kinds = {7: "f4", 6: "u4"}
    dtype = np.dtype(
        {
            "names": [item.name for item in cloud.fields],
            "formats": [kinds[item.datatype] for item in cloud.fields],
            "offsets": [item.offset for item in cloud.fields],
            "itemsize": cloud.point_step,
        }
    )
    assert cloud.row_step == cloud.point_step * cloud.width and not cloud.is_bigendian
    values = np.frombuffer(cloud.data, dtype).reshape(cloud.height, cloud.width)
    return {name: values[name] for name in dtype.names}


def places(cloud: PointCloud2) -> np.ndarray:
    values = fields_of(cloud)
    return np.stack([values[name] for name in "xyz"], axis=-1)


def colours(cloud: PointCloud2) -> np.ndarray:
    """(H, W, 3) red, green, blue."""
    packed = np.ascontiguousarray(fields_of(cloud)["rgb"]).view(np.uint32)
    return np.stack([(packed >> shift) & 255 for shift in (16, 8, 0)], axis=-1)


def test_all_outputs_have_the_stamp_and_frame_of_the_picture(placed: Robot) -> None:
    """What an exact-time synchroniser would join: one message of each with equal headers."""
    for name, messages in placed.got.items():
        assert placed.header in [item.header for item in messages], name
    for item in placed.last("detections_3d").detections:
        assert item.header == placed.header


def test_the_organised_cloud_is_the_truth_pixel_by_pixel(placed: Robot) -> None:
    cloud, table = placed.last("points"), placed.table
    assert (cloud.height, cloud.width, cloud.is_dense) == (480, 640, False)
    np.testing.assert_allclose(places(cloud), table.points, atol=1e-5)
    np.testing.assert_array_equal(colours(cloud), table.rgb)
    by_name = {item.object_id: item.instance_id for item in placed.last("instances").instances}
    numbers = np.array([0, *(by_name[name] for name in NAMES)])
    np.testing.assert_array_equal(fields_of(cloud)["instance_id"], numbers[table.numbers])


def test_target_and_scene_share_the_points_between_them(placed: Robot) -> None:
    """The target is the tall box: the first of its message."""
    table, target = placed.table, placed.last("target_points")
    mask = table.numbers == 2
    assert target.height == 1 and target.is_dense
    assert 0.95 * mask.sum() < target.width <= mask.sum()
    points = places(target)[0]
    thing = table.things[1]
    outside = np.abs((points - thing.center) @ thing.axes) - thing.size / 2
    assert outside.max() < 1e-4
    assert (colours(target) == thing.colour).all()
    scene = placed.last("scene_points")
    assert scene.width == (~mask).sum()
    np.testing.assert_allclose(places(scene)[0], table.points[~mask], atol=1e-5)


def test_boxes_are_within_5_mm_of_the_truth(placed: Robot) -> None:
    found = {item.id: item for item in placed.last("detections_3d").detections}
    assert set(found) == set(NAMES)
    for number, name in enumerate(NAMES, 1):
        thing, item = placed.table.things[number - 1], found[name]
        kind = item.results[0]
        assert kind.hypothesis.class_id == name.split()[-1]
        assert kind.hypothesis.score == 1.0  # of a label that somebody gave
        seen = placed.table.points[placed.table.numbers == number].mean(axis=0)
        np.testing.assert_allclose(vector(kind.pose.pose.position), seen, atol=NEAR)
        size = vector(item.bbox.size)
        if isinstance(thing, Ball):
            np.testing.assert_allclose(np.sort(size)[1:], 2 * thing.radius, atol=NEAR)
            continue
        assert np.linalg.norm(vector(item.bbox.center.position) - thing.center) < NEAR
        axes = rotation(item.bbox.center.orientation)
        order = np.abs(axes.T @ thing.axes).argmax(axis=1)
        np.testing.assert_allclose(size, thing.size[order], atol=NEAR)


def test_millimetres_with_holes_are_the_same_scene(robot: Robot) -> None:
    """16UC1, 0 for no reading: NaN in the organised cloud, absent from the others."""
    depth = np.round(robot.table.depth * 1000).astype(np.uint16)
    depth[::7, ::5] = 0
    header = robot.show()
    robot.prompt(header)
    robot.client.wait(lambda: robot.measure(header, depth, "16UC1") or robot.complete())
    points = places(robot.last("points"))
    np.testing.assert_array_equal(np.isnan(points[..., 2]), depth == 0)
    known = depth > 0
    np.testing.assert_allclose(points[known], robot.table.points[known], atol=2e-3)
    for name in ("target_points", "scene_points"):
        assert np.isfinite(places(robot.last(name))).all()
    assert len(robot.last("detections_3d").detections) == 3


def test_depth_may_come_first_and_a_little_off(robot: Robot) -> None:
    """Within sync_slop, 20 ms, the nearest serves; the outputs have the picture's stamp."""
    header = robot.show()

    def answered() -> bool:
        for shift in (-30_000_000, 15_000_000, 33_000_000):
            robot.measure(shifted(header, shift))  # best effort: may get lost
            robot.client.spin(0.05)
        robot.prompt(header)
        return robot.client.wait(lambda: robot.complete(SPATIAL), 3, fail=False)

    robot.client.wait(answered, 20)
    assert robot.last("points").header == header


def test_another_choice_of_an_old_picture_still_has_its_depth(placed: Robot) -> None:
    for number in range(40):
        placed.measure(shifted(placed.header, -(500 - number) * 10**9))
    for messages in placed.got.values():
        messages.clear()
    reply = placed.client.call("select_hypothesis", object_id="carton", index=0)
    assert reply.status.code == 0, reply.status.message
    placed.client.wait(lambda: placed.complete())
    assert placed.last("points").header == placed.header
    carton = (placed.table.numbers == 1).sum()
    assert 0.95 * carton < placed.last("target_points").width <= carton


def test_depth_of_a_lower_rate_serves_its_own_pictures(robot: Robot) -> None:
    """One depth image for three pictures: all have masks, one has points."""
    headers = [robot.show() for _ in range(3)]
    stamps = {name: set() for name in ("instances", "points")}

    def answered() -> bool:
        for depth_header in (headers[1], shifted(headers[2], 40_000_000)):
            robot.measure(depth_header)
            robot.client.spin(0.2)  # the node keeps the newest of those that it did not look at
        for header in headers:
            robot.prompt(header)
        robot.client.spin(0.5)
        for name, found in stamps.items():
            found |= {item.header.stamp.sec for item in robot.got[name]}
        return len(stamps["instances"]) == 3 and bool(stamps["points"])

    robot.client.wait(answered, 20)
    assert stamps["instances"] == {header.stamp.sec for header in headers}
    assert stamps["points"] == {headers[1].stamp.sec}
    robot.client.wait(lambda: robot.warned("depth: none within sync_slop"), 5)


@pytest.mark.skipif(
    find_spec("tf2_ros") is None,
    reason="needs tf2_ros, which comes with a ROS 2 installation (ros-$ROS_DISTRO-tf2-ros-py)",
)
def test_another_frame_is_where_the_camera_was_at_the_time_of_the_picture(robot: Robot) -> None:
    """The camera rises by 1 m in a second; a picture older than TF has no place, but masks."""
    from tf2_msgs.msg import TFMessage

    publisher = robot.client.node.create_publisher(TFMessage, "/tf", 100)
    robot.client.wait(lambda: publisher.get_subscription_count() > 0)
    with robot.client.parameter("target_frame", "map"):
        header = robot.show()
        for step in range(-10, 11):
            moved = TransformStamped(header=shifted(header, step * 100_000_000 + 50_000_000))
            moved.child_frame_id, moved.header.frame_id = header.frame_id, "map"
            moved.transform.translation.z = UP[2] + step / 10 + 0.05
            moved.transform.rotation.w = 1.0
            publisher.publish(TFMessage(transforms=[moved]))
        robot.prompt(header)
        robot.client.wait(lambda: robot.measure(header) or robot.complete(SPATIAL))
        cloud = robot.last("points")
        assert (cloud.header.stamp, cloud.header.frame_id) == (header.stamp, "map")
        np.testing.assert_allclose(places(cloud), robot.table.points + UP, atol=1e-4)
        found = {item.id: item for item in robot.last("detections_3d").detections}
        center = vector(found["carton"].bbox.center.position) - UP
        assert np.linalg.norm(center - robot.table.things[0].center) < NEAR
        old = shifted(header, -60_000_000_000)
        robot.client.show(robot.table.rgb, old)
        for messages in robot.got.values():
            messages.clear()
        robot.prompt(old)
        text = "no transform from 'camera_optical' to 'map'"
        robot.client.wait(lambda: robot.measure(old) or robot.warned(text), 20)
        assert robot.last("mask").header == old
        assert not any(robot.got[name] for name in SPATIAL)


def test_clouds_can_be_read_by_sensor_msgs_py(placed: Robot) -> None:
    """ROS's own reader finds the fields."""
    reader = pytest.importorskip(
        "sensor_msgs_py.point_cloud2", reason="needs sensor_msgs_py: it is part of ROS 2"
    )
    points = reader.read_points(placed.last("target_points"), ["x", "y", "z", "instance_id"])
    np.testing.assert_array_equal(points["z"], places(placed.last("target_points"))[0, :, 2])


def test_the_calibration_of_the_depth_serves_where_the_picture_s_is_unusable(robot: Robot) -> None:
    """The last test of the file: the node keeps what it has heard."""
    robot.calibrate(k=[0.0] * 9)
    header = robot.show()
    robot.prompt(header)

    def complete() -> bool:
        robot.calibrate("depth/camera_info")
        robot.measure(header)
        return robot.client.wait(robot.complete, 1, fail=False)

    robot.client.wait(complete, 20)
    np.testing.assert_allclose(places(robot.last("points")), robot.table.points, atol=1e-5)


def vector(msg: Any) -> np.ndarray:
    return np.array((msg.x, msg.y, msg.z))


def rotation(q: Any) -> np.ndarray:
    """(3, 3) of a quaternion, column by column: where the axes go."""
    w, v = q.w, np.array((q.x, q.y, q.z))
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross
