"""What two other processes see of one picture: every output, and that they agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from node_client import GREEN, OUTPUTS, RED, boxed, click, codes, mask_of, pixels, scene
from sensor_msgs.msg import Image

from sam_ros.engine import rle
from sam_ros.msg import Instance, InstanceArray, Prompt, PromptArray


@pytest.fixture
def shown(sam: Any) -> Any:
    """The shared node after two objects were prompted on one picture."""
    header = sam.show(scene())
    sam.forget()
    prompts = [
        click(40, 30, object_id="cup", label=f"mug {header.stamp.sec}"),  # a new one: a new table
        boxed(95, 65, 145, 105, object_id="lid", persistence=Prompt.STICKY),
    ]
    sam.send("sam/prompts", PromptArray(header=header, prompts=prompts))
    sam.wait(lambda: all(sam.received[name] for name in OUTPUTS))
    sam.source = header
    return sam


def last(sam: Any, name: str) -> Any:
    return sam.received[name][-1]


def masks(result: InstanceArray) -> dict[int, np.ndarray]:
    """The selected mask of each instance by its number, from the run lengths."""
    return {
        item.instance_id: rle.decode(
            np.array(item.hypotheses[item.selected].mask.counts, np.uint32),
            result.height,
            result.width,
        )
        for item in result.instances
    }


def test_every_output_has_the_header_of_the_picture(shown: Any) -> None:
    for name in OUTPUTS:
        assert last(shown, name).header == shown.source, name
    for detection in last(shown, "detections").detections:
        assert detection.header == shown.source


def test_hypotheses_are_sorted_and_complete(shown: Any) -> None:
    result = last(shown, "instances")
    assert (result.height, result.width, result.model) == (120, 160, "sam_tiny")
    assert result.latency.sec + result.latency.nanosec > 0
    cup, lid = result.instances
    label = f"mug {shown.source.stamp.sec}"
    assert (cup.object_id, cup.label, cup.label_score) == ("cup", label, 1.0)
    assert (lid.object_id, lid.label, lid.label_score) == ("lid", "", 0.0)
    assert (cup.state, cup.selected, cup.ambiguous) == (Instance.NEW, 0, True)
    assert [len(cup.hypotheses), len(lid.hypotheses)] == [3, 1]
    scores = [item.score for item in cup.hypotheses]
    assert scores == sorted(scores, reverse=True)
    assert [item.parent for item in cup.hypotheses] == [1, -1, 0]


def test_all_outputs_agree_pixel_by_pixel(shown: Any) -> None:
    result = last(shown, "instances")
    found = masks(result)
    cup, lid = (item.instance_id for item in result.instances)
    np.testing.assert_array_equal(found[cup], mask_of(RED))
    np.testing.assert_array_equal(found[lid], mask_of(GREEN))
    np.testing.assert_array_equal(pixels(last(shown, "mask")), 255 * mask_of(RED))
    numbers = pixels(last(shown, "instance_mask"))
    np.testing.assert_array_equal(numbers, cup * mask_of(RED) + lid * mask_of(GREEN))
    names = {item.class_id: item.class_name for item in last(shown, "label_info").class_map}
    labels = pixels(last(shown, "label_mask"))
    assert {names[value] for value in np.unique(labels[mask_of(RED)])} == {
        result.instances[0].label
    }
    assert {names[value] for value in np.unique(labels[mask_of(GREEN)])} == {"object"}
    np.testing.assert_array_equal(labels == 0, numbers == 0)
    sure = pixels(last(shown, "confidence"))
    np.testing.assert_array_equal(sure, round(255 * 0.9) * (numbers > 0))


def test_boxes_and_areas_are_those_of_the_masks(shown: Any) -> None:
    result = last(shown, "instances")
    detections = {item.id: item for item in last(shown, "detections").detections}
    for item in result.instances:
        chosen = item.hypotheses[item.selected]
        mask = masks(result)[item.instance_id]
        rows, columns = np.nonzero(mask)
        assert chosen.area == mask.sum()
        for box in (chosen.bbox, detections[item.object_id].bbox):
            assert box.center.position.x == (columns.min() + columns.max()) / 2
            assert box.center.position.y == (rows.min() + rows.max()) / 2
            assert (box.size_x, box.size_y) == (np.ptp(columns) + 1, np.ptp(rows) + 1)


def test_overlay_is_the_picture_with_something_drawn(shown: Any) -> None:
    overlay = pixels(last(shown, "overlay"))
    assert last(shown, "overlay").encoding == "rgb8" and overlay.shape == (120, 160, 3)
    assert (overlay[RED] != scene()[RED]).any()


def test_active_prompts_are_the_sticky_ones(shown: Any) -> None:
    (prompt,) = last(shown, "active_prompts").prompts
    assert (prompt.object_id, prompt.persistence) == ("lid", Prompt.STICKY)
    assert not prompt.normalized
    assert prompt.box[0] == boxed(95, 65, 145, 105).box[0]


def test_the_segment_service_gives_the_same_masks(shown: Any) -> None:
    published = masks(last(shown, "instances"))
    prompts = [click(40, 30, header=shown.source), boxed(95, 65, 145, 105)]
    reply = shown.call("segment", prompts=prompts, return_images=True)
    assert reply.status.code == 0 and codes(reply) == [0, 0]
    assert reply.result.header == shown.source
    for mask, image, expected in zip(
        masks(reply.result).values(), reply.masks, published.values(), strict=True
    ):
        np.testing.assert_array_equal(mask, expected)
        np.testing.assert_array_equal(pixels(image), 255 * expected)
        assert image.header == shown.source


def test_segment_takes_a_picture_along(sam: Any) -> None:
    """It is answered at once and neither remembered nor published."""
    reply = sam.call("segment", image=picture_message(sam), prompts=[click(110, 80)])
    assert reply.status.code == 0
    (mask,) = masks(reply.result).values()
    np.testing.assert_array_equal(mask, mask_of(GREEN))
    sam.spin(0.2)
    assert not sam.received["instances"]


def test_a_prompt_may_come_before_its_picture(sam: Any) -> None:
    from sam_ros.nodes.images import to_image

    header = sam.header()
    pending = sam.start("segment", prompts=[click(40, 30, header=header)])
    sam.spin(0.1)
    sam.send("image", to_image(scene(), "rgb8", header))
    sam.wait(pending.done)
    assert pending.result().status.code == 0
    assert pending.result().result.header == header


def picture_message(sam: Any) -> Image:
    from sam_ros.nodes.images import to_image

    return to_image(scene(), "rgb8", sam.header())
