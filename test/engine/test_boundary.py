"""Boundaries at the picture's edges: thing for thing, on pictures whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_ros.engine.boundary import RADIUS, SMOOTHNESS, GuidedFilter, sharpen
from sam_ros.engine.config import EngineConfig
from sam_ros.engine.prompt import Prompt
from sam_ros.engine.ranking import points_agreement
from sam_ros.engine.segmenter import Segmenter
from sam_ros.engine.transform import Transform
from sam_ros.model import Sam

SIZE, SQUARE, CELLS = (180, 320), 128, 32  # a logit stands for ten pixels

Mask = npt.NDArray[np.bool_]


def disc(x: float = 160, y: float = 90, radius: float = 40) -> Mask:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 < radius**2)


def painted(mask: Mask, seed: int = 0) -> npt.NDArray[np.uint8]:
    """A red thing on green, with the noise of a camera."""
    rgb = np.where(mask[..., None], (170, 60, 50), (60, 120, 70))
    noise = np.random.default_rng(seed).normal(0, 6, (*SIZE, 3))
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def rough(mask: Mask) -> tuple[npt.NDArray[np.float32], Mask]:
    """Logits as a decoder gives them, soft and of low resolution, and the mask cut from them."""
    square = np.zeros((SIZE[1], SIZE[1]), np.float32)
    square[: SIZE[0]] = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 12)
    low = cv2.resize(square, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    logits = (6 * (2 * low - 1)).astype(np.float32)
    wide = cv2.resize(logits, (SIZE[1], SIZE[1]))[: SIZE[0]]
    return logits, wide > 0


def iou(a: Mask, b: Mask) -> float:
    return float(np.count_nonzero(a & b) / np.count_nonzero(a | b))


TRANSFORM = Transform(SIZE, SQUARE)


def test_boundary_moves_to_the_edge() -> None:
    """A star, whose points the rough mask lacks, is found to the pixel but for a few."""
    angle = np.linspace(0, 2 * np.pi, 11)[:-1]
    reach = np.where(np.arange(10) % 2, 30, 60)
    corners = np.stack((160 + reach * np.cos(angle), 90 + reach * np.sin(angle)), 1)
    star = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(star, [corners.round().astype(np.int32)], 1)
    truth = star.astype(bool)
    logits, mask = rough(truth)
    sharp = sharpen(painted(truth), mask, logits, TRANSFORM)
    assert iou(mask, truth) < 0.8
    assert iou(sharp, truth) > 0.97


def test_without_edges_the_mask_stays() -> None:
    """Where the picture tells nothing, the logits decide."""
    logits, mask = rough(disc())
    grey = np.full((*SIZE, 3), 128, np.uint8)
    assert iou(sharpen(grey, mask, logits, TRANSFORM), mask) > 0.95


def test_another_thing_is_refused() -> None:
    """A mask that lies beside the only thing in the picture is given back as it was."""
    logits, mask = rough(disc(x=120, radius=30))
    picture = painted(disc(x=175, radius=30))
    sharp = sharpen(picture, mask, logits, TRANSFORM)
    assert sharp is mask or iou(sharp, mask) > 0.5


def test_box_holds_the_mask_back() -> None:
    """Of two alike things that touch the one in the box is kept, the other's pixels are not."""
    left, right = disc(x=120, radius=35), disc(x=200, radius=35)
    logits, mask = rough(left)
    box = np.array((85, 55, 155, 125), np.float32)
    sharp = sharpen(painted(left | right), mask, logits, TRANSFORM, box)
    assert iou(sharp, left) > 0.9
    assert not sharp[:, 180:].any()


def test_picture_may_be_a_view() -> None:
    """As the node has it of a BGR image: same answer."""
    logits, mask = rough(disc())
    rgb = painted(disc())
    view = np.ascontiguousarray(rgb[..., ::-1])[..., ::-1]
    np.testing.assert_array_equal(
        sharpen(view, mask, logits, TRANSFORM), sharpen(rgb, mask, logits, TRANSFORM)
    )


