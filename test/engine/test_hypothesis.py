"""Hypotheses whose masks are kept as run lengths."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sam_ros.engine import rle
from sam_ros.engine.hypothesis import Hypotheses, Hypothesis


def hypothesis(mask: npt.NDArray[np.bool_], score: float = 0.5) -> Hypothesis:
    """A hypothesis of this mask; the other values are of no matter."""
    return Hypothesis(
        mask=mask,
        score=score,
        predicted_iou=0.25,
        stability=0.75,
        area=int(mask.sum()),
        box=np.zeros(4, np.float32),
        parent=-1,
        logits=np.zeros((4, 4), np.float32),
    )


def test_a_packed_hypothesis_is_the_same_but_for_its_memory() -> None:
    mask = np.random.default_rng(0).random((37, 53)) > 0.5
    plain = hypothesis(mask)
    packed = plain.packed()
    assert packed.mask.dtype == np.bool_ and np.array_equal(packed.mask, mask)
    assert np.array_equal(packed.counts, plain.counts)
    assert np.array_equal(packed.counts, rle.encode(mask))
    for name in ("score", "predicted_iou", "stability", "area", "box", "parent", "logits"):
        assert getattr(packed, name) is getattr(plain, name)
    assert packed.size == plain.size == (37, 53)
    assert packed.packed() is packed


def test_a_packed_hypothesis_can_be_changed_in_part() -> None:
    """As ranking and others do it, by dataclasses.replace."""
    mask = np.eye(9, dtype=np.bool_)
    changed = replace(hypothesis(mask).packed(), parent=2)
    assert changed.parent == 2 and changed.score == 0.5
    assert np.array_equal(changed.mask, mask)


def test_hundreds_of_masks_at_full_hd_take_megabytes() -> None:
    """300 masks of 1920 x 1080 are 600 MB as arrays."""
    mask = np.zeros((1080, 1920), np.bool_)
    mask[200:900, 300:1700] = True
    tracemalloc.start()
    try:
        held = [Hypotheses((hypothesis(mask.copy()),), False).packed() for _ in range(300)]
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(held) == 300 and used < 20e6
