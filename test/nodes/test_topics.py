"""The ways that prompts and pictures come in."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from geometry_msgs.msg import Point, PointStamped
from node_client import GREEN, RED, boxed, click, mask_of, pixels, scene
from sensor_msgs.msg import CompressedImage
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from sam_ros.engine import rle
from sam_ros.msg import PromptArray
from sam_ros.nodes.images import to_image


def selected_mask(instance: Any) -> np.ndarray:
    counts = np.array(instance.hypotheses[instance.selected].mask.counts, np.uint32)
    return np.asarray(rle.decode(counts, 120, 160))


def test_points_boxes_and_masks_on_their_own_topics(sam: Any) -> None:
    header = sam.show(scene())
    detection = Detection2D(bbox=boxed(95, 65, 145, 105).box[0], id="box7")
    for name, score in (("cup", 0.3), ("bowl", 0.6)):
        kind = ObjectHypothesisWithPose()
        kind.hypothesis.class_id, kind.hypothesis.score = name, score
        detection.results.append(kind)
    prior = to_image(mask_of(GREEN).astype(np.uint8), "mono8", header)
    cases = (
        ("sam/point", PointStamped(header=header, point=Point(x=40.0, y=30.0)), RED),
        ("image_mouse_left", Point(x=40.0, y=30.0), RED),
        ("sam/box", Detection2DArray(header=header, detections=[detection]), GREEN),
        ("sam/prior_mask", prior, GREEN),
    )
    for topic, msg, area in cases:
        sam.forget()
        sam.send(topic, msg)
        sam.wait(lambda: sam.received["instances"])
        result = sam.received["instances"][-1]
        assert result.header == header
        np.testing.assert_array_equal(selected_mask(result.instances[0]), mask_of(area))
        if topic == "sam/box":
            (instance,) = result.instances
            assert (instance.object_id, instance.label) == ("box7", "bowl")
            assert instance.label_score == pytest.approx(0.6)


def test_prompts_of_several_pictures_in_one_message(sam: Any) -> None:
    first, second = sam.show(scene()), sam.show(scene())
    prompts = [click(40, 30, header=second), click(110, 80, header=first)]
    sam.forget()
    sam.send("sam/prompts", PromptArray(prompts=prompts))
    sam.wait(lambda: len(sam.received["instances"]) == 2)
    assert [item.header for item in sam.received["instances"]] == [second, first]


def test_compressed_pictures(start_node: Any, client: Any) -> None:
    start_node("image_transport:=compressed")
    client.wait(lambda: client._publishers["image/compressed"].get_subscription_count(), 60)
    header = client.header()
    data = cv2.imencode(".png", cv2.cvtColor(scene(), cv2.COLOR_RGB2BGR))[1].tobytes()
    prompt = click(40, 30, header=header)

    def answered() -> bool:
        client.send("image/compressed", CompressedImage(header=header, format="png", data=data))
        return bool(client.call("segment", prompts=[prompt]).status.code == 0)

    client.wait(answered, 10)
    reply = client.call("segment", prompts=[prompt], return_images=True)
    np.testing.assert_array_equal(pixels(reply.masks[0]), 255 * mask_of(RED))