@pytest.mark.parametrize("value", [-4.0, 4.0])
def test_empty_and_full_masks(value: float) -> None:
    """No pixel and all pixels are masks like others."""
    logits = np.full((CELLS, CELLS), value, np.float32)
    mask = np.full(SIZE, value > 0)
    sharp = sharpen(painted(disc()), mask, logits, TRANSFORM)
    assert sharp.shape == SIZE
    assert sharp.any() == (value > 0)


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 1000))
def test_any_size(height: int, width: int, seed: int) -> None:
    """Whatever the picture, the answer is a mask of its size that has most in common."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (height, width, 3), np.uint8)
    mask = rng.random((height, width)) < 0.5
    logits = rng.normal(0, 3, (16, 16)).astype(np.float32)
    box = np.sort(rng.uniform(0, min(height, width), (2, 2)), 0).ravel().astype(np.float32)
    sharp = sharpen(rgb, mask, logits, Transform((height, width), 64), box)
    assert sharp.shape == mask.shape
    assert sharp is mask or iou(sharp, mask) > 0.5


def test_guided_filter_is_local_regression() -> None:
    """Equal to the mean, over all windows around a pixel, of regularised linear fits."""
    rng = np.random.default_rng(3)
    side, reach = 8 * RADIUS, 2 * RADIUS + 1
    image = rng.random((side, side, 3), np.float32)
    values = rng.random((side, side), np.float32)
    y = x = side // 2
    fits = []
    for top in range(y - 2 * RADIUS, y + 1):
        for left in range(x - 2 * RADIUS, x + 1):
            rows, columns = slice(top, top + reach), slice(left, left + reach)
            colours = image[rows, columns].reshape(-1, 3).astype(float)
            target = values[rows, columns].ravel().astype(float)
            spread = np.cov(colours.T, bias=True) + SMOOTHNESS * np.eye(3)
            common = (colours - colours.mean(0)).T @ (target - target.mean()) / len(target)
            slope = np.linalg.solve(spread, common)
            fits.append((*slope, target.mean() - slope @ colours.mean(0)))
    *slope, offset = np.mean(fits, 0)
    expected = slope @ image[y, x] + offset
    assert GuidedFilter(image)(values)[y, x] == pytest.approx(expected, abs=1e-4)


def test_guided_filter_at_more_pixels() -> None:
    """An image of twice the side takes the fits of the smaller: its own edges come out."""
    truth = disc().astype(np.float32)
    fine = np.repeat(truth[..., None], 3, 2)
    coarse = cv2.resize(fine, (160, 90), interpolation=cv2.INTER_AREA)
    values = cv2.resize(truth, (160, 90), interpolation=cv2.INTER_AREA)
    found = GuidedFilter(coarse)(values, fine)
    assert iou(found > 0.5, truth > 0.5) > 0.99


def test_only_soft_models_are_sharpened(tiny: Sam, picture: npt.NDArray[np.uint8]) -> None:
    """By default those that say so; a setting decides otherwise; points stay on their side."""
    points = np.array([[40, 30], [60, 50]], np.float32)
    prompt = Prompt(points=points, labels=np.array([1, 0], np.int32))
    segmenter = Segmenter(tiny)
    embedding = segmenter.set_image(picture)

    def best(sharp: bool | None, soft: bool) -> Mask:
        segmenter.config, tiny.soft = EngineConfig(sharpen=sharp), soft
        return segmenter.segment(embedding, [prompt])[0].best.mask

    try:
        always, never = best(True, soft=False), best(False, soft=True)
        assert np.array_equal(best(None, soft=True), always)
        assert np.array_equal(best(None, soft=False), never)
        assert not np.array_equal(always, never)
    finally:
        tiny.soft = True
    for mask in (always, never):
        assert points_agreement(always, prompt) >= points_agreement(mask, prompt)
