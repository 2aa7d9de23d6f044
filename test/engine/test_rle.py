"""Run lengths equal those of pycocotools and bring the mask back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sam_ros.engine import rle

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=20))


def coco_counts(mask: npt.NDArray[np.bool_]) -> list[int]:
    """The runs in pycocotools' compressed string: base 32, differences to the run before last."""
    coco = pytest.importorskip("pycocotools.mask", reason="pip install pycocotools to compare")
    text = coco.encode(np.asfortranarray(mask.view(np.uint8)))["counts"]
    counts: list[int] = []
    value = shift = 0
    for symbol in text:
        digit = symbol - 48
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:  # more digits follow
            continue
        if digit & 16:  # negative
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts


@given(masks)
def test_equals_pycocotools(mask: npt.NDArray[np.bool_]) -> None:
    """The same runs as the compressed form of pycocotools holds."""
    assert rle.encode(mask).tolist() == coco_counts(mask)


@given(masks)
def test_round_trip_and_area(mask: npt.NDArray[np.bool_]) -> None:
    """Decoding gives the mask back, and the area is known without decoding."""
    counts = rle.encode(mask)
    assert counts.dtype == np.uint32
    assert (rle.decode(counts, *mask.shape) == mask).all()
    assert rle.area(counts) == mask.sum()


def test_runs_go_down_the_columns_background_first() -> None:
    """A known mask written by hand."""
    mask = np.array([[1, 0, 0], [1, 1, 0]], np.bool_)
    assert rle.encode(mask).tolist() == [0, 2, 1, 1, 2]


def test_a_view_with_strides_is_read_right() -> None:
    """Cropped, flipped and transposed masks need no copy by the caller."""
    mask = np.random.default_rng(0).random((30, 40)) > 0.5
    view = mask[3:20:2, ::-1].T
    assert rle.encode(view).tolist() == rle.encode(view.copy()).tolist()


def test_large_masks() -> None:
    """48 megapixels, more than a float32 can count."""
    mask = np.zeros((6000, 8000), np.bool_)
    mask[1:, :] = True
    counts = rle.encode(mask)
    assert counts[:4].tolist() == [1, 5999, 1, 5999]
    assert rle.area(counts) == 5999 * 8000
    assert (rle.decode(counts, 6000, 8000) == mask).all()


@pytest.mark.parametrize(
    "mask", [np.zeros((3, 3), np.uint8), np.zeros(9, np.bool_)], ids=["uint8", "flat"]
)
def test_only_masks_are_encoded(mask: npt.NDArray[np.bool_]) -> None:
    """An 8-bit picture would be read as 0 and 255."""
    with pytest.raises(ValueError, match=r"mask: .* expected bool of \(H, W\)"):
        rle.encode(mask)


@pytest.mark.parametrize("counts", [[5], [4, -1, 3], [[6]]], ids=["short", "negative", "nested"])
def test_runs_must_fill_the_mask(counts: list[int]) -> None:
    """A damaged message is no mask."""
    with pytest.raises(ValueError, match=r"counts: .* expected 2 x 3 = 6"):
        rle.decode(counts, 2, 3)


@given(st.integers(0, 3), st.integers(0, 3))
def test_masks_without_pixels(height: int, width: int) -> None:
    """Nothing in, nothing out."""
    counts = rle.encode(np.zeros((height, width), np.bool_))
    assert rle.decode(counts, height, width).shape == (height, width)
