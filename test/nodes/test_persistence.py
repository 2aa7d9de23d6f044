"""Objects over several frames, the load of a stream, and all the ways that prompts come in."""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from geometry_msgs.msg import Point, PointStamped
from node_client import GREEN, RED, boxed, click, mask_of, pixels, scene
from std_msgs.msg import Header
from stub_node import SLEEP, SLOW
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from sam_ros.engine import rle
from sam_ros.msg import Instance, Prompt, PromptArray, Status
from sam_ros.nodes.images import to_image

STICKY = Prompt.STICKY


def set_prompts(sam: Any, *prompts: Prompt, replace_all: bool = False) -> list[str]:
    reply = sam.call("set_prompts", prompts=prompts, replace_all=replace_all)
    assert reply.status.code == 0, reply.status.message
    return list(reply.object_ids)


def next_result(sam: Any) -> Any:
    """The instances of a picture that is shown now."""
    sam.received["instances"].clear()
    header = sam.header()
    sam.send("image", to_image(scene(), "rgb8", header))
    sam.wait(lambda: any(item.header == header for item in sam.received["instances"]))
    return sam.received["instances"][-1]


def names(result: Any) -> list[str]:
    return [item.object_id for item in result.instances]


def test_once_is_answered_on_one_frame_and_sticky_on_each(sam: Any) -> None:
    header = sam.show(scene())
    once = click(40, 30, header=header, object_id="once")
    sticky = click(110, 80, header=header, object_id="sticky", persistence=STICKY)
    assert set_prompts(sam, once, sticky) == ["once", "sticky"]
    sam.wait(lambda: sam.received["instances"])
    assert names(sam.received["instances"][-1]) == ["once", "sticky"]
    first, second = next_result(sam), next_result(sam)
    assert names(first) == names(second) == ["sticky"]
    assert first.instances[0].state == Instance.TRACKED
    assert first.instances[0].instance_id == second.instances[0].instance_id


def test_the_node_names_what_has_no_name(sam: Any) -> None:
    sam.show(scene())
    some = set_prompts(sam, click(40, 30), click(110, 80))
    assert len(set(some)) == 2 and all(some)


def test_replace_all_keeps_the_named_ones_only(sam: Any) -> None:
    sam.show(scene())
    set_prompts(sam, *(click(40, 30, object_id=name, persistence=STICKY) for name in "abc"))
    set_prompts(sam, click(40, 30, object_id="b", persistence=STICKY), replace_all=True)
    assert names(next_result(sam)) == ["b"]


def test_select_publishes_the_same_picture_with_another_mask(sam: Any) -> None:
    header = sam.show(scene())
    set_prompts(sam, click(40, 30, header=header, object_id="cup"))
    sam.wait(lambda: sam.received["mask"])
    np.testing.assert_array_equal(pixels(sam.received["mask"][-1]), 255 * mask_of(RED))
    sam.forget()
    reply = sam.call("select_hypothesis", object_id="cup", index=-1)
    assert (reply.status.code, reply.selected) == (0, 1)
    sam.wait(lambda: sam.received["mask"] and sam.received["instances"])
    assert sam.received["mask"][-1].header == header
    both = mask_of(RED) | mask_of(GREEN)
    np.testing.assert_array_equal(pixels(sam.received["mask"][-1]), 255 * both)
    assert sam.received["instances"][-1].instances[0].selected == 1


def test_a_choice_lasts_over_frames(sam: Any) -> None:
    sam.show(scene())
    set_prompts(sam, click(40, 30, object_id="cup", persistence=STICKY))
    sam.call("select_hypothesis", object_id="cup", index=2)
    assert next_result(sam).instances[0].selected == 2


