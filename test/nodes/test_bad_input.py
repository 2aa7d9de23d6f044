"""Every wrong request is answered by a status that says why, and spoils no other."""

from __future__ import annotations

from array import array as Array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from builtin_interfaces.msg import Time
from node_client import boxed, click, codes, scene
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String
from stub_node import BREAK
from vision_msgs.msg import BoundingBox2D, Point2D

from sam_ros.msg import Prompt, PromptArray, Status
from sam_ros.nodes.images import to_image

NAN = float("nan")
INVALID = Status.INVALID_REQUEST


def mask_prompt(height: int, width: int) -> Prompt:
    return Prompt(mask=[to_image(np.ones((height, width), np.uint8), "mono8", Header())])


def box_of(width: float, height: float) -> Prompt:
    box = BoundingBox2D(size_x=width, size_y=height)
    box.center.position.x, box.center.position.y = 60.0, 40.0
    return Prompt(box=[box])


BAD_PROMPTS = {
    "point outside": (click(500, 30), INVALID, "points"),
    "point left of it": (click(-3, 30), INVALID, "points"),
    "NaN": (click(NAN, 30), INVALID, "points"),
    "infinite": (click(30, float("inf")), INVALID, "points"),
    "more points than labels": (
        Prompt(points=[Point2D(x=40.0, y=30.0)] * 2, point_labels=[1]),
        INVALID,
        "point_labels",
    ),
    "labels alone": (Prompt(point_labels=[1]), INVALID, "point_labels"),
    "label of no meaning": (
        Prompt(points=[Point2D(x=40.0, y=30.0)], point_labels=[7]),
        INVALID,
        "point_labels[0]: 7",
    ),
    "empty": (Prompt(), INVALID, "empty"),
    "box of no area": (box_of(0.0, 20.0), INVALID, "box"),
    "box reversed": (box_of(-30.0, -20.0), INVALID, "box"),
    "box NaN": (box_of(NAN, 20.0), INVALID, "box"),
    "box outside": (boxed(300, 300, 400, 400), INVALID, "box"),
    "mask of another size": (mask_prompt(60, 80), INVALID, "mask"),
    "not in 0..1": (click(40, 30, normalized=True), INVALID, "normalized"),
    "text": (click(40, 30, text="red mug"), Status.TEXT_UNAVAILABLE, "text"),
    "track": (click(40, 30, persistence=Prompt.TRACK), INVALID, "TRACK"),
    "unknown persistence": (click(40, 30, persistence=9), INVALID, "persistence"),
    "unknown operation": (click(40, 30, operation=9), INVALID, "operation"),
    "refine of nothing": (
        click(40, 30, object_id="never", operation=Prompt.REFINE),
        INVALID,
        "never",
    ),
    "stamp that is not remembered": (
        click(40, 30, header=Header(stamp=Time(sec=5))),
        Status.STAMP_NOT_CACHED,
        "header.stamp",
    ),
}


def broken(**changes: Any) -> Callable[[], Image]:
    def make() -> Image:
        msg = to_image(scene(), "rgb8", Header())
        for name, value in changes.items():
            setattr(msg, name, value)
        return msg

    return make


BAD_IMAGES = {
    "unknown encoding": (broken(encoding="yuv9"), "encoding"),
    "no encoding": (broken(encoding=""), "encoding"),
    "step shorter than a row": (broken(step=100), "step"),
    "data too short": (broken(data=Array("B", bytes(1000))), "data"),
    "no data": (broken(data=Array("B")), "data"),
    "zero height": (broken(height=0), "height"),
    "zero width": (broken(width=0), "width"),
}


@pytest.mark.parametrize("name", BAD_PROMPTS)
def test_a_wrong_prompt_is_told_and_the_others_are_answered(sam: Any, name: str) -> None:
    prompt, code, field = BAD_PROMPTS[name]
    header = sam.show(scene())
    good = [click(40, 30, header=header), boxed(95, 65, 145, 105)]
    reply = sam.call("segment", prompts=[good[0], prompt, good[1]])
    assert codes(reply) == [0, code, 0]
    assert field in reply.prompt_status[1].message
    assert [item.hypotheses[0].area for item in reply.result.instances] == [60 * 40, 40 * 30]
    assert reply.status.code == 0 and "prompts[1]" in reply.status.message


