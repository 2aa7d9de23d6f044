"""The action ~/segment_everything, and everything on every frame, over the wire."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from node_client import GREEN, RED, click, mask_of, pixels, scene, set_prompts
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from stub_node import BREAK, SLOW

from sam_ros.action import SegmentEverything
from sam_ros.engine import rle
from sam_ros.msg import Instance, Prompt, Status
from sam_ros.nodes.images import to_image

Goal = SegmentEverything.Goal


def start(sam: Any, goal: Goal) -> tuple[Any, list[float]]:
    """The handle of an accepted goal, and its progress as it comes."""
    assert sam.everything.wait_for_server(20)
    progress: list[float] = []
    sent = sam.everything.send_goal_async(
        goal, feedback_callback=lambda msg: progress.append(msg.feedback.progress)
    )
    sam.wait(sent.done, 20)
    assert sent.result().accepted
    return sent.result(), progress


def finish(sam: Any, handle: Any) -> Any:
    """How a goal ended: ``status`` of the goal, ``result`` of the action."""
    future = handle.get_result_async()
    sam.wait(future.done, 40)
    return future.result()


def ask(sam: Any, goal: Goal) -> Any:
    return finish(sam, start(sam, goal)[0])


def mask(instance: Instance) -> Any:
    run_lengths = instance.hypotheses[0].mask
    return rle.decode(np.array(run_lengths.counts), run_lengths.height, run_lengths.width)


def picture(first: tuple[int, int, int] = (0, 0, 0)) -> Image:
    rgb = scene()
    rgb[0, 0] = first
    return to_image(rgb, "rgb8", Header(frame_id="own"))


def test_everything_in_the_latest_picture(sam: Any) -> None:
    header = sam.show(scene())
    handle, progress = start(sam, Goal())
    ended = finish(sam, handle)
    assert ended.result.status.code == Status.OK, ended.result.status.message
    assert ended.status == GoalStatus.STATUS_SUCCEEDED
    array = ended.result.result
    assert array.header == header and (array.height, array.width) == (120, 160)
    assert [item.object_id for item in array.instances] == ["thing_1", "thing_2"]
    assert [item.instance_id for item in array.instances] == [1, 2]
    for item, area in zip(array.instances, (RED, GREEN), strict=True):
        assert np.array_equal(mask(item), mask_of(area))
        assert item.state == Instance.NEW and item.hypotheses[0].parent == -1
    sam.wait(lambda: progress, 10)  # what comes before the answer to the goal is lost in rclpy
    assert progress == sorted(progress) and progress[0] >= 0 and progress[-1] <= 1


def test_everything_in_a_picture_that_comes_along(sam: Any) -> None:
    result = ask(sam, Goal(image=picture())).result
    assert result.status.code == Status.OK and result.result.header.frame_id == "own"
    assert len(result.result.instances) == 2
    sam.spin(0.2)
    assert not sam.received["instances"], "the action publishes nothing"


@pytest.mark.parametrize(
    ("goal", "count"),
    [
        (Goal(pred_iou_thresh=0.8), 1), (Goal(min_area_px=2000), 1),
        (Goal(min_area_px=20_000), 0), (Goal(), 2),
    ],
)  # fmt: skip
def test_thresholds_of_the_goal(sam: Any, goal: Goal, count: int) -> None:
    goal.image = picture()
    result = ask(sam, goal).result
    assert result.status.code == Status.OK and len(result.result.instances) == count
    assert bool(result.status.message) == (count == 0), "nothing found is said in words"


def test_thresholds_of_the_node_are_live(sam: Any) -> None:
    with sam.parameter("pred_iou_thresh", 0.8):
        assert len(ask(sam, Goal(image=picture())).result.result.instances) == 1
        goal = Goal(image=picture(), pred_iou_thresh=0.1)
        assert len(ask(sam, goal).result.result.instances) == 2


@pytest.mark.parametrize(
    ("goal", "field"),
    [
        (Goal(pred_iou_thresh=1.5), "pred_iou_thresh: 1.5"),
        (Goal(pred_iou_thresh=math.nan), "pred_iou_thresh: nan"),
        (Goal(stability_score_thresh=-0.25), "stability_score_thresh: -0.25"),
        (Goal(image=Image(height=5, width=5, encoding="rgb8")), "image.step"),
        (Goal(image=Image(height=1, width=1, encoding="cmyk", data=[0])), "encoding"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_goals_are_refused(sam: Any, goal: Goal, field: str) -> None:
    ended = ask(sam, goal)
    assert ended.status == GoalStatus.STATUS_ABORTED
    assert ended.result.status.code == Status.INVALID_REQUEST
    assert field in ended.result.status.message and not ended.result.result.instances


def test_a_fault_is_told(sam: Any) -> None:
    ended = ask(sam, Goal(image=picture(BREAK)))
    assert ended.status == GoalStatus.STATUS_ABORTED
    assert ended.result.status.code == Status.INTERNAL


def test_prompts_are_answered_during_a_goal(sam: Any) -> None:
    header = sam.show(scene())
    handle, progress = start(sam, Goal(image=picture(SLOW)))
    sam.wait(lambda: len(progress) > 1, 20)
    ended = handle.get_result_async()
    reply = sam.call("segment", prompts=[click(50, 40, header=header)])
    assert reply.status.code == Status.OK and not ended.done()
    assert len(finish(sam, handle).result.result.instances) == 2


def test_a_cancelled_goal_ends_with_the_batch(sam: Any) -> None:
    handle, progress = start(sam, Goal(image=picture(SLOW)))
    sam.wait(lambda: len(progress) > 1, 20)
    sam.wait(handle.cancel_goal_async().done, 20)
    before = len(progress)
    ended = finish(sam, handle)
    assert ended.status == GoalStatus.STATUS_CANCELED
    assert ended.result.status.code != Status.OK and not ended.result.result.instances
    assert len(progress) - before <= 1 and max(progress) < 1
    assert ask(sam, Goal(image=picture())).result.status.code == Status.OK


def test_a_third_goal_is_refused(sam: Any) -> None:
    running = [start(sam, Goal(image=picture(SLOW)))[0] for _ in range(2)]
    assert ask(sam, Goal(image=picture())).result.status.code == Status.TIMEOUT
    assert all(finish(sam, item).result.status.code == Status.OK for item in running)


@pytest.fixture
def stream(sam: Any) -> Iterator[Any]:
    with sam.parameter("everything_rate_hz", 100.0):
        yield sam


def found_in(sam: Any, rgb: Any) -> dict[str, Instance]:
    """What ~/instances says about a new picture, by name."""
    header, answers = sam.header(), sam.received["instances"]

    def answered() -> bool:
        return any(item.header == header and item.instances for item in answers)

    def shown() -> bool:
        sam.show(rgb, header)  # passed by where the node still works on the picture before
        return bool(sam.wait(answered, 3, fail=False))

    sam.wait(shown, 30)
    last = [item for item in answers if item.header == header][-1]
    return {item.object_id: item for item in last.instances}


def states(found: dict[str, Instance]) -> dict[str, int]:
    return {name: item.state for name, item in found.items()}


def test_things_keep_their_names_from_frame_to_frame(stream: Any) -> None:
    first = found_in(stream, scene())
    assert list(states(first).values()) == [Instance.NEW] * 2
    red, green = first
    moved = found_in(stream, np.roll(scene(), (4, 6), axis=(0, 1)))
    assert states(moved) == {red: Instance.TRACKED, green: Instance.TRACKED}
    assert mask(moved[red])[RED].mean() > 0.7
    alone = scene()
    alone[GREEN] = 0
    assert states(found_in(stream, alone)) == {red: Instance.TRACKED, green: Instance.LOST}
    again = found_in(stream, scene())
    assert states(again) == {red: Instance.TRACKED, green: Instance.TRACKED}
    assert again[green].instance_id == first[green].instance_id
    image = pixels(stream.received["instance_mask"][-1])
    assert (image[RED] == first[red].instance_id).all()


def test_things_and_prompted_objects_share_a_message(stream: Any) -> None:
    stream.show(scene())
    set_prompts(stream, click(50, 40, object_id="mug", persistence=Prompt.STICKY))
    found: dict[str, Instance] = {}

    def together() -> bool:
        found.update(found_in(stream, scene()))
        return "mug" in found and len(found) > 2

    stream.wait(together, 20)
    numbers = [item.instance_id for item in found.values()]
    assert len(set(numbers)) == len(numbers)


def test_nothing_is_found_without_being_asked(sam: Any) -> None:
    sam.show(scene())
    sam.spin(0.3)
    assert not sam.received["instances"]


def test_a_node_that_is_not_active_says_so(start_node: Any, client: Any) -> None:
    start_node("autostart:=false")
    client.wait_for_node("unconfigured")
    assert ask(client, Goal(image=picture())).result.status.code == Status.INACTIVE
    assert client.transition("configure") and client.transition("activate")
    assert ask(client, Goal()).result.status.code == Status.NO_IMAGE
    handle, progress = start(client, Goal(image=picture(SLOW)))
    client.wait(lambda: len(progress) > 1, 20)
    assert client.transition("deactivate")
    ended = finish(client, handle)
    assert ended.status == GoalStatus.STATUS_ABORTED
    assert ended.result.status.code == Status.INACTIVE
