"""The masks of a lone click are asked for again with their boxes, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from engine_cases import boxed, clicks

from sam_ros.engine.config import EngineConfig
from sam_ros.engine.hypothesis import Hypotheses
from sam_ros.engine.segmenter import Segmenter
from sam_ros.model import build_sam

Picture = npt.NDArray[np.uint8]
RAW = EngineConfig(min_area_px=0)


@pytest.fixture
def looks_twice(sam: Any) -> Iterator[Any]:
    """The small model, set to look twice."""
    sam.second_look = True
    yield sam
    sam.second_look = False


def by_iou(answer: Hypotheses) -> list[Any]:
    return sorted(answer, key=lambda item: item.predicted_iou)


def test_each_mask_is_that_of_the_click_with_the_first_masks_box(
    looks_twice: Any, picture: Picture
) -> None:
    """Masks, stability and logits of the second look; the predicted IoU of the first."""
    segmenter = Segmenter(looks_twice, RAW)
    embedding = segmenter.set_image(picture)
    prompts = [clicks((40, 30)), clicks((60, 50)), clicks((100, 80))]
    twice = segmenter.segment(embedding, prompts)
    looks_twice.second_look = False
    once = segmenter.segment(embedding, prompts)
    changed = 0
    for prompt, first, second in zip(prompts, once, twice, strict=True):
        for a, b in zip(by_iou(first), by_iou(second), strict=True):
            assert b.predicted_iou == a.predicted_iou
            if not a.area:
                assert not b.area
                continue
            expected = segmenter.segment(embedding, [clicks(*prompt.points, box=a.box)])[0].best
            assert np.array_equal(b.mask, expected.mask)
            assert b.stability == pytest.approx(expected.stability)
            assert b.logits == pytest.approx(expected.logits, abs=1e-4)
            changed += not np.array_equal(a.mask, b.mask)
    assert changed


@pytest.mark.parametrize(
    "prompt",
    [
        boxed(20, 15, 90, 80),
        clicks((40, 30), (70, 60)),
        clicks((40, 30), box=np.array((20, 15, 90, 80), np.float32)),
    ],
    ids=["box", "two points", "point and box"],
)
def test_a_prompt_that_says_more_is_answered_at_once(
    looks_twice: Any, picture: Picture, prompt: Any
) -> None:
    """Also when three masks are asked for."""
    for multimask in (None, True):
        config = EngineConfig(min_area_px=0, multimask=multimask)
        segmenter = Segmenter(looks_twice, config)
        looks_twice.second_look = True
        embedding = segmenter.set_image(picture)
        twice = segmenter.segment(embedding, [prompt])[0]
        looks_twice.second_look = False
        once = segmenter.segment(embedding, [prompt])[0]
        for a, b in zip(once, twice, strict=True):
            assert np.array_equal(a.mask, b.mask)


def test_only_the_small_model_looks_twice() -> None:
    """The published ones answer as the paper has it."""
    assert build_sam("sam_tiny").second_look
    assert not build_sam("mobile_sam").second_look
