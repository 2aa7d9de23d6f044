"""The masks of a lone click are asked for again with their boxes, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from engine_cases import boxed, clicks

from sam_ros.engine.boxes import tight_box
from sam_ros.engine.config import EngineConfig
from sam_ros.engine.hypothesis import Hypotheses
from sam_ros.engine.islands import island_at
from sam_ros.engine.prompt import Prompt
from sam_ros.engine.segmenter import Segmenter
from sam_ros.model import build_sam

Picture = npt.NDArray[np.uint8]
RAW = EngineConfig(min_area_px=0)


@pytest.fixture
def looks_again(sam: Any) -> Iterator[Any]:
    """The small model, set to look three times."""
    sam.looks = 3
    yield sam
    sam.looks = 1


def by_iou(answer: Hypotheses) -> list[Any]:
    return sorted(answer, key=lambda item: item.predicted_iou)


def test_each_mask_is_that_of_the_click_with_what_the_one_before_gave(
    looks_again: Any, picture: Picture
) -> None:
    """The second look has the mask's box alone, the third the click, the box and the logits.

    Masks, stability and logits are the last look's, the predicted IoU is the first's. Of the
    mask the clicked region stays.
    """
    segmenter = Segmenter(looks_again, RAW)
    embedding = segmenter.set_image(picture)
    prompts = [clicks((40, 30)), clicks((60, 50)), clicks((100, 80))]
    last = segmenter.segment(embedding, prompts)
    looks_again.looks = 1
    changed = 0
    for prompt, first, third in zip(
        prompts, segmenter.segment(embedding, prompts), last, strict=True
    ):
        for a, c in zip(by_iou(first), by_iou(third), strict=True):
            assert c.predicted_iou == a.predicted_iou
            if not a.area:
                assert not c.area
                continue
            b = segmenter.segment(embedding, [Prompt(box=a.box)])[0].best
            asked = replace(prompt, box=b.box, logits=b.logits)
            expected = segmenter.segment(embedding, [asked])[0].best
            region = island_at(expected.mask, np.floor(prompt.points[0] + 0.5).astype(int))
            assert np.count_nonzero(c.mask != region) <= 2  # a logit at the threshold
            assert c.area == np.count_nonzero(c.mask) and np.array_equal(c.box, tight_box(c.mask))
            assert c.stability == pytest.approx(expected.stability, abs=1e-3)
            assert c.logits == pytest.approx(expected.logits, abs=1e-4)
            changed += not np.array_equal(a.mask, c.mask)
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
    looks_again: Any, picture: Picture, prompt: Any
) -> None:
    """Also when three masks are asked for."""
    for multimask in (None, True):
        config = EngineConfig(min_area_px=0, multimask=multimask)
        segmenter = Segmenter(looks_again, config)
        looks_again.looks = 3
        embedding = segmenter.set_image(picture)
        twice = segmenter.segment(embedding, [prompt])[0]
        looks_again.looks = 1
        once = segmenter.segment(embedding, [prompt])[0]
        for a, b in zip(once, twice, strict=True):
            assert np.array_equal(a.mask, b.mask)


def test_only_the_small_model_looks_again() -> None:
    """The published ones answer as the paper has it."""
    assert build_sam("sam_tiny").looks == 3
    assert build_sam("mobile_sam").looks == 1
