"""Masks and prompts drawn on a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.overlay import GREEN, RED, OverlayItem, colour_of, draw_instances
from sam_ros.engine.panel import panel, sheet
from sam_ros.engine.prompt import Prompt

SIZE = (120, 160)


def grey(size: tuple[int, int] = SIZE) -> npt.NDArray[np.uint8]:
    return np.full((*size, 3), 128, np.uint8)


def square(x: int, y: int, side: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(SIZE, np.bool_)
    mask[y : y + side, x : x + side] = True
    return mask


def clicks(*points: tuple[float, float, int], box: tuple[float, ...] | None = None) -> Prompt:
    values = np.array(points, np.float32).reshape(-1, 3)
    edges = None if box is None else np.array(box, np.float32)
    return Prompt(values[:, :2], values[:, 2].astype(np.int32), edges)


def hypothesis(mask: npt.NDArray[np.bool_], score: float) -> Hypothesis:
    box, logits = np.zeros(4, np.float32), np.zeros((4, 4), np.float32)
    return Hypothesis(mask, score, score, 0.9, int(mask.sum()), box, -1, logits)


def test_the_picture_itself_is_left_alone() -> None:
    """Callers hand in the camera's own memory."""
    rgb = grey()
    drawn = draw_instances(rgb, [OverlayItem(square(20, 20, 40), 0, "cup", clicks((30, 30, 1)))])
    assert (rgb == 128).all() and (drawn != 128).any()


def test_inside_is_tinted_and_outside_is_not() -> None:
    """The mask's inside takes on its colour but stays see-through; far outside nothing changes."""
    mask = square(40, 40, 40)
    drawn = draw_instances(grey(), [OverlayItem(mask, 3)])
    inside = drawn[60, 60].astype(int)
    for channel, colour in enumerate(colour_of(3)):
        assert min(128, colour) <= inside[channel] <= max(128, colour)
        assert inside[channel] not in {128, colour} or colour == 128
    assert (drawn[:36] == 128).all() and (drawn[:, 86:] == 128).all()


def test_the_same_object_keeps_its_colour() -> None:
    """Colours follow the id, not the place in the list."""
    first, second = OverlayItem(square(10, 10, 30), 5), OverlayItem(square(80, 60, 30), 6)
    both = draw_instances(grey(), [first, second])
    swapped = draw_instances(grey(), [second, first])
    np.testing.assert_array_equal(both, swapped)
    assert (both[25, 25] != both[75, 95]).any()


def test_marks_tell_foreground_from_background() -> None:
    """Green on the object, red beside it, a green box."""
    prompt = clicks((30, 60, 1), (120, 60, 0), box=(60, 20, 100, 100))
    drawn = draw_instances(grey(), [OverlayItem(None, 0, prompt=prompt)])
    assert tuple(drawn[60, 30]) == GREEN
    assert tuple(drawn[60, 120]) == RED
    assert tuple(drawn[60, 60]) == GREEN and tuple(drawn[60, 80]) == (128, 128, 128)


@pytest.mark.parametrize("place", [(0, 0), (159, 0), (0, 119), (159, 119)])
def test_everything_may_lie_at_the_edge(place: tuple[int, int]) -> None:
    """Marks, boxes and texts are clipped at the picture's edges, whatever the side."""
    x, y = place
    mask = np.zeros(SIZE, np.bool_)
    mask[y, x] = True
    item = OverlayItem(mask, 1, "a long name 0.99", clicks((x, y, 1), box=(-50, -50, 300, 300)))
    assert draw_instances(grey(), [item]).shape == (*SIZE, 3)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2)])
def test_tiny_pictures_are_drawn_on(size: tuple[int, int]) -> None:
    """No size of picture is too small to be shown."""
    item = OverlayItem(np.ones(size, np.bool_), 0, "name", clicks((0, 0, 1)))
    assert draw_instances(grey(size), [item]).shape == (*size, 3)


def test_empty_masks_draw_nothing() -> None:
    """An object that is lost leaves the picture as it is."""
    item = OverlayItem(np.zeros(SIZE, np.bool_), 0, "gone")
    assert (draw_instances(grey(), [item]) == 128).all()


def test_rows_with_padding_can_be_drawn_on() -> None:
    """Decoded messages may be views with gaps between the rows."""
    padded = np.full((120, 170, 3), 128, np.uint8)[:, :160]
    assert draw_instances(padded, [OverlayItem(square(9, 9, 9), 0)]).shape == (*SIZE, 3)


def test_texts_of_one_place_do_not_cover_each_other() -> None:
    """Two objects with the same top keep both names readable."""
    name = OverlayItem(square(40, 60, 40), 1, "WWWW")
    bare = draw_instances(grey(), [replace(name, text="")] * 2)

    def covered(*items: OverlayItem) -> int:
        return int((draw_instances(grey(), items) != bare).any(axis=2).sum())

    assert covered(name, name) > 1.9 * covered(replace(name, text=""), name)


def test_a_panel_has_one_cell_for_the_prompt_and_one_for_each_hypothesis() -> None:
    """Width grows by a cell per hypothesis; the best hypothesis' inside stays brightest."""
    items = (hypothesis(square(40, 40, 40), 0.9), hypothesis(square(10, 10, 90), 0.8))
    prompt = clicks((60, 60, 1))
    two = panel(grey(), prompt, Hypotheses(items, True), "title", "note", height=240)
    one = panel(grey(), prompt, Hypotheses(items[:1], False), "title", "note", height=240)
    cell = two.shape[1] - one.shape[1]
    assert cell > 320 and one.shape[1] > 2 * 320
    assert two.shape[0] == one.shape[0] > 240
    middle = one[one.shape[0] // 2, cell + 20 : cell + 320].astype(int).sum(axis=1)
    assert middle[10] < middle[100]


def test_a_sheet_fills_its_rows() -> None:
    """Panels share a row while they fit into the width of the widest."""
    wide, small = np.zeros((50, 100, 3), np.uint8), np.full((50, 45, 3), 9, np.uint8)
    page = sheet([wide, small, small, small])
    assert page.shape[0] == 150 and 100 < page.shape[1] < 135
    assert (page[50:100, :90] == 9).all() and (page[100:, :45] == 9).all()
    assert (page[100:, 45:] > 200).all()
    with pytest.raises(ValueError, match="panels: 0"):
        sheet([])
