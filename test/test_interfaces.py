"""The interfaces: all of the contract is there, explained, and the same on the wire everywhere."""

from __future__ import annotations

import json
import re
from array import array
from pathlib import Path
from typing import Any

import pytest
from action_msgs.msg import GoalStatus
from ament_index_python.packages import get_package_share_directory
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from vision_msgs.msg import BoundingBox2D, Point2D

from sam_ros.action import SegmentEverything
from sam_ros.msg import (
    Instance,
    InstanceArray,
    Mask,
    MaskHypothesis,
    Prompt,
    PromptArray,
    Status,
)
from sam_ros.srv import RemoveObjects, Segment, SelectHypothesis, SetPrompts

ROOT = Path(__file__).parents[1]
DEFINITIONS = sorted(
    path for kind in ("msg", "srv", "action") for path in ROOT.glob(f"{kind}/*.{kind}")
)
HASHES = json.loads((ROOT / "test/vision_msgs_hashes.json").read_text())

FIELDS = {
    Prompt: "header object_id label persistence operation normalized points point_labels box mask"
    " text",
    PromptArray: "header prompts",
    Mask: "height width counts",
    MaskHypothesis: "mask score predicted_iou stability area bbox parent",
    Instance: "object_id instance_id label label_score state selected ambiguous hypotheses",
    InstanceArray: "header height width model latency instances",
    Status: "code message",
    Segment.Request: "image prompts return_images",
    Segment.Response: "status prompt_status result masks",
    SetPrompts.Request: "prompts replace_all",
    SetPrompts.Response: "status object_ids",
    RemoveObjects.Request: "object_ids",
    RemoveObjects.Response: "status",
    SelectHypothesis.Request: "object_id index",
    SelectHypothesis.Response: "status selected",
    SegmentEverything.Goal: "image pred_iou_thresh stability_score_thresh min_area_px",
    SegmentEverything.Result: "status result",
    SegmentEverything.Feedback: "progress",
}


@pytest.mark.parametrize("interface", FIELDS, ids=lambda kind: kind.__name__)
def test_fields_are_those_of_the_contract(interface: Any) -> None:
    """Other people's nodes rely on these names; jazzy and kilted generate the same."""
    fields = [name for name in interface.get_fields_and_field_types() if name != "check_fields"]
    assert fields == FIELDS[interface].split()


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda path: path.name)
def test_every_field_is_explained(definition: Path) -> None:
    """Each field and constant has its meaning beside it; each file says what it is for."""
    lines = definition.read_text().splitlines()
    assert lines[0].startswith("# ")
    declared = [line for line in lines if line and not line.startswith(("#", "---"))]
    assert [line for line in declared if not re.search(r"\S\s+# \w", line)] == []


@pytest.mark.parametrize("name", HASHES)
def test_vision_msgs_are_those_of_the_released_package(name: str) -> None:
    """Equal type hashes: our underlay and the released vision_msgs understand each other."""
    package, kind, message = name.split("/")
    description = Path(get_package_share_directory(package)) / kind / f"{message}.json"
    if not description.exists():
        pytest.skip("this ROS 2 writes no type hashes: Iron and newer do")
    hashes = {
        entry["type_name"]: entry["hash_string"]
        for entry in json.loads(description.read_text())["type_hashes"]
    }
    assert hashes[name] == HASHES[name]


def test_a_filled_prompt_survives_the_wire() -> None:
    """Every kind of prompt, one byte stream and back."""
    prompt = Prompt(object_id="mug", label="cup", text="red mug", normalized=True)
    prompt.persistence, prompt.operation = Prompt.TRACK, Prompt.REFINE
    prompt.points = [Point2D(x=0.25, y=0.5), Point2D(x=1.0, y=0.0)]
    prompt.point_labels = array("b", [1, 0])
    prompt.box = [BoundingBox2D(size_x=0.5, size_y=0.25)]
    prompt.mask = [Image(height=1, width=2, step=2, encoding="mono8", data=b"\x00\xff")]
    sent = PromptArray(prompts=[prompt])
    assert deserialize_message(serialize_message(sent), PromptArray) == sent


def test_an_instance_survives_the_wire() -> None:
    """Run lengths beyond 16 bits and the negative parent keep their values."""
    hypothesis = MaskHypothesis(score=0.5, area=200_000, parent=-1)
    hypothesis.mask = Mask(height=720, width=1280, counts=array("I", [100_000, 200_000, 621_600]))
    sent = InstanceArray(
        height=720,
        width=1280,
        model="sam_tiny",
        instances=[Instance(instance_id=65_535, ambiguous=True, hypotheses=[hypothesis])],
    )
    assert deserialize_message(serialize_message(sent), InstanceArray) == sent


def test_a_prompt_has_at_most_one_box_and_one_mask() -> None:
    """The bound is part of the type, so C++ and Python agree on it."""
    types = Prompt.get_fields_and_field_types()
    assert types["box"] == "sequence<vision_msgs/BoundingBox2D, 1>"
    assert types["mask"] == "sequence<sensor_msgs/Image, 1>"


def test_status_codes_are_distinct_and_zero_is_ok() -> None:
    """A default Status says OK; every failure has its own number."""
    names = (
        "INVALID_REQUEST NO_IMAGE STAMP_NOT_CACHED MODEL_UNAVAILABLE TEXT_UNAVAILABLE "
        "INACTIVE TIMEOUT INTERNAL"
    )
    assert Status().code == Status.OK == 0
    assert sorted(getattr(Status, name) for name in names.split()) == list(range(1, 9))


def test_the_action_has_its_ros_parts() -> None:
    """A generated action brings its goal service and status, so that action clients take it."""
    assert SegmentEverything.Impl.SendGoalService.Request().goal.min_area_px == 0
    assert SegmentEverything.Impl.GoalStatusMessage().status_list == []
    assert GoalStatus.STATUS_SUCCEEDED == 4
