"""Picture, depth, calibration and mask of one moment, over DDS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
import rclpy
from builtin_interfaces.msg import Time
from node_client import GREEN, mask_of, scene
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from sam_ros.nodes.camera_info import pinhole
from sam_ros.nodes.images import decode, to_image

KINDS = {"image": Image, "depth": Image, "camera_info": CameraInfo, "mask": Image}


class Rig:
    """Publishes what the program joins, and hears what comes of it."""

    def __init__(self, domain: int) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("rig", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.received: dict[str, list[Any]] = {name: [] for name in KINDS}
        self.publishers = {}
        for name, kind in KINDS.items():
            topic = "sam/mask" if name == "mask" else name
            self.publishers[name] = self.node.create_publisher(kind, topic, 10)
            hear = self.received[name].append
            self.node.create_subscription(kind, f"matched/{name}", hear, 10)

    def spin(self, seconds: float, ready: Any = lambda: False) -> bool:
        clock = self.node.get_clock()
        end = clock.now().nanoseconds + seconds * 1e9
        while not ready() and clock.now().nanoseconds < end:
            self.executor.spin_once(timeout_sec=0.05)
        return bool(ready())

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture
def rig(ros_domain: int) -> Iterator[Rig]:
    process = subprocess.Popen([sys.executable, "-m", "sam_ros.nodes.matched"])
    rig = Rig(ros_domain)
    try:
        pairs = list(rig.publishers.values())
        assert rig.spin(30, lambda: all(item.get_subscription_count() for item in pairs))
        assert rig.spin(30, lambda: rig.node.count_publishers("/matched/mask") > 0)
        yield rig
    finally:
        rig.close()
        process.terminate()
        process.wait(20)


def test_the_four_have_the_header_of_the_picture(rig: Rig) -> None:
    """Also when newer pictures have come, and depth has a stamp a little off."""
    stamps = [Header(stamp=Time(sec=5, nanosec=k * 33_000_000), frame_id="eye") for k in range(4)]
    mask = to_image(mask_of(GREEN) * np.uint8(255), "mono8", stamps[1])

    def matched() -> bool:
        for index, header in enumerate(stamps):  # each time: sensors' messages may get lost
            late = Header(stamp=Time(sec=5, nanosec=index * 33_000_000 + 4_000_000), frame_id="ir")
            depth = np.full((120, 160), 500 + index, np.uint16)
            depth[0, 0] = 0
            rig.publishers["image"].publish(to_image(scene()[..., ::-1].copy(), "bgr8", header))
            rig.publishers["depth"].publish(to_image(depth, "16UC1", late))
            rig.publishers["camera_info"].publish(pinhole(header, 120, 160, 60))
        rig.spin(0.3)
        rig.publishers["mask"].publish(mask)
        return rig.spin(0.5, lambda: all(rig.received.values()))

    assert any(matched() for _ in range(10))
    newest = {name: messages[-1] for name, messages in rig.received.items()}
    assert all(msg.header == stamps[1] for msg in newest.values())
    assert (newest["image"].encoding, newest["depth"].encoding) == ("rgb8", "32FC1")
    assert newest["mask"].encoding == "mono8" and newest["mask"].data == mask.data
    np.testing.assert_array_equal(decode(newest["image"]), scene())
    depth = np.frombuffer(newest["depth"].data, np.float32).reshape(120, 160)
    assert depth[0, 0] == 0 and depth[5, 5] == pytest.approx(0.501)
    assert newest["camera_info"].k[0] == pytest.approx(pinhole(mask.header, 120, 160, 60).k[0])
