"""The node under a stream: what it computes, what it lets go, and that it stays answerable."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from node_client import click, scene, set_prompts
from std_msgs.msg import Header
from stub_node import SLEEP, SLOW

from sam_ros.msg import Prompt, Status
from sam_ros.nodes.images import to_image


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
    with sam.parameter("encode", "always"):
        sam.fresh_diagnostics()
        before = int(sam.fact("frames_encoded"))
        sam.send("image", to_image(scene(), "rgb8", sam.header()))
        sam.wait(lambda: int(sam.fact("frames_encoded")) == before + 1, 5)


def test_the_rate_is_limited(sam: Any) -> None:
    sam.show(scene())
    set_prompts(sam, click(40, 30, object_id="cup", persistence=Prompt.STICKY))
    with sam.parameter("max_rate_hz", 2.0):
        sam.received["instances"].clear()
        for _ in range(30):
            sam.send("image", to_image(scene(), "rgb8", sam.header()))
            sam.spin(0.05)
        assert 2 <= len(sam.received["instances"]) <= 5  # 1.5 s at 2 Hz


@pytest.mark.parametrize(("value", "count"), [("never", 1), ("auto", 3)])
def test_multimask_is_live(sam: Any, value: str, count: int) -> None:
    header = sam.show(scene())
    with sam.parameter("multimask", value):
        reply = sam.call("segment", prompts=[click(40, 30, header=header)])
    assert len(reply.result.instances[0].hypotheses) == count


def test_while_the_model_works_frames_drop_calls_time_out_and_others_are_answered(
    sam: Any,
) -> None:
    header = sam.show(scene())
    slow = scene()
    slow[0, 0] = SLOW
    with sam.parameter("request_timeout", 0.3):
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
