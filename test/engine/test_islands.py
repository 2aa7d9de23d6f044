"""Small islands go, small holes are filled, and something always stays."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from engine_cases import rectangle
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sam_ros.engine.islands import _clean_all, clean, fill_holes, island_at, remove_islands

SIZE = (60, 80)
masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=16))


def pixels(*points: tuple[int, int]) -> npt.NDArray[np.int64]:
    return np.array(points, np.int64).reshape(-1, 2)


def test_islands_and_holes_below_the_size_go() -> None:
    """What is at or above the size stays."""
    body = rectangle(SIZE, 10, 10, 40, 40)
    small, large = rectangle(SIZE, 50, 5, 53, 8), rectangle(SIZE, 60, 20, 64, 24)  # 9 and 16 px
    hole, gap = rectangle(SIZE, 15, 15, 18, 18), rectangle(SIZE, 25, 25, 29, 29)
    cleaned = clean((body | small | large) & ~hole & ~gap, min_area=16)
    assert (cleaned == (body | large) & ~gap).all()


def test_the_largest_island_stays_however_small() -> None:
    """A mask of specks alone keeps the largest speck."""
    largest = rectangle(SIZE, 30, 30, 33, 33)
    specks = rectangle(SIZE, 5, 5, 6, 6) | rectangle(SIZE, 70, 50, 72, 52)
    assert (clean(largest | specks, min_area=1000) == largest).all()


def test_a_clicked_island_stays() -> None:
    """Whoever clicks a small part wants it; clicks outside the mask do not matter."""
    body, part = rectangle(SIZE, 10, 10, 40, 40), rectangle(SIZE, 50, 50, 52, 52)
    kept = clean(body | part, min_area=50, keep=pixels((51, 50), (0, 0), (30, 50)))
    assert (kept == body | part).all()
    assert (clean(body | part, min_area=50, keep=pixels()) == body).all()


def test_a_background_corner_is_no_hole() -> None:
    """Background that the mask cuts off at the image's edge is not enclosed."""
    mask = ~rectangle(SIZE, 0, 0, 3, 3)
    assert clean(mask, min_area=64) is mask


def test_thin_diagonals_hold_together_and_close_loops() -> None:
    """A diagonal line is one island, and a diamond of single pixels encloses its inside."""
    line = np.eye(40, dtype=np.bool_)
    assert remove_islands(line, 30) is line
    diamond = np.add.outer(abs(np.arange(-5, 6)), abs(np.arange(-5, 6))) == 4
    inside = np.add.outer(abs(np.arange(-5, 6)), abs(np.arange(-5, 6))) <= 4
    assert (fill_holes(diamond, 1000) == inside).all()


@given(masks, st.integers(0, 40))
def test_never_the_whole_mask_and_never_twice(mask: npt.NDArray[np.bool_], min_area: int) -> None:
    """Cleaning keeps the mask's existence, leaves its input alone and has nothing left to do."""
    before = mask.copy()
    cleaned = clean(mask, min_area)
    assert cleaned.any() == mask.any()
    assert (mask == before).all()
    assert (clean(cleaned, min_area) == cleaned).all()


@given(masks, st.integers(2, 20))
def test_agrees_with_growing_regions_one_by_one(
    mask: npt.NDArray[np.bool_], min_area: int
) -> None:
    """Against a plain flood fill of the whole mask, without any window."""
    expected = mask.copy()
    _, *holes = regions(np.pad(~mask, 1, constant_values=True), corners=False)
    for hole in holes:
        if len(hole) < min_area:
            expected[tuple(np.array(hole).T - 1)] = True
    islands = sorted(regions(expected, corners=True), key=len)
    for island in islands[:-1]:
        if len(island) < min_area:
            expected[tuple(np.array(island).T)] = False
    cleaned = clean(mask, min_area)
    if len(islands) > 1 and len(islands[-1]) == len(islands[-2]) < min_area:
        assert cleaned.sum() == len(islands[-1])  # any of the largest may be the one that stays
    else:
        assert (cleaned == expected).all()


@given(st.integers(0, 10_000), st.sampled_from((3, 5, 9)), st.floats(0.1, 0.9))
def test_one_by_one_as_all_at_once(seed: int, blur: int, share: float) -> None:
    """Regions in holes of regions, where a few small ones are cleaned each in its window."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.standard_normal((90, 120)), (blur, blur), 0)
    mask = noise > np.quantile(noise, share)
    clicked = rng.integers(0, 90, (2, 2))
    for min_area in (5, 16, 64):
        expected = _clean_all(mask, min_area, clicked)
        assert (clean(mask, min_area, clicked) == expected).all()


def regions(mask: npt.NDArray[np.bool_], corners: bool) -> list[list[tuple[int, int]]]:
    """The y, x of each connected region, the region of the first pixel first."""
    unseen = set(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (corners or not y * x) and (y or x)]
    found = []
    for start in sorted(unseen):
        if start not in unseen:
            continue
        unseen.discard(start)
        region = [start]
        for y, x in region:  # grows while it is read
            near = {(y + dy, x + dx) for dy, dx in steps} & unseen
            unseen -= near
            region += near
        found.append(region)
    return found


@given(mask=masks, seed=st.integers(0, 1000))
def test_the_island_of_a_pixel(mask: npt.NDArray[np.bool_], seed: int) -> None:
    """It holds the pixel, is a part of the mask, and no pixel of the rest touches it."""
    rng = np.random.default_rng(seed)
    y, x = (int(rng.integers(side)) for side in mask.shape)
    island = island_at(mask, np.array((x, y)))
    if not mask[y, x]:
        assert island is mask
        return
    assert island[y, x]
    assert not (island & ~mask).any()
    touched = cv2.dilate(island.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    assert not (touched & mask & ~island).any()
    count, _ = cv2.connectedComponents(island.astype(np.uint8), connectivity=8)
    assert count == 2
