"""Names of everything mode's things from frame to frame."""

from __future__ import annotations

import numpy as np

from sam_ros.engine.boxes import tight_box
from sam_ros.engine.hypothesis import Hypothesis
from sam_ros.msg import Instance
from sam_ros.nodes.things import PATIENCE, Things


def seen(x: int, size: tuple[int, int] = (20, 60)) -> Hypothesis:
    """A square of 10 px at column x."""
    mask = np.zeros(size, bool)
    mask[5:15, x : x + 10] = True
    return Hypothesis(mask, 1.0, 1.0, 1.0, 100, tight_box(mask), 3, np.zeros((2, 2), np.float32))


def told(things: Things, *found: Hypothesis) -> list[tuple[str, int]]:
    return [(item.object_id, item.state) for item in things.update(found)]


def test_names_follow_the_overlap_and_not_the_order() -> None:
    things = Things()
    assert told(things, seen(0), seen(30)) == [("thing_1", 0), ("thing_2", 0)]
    assert told(things, seen(33), seen(2)) == [("thing_2", 1), ("thing_1", 1)]
    assert told(things, seen(45), seen(3)) == [("thing_3", 0), ("thing_1", 1), ("thing_2", 2)]


def test_a_lost_thing_may_come_back_and_is_forgotten_in_the_end() -> None:
    things = Things()
    things.update([seen(0)])
    for _ in range(PATIENCE):
        (lost,) = things.update([])
        assert lost.state == Instance.LOST and lost.chosen is None
    assert told(things, seen(1)) == [("thing_1", Instance.TRACKED)]
    for _ in range(PATIENCE):
        things.update([])
    assert things.update([]) == [] and things.numbers == set()
    assert told(things, seen(0)) == [("thing_2", Instance.NEW)]


def test_pictures_of_another_size_have_other_things() -> None:
    things = Things()
    things.update([seen(0)])
    assert told(things, seen(0, (30, 70))) == [("thing_2", 0), ("thing_1", 2)]


def test_numbers_are_asked_for_and_parents_stay_behind() -> None:
    numbers = iter((7, 9))
    things = Things(numbers.__next__, class_id=4)
    first, second = things.update([seen(0), seen(30)])
    assert (first.instance_id, second.instance_id) == (7, 9) and first.class_id == 4
    assert first.hypotheses.best.parent == -1
    assert things.numbers == {7, 9}
