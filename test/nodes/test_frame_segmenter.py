"""The model on frames: what is computed, and how often."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from builtin_interfaces.msg import Time
from node_client import RED, mask_of, scene
from std_msgs.msg import Header
from stub_node import StubSegmenter

from sam_ros.engine.cache import EmbeddingCache
from sam_ros.engine.config import EngineConfig
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Prompt
from sam_ros.nodes.diagnostics import Tally
from sam_ros.nodes.frame_segmenter import FrameSegmenter
from sam_ros.nodes.frames import Frame, Frames
from sam_ros.nodes.images import to_image
from sam_ros.nodes.instances import NOTHING, PromptedObject
from sam_ros.nodes.objects import Objects

SIZE = (120, 160)
BOX = EnginePrompt(box=np.array((28, 18, 92, 62), np.float32))


class Bench:
    """A segmenter on a stub, with a frame that is remembered."""

    def __init__(self) -> None:
        self.tally, frames = Tally(lambda _: None), Frames(3)
        self.stub: Any = StubSegmenter(EngineConfig())
        self.model = FrameSegmenter(self.stub, frames, self.tally, EmbeddingCache(2))
        self.frame = frame(1)
        frames.add(self.frame)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def frame(sec: int) -> Frame:
    return Frame(to_image(scene(), "rgb8", Header(stamp=Time(sec=sec))))


def item(size: tuple[int, int] = SIZE, **fields: Any) -> PromptedObject:
    return replace(Objects(9).propose(Prompt(), 1.0, BOX, size), **fields)


def test_a_remembered_frame_is_encoded_once(bench: Bench) -> None:
    assert bench.model.embed(bench.frame) is bench.model.embed(bench.frame)
    assert bench.tally.counts.frames_encoded == 1
    bench.model.forget()
    bench.model.embed(bench.frame)
    assert bench.tally.counts.frames_encoded == 2


def test_a_picture_of_a_request_takes_nobody_elses_place(bench: Bench) -> None:
    """It is not among the frames, so nobody can ask about it again."""
    bench.model.embed(bench.frame)
    for sec in range(2, 6):
        bench.model.embed(frame(sec))
    bench.model.embed(bench.frame)
    assert bench.tally.counts.frames_encoded == 5


def test_an_object_of_another_picture_size_has_no_hypotheses(bench: Bench) -> None:
    found = bench.model.decode(bench.frame, [item((60, 80)), item()])
    assert found[0] is NOTHING
    np.testing.assert_array_equal(found[1].best.mask, mask_of(RED))
    assert bench.tally.counts.prompts_answered == 1


def test_words_choose_among_three_masks(bench: Bench) -> None:
    """Also of a box, which has one otherwise; the setting is as before then."""
    found = bench.model.decode(bench.frame, [item(texts=("mug",)), item(), item(texts=("cup",))])
    assert [len(masks) for masks in found] == [3, 1, 3]
    bench.model.configure(EngineConfig(multimask=False))
    assert [len(masks) for masks in bench.model.decode(bench.frame, [item(texts=("mug",))])] == [1]
    assert bench.stub.config.multimask is False


def test_no_objects_need_no_embedding(bench: Bench) -> None:
    assert bench.model.decode(bench.frame, []) == []
    assert bench.tally.counts.frames_encoded == 0