@pytest.mark.parametrize("name", BAD_PROMPTS)
def test_a_wrong_prompt_alone_is_no_success(sam: Any, name: str) -> None:
    prompt, code, _ = BAD_PROMPTS[name]
    sam.show(scene())
    reply = sam.call("segment", prompts=[prompt])
    assert reply.status.code == code and codes(reply) == [code]
    assert reply.status.message and not reply.result.instances


def test_wrong_prompts_on_a_topic_are_counted_and_the_others_answered(sam: Any) -> None:
    header = sam.show(scene())
    refused = int(sam.fresh_diagnostics() and sam.fact("prompts_refused"))
    wrong = [item for item, *_ in BAD_PROMPTS.values()]
    prompts = [click(40, 30, object_id="good"), *wrong]
    sam.send("sam/prompts", PromptArray(header=header, prompts=prompts))
    sam.wait(lambda: sam.received["instances"])
    assert [item.object_id for item in sam.received["instances"][-1].instances] == ["good"]
    status = sam.fresh_diagnostics()
    assert int(sam.fact("prompts_refused")) == refused + len(wrong)
    assert status.level == status.WARN and "refused" in status.message


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_wrong_picture_in_a_request(sam: Any, name: str) -> None:
    make, field = BAD_IMAGES[name]
    reply = sam.call("segment", image=make(), prompts=[click(40, 30)])
    assert reply.status.code == INVALID and codes(reply) == [INVALID]
    assert f"image.{field}" in reply.status.message


def test_wrong_pictures_on_the_topic_are_passed_by(sam: Any) -> None:
    """They are counted and told, and the last good picture stays the latest."""
    good = sam.show(scene())
    sam.fresh_diagnostics()
    for make, field in BAD_IMAGES.values():
        before = int(sam.fact("frames_unreadable"))
        msg = make()
        msg.header = sam.header()

        def told(field: str = field, before: int = before) -> bool:
            counted = int(sam.fact("frames_unreadable")) > before
            return counted and f"image.{field}" in sam.fact("last_problem")

        def passed_by(msg: Image = msg, told: Callable[[], bool] = told) -> bool:
            sam.send("image", msg)  # best effort: may get lost
            return sam.wait(told, 2, fail=False)

        sam.wait(passed_by)
    status = sam.fresh_diagnostics()
    assert status.level == status.WARN
    reply = sam.call("segment", prompts=[click(40, 30)])
    assert reply.status.code == 0 and reply.result.header == good


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (501, 3)])
def test_the_smallest_pictures_are_answered(sam: Any, size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), 200, np.uint8)
    image = to_image(picture, "rgb8", sam.header())
    reply = sam.call("segment", image=image, prompts=[click(0, 0)], return_images=True)
    assert reply.status.code == 0
    assert (reply.masks[0].height, reply.masks[0].width) == size
    assert reply.result.instances[0].hypotheses[0].area == size[0] * size[1]


def test_a_picture_of_48_megapixels_is_answered(sam: Any) -> None:
    picture = np.zeros((6000, 8000, 3), np.uint8)
    picture[1000:2000, 3000:5000] = (0, 0, 200)
    image = to_image(picture, "rgb8", sam.header())
    box = boxed(2990, 990, 5010, 2010)
    with sam.parameter("request_timeout", 60.0):
        reply = sam.call("segment", patience=70, image=image, prompts=[box])
    assert reply.status.code == 0, reply.status.message
    assert reply.result.instances[0].hypotheses[0].area == 1000 * 2000


def test_no_prompts(sam: Any) -> None:
    sam.show(scene())
    reply = sam.call("segment")
    assert reply.status.code == INVALID and "prompts: empty" in reply.status.message


def test_a_stamp_that_has_left_the_cache(sam: Any) -> None:
    old = sam.show(scene())
    for _ in range(16):  # as many as embedding_cache_size
        newest = sam.show(scene())
    reply = sam.call("segment", prompts=[click(40, 30, header=old)])
    assert reply.status.code == Status.STAMP_NOT_CACHED and codes(reply) == [3]
    assert f"{old.stamp.sec}.000000123" in reply.status.message
    reply = sam.call("segment", prompts=[click(40, 30, header=newest)])
    assert reply.status.code == 0


