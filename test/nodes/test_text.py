"""Text prompts over the wire: the shipped sam_tiny, and a CLIP that tells colours by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
pytest.importorskip("transformers", reason="pip install 'transformers>=5,<6' for text prompts")
from node_client import GREEN, RED, boxed, click, codes, mask_of, scene
from std_msgs.msg import String

from sam_ros.engine import rle
from sam_ros.msg import Instance, Prompt, PromptArray, Status

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
import toy_clip

WEIGHTS = Path(__file__).parents[2] / "resource" / "models" / "sam_tiny.safetensors"
INVALID = Status.INVALID_REQUEST


@pytest.fixture(scope="module")
def worded(
    start_node: Any, client: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A client of the real node with the colour CLIP."""
    if not WEIGHTS.exists():
        pytest.skip("there are no embedded weights: `make train` makes them")
    folder = toy_clip.colour_clip(tmp_path_factory.mktemp("colours"))
    node = start_node(
        "request_timeout:=60.0", f"clip_model:={folder}", "points_per_side:=8", real=True
    )
    client.wait_for_node()
    yield client
    assert node.interrupt(patience=60) == 0, node.output


@pytest.fixture
def sam(worded: Any) -> Any:
    assert worded.call("clear").success
    worded.spin(0.05)
    worded.forget()
    return worded


def iou(instance: Any, area: tuple[slice, slice]) -> float:
    """Of the mask that is shown with a rectangle."""
    best = instance.hypotheses[instance.selected].mask
    mask = rle.decode(np.array(best.counts, np.uint32), best.height, best.width)
    wanted = mask_of(area)
    return float((mask & wanted).sum() / (mask | wanted).sum())


def ask(sam: Any, *prompts: Prompt) -> Any:
    return sam.call("segment", patience=70, prompts=prompts)


def test_a_text_finds_what_it_names(sam: Any) -> None:
    """Each instance with its mask, its label and how sure that is."""
    sam.show(scene())
    reply = ask(sam, Prompt(text="red mug; green block"))
    assert reply.status.code == 0 and codes(reply) == [0] and not reply.status.message
    red, green = reply.result.instances
    assert (red.label, green.label) == ("red mug", "green block")
    assert iou(red, RED) > 0.8 and iou(green, GREEN) > 0.8
    assert all(0.5 <= item.label_score <= 1 for item in (red, green))
    assert red.object_id != green.object_id and red.instance_id != green.instance_id


@pytest.mark.parametrize("text", ["blue mug", "unicorn"])
def test_an_absence_is_told_and_is_no_failure(sam: Any, text: str) -> None:
    sam.show(scene())
    reply = ask(sam, Prompt(text=f"red; {text}"), Prompt(text=text), click(50, 40))
    assert codes(reply) == [0, 0, 0]
    notes = [item.message for item in reply.prompt_status]
    assert notes[:2] == [f"text: not found in this picture: {text}"] * 2 and not notes[2]
    assert [item.label for item in reply.result.instances] == ["red", ""]
    assert text in reply.status.message


@pytest.mark.parametrize("prompt", [click(50, 40), boxed(0, 0, 159, 119)], ids=["click", "box"])
def test_text_selects_among_the_hypotheses(sam: Any, prompt: Prompt) -> None:
    """The one that fits the words best; when none does, the score and the message say so."""
    sam.show(scene())
    prompts = [
        Prompt(points=prompt.points, point_labels=prompt.point_labels, box=prompt.box, text=text)
        for text in ("red", "blue")
    ]
    reply = ask(sam, *prompts)
    fits, fails = reply.result.instances
    assert len(fits.hypotheses) == 3
    scores = [redness(item) for item in fits.hypotheses]
    assert scores[fits.selected] > max(scores) - 0.05
    assert fits.label == "red"
    assert fails.label_score < 0.5
    assert "blue" in reply.prompt_status[1].message and codes(reply) == [0, 0]


def redness(hypothesis: Any) -> float:
    """Share of red in a mask."""
    mask = hypothesis.mask
    shape = rle.decode(np.array(mask.counts, np.uint32), mask.height, mask.width)
    return float((shape & mask_of(RED)).sum() / max(1, shape.sum()))


