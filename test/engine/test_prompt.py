"""Bad prompts are refused by a message with the field, its value and what was expected."""

from __future__ import annotations

import numpy as np
import pytest
from engine_cases import boxed, clicks

from sam_ros.engine.prompt import Prompt

SIZE = (48, 64)
NAN = float("nan")


@pytest.mark.parametrize(
    "prompt",
    [
        clicks((0, 0)),
        clicks((-0.5, -0.5), (63.5, 47.5), labels=[1, 0]),
        clicks((5, 5), labels=[0]),
        boxed(-10, -10, 500, 20),
        boxed(3, 3, 3.5, 3.5),
        Prompt(mask=np.ones(SIZE, np.bool_)),
        Prompt(logits=np.zeros((16, 16), np.float32)),
    ],
    ids=["corner", "outer edges", "background", "box overlaps", "small box", "mask", "logits"],
)
def test_good_prompts_pass(prompt: Prompt) -> None:
    """What can be answered is not refused."""
    prompt.validate(SIZE, logits_size=(16, 16))


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt(), "prompt: empty; expected points"),
        (clicks((64, 5)), r"points\[0\]: \(64, 5\); expected x in -0.5..63.5 and y in -0.5..47.5"),
        (clicks((5, 5), (5, -0.6)), r"points\[1\]: \(5, -0.6\); expected .* 64 x 48"),
        (clicks((NAN, 5)), r"points\[0\]: \(nan, 5\)"),
        (clicks((float("inf"), 5)), r"points\[0\]: \(inf, 5\)"),
        (
            Prompt(points=np.zeros((2, 3), np.float32)),
            r"points: shape \(2, 3\); expected \(N, 2\)",
        ),
        (clicks((5, 5), labels=[1, 1]), r"labels: shape \(2,\); expected \(1,\)"),
        (boxed(1, 1, 9, 9, labels=np.ones(1, np.int32)), r"labels: shape \(1,\); expected \(0,\)"),
        (clicks((5, 5), labels=[2]), r"labels\[0\]: 2; expected 1 \(foreground\)"),
        (clicks((5, 5), (6, 6), labels=[1, -1]), r"labels\[1\]: -1; expected"),
        (boxed(20, 5, 10, 9), r"box: \(20, 5, 10, 9\); expected x0 < x1"),
        (boxed(10, 5, 10, 9), r"box: \(10, 5, 10, 9\); expected x0 < x1"),
        (boxed(10, NAN, 20, 9), r"box: \(10, nan, 20, 9\); expected finite"),
        (boxed(64, 5, 90, 9), r"box: \(64, 5, 90, 9\); expected to overlap the image of 64 x 48"),
        (Prompt(box=np.zeros(3, np.float32)), r"box: shape \(3,\); expected \(4,\)"),
        (
            Prompt(mask=np.ones((64, 48), np.bool_)),
            r"mask: bool of shape \(64, 48\); .*\(48, 64\)",
        ),
        (Prompt(mask=np.ones(SIZE, np.uint8)), "mask: uint8 of shape"),
        (Prompt(mask=np.zeros(SIZE, np.bool_)), "mask: 0 foreground pixels"),
        (Prompt(logits=np.zeros((8, 8), np.float32)), r"logits: shape \(8, 8\); .*\(16, 16\)"),
        (Prompt(logits=np.full((16, 16), NAN, np.float32)), "logits: NaN"),
    ],
)
def test_bad_prompts_are_named(prompt: Prompt, message: str) -> None:
    """The message leads with the field at fault."""
    with pytest.raises(ValueError, match=f"^{message}"):
        prompt.validate(SIZE, logits_size=(16, 16))


def test_the_shape_of_logits_is_the_models_affair() -> None:
    """Without the model's size any two-dimensional logits pass."""
    Prompt(logits=np.zeros((8, 8), np.float32)).validate(SIZE)
