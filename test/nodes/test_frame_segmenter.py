"""The model on frames: what is computed, and how often."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from builtin_interfaces.msg import Time
from node_client import RED, mask_of, scene
from std_msgs.msg import Header
from stub_node import BREAK, StubSegmenter

from sam_ros.engine.cache import EmbeddingCache
from sam_ros.engine.config import EngineConfig
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Prompt
from sam_ros.nodes.diagnostics import Tally
from sam_ros.nodes.frame_segmenter import PAUSE, Due, FrameSegmenter
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
        self.waiting: list[Due | None] = []
        self.reserved: list[Due | None] = []
        self.go = threading.Event()
        self.second = ThreadPoolExecutor(1)
        worker: Any = SimpleNamespace(
            elsewhere=lambda: [item for item in self.waiting if item],
            reserve=lambda: self.reserved.pop() if self.reserved else None,
            beside=lambda work: self.second.submit(lambda: (self.go.wait(5), work())[1]),
            has_beside=False,
        )
        self.model = FrameSegmenter(
            self.stub,
            frames,
            self.tally,
            EmbeddingCache(2),
            worker,
        )
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


@pytest.fixture
def rig() -> list[Bench]:
    """Four cameras of one network, for which three pictures are worth a batch."""
    cameras = [Bench() for _ in range(4)]
    network = object()
    for camera in cameras:
        camera.stub.encoder, camera.stub.most_together = network, 3
        camera.waiting = [one.model.due(one.frame) for one in cameras if one is not camera]
    return cameras


def encoded(cameras: list[Bench]) -> list[int]:
    return [camera.tally.counts.frames_encoded for camera in cameras]


def test_waiting_frames_of_other_cameras_are_encoded_in_one_batch(rig: list[Bench]) -> None:
    """As many as are worth it; each is in its own camera's cache when its turn comes."""
    first, second, third, fourth = rig
    sizes: list[int] = []
    encode = first.stub.set_images
    first.stub.set_images = lambda pictures: sizes.append(len(pictures)) or encode(pictures)
    first.model.embed(first.frame)
    assert sizes == [3] and encoded(rig) == [1, 1, 1, 0]
    assert second.model.due(second.frame) is None and fourth.model.due(fourth.frame) is not None
    np.testing.assert_array_equal(third.model.embed(third.frame), third.frame.rgb)
    assert encoded(rig) == [1, 1, 1, 0]


def test_a_camera_of_another_network_encodes_for_itself(rig: list[Bench]) -> None:
    rig[1].stub.encoder = object()
    rig[0].model.embed(rig[0].frame)
    assert encoded(rig) == [1, 0, 1, 1]


def test_where_a_batch_gains_nothing_nobody_waits_for_others(rig: list[Bench]) -> None:
    """Nor are their frames looked at."""
    rig[0].stub.most_together = 1
    rig[0].waiting = [None, Due(None, None)]  # type: ignore[arg-type]
    rig[0].model.embed(rig[0].frame)
    assert encoded(rig) == [1, 0, 0, 0]


def test_the_next_frame_is_encoded_while_prompts_are_decoded(bench: Bench) -> None:
    """Its embedding is there, or waited for, when its turn comes; and it is made once."""
    following = frame(2)
    bench.reserved = [bench.model.due(following)]
    assert len(bench.model.decode(bench.frame, [item()])) == 1
    assert bench.tally.counts.frames_encoded == 1, "it is not done yet"
    bench.go.set()
    np.testing.assert_array_equal(bench.model.embed(following), following.rgb)
    assert bench.tally.counts.frames_encoded == 2
    assert bench.tally.counts.encode_ms > 0


def test_another_camera_s_frame_is_encoded_ahead_for_that_camera(rig: list[Bench]) -> None:
    first, second, *_ = rig
    first.waiting = []
    first.reserved = [second.model.due(second.frame)]
    second.go.set()
    first.model.decode(first.frame, [item()])
    second.model.embed(second.frame)
    assert encoded(rig) == [1, 1, 0, 0]


def test_where_stages_do_not_overlap_nothing_is_begun(bench: Bench) -> None:
    bench.stub.overlaps = False
    bench.reserved = [Due(None, None)]  # type: ignore[arg-type]
    bench.model.decode(bench.frame, [item()])
    assert bench.reserved


def test_what_fails_ahead_fails_at_the_frame_s_own_turn(bench: Bench) -> None:
    """And not at that of the frame before; the next one is encoded anew."""
    picture = scene()
    picture[0, 0] = BREAK
    broken = Frame(to_image(picture, "rgb8", Header(stamp=Time(sec=2))))
    bench.reserved = [bench.model.due(broken)]
    bench.go.set()
    assert len(bench.model.decode(bench.frame, [item()])) == 1
    with pytest.raises(RuntimeError, match="asked to break"):
        bench.model.embed(broken)
    np.testing.assert_array_equal(bench.model.embed(frame(3)), scene())


def test_forgetting_waits_for_what_is_being_made(bench: Bench) -> None:
    following = frame(2)
    bench.reserved = [bench.model.due(following)]
    bench.model.decode(bench.frame, [item()])
    threading.Timer(0.1, bench.go.set).start()
    bench.model.forget()
    assert bench.go.is_set()
    bench.model.embed(following)
    assert bench.tally.counts.frames_encoded == 2, "what was made is not used"


def test_where_others_want_the_cores_nothing_is_encoded_ahead(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once may be chance, the second time counts; it is tried again after some frames."""
    monkeypatch.setattr(time, "thread_time", lambda: 0.0)  # the thread never had a core
    bench.go.set()
    ahead = []
    for sec in range(2, 2 * PAUSE + 4):
        following = frame(sec)
        bench.reserved = [bench.model.due(following)]
        bench.model.decode(bench.frame, [item()])
        ahead.append(not bench.reserved)
        bench.model.embed(following)
    assert ahead == [True, *2 * [True, *(PAUSE - 1) * [False]], True, False][: len(ahead)]
