"""The outputs as other programs take them: what Nav2's semantic layer relies on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from node_client import GREEN, boxed, mask_of, scene
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, LabelInfo, ObjectHypothesisWithPose

from sam_ros.nodes.camera_info import pinhole
from sam_ros.nodes.images import to_image

TOPICS = {"label_mask": Image, "confidence": Image, "points": PointCloud2}


def stamp(header: Header) -> tuple[int, int]:
    return header.stamp.sec, header.stamp.nanosec


def test_class_image_confidence_and_cloud_are_of_one_moment(start_node: Any, client: Any) -> None:
    """Same size and stamp, best effort, the table of classes before the first class image."""
    start_node("sync_slop:=0.0")
    client.wait_for_node()
    heard: list[tuple[str, Any]] = []

    def hear(name: str, kind: Any, qos: QoSProfile) -> None:
        client.node.create_subscription(
            kind, f"sam/{name}", lambda msg: heard.append((name, msg)), qos
        )

    latched = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    hear("label_info", LabelInfo, latched)
    for name, kind in TOPICS.items():
        hear(name, kind, qos_profile_sensor_data)
    depth = client.node.create_publisher(Image, "depth", qos_profile_sensor_data)
    client.wait(lambda: depth.get_subscription_count() and heard, 20)
    box = Detection2D(bbox=boxed(95, 65, 145, 105).box[0], id="1")
    kind = ObjectHypothesisWithPose()
    kind.hypothesis.class_id, kind.hypothesis.score = "cable", 0.7
    box.results = [kind]
    joined: dict[tuple[int, int], dict[str, Any]] = {}

    def complete() -> bool:
        header = client.header()
        client.send("camera_info", pinhole(header, 120, 160, 60))
        depth.publish(to_image(np.full((120, 160), 900, np.uint16), "16UC1", header))
        client.send("image", to_image(scene(), "rgb8", header))
        client.send("sam/box", Detection2DArray(header=header, detections=[box]))
        client.spin(0.3)
        for name, msg in heard:
            if name in TOPICS:
                joined.setdefault(stamp(msg.header), {})[name] = msg
        return any(len(found) == len(TOPICS) for found in joined.values())

    client.wait(complete, 30)
    found = next(found for found in joined.values() if len(found) == len(TOPICS))
    labels, confidence, cloud = (found[name] for name in TOPICS)
    assert labels.header == confidence.header == cloud.header
    assert (labels.encoding, confidence.encoding) == ("mono8", "mono8")
    assert {(msg.height, msg.width) for msg in (labels, confidence, cloud)} == {(120, 160)}
    assert labels.step == 160 and cloud.row_step == 160 * cloud.point_step
    assert [field.name for field in cloud.fields[:3]] == ["x", "y", "z"]
    names = [name for name, _ in heard]
    assert names.index("label_info") < min(names.index(name) for name in TOPICS)
    tables = [msg for name, msg in heard if name == "label_info"]
    numbers = {item.class_name: item.class_id for item in tables[-1].class_map}
    values = np.frombuffer(labels.data, np.uint8).reshape(120, 160)
    np.testing.assert_array_equal(values, numbers["cable"] * mask_of(GREEN))
    sure = np.frombuffer(confidence.data, np.uint8).reshape(120, 160)
    np.testing.assert_array_equal(sure > 0, mask_of(GREEN))
