"""The demo's pictures and questions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam_ros.nodes.pictures import read_picture
from sam_ros.nodes.samples import default_folder, read_questions


def test_the_package_brings_questions_of_every_kind() -> None:
    """Six pictures at least; clicks, boxes and ambiguous clicks, all valid on their pictures."""
    questions = read_questions(default_folder())
    assert len(questions) >= 6
    flat = [item for items in questions.values() for item in items]
    for picture, items in questions.items():
        rgb = read_picture(picture)
        for item in items:
            item.prompt.validate(rgb.shape[:2])
    assert any(item.ambiguous for item in flat)
    assert any(item.prompt.box is not None for item in flat)
    assert any(len(item.prompt.points) == 1 for item in flat)
    assert any(0 in item.prompt.labels for item in flat)


def test_every_sample_picture_has_a_licence() -> None:
    """Each picture is named in LICENSES.md."""
    folder = default_folder()
    text = (folder / "LICENSES.md").read_text()
    pictures = [item for item in folder.iterdir() if item.suffix in {".jpg", ".png"}]
    assert pictures
    assert not [item.name for item in pictures if item.name not in text]


def test_a_question_is_read(tmp_path: Path) -> None:
    """Points with labels, a box, and whether several answers are right."""
    (tmp_path / "prompts.yaml").write_text(
        "a.png:\n"
        "  - {title: one, points: [[1, 2, 1], [3, 4, 0]], ambiguous: true}\n"
        "  - {title: two, box: [1, 2, 3, 4]}\n"
    )
    (picture, (one, two)), *_ = read_questions(tmp_path).items()
    assert picture == tmp_path / "a.png" and one.picture == picture
    assert one.ambiguous and not two.ambiguous
    np.testing.assert_array_equal(one.prompt.points, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(one.prompt.labels, [1, 0])
    np.testing.assert_array_equal(two.prompt.box, [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected picture names"),
        ("[1, 2]", "expected picture names"),
        ("a: {b: [", "not YAML"),
        ("a.png: [{points: [[1, 2, 1]]}]", "a.png.*title"),
        ("a.png: [{title: x, points: [[1, 2]]}]", "a.png"),
        ("a.png: [{title: x, box: [1, 2, 3]}]", "a.png"),
        ("a.png: 7", "a.png"),
    ],
)
def test_wrong_files_name_the_entry(tmp_path: Path, text: str, words: str) -> None:
    """A slip in the file is found by the picture it belongs to."""
    (tmp_path / "prompts.yaml").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_questions(tmp_path)
