"""Where the image source's pictures come from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sam_ros.nodes.pictures import PictureError, open_pictures


def write(file: Path, blue: int) -> Path:
    """A small picture of one colour; blue tells which."""
    cv2.imwrite(str(file), np.full((12, 16, 3), (blue, 20, 10), np.uint8))
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, and files that are none."""
    write(tmp_path / "b.png", 200)
    write(tmp_path / "a.PNG", 100)
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Six frames at 12 Hz that get brighter."""
    file = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), 12, (64, 48))
    for value in range(0, 240, 40):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    return file


def blues(path: Path, **how: float) -> list[int]:
    """The third channel of all pictures."""
    pictures = open_pictures(str(path), **how)
    seen = []
    while (picture := pictures.read()) is not None:
        assert picture.dtype == np.uint8 and picture.shape == (12, 16, 3)
        seen.append(int(picture[0, 0, 2]))
    return seen


def test_a_picture_is_rgb(tmp_path: Path) -> None:
    """Blue of the file is the third channel."""
    picture = open_pictures(str(write(tmp_path / "one.png", 250))).read()
    assert picture is not None and tuple(picture[0, 0]) == (10, 20, 250)


def test_a_folder_is_read_by_name_and_once(folder: Path) -> None:
    """Pictures only, in the order of their names, then the end."""
    assert blues(folder) == [100, 200]


def test_each_picture_is_held(folder: Path) -> None:
    """Half a second at 6 Hz is three frames of each."""
    assert blues(folder, rate=6.0, hold=0.5) == [100] * 3 + [200] * 3


def test_rewinding_begins_again(folder: Path, video: Path) -> None:
    """Files and videos start from their first picture."""
    for path in (folder, video):
        pictures = open_pictures(str(path))
        first = pictures.read()
        pictures.read()
        pictures.rewind()
        again = pictures.read()
        assert first is not None and again is not None
        np.testing.assert_array_equal(first, again)
        assert not pictures.live


def test_a_video_brings_its_rate_and_ends(video: Path) -> None:
    """Six frames at the rate that the file says, unless another is wanted."""
    pictures = open_pictures(str(video))
    assert pictures.rate == pytest.approx(12)
    levels = []
    while (picture := pictures.read()) is not None:
        levels.append(int(picture.mean()))
    assert len(levels) == 6 and levels == sorted(levels) and levels[-1] > 150
    assert open_pictures(str(video), rate=3.0).rate == 3


def test_a_spoilt_picture_in_a_folder_is_told_and_passed(folder: Path) -> None:
    """The error names the file; the next read goes on."""
    (folder / "aa.jpg").write_bytes(b"spoilt")
    pictures = open_pictures(str(folder))
    assert pictures.read() is not None
    with pytest.raises(PictureError, match="aa.jpg.*expected a picture"):
        pictures.read()
    (folder / "b.png").rename(folder / "gone")
    with pytest.raises(PictureError, match=r"b.png; No such file"):
        pictures.read()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty.*expected"),
        ("/no/such/place", "/no/such/place.*found nothing"),
        ("987", "987.*camera"),
        ("FOLDER/notes.txt", "notes.txt.*expected a video"),
        ("FOLDER/empty", "empty.*found none"),
        ("FOLDER/bag", "bag.*played by bag_source"),
        ("FOLDER/bag.mcap", "bag.mcap.*played by bag_source"),
        ("FOLDER/spoilt.png", "spoilt.png.*expected a picture"),
        ("FOLDER/nothing.png", "nothing.png.*expected a picture"),
    ],
)
def test_wrong_paths_are_explained(folder: Path, name: str, words: str) -> None:
    """What is wrong and what was expected."""
    (folder / "empty").mkdir()
    (folder / "bag").mkdir()
    (folder / "bag" / "metadata.yaml").touch()
    (folder / "bag.mcap").touch()
    (folder / "spoilt.png").write_bytes(b"spoilt")
    (folder / "nothing.png").write_bytes(b"")
    with pytest.raises(PictureError, match=words):
        open_pictures(name.replace("FOLDER", str(folder)))
