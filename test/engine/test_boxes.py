"""Boxes run through the outer edges of pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from engine_cases import rectangle
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays

from sam_ros.engine.boxes import box_area, box_iou, clip_box, intersect, pixels_of, tight_box

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))


def test_one_pixel_has_a_box_of_one_pixel() -> None:
    """The contract's example."""
    assert tight_box(rectangle((9, 9), 4, 6, 5, 7)).tolist() == [3.5, 5.5, 4.5, 6.5]
    assert tight_box(np.zeros((9, 9), np.bool_)).tolist() == [0, 0, 0, 0]
    assert tight_box(np.zeros((0, 9), np.bool_)).tolist() == [0, 0, 0, 0]


@given(masks)
def test_the_box_holds_every_pixel_and_no_empty_side(mask: npt.NDArray[np.bool_]) -> None:
    """Cutting a mask to its box loses nothing and leaves no empty border."""
    inside = mask[pixels_of(tight_box(mask))]
    assert inside.sum() == mask.sum()
    if mask.any():
        assert inside[0].any() and inside[-1].any()
        assert inside[:, 0].any() and inside[:, -1].any()
    else:
        assert inside.size == 0


def test_views_of_masks() -> None:
    """A box is right for a mask that is a window of another."""
    mask = rectangle((20, 30), 8, 5, 12, 9)[3:, 4:]
    assert tight_box(mask).tolist() == [3.5, 1.5, 7.5, 5.5]


def test_iou_and_clipping() -> None:
    """Numbers by hand."""
    a, b = np.array((0, 0, 4, 4), np.float32), np.array((2, 0, 6, 4), np.float32)
    assert box_iou(a, b) == pytest.approx(8 / 24)
    assert box_area(intersect(a, a + 10)) == 0
    assert box_iou(a, a + 10) == 0
    assert clip_box(np.array((-9, 2, 99, 5), np.float32), (48, 64)).tolist() == [-0.5, 2, 63.5, 5]
