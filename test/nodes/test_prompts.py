"""Prompt messages to the engine's prompts, and other people's messages to Prompt."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PointStamped
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox2D, Detection2D, ObjectHypothesisWithPose, Point2D

from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Prompt
from sam_ros.nodes.images import to_image
from sam_ros.nodes.prompts import (
    from_box,
    from_mask,
    from_point,
    label_score,
    to_message,
    to_prompt,
)

SIZE = (48, 64)
HEADER = Header(stamp=Time(sec=3, nanosec=4), frame_id="camera")
NAN = float("nan")


def box(x: float, y: float, width: float, height: float, theta: float = 0.0) -> BoundingBox2D:
    """A box by its centre and size."""
    msg = BoundingBox2D(size_x=float(width), size_y=float(height))
    msg.center.position.x, msg.center.position.y = float(x), float(y)
    msg.center.theta = float(theta)
    return msg


def clicks(*points: tuple[float, float], labels: list[int] | None = None, **more: Any) -> Prompt:
    """A prompt of points, all foreground unless labels are given."""
    return Prompt(
        points=[Point2D(x=float(x), y=float(y)) for x, y in points],
        point_labels=[1] * len(points) if labels is None else labels,
        **more,
    )


def mask(size: tuple[int, int] = SIZE) -> Image:
    """A mask message with one square of object."""
    values = np.zeros(size, np.uint8)
    values[10:20, 5:15] = 200
    return to_image(values, "mono8", HEADER)


def test_points_box_and_mask_are_read() -> None:
    """All parts of one prompt arrive in pixels."""
    msg = clicks((3, 4), (5.5, 6), labels=[1, 0], box=[box(20, 10, 8, 4)], mask=[mask()])
    prompt = to_prompt(msg, SIZE)
    np.testing.assert_array_equal(prompt.points, [[3, 4], [5.5, 6]])
    np.testing.assert_array_equal(prompt.labels, [1, 0])
    np.testing.assert_array_equal(prompt.box, [16, 8, 24, 12])
    assert prompt.mask is not None and prompt.mask.sum() == 100 and prompt.mask[10, 5]
    assert prompt.points.dtype == np.float32 and prompt.labels.dtype == np.int32


def test_normalised_coordinates_span_the_outer_edges() -> None:
    """0 and 1 are the edges of the first and last pixel, the middle is the middle."""
    msg = clicks((0, 0), (1, 1), (0.5, 0.5), normalized=True, box=[box(0.5, 0.5, 1, 1)])
    prompt = to_prompt(msg, SIZE)
    np.testing.assert_allclose(prompt.points, [[-0.5, -0.5], [63.5, 47.5], [31.5, 23.5]])
    np.testing.assert_allclose(prompt.box, [-0.5, -0.5, 63.5, 47.5])


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 500), st.integers(1, 500))
def test_every_normalised_click_is_inside(x: float, y: float, height: int, width: int) -> None:
    """No fraction of 0..1 is refused for rounding, on any size of picture."""
    prompt = to_prompt(clicks((x, y), normalized=True), (height, width))
    assert abs(prompt.points[0, 0] - (x * width - 0.5)) < 1e-3


@pytest.mark.parametrize(
    ("msg", "words"),
    [
        (Prompt(), ["empty"]),
        (clicks((3, 4), labels=[]), ["point_labels", "0", "1"]),
        (clicks((3, 4), labels=[1, 1]), ["point_labels", "2", "1"]),
        (clicks((3, 4), labels=[2]), ["label", "2"]),
        (clicks((64, 4)), ["point", "64"]),
        (clicks((3, -1)), ["point", "-1"]),
        (clicks((NAN, 4)), ["point", "nan"]),
        (clicks((float("inf"), 4)), ["point", "inf"]),
        (clicks((1.5, 0.5), normalized=True), ["points", "1.5", "0..1"]),
        (clicks((NAN, 0.5), normalized=True), ["points", "nan", "0..1"]),
        (Prompt(box=[box(20, 10, 0, 4)]), ["box.size_x", "0"]),
        (Prompt(box=[box(20, 10, 4, -4)]), ["box.size_y", "-4"]),
        (Prompt(box=[box(20, 10, 4, NAN)]), ["box.size_y", "nan"]),
        (Prompt(box=[box(NAN, 10, 4, 4)]), ["box", "nan"]),
        (Prompt(box=[box(500, 10, 4, 4)]), ["box", "overlap"]),
        (Prompt(box=[box(20, 10, 4, 4, theta=0.3)]), ["theta", "0.3", "0"]),
        (Prompt(box=[box(0.9, 0.5, 0.4, 0.4)], normalized=True), ["box", "1.1", "0..1"]),
        (Prompt(mask=[mask((20, 30))]), ["mask", "20", "48"]),
        (Prompt(mask=[Image()]), ["mask.encoding", "mono8"]),
        (Prompt(mask=[to_image(np.zeros(SIZE, np.uint8), "mono8", HEADER)]), ["mask", "0"]),
    ],
)
def test_wrong_prompts_are_refused_by_field(msg: Prompt, words: list[str]) -> None:
    """The error names the field, its value and what was expected."""
    with pytest.raises(ValueError, match=".*".join(re.escape(word) for word in words)):
        to_prompt(msg, SIZE)


def test_there_and_back() -> None:
    """What the engine was asked is what ~/active_prompts says."""
    prompt = EnginePrompt(
        points=np.array([[1, 2], [3.5, 4]], np.float32),
        labels=np.array([1, 0], np.int32),
        box=np.array([2, 3, 11, 20.5], np.float32),
        mask=np.eye(48, 64, dtype=np.bool_),
        logits=np.zeros((4, 4), np.float32),
    )
    msg = to_message(prompt, HEADER)
    assert msg.header == HEADER and not msg.normalized
    back = to_prompt(msg, SIZE)
    for name in ("points", "labels", "box", "mask"):
        np.testing.assert_array_equal(getattr(back, name), getattr(prompt, name))


def test_a_click_becomes_a_prompt() -> None:
    """A PointStamped is one foreground point on the picture of its stamp."""
    click = PointStamped(header=HEADER)
    click.point.x, click.point.y, click.point.z = 7.0, 9.0, 1.5
    msg = from_point(click)
    assert msg.header == HEADER and msg.persistence == Prompt.ONCE
    prompt = to_prompt(msg, SIZE)
    np.testing.assert_array_equal(prompt.points, [[7, 9]])
    np.testing.assert_array_equal(prompt.labels, [1])


def detection(*kinds: tuple[str, float], theta: float = 0.0) -> Detection2D:
    """A detector's box with classes and scores."""
    msg = Detection2D(header=HEADER, id="track_5", bbox=box(20, 20, 10, 4, theta))
    for name, score in kinds:
        kind = ObjectHypothesisWithPose()
        kind.hypothesis.class_id, kind.hypothesis.score = name, score
        msg.results.append(kind)
    return msg