def test_refine_adds_points_and_makes_it_clear(sam: Any) -> None:
    header = sam.show(scene())
    set_prompts(sam, click(40, 30, header=header, object_id="cup", persistence=STICKY))
    sam.forget()
    refine = click(50, 40, header=header, object_id="cup", persistence=STICKY)
    refine.operation = Prompt.REFINE
    set_prompts(sam, refine)
    sam.wait(lambda: sam.received["active_prompts"] and sam.received["instances"])
    (prompt,) = sam.received["active_prompts"][-1].prompts
    assert [(point.x, point.y) for point in prompt.points] == [(40, 30), (50, 40)]
    (instance,) = sam.received["instances"][-1].instances
    assert len(instance.hypotheses) == 1 and not instance.ambiguous


def test_removed_objects_leave_the_outputs_at_once(sam: Any) -> None:
    header = sam.show(scene())
    prompts = [
        click(40, 30, header=header, object_id="a", persistence=STICKY),
        click(110, 80, header=header, object_id="b", persistence=STICKY),
    ]
    set_prompts(sam, *prompts)
    sam.wait(lambda: sam.received["mask"])
    np.testing.assert_array_equal(pixels(sam.received["mask"][-1]), 255 * mask_of(RED))
    sam.forget()
    assert sam.call("remove_objects", object_ids=["a"]).status.code == 0
    sam.wait(lambda: sam.received["mask"] and sam.received["active_prompts"])
    assert names(sam.received["instances"][-1]) == ["b"]
    np.testing.assert_array_equal(pixels(sam.received["mask"][-1]), 255 * mask_of(GREEN))
    assert [item.object_id for item in sam.received["active_prompts"][-1].prompts] == ["b"]
    sam.forget()
    assert sam.call("clear").success
    sam.wait(lambda: sam.received["mask"] and sam.received["active_prompts"])
    assert not sam.received["instances"][-1].instances
    assert not pixels(sam.received["mask"][-1]).any()
    assert not sam.received["active_prompts"][-1].prompts


def test_an_object_of_another_picture_size_is_lost(sam: Any) -> None:
    sam.show(scene())
    set_prompts(sam, click(40, 30, object_id="cup", persistence=STICKY))
    sam.received["instances"].clear()
    header = sam.header()
    sam.send("image", to_image(np.zeros((60, 80, 3), np.uint8), "rgb8", header))
    sam.wait(lambda: any(item.header == header for item in sam.received["instances"]))
    (instance,) = sam.received["instances"][-1].instances
    assert instance.state == Instance.LOST and not instance.hypotheses
    assert next_result(sam).instances[0].state == Instance.TRACKED


def test_without_sticky_objects_nothing_is_encoded(sam: Any) -> None:
    sam.show(scene())
    sam.fresh_diagnostics()
    before = int(sam.fact("frames_encoded"))
    for _ in range(5):
        sam.send("image", to_image(scene(), "rgb8", sam.header()))
        sam.spin(0.05)
    sam.fresh_diagnostics()
    assert int(sam.fact("frames_encoded")) == before
    assert not sam.received["instances"]


def test_always_encodes_without_prompts(sam: Any) -> None:
    assert sam.set_parameter("encode", "always").successful
    try:
        sam.fresh_diagnostics()
        before = int(sam.fact("frames_encoded"))
        sam.send("image", to_image(scene(), "rgb8", sam.header()))
        sam.wait(lambda: int(sam.fact("frames_encoded")) == before + 1, 5)
    finally:
        assert sam.set_parameter("encode", "on_demand").successful


def test_the_rate_is_limited(sam: Any) -> None:
    sam.show(scene())
    set_prompts(sam, click(40, 30, object_id="cup", persistence=STICKY))
    assert sam.set_parameter("max_rate_hz", 2.0).successful
    try:
        sam.received["instances"].clear()
        for _ in range(30):
            sam.send("image", to_image(scene(), "rgb8", sam.header()))
            sam.spin(0.05)
        assert 2 <= len(sam.received["instances"]) <= 5  # 1.5 s at 2 Hz
    finally:
        assert sam.set_parameter("max_rate_hz", 0.0).successful


