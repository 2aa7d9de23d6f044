"""The scene on show: what is published when, and what it is aimed at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from node_client import GREEN, RED, mask_of, scene
from std_msgs.msg import Header
from stub_node import hypothesis

from sam_ros.engine.hypothesis import Hypotheses
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Prompt
from sam_ros.nodes.frames import Frame
from sam_ros.nodes.images import to_image
from sam_ros.nodes.objects import Objects
from sam_ros.nodes.scene import Scene
from sam_ros.nodes.stage import Stage


class Show:
    """A stage with two objects, "a" the newer one, and what it has published."""

    def __init__(self) -> None:
        self.published: list[Scene | None] = []
        self.objects = Objects(5)
        self.stage = Stage(self.objects, lambda scene, _: self.published.append(scene))
        self.frame = Frame(to_image(scene(), "rgb8", Header()))
        prompt = EnginePrompt(points=np.ones((1, 2), np.float32), labels=np.ones(1, np.int32))
        items = [
            self.objects.propose(Prompt(object_id=name), 1.0, prompt, (120, 160)) for name in "ab"
        ]
        self.objects.remember(items)
        masks = tuple(hypothesis(mask_of(area), 0.9, -1) for area in (RED, GREEN))
        self.results = [self.objects.observe(item, Hypotheses(masks, True)) for item in items]

    def last(self) -> Any:
        return self.published[-1]


@pytest.fixture
def show() -> Show:
    return Show()


def test_the_newest_object_is_the_target(show: Show) -> None:
    show.stage.show(show.frame, show.results)
    assert show.last().target.object_id == "a" and show.last().frame is show.frame
    assert show.stage.found_on(show.frame) == show.last().results
    assert show.stage.found_on(Frame(show.frame.image)) == ()


def test_a_choice_shows_the_same_picture_again_aimed_at_its_object(show: Show) -> None:
    show.stage.show(show.frame, show.results)
    assert show.stage.select("b", -1) == 1
    assert len(show.published) == 2 and show.last().target.object_id == "b"
    np.testing.assert_array_equal(show.last().target.chosen.mask, mask_of(GREEN))


def test_what_is_removed_leaves_the_scene(show: Show) -> None:
    """What was not on it only changes the objects."""
    show.stage.show(show.frame, show.results[:1])
    show.stage.remove(["b"])
    assert show.last() is None
    show.stage.remove(["a"])
    assert show.last().results == () and show.last().target is None
    assert show.objects.names == []


def test_without_a_scene_nothing_is_shown_again(show: Show) -> None:
    show.stage.show(show.frame, show.results)
    show.stage.clear()
    assert show.stage.select("a", 1) == 1 and len(show.published) == 1
    assert show.stage.found_on(show.frame) == ()