def test_a_sticky_text_is_asked_again_on_every_picture(sam: Any) -> None:
    """Names and numbers stay with their object; the header is the picture's; LOST is told."""
    first = sam.show(scene())
    sam.send("sam/text", String(data="red; green"))
    sam.wait(lambda: len(sam.received["instances"]) >= 1, 30)
    one = sam.received["instances"][-1]
    assert one.header == first
    assert [item.state for item in one.instances] == [Instance.NEW] * 2
    sam.forget()
    picture = scene()
    picture[GREEN] = 0
    second = sam.show(picture)
    sam.wait(lambda: any(item.header == second for item in sam.received["instances"]), 30)
    two = next(item for item in sam.received["instances"] if item.header == second)
    states = {item.label: item.state for item in two.instances}
    assert states == {"red": Instance.TRACKED, "green": Instance.LOST}
    numbers = {item.label: (item.object_id, item.instance_id) for item in one.instances}
    again = {item.label: (item.object_id, item.instance_id) for item in two.instances}
    assert again == numbers
    sam.forget()
    third = sam.show(np.zeros_like(picture))
    sam.wait(lambda: any(item.header == third for item in sam.received["instances"]), 30)


def test_the_newest_text_replaces_the_last_and_clear_ends_it(sam: Any) -> None:
    sam.show(scene())
    for text in ("red", "green"):
        sam.send("sam/text", String(data=text))
        sam.wait(
            lambda text=text: any(
                [item.label for item in array.instances] == [text]
                for array in sam.received["instances"]
            ),
            30,
        )

    def asked() -> list[tuple[str, str]]:
        prompts = sam.received["active_prompts"][-1].prompts
        return [(item.object_id, item.text) for item in prompts]

    sam.wait(lambda: asked() == [("text", "green")])  # topics may overtake each other
    assert sam.call("remove_objects", object_ids=["text"]).status.code == 0
    sam.wait(lambda: not asked())
    sam.wait(lambda: not sam.received["instances"][-1].instances)
    sam.forget()
    sam.show(scene())
    sam.spin(1.0)
    assert not sam.received["instances"]


def test_a_click_is_answered_while_a_text_is_searched(sam: Any) -> None:
    """Picture after picture: both get their turn."""
    sam.show(scene())
    sam.send("sam/text", String(data="green"))
    header = sam.show(scene())
    sticky = click(50, 40, header=header, object_id="clicked", persistence=Prompt.STICKY)
    sam.send("sam/prompts", PromptArray(prompts=[sticky]))
    for _ in range(3):
        header = sam.show(scene())
        sam.wait(
            lambda header=header: any(
                "clicked" in [item.object_id for item in array.instances]
                for array in sam.received["instances"]
                if array.header == header
            ),
            30,
        )
    sam.wait(
        lambda: any(
            {"clicked", "green"} <= {item.object_id for item in array.instances}
            for array in sam.received["instances"]
        ),
        30,
    )


def test_what_a_text_found_can_be_refined(sam: Any) -> None:
    header = sam.show(scene())
    text = Prompt(header=header, object_id="target", text="red")
    point = click(50, 40, header=header, object_id="target", operation=Prompt.REFINE)
    found = []
    for prompt in (text, point):
        sam.forget()
        sam.send("sam/prompts", PromptArray(prompts=[prompt]))
        sam.wait(lambda: len(sam.received["instances"]) == 1, 30)
        found.append(sam.received["instances"][0].instances[0])
    assert [item.object_id for item in found] == ["target"] * 2
    assert found[0].instance_id == found[1].instance_id
    assert iou(found[1], RED) > 0.8


WRONG = {
    "blank": ("  ", "expected words"),
    "separators": (" ; ;", "expected words"),
    "long": ("mug " * 2500, "10000 characters; expected at most 1000"),
    "control character": ("red\x07mug", "U+0007 at 3"),
    "new line": ("red\nmug", "U+000A"),
    "many": (";".join(f"t{i}" for i in range(200)), "200 texts; expected at most 32"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_text_is_told_and_the_others_are_answered(sam: Any, name: str) -> None:
    text, message = WRONG[name]
    sam.show(scene())
    reply = ask(sam, Prompt(text=text), Prompt(text="red"))
    assert codes(reply) == [INVALID, 0]
    assert message in reply.prompt_status[0].message
    assert len(reply.prompt_status[0].message) < 200
    assert [item.label for item in reply.result.instances] == ["red"]
    sam.send("sam/text", String(data=text))
    sam.wait(lambda: message in sam.fact("last_problem"), 10)


def test_no_text_at_all_is_told(sam: Any) -> None:
    sam.show(scene())
    assert codes(ask(sam, Prompt(), Prompt(text="red"))) == [INVALID, 0]
    sam.send("sam/text", String())
    sam.wait(lambda: "~/text: empty" in sam.fact("last_problem"), 10)


def test_refining_needs_more_than_words(sam: Any) -> None:
    sam.show(scene())
    reply = ask(sam, Prompt(object_id="x", text="red", operation=Prompt.REFINE))
    assert reply.status.code == INVALID and "operation" in reply.status.message
