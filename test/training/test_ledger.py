"""Which masks a scene asks for."""

from __future__ import annotations

import numpy as np

from training.ledger import MIN_PIXELS, Ledger
from training.scene import GROUP, OBJECT, PART


def test_nested_parts_and_groups() -> None:
    """A part's mask holds the parts inside it; a group holds its visible members."""
    ledger = Ledger()
    box = ledger.add("a/box", "box", parents=(0, 1), part_names=("lid", "button"), area=900)
    cup = ledger.add("a/cup", "cup", area=400)
    ledger.group([box, cup])
    ids = np.zeros((50, 50), int)
    ids[:30, :30] = box.base
    ids[:15, :30] = box.base + 1
    ids[:9, :9] = box.base + 2
    ids[30:, 30:] = cup.base
    masks = ledger.masks(ids)
    assert [(m.kind, m.leaves) for m in masks] == [
        (OBJECT, (1, 2, 3)), (PART, (2, 3)), (PART, (3,)), (OBJECT, (4,)), (GROUP, (1, 2, 3, 4)),
    ]  # fmt: skip
    assert masks[1].name == "lid"


def test_hidden_and_tiny_objects_are_not_asked_for() -> None:
    """An object below the visible share or the pixel count has no mask, and no group counts it."""
    ledger = Ledger()
    hidden, tiny, seen = (
        ledger.add(f"a/{k}", "", area=area) for k, area in enumerate((2000, 30, 100))
    )
    ledger.group([hidden, seen])
    ids = np.zeros((40, 40), int)
    ids[0, :] = hidden.base
    ids[1, :] = hidden.base
    ids[5, : MIN_PIXELS // 2] = tiny.base
    ids[10:20, :10] = seen.base
    assert [mask.leaves for mask in ledger.masks(ids)] == [(seen.base,)]


def test_a_part_that_is_the_whole_is_dropped() -> None:
    """No part repeats its object's mask."""
    ledger = Ledger()
    thing = ledger.add("a/x", "", parents=(0,), area=400)
    ids = np.zeros((40, 40), int)
    ids[:20, :20] = thing.base + 1
    assert [mask.kind for mask in ledger.masks(ids)] == [OBJECT]
