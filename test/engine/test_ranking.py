"""Every ingredient of the score on a case where it decides, then nesting and ambiguity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from engine_cases import boxed, clicks, hypothesis, rectangle
from hypothesis import given
from hypothesis import strategies as st

from sam_ros.engine.config import EngineConfig
from sam_ros.engine.hypothesis import Hypothesis
from sam_ros.engine.prompt import Prompt
from sam_ros.engine.ranking import (
    area_prior,
    contains,
    is_ambiguous,
    mask_agreement,
    parents,
    points_agreement,
    rank,
)

SIZE = (100, 200)
CONFIG = EngineConfig()
CLICK = clicks((50, 50))


def best(prompt: Prompt, *items: Hypothesis) -> Hypothesis:
    """The candidate that comes first, found again by its mask."""
    mask = rank(prompt, items, CONFIG).best.mask
    return next(item for item in items if item.mask is mask)


def test_a_huge_mask_from_one_click_is_not_trusted() -> None:
    """Measured: 0.977 for 60 % of the frame beside the right object at 0.842."""
    huge = hypothesis(rectangle(SIZE, 0, 0, 120, 100), predicted_iou=0.977)
    right = hypothesis(rectangle(SIZE, 30, 30, 70, 70), predicted_iou=0.842)
    assert huge.area / huge.mask.size == 0.6
    assert best(CLICK, huge, right) is right


def test_a_large_object_still_wins_when_the_small_one_is_poor() -> None:
    """A table is large; the prior must not choose a bad scrap instead."""
    table = hypothesis(rectangle(SIZE, 0, 0, 120, 100), predicted_iou=0.95)
    scrap = hypothesis(rectangle(SIZE, 45, 45, 55, 55), predicted_iou=0.6)
    assert best(CLICK, table, scrap) is table


def test_a_box_that_says_large_is_believed() -> None:
    """The area prior is for lone clicks; a box gives the size."""
    large = hypothesis(rectangle(SIZE, 0, 0, 120, 100), predicted_iou=0.9)
    small = hypothesis(rectangle(SIZE, 30, 30, 70, 70), predicted_iou=0.9)
    assert best(boxed(0, 0, 120, 100), large, small) is large


def test_stability_decides_between_equals() -> None:
    """A firm boundary before a soft one."""
    soft = hypothesis(rectangle(SIZE, 30, 30, 70, 70), stability=0.4)
    firm = hypothesis(rectangle(SIZE, 40, 40, 60, 60), stability=0.95)
    assert best(CLICK, soft, firm) is firm


def test_positive_points_belong_inside() -> None:
    """A mask without the click is no answer to it, however good it looks."""
    elsewhere = hypothesis(rectangle(SIZE, 100, 10, 140, 50), predicted_iou=0.99)
    here = hypothesis(rectangle(SIZE, 30, 30, 70, 70), predicted_iou=0.5)
    assert best(CLICK, elsewhere, here) is here


def test_negative_points_belong_outside() -> None:
    """The background click rules the larger mask out."""
    prompt = clicks((50, 50), (80, 50), labels=[1, 0])
    whole = hypothesis(rectangle(SIZE, 30, 30, 90, 70), predicted_iou=0.95)
    part = hypothesis(rectangle(SIZE, 30, 30, 70, 70), predicted_iou=0.7)
    assert best(prompt, whole, part) is part
    assert points_agreement(whole.mask, prompt) == 0.5


def test_points_on_the_outer_edges_have_a_pixel() -> None:
    """-0.5 and W - 0.5 are still in the image."""
    prompt = clicks((-0.5, -0.5), (199.5, 99.5))
    assert points_agreement(np.ones(SIZE, np.bool_), prompt) == 1.0
    assert points_agreement(rectangle(SIZE, 0, 0, 1, 1), prompt) == 0.5


def test_the_box_is_to_be_filled() -> None:
    """A mask that fills its box comes before a scrap in it and one that spills over."""
    prompt = boxed(29.5, 29.5, 69.5, 69.5)
    filling = hypothesis(rectangle(SIZE, 30, 30, 70, 70), predicted_iou=0.8)
    scrap = hypothesis(rectangle(SIZE, 30, 30, 40, 40), predicted_iou=0.95)
    spilling = hypothesis(rectangle(SIZE, 0, 0, 150, 70), predicted_iou=0.95)
    assert best(prompt, scrap, spilling, filling) is filling


def test_a_mask_prompt_is_to_be_met() -> None:
    """The IoU with the rough mask counts, and with it a mask beside loses."""
    prior = rectangle(SIZE, 30, 30, 70, 70)
    near = hypothesis(rectangle(SIZE, 35, 30, 75, 70), predicted_iou=0.8)
    beside = hypothesis(rectangle(SIZE, 110, 30, 150, 70), predicted_iou=0.9)
    assert mask_agreement(near, prior) == pytest.approx(35 / 45)
    assert mask_agreement(beside, prior) == 0
    assert best(Prompt(mask=prior), beside, near) is near


def test_an_empty_mask_is_last() -> None:
    """It scores 0, so that no threshold lets it through."""
    empty = hypothesis(np.zeros(SIZE, np.bool_), predicted_iou=1.0, stability=1.0)
    poor = hypothesis(rectangle(SIZE, 100, 10, 140, 50), predicted_iou=0.1, stability=0.1)
    ranked = rank(CLICK, [empty, poor], CONFIG)
    assert [item.score > 0 for item in ranked] == [True, False]
    assert ranked[1].score == 0 and ranked[1].parent == -1 and not ranked.ambiguous


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1))
def test_the_prior_never_grows_with_the_area(a: float, b: float, largest: float) -> None:
    """1 for small masks, little beyond the largest fraction, monotone between."""
    small, large = sorted((a, b))
    assert 1 >= area_prior(small, largest) >= area_prior(large, largest) > 0
    if large > largest:
        assert area_prior(large, largest) == pytest.approx(0.1)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=3))
def test_scores_are_sorted_and_within_0_and_1(values: list[tuple[float, float]]) -> None:
    """Whatever the heads say."""
    masks = [rectangle(SIZE, 30, 30, 70 + 20 * i, 70) for i in range(3)]
    items = [hypothesis(mask, *value) for mask, value in zip(masks, values, strict=False)]
    scores = [item.score for item in rank(CLICK, items, CONFIG)]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_parents_nest_whole_part_and_sub_part() -> None:
    """Each points at the smallest that holds it, by its place in the ranked order."""
    whole = hypothesis(rectangle(SIZE, 10, 10, 90, 90), predicted_iou=0.7)
    part = hypothesis(rectangle(SIZE, 30, 30, 70, 70), predicted_iou=0.9)
    sub_part = hypothesis(rectangle(SIZE, 40, 40, 60, 60), predicted_iou=0.8)
    ranked = rank(CLICK, [whole, part, sub_part], CONFIG)
    assert [item.area for item in ranked] == [part.area, sub_part.area, whole.area]
    assert [item.parent for item in ranked] == [2, 0, -1]


def test_a_ragged_edge_does_not_break_the_nest() -> None:
    """96 % inside is contained, 90 % is not; masks apart and equal masks have no parent."""
    outer = hypothesis(rectangle(SIZE, 0, 0, 100, 100))
    ragged = hypothesis(rectangle(SIZE, 52, 20, 102, 60))
    straddling = hypothesis(rectangle(SIZE, 55, 20, 105, 60))
    apart = hypothesis(rectangle(SIZE, 150, 20, 160, 60))
    assert contains(outer, ragged) and not contains(outer, straddling)
    assert parents([outer, ragged, apart]) == [-1, 0, -1]
    assert parents([outer, replace(outer)]) == [-1, -1]


@pytest.mark.parametrize(
    ("scores", "areas", "expected"),
    [
        ((0.9, 0.8), (100, 400), True),
        ((0.9, 0.7), (100, 400), False),
        ((0.9, 0.89), (100, 110), False),
        ((0.9, 0.89, 0.85), (100, 110, 400), True),
        ((0.9,), (100,), False),
        ((0.05, 0.0), (100, 0), False),
    ],
    ids=["close, larger", "far", "one size", "third differs", "alone", "runner-up empty"],
)
def test_ambiguous_means_close_and_of_another_size(
    scores: tuple[float, ...], areas: tuple[int, ...], expected: bool
) -> None:
    """Two spellings of one object are no ambiguity."""
    items = [
        replace(hypothesis(rectangle(SIZE, 0, 0, 5, 5)), score=score, area=area)
        for score, area in zip(scores, areas, strict=True)
    ]
    assert is_ambiguous(items, margin=0.15) == expected


@given(st.integers(0, 2**32 - 1))
def test_parents_in_a_crowd(seed: int) -> None:
    """As by comparing every mask with every other one."""
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.integers(0, (40, 100), (30, 2, 2)), axis=1).reshape(-1, 4)
    items = [
        hypothesis(rectangle((40, 100), x0, y0, x1 + 1, y1 + 1)) for y0, x0, y1, x1 in corners
    ]
    expected = [
        min((j for j in range(30) if contains(items[j], inner)), key=lambda j: items[j].area)
        if any(contains(outer, inner) for outer in items)
        else -1
        for inner in items
    ]
    assert parents(items) == expected