def test_a_detection_becomes_a_prompt() -> None:
    """Identity and the most certain class are carried along."""
    msg = from_box(detection(("cup", 0.3), ("mug", 0.6)))
    assert (msg.header, msg.object_id, msg.label) == (HEADER, "track_5", "mug")
    np.testing.assert_array_equal(to_prompt(msg, SIZE).box, [15, 18, 25, 22])
    assert label_score(detection(("cup", 0.3), ("mug", 0.6))) == pytest.approx(0.6)


def test_a_detection_without_a_class() -> None:
    """Class-agnostic detectors are served as well."""
    assert from_box(detection()).label == ""
    assert label_score(detection()) == 0


def test_a_turned_box_gives_the_upright_one_around_it() -> None:
    """A quarter turn swaps width and height, half of that takes the corners in."""
    turned = from_box(detection(theta=np.pi / 2))
    np.testing.assert_allclose(to_prompt(turned, SIZE).box, [18, 15, 22, 25], atol=1e-5)
    half = 14 / np.sqrt(2) / 2
    slanted = to_prompt(from_box(detection(theta=-np.pi / 4)), SIZE).box
    np.testing.assert_allclose(slanted, [20 - half, 20 - half, 20 + half, 20 + half], atol=1e-5)


def test_a_prior_mask_becomes_a_prompt() -> None:
    """The mask keeps its stamp, and its pixels are the prompt."""
    msg = from_mask(mask())
    assert msg.header == HEADER
    prior = to_prompt(msg, SIZE).mask
    assert prior is not None and prior.sum() == 100
