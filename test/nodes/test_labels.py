"""Files with the names of classes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from sam_ros.nodes.labels import read_labels
from sam_ros.nodes.objects import Objects


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.yaml", "1: cup\n7: 'red bowl'\n", {1: "cup", 7: "red bowl"}),
        ("a.yml", "# classes\n- cup\n- bowl\n", {1: "cup", 2: "bowl"}),
        ("a.txt", "cup\n\n# no class\nred bowl\n", {1: "cup", 2: "red bowl"}),
        ("coco.names", "person\nbicycle\n", {1: "person", 2: "bicycle"}),
    ],
)
def test_numbers_and_names(tmp_path: Path, name: str, text: str, expected: dict[int, str]) -> None:
    file = tmp_path / name
    file.write_text(text)
    assert read_labels(str(file)) == expected


def test_no_file_is_no_label() -> None:
    assert read_labels("") == {}


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("a.yaml", "1: cup\n0: floor\n", "line 2: '0'; expected a number 1..255"),
        ("a.yaml", "1: cup\n\n256: floor\n", "line 3: '256'; expected a number 1..255"),
        ("a.yaml", "cup: 1\n", "line 1: 'cup'; expected a number 1..255"),
        ("a.yaml", "1: cup\n1: bowl\n", "line 2: 1: 'bowl'; expected each only once"),
        ("a.yaml", "1: cup\n2: cup\n", "line 2: 2: 'cup'; expected each only once"),
        ("a.yaml", "1: cup\n2:\n  - bowl\n", "line 2: class 2 has no name; expected a text"),
        ("a.yaml", "1: [cup\n", "line 2: expected"),
        ("a.yaml", "cup", "line 1: expected `number: name` pairs or a list of names"),
        ("a.txt", "\n", "is empty; expected"),
        ("a.txt", "cup\ncup\n", "line 2: 2: 'cup'; expected each only once"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, name: str, text: str, error: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ValueError, match="labels_file") as caught:
        read_labels(str(file))
    assert error in str(caught.value) and str(file) in str(caught.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="labels_file: .*; expected a readable text file"):
        read_labels("/no/such/file.yaml")


def test_classes_begin_with_the_file() -> None:
    objects = Objects(3, {2: "cup", 9: "bowl"})
    assert objects.classes.numbers == {"cup": 2, "bowl": 9}
