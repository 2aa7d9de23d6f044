"""The gate between callbacks and the worker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from sam_ros.msg import Prompt, Status
from sam_ros.nodes import gate as gate_module
from sam_ros.nodes.diagnostics import Tally
from sam_ros.nodes.frames import Frame, Frames
from sam_ros.nodes.gate import Gate
from sam_ros.nodes.images import to_image
from sam_ros.nodes.requests import Request
from sam_ros.nodes.status import Refused


@pytest.fixture
def faults() -> list[BaseException]:
    """What should not have failed."""
    return []


@pytest.fixture
def gate(faults: list[BaseException]) -> Iterator[Gate]:
    """A gate that lets everything through to a segmentation that does nothing."""
    gate = Gate(Frames(3), Tally(lambda _: None), lambda: 5.0, faults.append)
    segmentation: Any = SimpleNamespace(on_prompts=lambda _: None)
    gate.segmentation, gate.active = segmentation, True
    yield gate
    gate.worker.stop(5)


def picture(sec: int = 0) -> Frame:
    header = Header(stamp=Time(sec=sec))
    return Frame(to_image(np.zeros((2, 3, 3), np.uint8), "rgb8", header))


@pytest.mark.parametrize("sec", [0, 7])
def test_a_picture_that_came_with_the_prompts_is_not_waited_for(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, sec: int
) -> None:
    """Nor is a later one, whose stamp would do."""
    monkeypatch.setattr(gate_module, "PATIENCE", 60.0)
    requests = [Request(Prompt(header=Header(stamp=Time(sec=99))), frame=picture(sec))]
    assert gate.ask(lambda _, held: [item.stamp for item in held], requests) == [sec * 10**9]


def test_a_picture_that_never_comes_is_not_waited_for_longer_than_the_limit(gate: Gate) -> None:
    """Half a second; then the segmentation says what is wrong."""
    assert gate.ask(lambda _, held: held[0].frame, [Request(Prompt())]) is None


def test_the_newest_messages_are_kept(gate: Gate) -> None:
    """While the worker is busy four wait; of more, the oldest are given up and told."""
    seen: list[int] = []
    busy, go_on = threading.Event(), threading.Event()

    def long() -> None:
        busy.set()
        go_on.wait(5)

    gate.later(long)
    assert busy.wait(5)
    segmentation: Any = SimpleNamespace(on_prompts=lambda held: seen.append(held[0].stamp))
    gate.segmentation = segmentation
    for sec in range(7):
        gate.take_requests([Request(Prompt(), frame=picture(sec))])
    go_on.set()
    gate.ask(lambda *_: None)
    assert [stamp // 10**9 for stamp in seen] == [3, 4, 5, 6]
    assert gate._tally.counts.prompts_refused == 3


def test_what_the_gate_says_while_it_is_closed(gate: Gate) -> None:
    """Each reason has its status."""
    gate.enabled = False
    with pytest.raises(Refused, match="~/enable") as refused:
        gate.ask(lambda *_: None)
    assert refused.value.code == Status.INACTIVE
    gate.failure = "no such file"
    with pytest.raises(Refused, match="no such file") as refused:
        gate.ask(lambda *_: None)
    assert refused.value.code == Status.MODEL_UNAVAILABLE
