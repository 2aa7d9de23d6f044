"""The camera's effects change how things look, not where they are."""

from __future__ import annotations

import numpy as np
import pytest

from training.degrade import degrade, jpeg_quality


@pytest.mark.parametrize("seed", range(12))
def test_an_edge_stays_where_it_is(seed: int) -> None:
    """The border between a dark and a bright half moves by less than a pixel and a half."""
    image = np.full((96, 128, 3), 60, np.uint8)
    image[:, 64:] = 150
    seen = degrade(image, np.random.default_rng(seed))
    assert seen.shape == image.shape and seen.dtype == np.uint8
    columns = seen.mean((0, 2))
    steps = np.diff(columns)
    assert abs(float(np.argmax(np.convolve(steps, np.ones(5), "same"))) - 63) <= 2


def test_same_seed_same_picture() -> None:
    """Effects follow from the generator alone."""
    image = np.random.default_rng(0).integers(0, 255, (64, 80, 3)).astype(np.uint8)
    first, again = (degrade(image, np.random.default_rng(3)) for _ in range(2))
    assert (first == again).all()


def test_jpeg_quality_is_valid() -> None:
    """What cv2 takes: 1..100."""
    rng = np.random.default_rng(0)
    assert all(1 <= jpeg_quality(rng) <= 100 for _ in range(200))
