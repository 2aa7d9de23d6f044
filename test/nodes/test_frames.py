"""Pictures by their stamp."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from sam_ros.msg import Status
from sam_ros.nodes.frames import Frame, Frames
from sam_ros.nodes.images import to_image
from sam_ros.nodes.status import Refused

SECOND = 1_000_000_000


def frame(sec: int) -> Frame:
    header = Header(stamp=Time(sec=sec, nanosec=5))
    return Frame(to_image(np.zeros((2, 3, 3), np.uint8), "rgb8", header))


def filled(*seconds: int, capacity: int = 3) -> Frames:
    frames = Frames(capacity)
    for sec in seconds:
        frames.add(frame(sec))
    return frames


def test_zero_is_the_latest_to_arrive_even_if_its_stamp_is_older() -> None:
    assert filled(1, 2, 3).find(0).stamp == 3 * SECOND + 5
    assert filled(3, 1).find(0).stamp == SECOND + 5


def test_a_stamp_finds_its_picture_to_the_nanosecond() -> None:
    frames = filled(1, 2, 3)
    assert frames.find(2 * SECOND + 5).stamp == 2 * SECOND + 5
    with pytest.raises(Refused) as refused:
        frames.find(2 * SECOND + 6)
    assert refused.value.code == Status.STAMP_NOT_CACHED
    assert "2.000000006" in str(refused.value) and "3.000000005" in str(refused.value)


def test_the_oldest_leaves() -> None:
    frames = filled(1, 2, 3, 4)
    with pytest.raises(Refused) as refused:
        frames.find(SECOND + 5)
    assert refused.value.code == Status.STAMP_NOT_CACHED


def test_without_a_picture() -> None:
    with pytest.raises(Refused) as refused:
        Frames(3).find(0)
    assert refused.value.code == Status.NO_IMAGE


def test_of_two_with_one_stamp_the_newer_stays() -> None:
    frames, first, second = Frames(3), frame(1), frame(1)
    frames.add(first)
    frames.add(second)
    assert frames.find(SECOND + 5) is second
    assert second in frames and first not in frames
    assert first.serial != second.serial


def test_reached_tells_whether_waiting_may_help() -> None:
    frames = filled(1, 2)
    assert frames.reached(0) and frames.reached(SECOND) and frames.reached(2 * SECOND + 5)
    assert not frames.reached(2 * SECOND + 6)
    assert not Frames(3).reached(0) and not Frames(3).reached(SECOND)