def test_multimask_is_live(sam: Any) -> None:
    header = sam.show(scene())
    try:
        for value, count in (("never", 1), ("always", 3)):
            assert sam.set_parameter("multimask", value).successful
            reply = sam.call("segment", prompts=[click(40, 30, header=header)])
            assert len(reply.result.instances[0].hypotheses) == count
    finally:
        assert sam.set_parameter("multimask", "auto").successful


def test_while_the_model_works_frames_drop_calls_time_out_and_others_are_answered(
    sam: Any,
) -> None:
    header = sam.show(scene())
    slow = scene()
    slow[0, 0] = SLOW
    assert sam.set_parameter("request_timeout", 0.3).successful
    try:
        sam.fresh_diagnostics()
        dropped = int(sam.fact("frames_dropped"))
        long = sam.start("segment", image=to_image(slow, "rgb8", Header()), prompts=[click(1, 1)])
        began = time.monotonic()
        for _ in range(5):
            sam.spin(0.03)  # all at once, DDS would already keep only the last
            sam.send("image", to_image(scene(), "rgb8", sam.header()))
        many = [sam.start("segment", prompts=[click(40, 30)]) for _ in range(20)]
        assert sam.state() == "active"  # other services of the node do not wait
        sam.wait(lambda: all(item.done() for item in [long, *many]))
        assert time.monotonic() - began < SLEEP
        for item in [long, *many]:
            assert item.result().status.code == Status.TIMEOUT
    finally:
        assert sam.set_parameter("request_timeout", 10.0).successful
    reply = sam.call("segment", prompts=[click(40, 30, header=header)])
    assert reply.status.code == 0
    sam.fresh_diagnostics()
    assert int(sam.fact("frames_dropped")) >= dropped + 3


def test_switched_off_the_node_refuses(sam: Any) -> None:
    sam.show(scene())
    assert sam.call("enable", data=False).success
    try:
        assert sam.call("segment", prompts=[click(40, 30)]).status.code == Status.INACTIVE
        assert sam.call("set_prompts").status.code == Status.INACTIVE
        assert not sam.call("clear").success
    finally:
        assert sam.call("enable", data=True).success
    reply = sam.call("segment", prompts=[click(40, 30)])
    assert reply.status.code == Status.NO_IMAGE  # what was shown before is old by now


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


def test_a_detector_faster_than_the_node_gets_the_newest_answered(sam: Any) -> None:
    """Messages with prompts do not pile up: the last one is answered soon."""
    slow = scene()
    slow[0, 0] = SLOW
    header = sam.header()
    sam.send("image", to_image(slow, "rgb8", header))
    for number in range(20):
        prompt = click(40, 30, header=header, object_id=f"box{number}")
        sam.send("sam/prompts", PromptArray(prompts=[prompt]))
        sam.spin(0.02)
    sam.wait(
        lambda: "box19" in [name for item in sam.received["instances"] for name in names(item)]
    )
    assert len(sam.received["instances"]) < 10


def test_compressed_pictures(start_node: Any, client: Any) -> None:
    start_node("image_transport:=compressed")
    client.wait(lambda: client._publishers["image/compressed"].get_subscription_count(), 60)
    from sensor_msgs.msg import CompressedImage

    header = client.header()
    data = cv2.imencode(".png", cv2.cvtColor(scene(), cv2.COLOR_RGB2BGR))[1].tobytes()
    prompt = click(40, 30, header=header)

    def answered() -> bool:
        client.send("image/compressed", CompressedImage(header=header, format="png", data=data))
        return bool(client.call("segment", prompts=[prompt]).status.code == 0)

    client.wait(answered, 10)
    reply = client.call("segment", prompts=[prompt], return_images=True)
    np.testing.assert_array_equal(pixels(reply.masks[0]), 255 * mask_of(RED))