def test_a_stale_stamp_spoils_no_other_prompt(sam: Any) -> None:
    """Also when it is the first one, and the others mean the latest picture."""
    latest = sam.show(scene())
    stale = click(40, 30, header=Header(stamp=Time(sec=5)))
    reply = sam.call("segment", prompts=[stale, click(40, 30), click(110, 80)])
    assert codes(reply) == [Status.STAMP_NOT_CACHED, 0, 0]
    assert reply.status.code == 0 and reply.result.header == latest
    assert [item.hypotheses[0].area for item in reply.result.instances] == [60 * 40, 40 * 30]


def test_one_call_is_about_one_picture(sam: Any) -> None:
    """Its result has one header, so a prompt on another remembered picture is refused."""
    first, second = sam.show(scene()), sam.show(scene())
    prompts = [click(40, 30, header=first), click(40, 30, header=second), click(110, 80)]
    reply = sam.call("segment", prompts=prompts)
    assert codes(reply) == [0, INVALID, 0] and reply.result.header == first
    assert "the picture of the other prompts" in reply.prompt_status[1].message


def test_a_stamp_of_the_future(sam: Any) -> None:
    sam.show(scene())
    future = Header(stamp=Time(sec=2_000_000_000))
    reply = sam.call("segment", prompts=[click(40, 30, header=future)])
    assert reply.status.code == Status.STAMP_NOT_CACHED


def test_a_name_twice_in_one_request(sam: Any) -> None:
    header = sam.show(scene())
    twins = [click(40, 30, header=header, object_id="twin"), click(110, 80, object_id="twin")]
    reply = sam.call("segment", prompts=[*twins, click(110, 80)])
    assert codes(reply) == [0, INVALID, 0]
    assert "'twin' is twice" in reply.prompt_status[1].message


def test_500_prompts_at_once(sam: Any) -> None:
    """max_objects of them are answered; the rest are told the limit."""
    header = sam.show(scene())
    prompts = [click(x % 160, x % 120, header=header) for x in range(500)]
    reply = sam.call("segment", patience=60, prompts=prompts)
    assert codes(reply) == [0] * 100 + [INVALID] * 400
    assert "max_objects, which is 100" in reply.prompt_status[-1].message
    assert len(reply.result.instances) == 100
    assert "400 of 500" in reply.status.message


def test_a_fault_in_the_model_is_told_and_survived(sam: Any) -> None:
    picture = scene()
    picture[0, 0] = BREAK
    image = to_image(picture, "rgb8", sam.header())
    reply = sam.call("segment", image=image, prompts=[click(40, 30)])
    assert reply.status.code == Status.INTERNAL
    assert "RuntimeError: the stub was asked to break" in reply.status.message
    sam.show(scene())
    assert sam.call("segment", prompts=[click(40, 30)]).status.code == 0


def test_set_prompts_changes_nothing_when_one_is_wrong(sam: Any) -> None:
    header = sam.show(scene())
    sam.call(
        "set_prompts", prompts=[click(40, 30, header=header, object_id="kept", persistence=1)]
    )
    prompts = [click(110, 80, object_id="new", persistence=1), click(999, 0, object_id="bad")]
    reply = sam.call("set_prompts", prompts=prompts, replace_all=True)
    assert reply.status.code == INVALID and "prompts[1]: points" in reply.status.message
    assert list(reply.object_ids) == []
    assert sam.call("remove_objects", object_ids=["kept"]).status.code == 0
    assert sam.call("remove_objects", object_ids=["new"]).status.code == INVALID


def test_removing_and_selecting_what_is_not_there(sam: Any) -> None:
    reply = sam.call("remove_objects", object_ids=["ghost"])
    assert reply.status.code == INVALID and "ghost" in reply.status.message
    reply = sam.call("select_hypothesis", object_id="ghost", index=0)
    assert reply.status.code == INVALID and "ghost" in reply.status.message


@pytest.mark.parametrize(
    ("topic", "msg", "text"),
    [
        ("sam/text", String(data="mug"), "models fetch clip-vit-base-patch32"),
    ],
)
def test_what_is_not_there_yet_says_so(sam: Any, topic: str, msg: Any, text: str) -> None:
    sam.send(topic, msg)
    sam.wait(lambda: text in sam.fact("last_problem"), 30)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("min_area_px", -1, ""),
        ("max_area_fraction", 2.0, ""),
        ("multimask", "perhaps", "expected auto | always | never"),
        ("model", "sam_vit_b", "clean the node up first"),
    ],
)
def test_wrong_parameters_are_refused(sam: Any, name: str, value: Any, reason: str) -> None:
    result = sam.set_parameter(name, value)
    assert not result.successful and reason in result.reason
