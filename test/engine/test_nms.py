"""Suppression and grids do what the reference does, and pairs of masks are the surest ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference_everything import nms

from sam_ros.engine.boxes import tight_box
from sam_ros.engine.grid import Crop, crops_of
from sam_ros.engine.hypothesis import Hypothesis
from sam_ros.engine.matching import mask_iou, match
from sam_ros.engine.nms import box_nms, mask_nms
from sam_ros.engine.regions import remove_small_regions

corners = st.tuples(*[st.integers(0, 12)] * 4)


@given(
    st.lists(st.tuples(corners, st.integers(0, 4)), max_size=12), st.sampled_from([0, 0.3, 0.7])
)
def test_box_nms_is_that_of_pairs(items: list[Any], threshold: float) -> None:
    """Also for empty boxes and equal scores."""
    boxes = np.array([sorted(c[::2]) + sorted(c[1::2]) for c, _ in items], np.float32)
    boxes = boxes.reshape(-1, 4)[:, [0, 2, 1, 3]]
    scores = np.array([score for _, score in items], np.float32)
    expected = nms(
        torch.from_numpy(boxes), torch.from_numpy(scores), torch.zeros(len(items)), threshold
    )
    assert box_nms(boxes, scores, threshold).tolist() == expected.tolist()


def test_mask_nms_prefers_the_first() -> None:
    masks = [np.zeros((10, 10), bool) for _ in range(3)]
    masks[0][:5], masks[1][:6], masks[2][7:] = True, True, True
    assert mask_nms(masks, 0.8) == [0, 2]
    assert mask_nms(masks, 0.9) == [0, 1, 2]


@given(
    size=st.tuples(st.integers(64, 700), st.integers(64, 700)),
    layers=st.integers(0, 3),
    overlap=st.sampled_from([0.0, 512 / 1500, 0.5]),
)
def test_crops_are_the_references(
    size: tuple[int, int], layers: int, overlap: float, reference: Any
) -> None:
    boxes, numbers = reference.utils.amg.generate_crop_boxes(size, layers, overlap)
    crops = list(crops_of(size, layers, overlap))
    assert [[c.x0, c.y0, c.x1, c.y1] for c in crops] == boxes
    assert [c.layer for c in crops] == numbers


@pytest.mark.parametrize("per_side", [1, 2, 7, 32])
def test_points_are_the_references(per_side: int, reference: Any) -> None:
    unit = reference.utils.amg.build_point_grid(per_side)
    points = Crop(5, 6, 105, 46).points(per_side)
    np.testing.assert_allclose(points, unit * (100, 40))


@given(seed=st.integers(0, 2**32 - 1), least=st.sampled_from([1, 4, 20]))
def test_small_regions_are_the_references(seed: int, least: int, reference: Any) -> None:
    mask = np.random.default_rng(seed).random((9, 11)) < 0.5
    remove = reference.utils.amg.remove_small_regions
    filled, _ = remove(mask, least, mode="holes")
    expected, _ = remove(filled, least, mode="islands")
    assert np.array_equal(remove_small_regions(mask, least), expected)


def seen(rows: slice, columns: slice) -> Hypothesis:
    mask = np.zeros((20, 20), bool)
    mask[rows, columns] = True
    area = int(mask.sum())
    return Hypothesis(mask, 1.0, 1.0, 1.0, area, tight_box(mask), -1, np.zeros((2, 2), np.float32))


def test_a_sure_pair_is_not_given_up_for_a_better_sum() -> None:
    """Overlaps: a with A 0.75, a with B 0.6, b with A 0.6, b with B nothing."""
    a, b = seen(slice(0, 8), slice(0, 10)), seen(slice(2, 12), slice(0, 10))
    sure, other = seen(slice(0, 10), slice(0, 10)), seen(slice(0, 5), slice(0, 10))
    assert mask_iou(a, sure) > mask_iou(b, sure) > mask_iou(a, other) > mask_iou(b, other)
    assert match([a, b], [sure, other], 0.3) == {0: 0}
    assert match([a, b], [other, sure], 0.1) == {1: 0, 0: 1}


def test_masks_apart_are_no_pair() -> None:
    assert match([seen(slice(0, 4), slice(0, 4))], [seen(slice(9, 15), slice(9, 15))], 0.0) == {}
    assert match([], [seen(slice(0, 4), slice(0, 4))], 0.3) == {}
