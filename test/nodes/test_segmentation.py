"""Which frames are going to be encoded is known before their turn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from builtin_interfaces.msg import Time
from node_client import scene
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from stub_node import StubSegmenter

from sam_ros.engine.config import EngineConfig
from sam_ros.nodes.diagnostics import Tally
from sam_ros.nodes.frames import Frame, Frames
from sam_ros.nodes.images import to_image
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.segmentation import Segmentation
from sam_ros.nodes.throttle import Throttle


class Camera:
    """A segmentation with no node around it."""

    def __init__(self, **parameters: Any) -> None:
        node: Any = SimpleNamespace(get_parameter=lambda _: SimpleNamespace(value=False))
        stub: Any = StubSegmenter(EngineConfig())
        self.frames, self.tally = Frames(9), Tally(lambda _: None)
        self.segmentation = Segmentation(
            stub,
            self.frames,
            lambda *_: None,
            self.tally,
            Parameters(**parameters),
            {},
            Throttle(node),
            SimpleNamespace(submit=lambda _: pytest.fail("nothing is queued"), elsewhere=list),
        )

    def frame(self, sec: int, image: Image | None = None) -> Frame:
        header = Header(stamp=Time(sec=sec))
        frame = Frame(image or to_image(scene(), "rgb8", header), received=float(sec))
        self.frames.add(frame)
        return frame


def test_a_frame_that_waits_is_due_until_it_is_encoded() -> None:
    camera = Camera(encode="always")
    frame = camera.frame(1)
    due = camera.segmentation.look_ahead(frame)
    assert due is not None and due.frame is frame
    np.testing.assert_array_equal(due.model.embed(frame), frame.rgb)
    assert camera.segmentation.look_ahead(frame) is None
    camera.segmentation.on_frame(frame)
    assert camera.tally.counts.frames_encoded == 1


def test_nobody_asks_for_a_frame() -> None:
    camera = Camera()
    assert camera.segmentation.look_ahead(camera.frame(1)) is None


def test_looking_does_not_use_the_rate_up() -> None:
    """The frame is admitted when its turn comes, and the next one is not due then."""
    camera = Camera(encode="always", max_rate_hz=0.5)
    first, second = camera.frame(1), camera.frame(2)
    assert camera.segmentation.look_ahead(first) and camera.segmentation.look_ahead(second)
    camera.segmentation.on_frame(first)
    assert camera.tally.counts.frames_encoded == 1
    assert camera.segmentation.look_ahead(second) is None


def test_a_picture_that_cannot_be_read_is_not_due() -> None:
    """What is wrong with it is told when its turn comes."""
    camera = Camera(encode="always")
    frame = camera.frame(1, Image(encoding="rgb8", width=5, height=5, step=15))
    assert camera.segmentation.look_ahead(frame) is None
    assert camera.tally.counts.frames_unreadable == 0
    camera.segmentation.on_frame(frame)
    assert camera.tally.counts.frames_unreadable == 1
