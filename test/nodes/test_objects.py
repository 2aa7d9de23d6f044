"""Names, numbers, persistence and choices of the prompted objects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Instance, Prompt
from sam_ros.nodes.instances import NOTHING, InstanceResult, most_alike
from sam_ros.nodes.objects import Objects
from sam_ros.nodes.status import Refused

SIZE = (6, 8)
POINT = EnginePrompt(points=np.array([[1, 2]], np.float32), labels=np.array([1], np.int32))


def msg(object_id: str = "", persistence: int = Prompt.STICKY, **fields: object) -> Prompt:
    return Prompt(object_id=object_id, persistence=persistence, **fields)


def add(objects: Objects, prompt: Prompt) -> str:
    proposed = objects.propose(prompt, 1.0, POINT, SIZE)
    objects.remember([proposed])
    return proposed.object_id


def observe(objects: Objects, name: str, hypotheses: Hypotheses) -> InstanceResult:
    return objects.observe(objects.get(name), hypotheses)


def found(*columns: int) -> Hypotheses:
    """One hypothesis per number: the mask of so many left columns."""
    items = []
    for count in columns:
        mask = np.zeros(SIZE, np.bool_)
        mask[:, :count] = True
        logits = np.where(mask, 1, -1).astype(np.float32)
        items.append(Hypothesis(mask, 0.9, 0.9, 0.9, 1, np.zeros(4, np.float32), -1, logits))
    return Hypotheses(tuple(items), False)


@given(st.lists(st.sampled_from(["", "a", "b", "object_1", "object_2"]), max_size=30))
def test_names_and_numbers_are_unique_and_stay(names: list[str]) -> None:
    objects, numbers = Objects(100), {}
    for name in names:
        proposed = objects.propose(msg(name), 1.0, POINT, SIZE)
        objects.remember([proposed])
        assert proposed.object_id
        assert 1 <= proposed.instance_id <= 65535
        assert numbers.setdefault(proposed.object_id, proposed.instance_id) == proposed.instance_id
    assert len(set(numbers.values())) == len(numbers) == len(objects)


def test_once_objects_make_room_the_oldest_first() -> None:
    objects = Objects(3)
    for name in ("a", "b", "c", "d"):
        add(objects, msg(name, Prompt.ONCE))
    assert objects.names == ["b", "c", "d"]


def test_sticky_objects_do_not_make_room() -> None:
    objects = Objects(2)
    for name in ("a", "b"):
        add(objects, msg(name))
    assert not objects.room_for({"c"})
    assert objects.room_for({"a"})


def test_sticky_objects_keep_the_order_of_their_message() -> None:
    """From frame to frame, and also when one of them is chosen among."""
    objects = Objects(5)
    some = [objects.propose(msg(name), 1.0, POINT, SIZE) for name in ("a", "b", "c")]
    objects.remember(some)
    for item in some:
        objects.observe(item, found(1, 2))
    assert [item.object_id for item in objects.sticky] == ["a", "b", "c"]
    objects.select("c", 1)
    assert [item.object_id for item in objects.sticky] == ["a", "b", "c"]
    assert objects.newest({"a", "b", "c"}) == "c"


def test_state_is_new_then_tracked_then_lost() -> None:
    objects = Objects(3)
    name = add(objects, msg("a"))
    assert observe(objects, name, found(1)).state == Instance.NEW
    assert observe(objects, name, found(1)).state == Instance.TRACKED
    lost = observe(objects, name, NOTHING)
    assert lost.state == Instance.LOST and lost.chosen is None
    add(objects, msg("a"))
    assert observe(objects, name, found(1)).state == Instance.NEW


def test_a_choice_is_found_again_by_its_shape() -> None:
    objects = Objects(3)
    name = add(objects, msg("a"))
    observe(objects, name, found(4, 6, 2))
    assert objects.select(name, 2) == 2
    result = observe(objects, name, found(2, 4, 6))
    assert result.selected == 0 and result.chosen is not None
    assert result.chosen.mask[:, :2].all() and not result.chosen.mask[:, 2:].any()


def test_without_a_choice_the_best_is_selected() -> None:
    objects = Objects(3)
    name = add(objects, msg("a"))
    observe(objects, name, found(4, 2))
    assert observe(objects, name, found(2, 4)).selected == 0


def test_next_goes_round() -> None:
    objects = Objects(3)
    name = add(objects, msg("a"))
    observe(objects, name, found(1, 2, 3))
    assert [objects.select(name, -1) for _ in range(4)] == [1, 2, 0, 1]


@pytest.mark.parametrize("index", [-2, 3])
def test_an_index_out_of_range_is_refused(index: int) -> None:
    objects = Objects(3)
    observe(objects, add(objects, msg("a")), found(1, 2, 3))
    with pytest.raises(Refused, match=f"index: {index}; expected -1..2"):
        objects.select("a", index)


def test_selecting_before_the_first_result_is_refused() -> None:
    objects = Objects(3)
    with pytest.raises(Refused, match="has not been segmented yet"):
        objects.select(add(objects, msg("a")), -1)


def test_refining_adds_points_and_feeds_the_chosen_logits_back() -> None:
    objects = Objects(3)
    hypotheses = found(4, 2)
    observe(objects, add(objects, msg("a", label="mug")), hypotheses)
    objects.select("a", 1)
    more = EnginePrompt(points=np.array([[5, 5]], np.float32), labels=np.array([0], np.int32))
    refined = objects.propose(msg("a", operation=Prompt.REFINE), 1.0, more, SIZE)
    np.testing.assert_array_equal(refined.prompt.points, [[1, 2], [5, 5]])
    np.testing.assert_array_equal(refined.prompt.labels, [1, 0])
    assert refined.prompt.logits is hypotheses[1].logits
    assert (refined.label, refined.selected) == ("mug", 0)


def test_refining_needs_the_object_and_the_same_size() -> None:
    objects = Objects(3)
    refine = msg("a", operation=Prompt.REFINE)
    with pytest.raises(Refused, match="object_id: 'a'; expected the name of a known object"):
        objects.propose(refine, 1.0, POINT, SIZE)
    add(objects, msg("a"))
    with pytest.raises(Refused, match="8 x 6 px; this one has 9 x 6"):
        objects.propose(refine, 1.0, POINT, (6, 9))


def test_classes_keep_their_numbers_and_share_the_last_one() -> None:
    objects = Objects(1000)
    for index in range(300):
        add(objects, msg(f"o{index}", label=f"class{index}"))
    numbers = objects.classes.numbers
    assert numbers["class0"] == 1 and numbers["class254"] == 255
    assert numbers["class299"] == 255
    assert set(numbers.values()) == set(range(1, 256))


def test_most_alike_of_nothing_alike_is_the_first() -> None:
    empty = np.full((2, 2), -1, np.float32)
    assert most_alike(empty, [empty, -empty]) == 0
