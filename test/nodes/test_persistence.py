"""Objects over several frames: once and sticky, refined, chosen, removed, lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from node_client import GREEN, RED, click, mask_of, names, pixels, scene, set_prompts

from sam_ros.msg import Instance, Prompt
from sam_ros.nodes.images import to_image

STICKY = Prompt.STICKY


def next_result(sam: Any) -> Any:
    """The instances of a picture that is shown now."""
    sam.received["instances"].clear()
    header = sam.header()
    sam.send("image", to_image(scene(), "rgb8", header))
    sam.wait(lambda: any(item.header == header for item in sam.received["instances"]))
    return sam.received["instances"][-1]


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
