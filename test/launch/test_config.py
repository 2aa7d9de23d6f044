"""What config/ has for other programs: well formed, and about topics that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sam_ros.nodes.labels import read_labels

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
OTHERS = {"/image", "/clicked_point", "/diagnostics", "/initialpose", "/move_base_simple/goal"}


def texts(value: Any) -> Iterator[str]:
    """All texts in nested lists and mappings, keys as well."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def load(name: str) -> Any:
    text = (CONFIG / name).read_text()
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


@pytest.mark.parametrize(
    "name", ["segment.rviz", "foxglove.json", "nav2.yaml", "moveit_sensors_3d.yaml"]
)
def test_topics_are_those_of_the_interfaces(name: str) -> None:
    """Every absolute name is one of the node's, as docs/interfaces.md has them."""
    known = {f"/sam/{item}" for item in re.findall(r"`~/(\w+)`", documented())} | OTHERS
    used = {item for item in texts(load(name)) if re.fullmatch(r"(/[a-z0-9_]+)+", item)}
    assert used & {item for item in known if item.startswith("/sam/")}
    assert used <= known


def documented() -> str:
    return (ROOT / "docs" / "interfaces.md").read_text()


def test_rviz_shows_pictures_and_clouds_and_can_click() -> None:
    manager = load("segment.rviz")["Visualization Manager"]
    topics = {item["Topic"]["Value"] for item in manager["Displays"] if "Topic" in item}
    assert {"/sam/overlay", "/sam/points", "/sam/target_points", "/sam/scene_points"} <= topics
    (tool,) = (item for item in manager["Tools"] if item["Class"].endswith("/PublishPoint"))
    assert tool["Topic"]["Value"] == "/clicked_point"


def test_foxglove_lays_out_every_panel_once() -> None:
    layout = load("foxglove.json")
    panels = [item for item in texts(layout["layout"]) if "!" in item]
    assert sorted(panels) == sorted(layout["configById"])
    space = layout["configById"]["3D!space"]
    assert {"/sam/points", "/sam/target_points", "/sam/scene_points"} <= set(space["topics"])
    assert space["publish"]["pointTopic"] == "/clicked_point"


def test_nav2_names_classes_of_the_labels_file() -> None:
    layer = load("nav2.yaml")["local_costmap"]["local_costmap"]["ros__parameters"]
    source = layer["semantic_layer"][layer["semantic_layer"]["observation_sources"]]
    named = {name for kind in source["class_types"] for name in source[kind]["classes"]}
    assert named == set(read_labels(str(CONFIG / "labels.yaml")).values())
