"""Texts apart from the wire: what they say, what they select, when they are searched."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from node_client import GREEN, RED, mask_of, scene

from sam_ros.engine.boxes import tight_box
from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.msg import Prompt, Status
from sam_ros.nodes.instances import NOTHING
from sam_ros.nodes.objects import Objects
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.status import Refused
from sam_ros.nodes.text import StickySearch
from sam_ros.nodes.text_model import TextModel
from sam_ros.nodes.texts import MOST_CHARACTERS, MOST_TEXTS, Finds, Query, read_texts

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
SEGMENTER: Any = SimpleNamespace(sam=SimpleNamespace(device="cpu"))
FRAME: Any = SimpleNamespace(header=Prompt().header, size=(120, 160))


def hypothesis_of(mask: Any, score: float = 0.9) -> Hypothesis:
    logits = np.zeros((4, 4), np.float32)
    return Hypothesis(mask, score, score, score, int(mask.sum()), tight_box(mask), -1, logits)


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("red mug", ("red mug",)),
        (" red   mug ;screwdriver; ", ("red mug", "screwdriver")),
        ("Mug; cup; mug", ("Mug", "cup")),
        (
            "\u00fcn\u00efc\u00f6de; \u7ea2\u676f\u5b50",
            ("\u00fcn\u00efc\u00f6de", "\u7ea2\u676f\u5b50"),
        ),
    ],
)
def test_texts_are_split_and_doubles_dropped(text: str, texts: tuple[str, ...]) -> None:
    assert read_texts(text) == texts


@given(st.text(max_size=3 * MOST_CHARACTERS))
def test_any_text_is_split_or_refused_with_a_reason(text: str) -> None:
    try:
        texts: tuple[str, ...] | Refused = read_texts(text)
    except Refused as refused:
        texts = refused
    if isinstance(texts, Refused):
        assert texts.code == Status.INVALID_REQUEST
        assert str(texts).startswith("text: ") and len(str(texts)) < 400
    else:
        assert 0 < len(texts) <= MOST_TEXTS and all(texts)


@pytest.mark.parametrize(
    ("clip_model", "message"),
    [("/no/such/folder", "/no/such/folder is not a folder"), ("x/y", "x/y is neither")],
)
def test_without_a_model_the_command_to_run_is_told(clip_model: str, message: str) -> None:
    pytest.importorskip("transformers", reason="pip install 'transformers>=5,<6'")
    with pytest.raises(Refused, match=message) as caught:
        TextModel(SEGMENTER, Parameters(clip_model=clip_model)).load()
    assert caught.value.code == Status.TEXT_UNAVAILABLE
    assert "ros2 run sam_ros models fetch clip-vit-base-patch32" in str(caught.value)


@pytest.mark.parametrize("model", ["sam_tiny", "mobile_sam"])
def test_a_prompt_token_that_is_not_offered_is_told(tmp_path: Path, model: str) -> None:
    """A projection fits one model and one CLIP; without it, auto takes the other way."""
    pytest.importorskip("transformers", reason="pip install 'transformers>=5,<6'")
    import toy_clip

    clip = str(toy_clip.colour_clip(tmp_path))
    settings = {"clip_model": clip, "model": model}
    with pytest.raises(Refused, match="prompt_token is not offered: .*; set it to auto") as caught:
        TextModel(SEGMENTER, Parameters(text_method="prompt_token", **settings)).load()
    assert caught.value.code == Status.TEXT_UNAVAILABLE
    TextModel(SEGMENTER, Parameters(text_method="auto", **settings)).load()


def test_the_embedded_models_have_a_prompt_token() -> None:
    pytest.importorskip("transformers", reason="pip install 'transformers>=5,<6'")
    TextModel(SEGMENTER, Parameters(text_method="prompt_token")).load()


def test_without_the_library_the_command_to_run_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sam_ros.engine.text", None)
    with pytest.raises(Refused, match="pip install 'transformers") as caught:
        TextModel(SEGMENTER, Parameters(clip_model=str(tmp_path))).load()
    assert caught.value.code == Status.TEXT_UNAVAILABLE


def test_the_hypothesis_that_the_words_mean_is_chosen(tmp_path: Path) -> None:
    """Whatever its rank; what fits equally well keeps the rank."""
    pytest.importorskip("transformers", reason="pip install 'transformers>=5,<6'")
    import toy_clip

    folder = toy_clip.colour_clip(tmp_path)
    model = TextModel(SEGMENTER, Parameters(clip_model=str(folder)))
    model.load()
    everything, left = np.ones((120, 160), np.bool_), mask_of(np.s_[20:60, 30:60])
    masks = (everything, mask_of(GREEN), mask_of(RED), left, ~everything)
    hypotheses = Hypotheses(tuple(map(hypothesis_of, masks, (0.9, 0.8, 0.7, 0.6, 0.0))), True)
    assert model.choose(scene(), hypotheses, ["red mug"])[:2] == (2, "red mug")
    index, text, score = model.choose(scene(), hypotheses, ["blue", "green"])
    assert (index, text) == (1, "green") and score > 0.5
    assert model.choose(scene(), hypotheses, ["white"])[2] < 0.5
    empty = Hypotheses((hypothesis_of(~everything),), False)
    assert model.choose(scene(), empty, ["red"]) == (0, "red", 0.0)


def found(*areas: Any, text: str = "mug") -> Any:
    return [
        SimpleNamespace(text=text, label_score=0.8, hypothesis=hypothesis_of(mask_of(area)))
        for area in areas
    ]


def test_found_objects_keep_their_names_while_they_are_seen() -> None:
    """By the overlap of their masks; a new one gets a new name, a lost one is told once."""
    objects = Objects(10)
    finds, query = Finds(objects), Query(Prompt(text="mug", persistence=Prompt.STICKY), ("mug",))

    def look(*areas: Any) -> list[tuple[str, bool]]:
        sightings = finds.name(query, found(*areas), FRAME, set(), again=True)
        objects.remember([item for item, _ in sightings if item.object_id not in objects])
        for item, masks in sightings:
            objects.observe(item, masks)
            if masks is NOTHING:
                objects.remove([item.object_id])
        return [(item.object_id, masks is NOTHING) for item, masks in sightings]

    near, far = np.s_[22:62, 32:92], np.s_[90:110, 10:30]
    assert look(RED, GREEN) == [("mug", False), ("mug_2", False)]
    numbers = [objects.get(name).instance_id for name in ("mug", "mug_2")]
    assert look(GREEN, near) == [("mug_2", False), ("mug", False)]
    assert [objects.get(name).instance_id for name in ("mug", "mug_2")] == numbers
    assert look(far, RED) == [("mug_3", False), ("mug", False), ("mug_2", True)]
    assert look(RED, far) == [("mug", False), ("mug_3", False)]
    assert look(RED, GREEN) == [("mug", False), ("mug_2", False), ("mug_3", True)]


def test_a_query_asked_once_is_named_beside_what_is_known() -> None:
    objects = Objects(10)
    finds, nameless = Finds(objects), Query(Prompt(text="mug"), ("mug",))
    named = Query(Prompt(text="mug", object_id="target"), ("mug",))
    taken: set[str] = set()
    names = [
        item.object_id
        for query in (nameless, nameless, named)
        for item, _ in finds.name(query, found(RED, GREEN), FRAME, taken)
    ]
    assert names == ["mug", "mug_2", "mug_3", "mug_4", "target", "target_2"]


class Queue:
    """Stands in for the worker: steps wait until they are run."""

    def __init__(self) -> None:
        self.steps: deque[tuple[Callable[[], None], Future[None]]] = deque()

    def submit(self, step: Callable[[], None]) -> Future[None]:
        future: Future[None] = Future()
        self.steps.append((step, future))
        return future

    def run(self, count: int = 100) -> None:
        for _ in range(min(count, 100)):
            if self.steps:
                step, future = self.steps.popleft()
                future.set_running_or_notify_cancel()
                step()
                future.set_result(None)


def test_a_search_takes_single_steps_and_then_the_newest_picture() -> None:
    """Never more than one step waits; pictures in between are passed over."""
    queue, log = Queue(), []

    def begin(frame: Any) -> Iterator[None]:
        for step in range(3):
            log.append((frame, step))
            yield

    search = StickySearch(queue.submit, begin, log.append)
    for frame in ("a", "b", "c"):
        search.offer(frame)  # type: ignore[arg-type]
        assert len(queue.steps) == 1
        queue.run(1)
    queue.run()
    assert log == [("a", 0), ("a", 1), ("a", 2), ("c", 0), ("c", 1), ("c", 2)]
    assert not queue.steps
    search.offer("d")  # type: ignore[arg-type]
    queue.run(2)
    search.restart("e")  # type: ignore[arg-type]
    queue.run()
    assert log[-5:] == [("d", 0), ("d", 1), ("e", 0), ("e", 1), ("e", 2)]


def test_a_search_that_was_given_up_begins_again_with_the_next_picture() -> None:
    queue, log = Queue(), []

    def begin(frame: Any) -> Iterator[None]:
        log.append(frame)
        yield

    search = StickySearch(queue.submit, begin, log.append)
    search.offer("a")  # type: ignore[arg-type]
    queue.steps.popleft()[1].cancel()  # as drop_jobs does
    search.offer("b")  # type: ignore[arg-type]
    queue.run()
    assert log == ["b"]


def test_a_search_that_fails_is_told_and_the_next_picture_is_searched() -> None:
    queue, log = Queue(), []

    def begin(frame: Any) -> Iterator[None]:
        yield
        if frame == "bad":
            raise RuntimeError("no memory")
        log.append(frame)

    search = StickySearch(queue.submit, begin, log.append)
    for frame in ("bad", "good"):
        search.offer(frame)  # type: ignore[arg-type]
    queue.run()
    assert log == ["text: RuntimeError: no memory", "good"]
