"""A robot before a table: a client with a depth camera, and what it has heard."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from node_client import NodeClient, boxed
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray

from sam_ros.msg import InstanceArray, PromptArray
from sam_ros.nodes.images import to_image

sys.path.insert(0, str(Path(__file__).parents[1] / "geometry"))
from tabletop import camera, render

OUTPUTS = {
    "points": PointCloud2,
    "target_points": PointCloud2,
    "scene_points": PointCloud2,
    "detections_3d": Detection3DArray,
    "instances": InstanceArray,
    "mask": Image,
    "instance_mask": Image,
    "label_mask": Image,
    "confidence": Image,
    "overlay": Image,
    "detections": Detection2DArray,
}
SPATIAL = list(OUTPUTS)[:4]
NAMES = ("carton", "tall box", "ball")


class Robot:
    """A client with a depth camera in front of the table."""

    def __init__(self, client: NodeClient) -> None:
        self.client, self.table = client, render(camera())
        node = client.node
        self._info = {
            topic: node.create_publisher(CameraInfo, topic, qos_profile_sensor_data)
            for topic in ("camera_info", "depth/camera_info")
        }
        self._depth = node.create_publisher(Image, "depth", qos_profile_sensor_data)
        self.got: dict[str, list[Any]] = {name: [] for name in OUTPUTS}
        for name, kind in OUTPUTS.items():
            node.create_subscription(kind, f"sam/{name}", self.got[name].append, 10)
        names = [f"/sam/{name}" for name in OUTPUTS]
        client.wait(lambda: all(node.count_publishers(name) for name in names))
        client.wait(lambda: bool(self._depth.get_subscription_count()))
        client.spin(0.3)

    def calibrate(self, topic: str = "camera_info", **fields: Any) -> None:
        """Publishes the true calibration, or one with other fields."""
        some = self.table.camera
        values = {
            "height": some.height,
            "width": some.width,
            "distortion_model": some.model,
            "k": some.K.ravel().tolist(),
            "d": some.D.tolist(),
            "r": some.R.ravel().tolist(),
            "p": some.P.ravel().tolist(),
        }
        self._info[topic].publish(CameraInfo(**{**values, **fields}))
        self.client.spin(0.1)

    def show(self) -> Header:
        """The picture of the table, seen by the node; nothing received before counts."""
        header = self.client.show(self.table.rgb)
        for messages in self.got.values():
            messages.clear()
        return header

    def prompt(self, header: Header, **fields: Any) -> None:
        """Asks for all three things at once, the tall box first: it is the target."""
        prompts = []
        for number in (2, 1, 3):
            rows, columns = np.nonzero(self.table.numbers == number)
            corners = (columns.min(), rows.min(), columns.max(), rows.max())
            name = NAMES[number - 1]
            prompts.append(boxed(*corners, object_id=name, label=name.split()[-1], **fields))
        self.client.send("sam/prompts", PromptArray(header=header, prompts=prompts))

    def measure(self, header: Header, depth: Any = None, encoding: str = "32FC1") -> None:
        """Publishes the depth of the picture."""
        depth = self.table.depth if depth is None else depth
        self._depth.publish(to_image(depth, encoding, header))

    def complete(self, names: Any = OUTPUTS) -> bool:
        return all(self.got[name] for name in names)

    def last(self, name: str) -> Any:
        return self.got[name][-1]

    def warned(self, text: str) -> bool:
        """Whether the newest diagnostics warn of it."""
        status = self.client.fresh_diagnostics()
        return text in status.message and text in self.client.fact("depth")


def shifted(header: Header, nanoseconds: int) -> Header:
    total = header.stamp.sec * 10**9 + header.stamp.nanosec + nanoseconds
    other = Header(frame_id=header.frame_id)
    other.stamp.sec, other.stamp.nanosec = divmod(total, 10**9)
    return other
