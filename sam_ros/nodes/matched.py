"""The picture, its depth and its calibration again, at the moment its mask is there.

For programs that join topics by equal stamps and keep few of them, such as FoundationPose: the
mask comes later than its picture by the time that the model takes, and depth has a stamp of its
own. Here all four go out together, with the header of the picture.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Sequence
from copy import copy

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from sam_ros.nodes.depth import metres
from sam_ros.nodes.frames import nanoseconds
from sam_ros.nodes.images import decode, to_image
from sam_ros.nodes.program import run

KEPT = 90  # pictures and depths: three seconds at 30 Hz, longer than a mask takes


class Matched(Node):
    """Republishes what belongs to each ``mask``: rgb8, 32FC1 in metres, calibration, mask."""

    def __init__(self) -> None:
        super().__init__("matched")
        self._slop = float(self.declare_parameter("sync_slop", 0.02).value)  # seconds
        self._scale = float(self.declare_parameter("depth_scale", 0.001).value)  # metres
        self._pictures: OrderedDict[int, Image] = OrderedDict()
        self._depths: OrderedDict[int, Image] = OrderedDict()
        self._info: CameraInfo | None = None
        sensor = qos_profile_sensor_data
        self.create_subscription(Image, "image", lambda msg: _keep(self._pictures, msg), sensor)
        self.create_subscription(Image, "depth", lambda msg: _keep(self._depths, msg), sensor)
        self.create_subscription(CameraInfo, "camera_info", self._take_info, sensor)
        self.create_subscription(Image, "sam/mask", self._take_mask, QoSProfile(depth=10))
        self._outputs = {
            name: self.create_publisher(kind, f"~/{name}", 10)
            for name, kind in (
                ("image", Image),
                ("depth", Image),
                ("camera_info", CameraInfo),
                ("mask", Image),
            )
        }

    def _take_info(self, msg: CameraInfo) -> None:
        self._info = msg

    def _take_mask(self, mask: Image) -> None:
        """Publishes the four, unless one is missing or nothing is on the mask."""
        stamp = nanoseconds(mask.header.stamp)
        picture = self._pictures.get(stamp)
        nearest = min(self._depths, key=lambda key: abs(key - stamp), default=None)
        if nearest is None or abs(nearest - stamp) > self._slop * 1e9:
            self._tell(f"no depth within {self._slop:g} s of the mask's picture")
        elif picture is None or self._info is None:
            self._tell(f"no {'camera_info' if picture else 'image'} for the mask")
        elif np.frombuffer(mask.data, np.uint8).any():
            try:
                self._publish(mask, picture, self._depths[nearest], self._info)
            except ValueError as error:
                self._tell(str(error))

    def _publish(self, mask: Image, picture: Image, depth: Image, info: CameraInfo) -> None:
        """No reading is 0 here, as these programs expect it."""
        distances = np.nan_to_num(metres(depth, self._scale))
        calibration = copy(info)
        calibration.header = mask.header
        messages = {
            "image": to_image(decode(picture), "rgb8", mask.header),
            "depth": to_image(distances, "32FC1", mask.header),
            "camera_info": calibration,
            "mask": mask,
        }
        for name, msg in messages.items():
            self._outputs[name].publish(msg)

    def close(self) -> None:
        """Has nothing to give back."""

    def _tell(self, problem: str) -> None:
        self.get_logger().warning(problem, throttle_duration_sec=1.0)


def _keep(kept: OrderedDict[int, Image], msg: Image) -> None:
    kept[nanoseconds(msg.header.stamp)] = msg
    while len(kept) > KEPT:
        kept.popitem(last=False)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node until Ctrl-C."""
    return run("matched", Matched, _serve, args)


def _serve(node: Matched) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while rclpy.ok():
        executor.spin_once(
            timeout_sec=0.5
        )  # without an end, rclpy sometimes sleeps through SIGTERM
    return 0


if __name__ == "__main__":
    sys.exit(main())
