"""Prompts share a batch only where that changes no number."""

from __future__ import annotations

import numpy as np
import pytest
from engine_cases import boxed, clicks, rectangle

from sam_ros.engine.batching import batches, token_count, wants_multimask
from sam_ros.engine.prompt import Prompt

MASK = rectangle((48, 64), 5, 5, 20, 20)
LOGITS = np.zeros((16, 16), np.float32)


@pytest.mark.parametrize(
    ("prompt", "multimask", "tokens"),
    [
        (clicks((5, 5)), True, 2),
        (clicks((5, 5), labels=[0]), True, 2),
        (clicks((5, 5), (6, 6)), False, 3),
        (boxed(5, 5, 9, 9), False, 2),
        (clicks((5, 5), box=np.array((1, 1, 9, 9), np.float32)), False, 3),
        (Prompt(mask=MASK), False, 0),
        (clicks((5, 5), mask=MASK), False, 2),
        (clicks((5, 5), logits=LOGITS), False, 2),
    ],
    ids=["click", "negative", "two", "box", "click+box", "mask", "click+mask", "refined"],
)
def test_one_point_alone_is_ambiguous(prompt: Prompt, multimask: bool, tokens: int) -> None:
    """Three masks for a lone point, one for anything that says more, as in the paper."""
    assert wants_multimask(prompt) == multimask
    assert token_count(prompt) == tokens


def test_prompts_of_one_length_share_a_batch() -> None:
    """Clicks with and without a mask together when the same masks are asked for, boxes too."""
    prompts = [
        clicks((5, 5)),
        boxed(5, 5, 9, 9),
        clicks((5, 5), (6, 6)),
        clicks((8, 8), mask=MASK),
        clicks((7, 7)),
    ]
    found = [(sorted(batch.indices), batch.multimask) for batch in batches(prompts, None, 10)]
    assert sorted(found) == [([0, 4], True), ([1, 3], False), ([2], False)]
    forced = [sorted(batch.indices) for batch in batches(prompts, True, 10)]
    assert sorted(forced) == [[0, 1, 3, 4], [2]]


def test_long_batches_are_divided() -> None:
    """Every prompt once, no batch above the limit."""
    prompts = [clicks((5, 5))] * 7 + [boxed(5, 5, 9, 9)] * 4
    found = list(batches(prompts, None, 3))
    assert sorted(index for batch in found for index in batch.indices) == list(range(11))
    assert sorted(len(batch.indices) for batch in found) == [1, 1, 3, 3, 3]


def test_no_prompts_no_batches() -> None:
    """Nothing to decode."""
    assert list(batches([], None, 3)) == []
