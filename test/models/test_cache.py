"""Where fetched weights lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from publisher import CONTENT

from sam_ros.models import cache
from sam_ros.models.catalogue import CATALOGUE, Entry


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SAM_ROS_MODELS": "/big/disk", "XDG_CACHE_HOME": "/x"}, "/big/disk"),
        ({"SAM_ROS_MODELS": "~/weights"}, "/home/robot/weights"),
        ({"XDG_CACHE_HOME": "/x/cache"}, "/x/cache/sam_ros/models"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/robot/.cache/sam_ros/models"),
        ({"SAM_ROS_MODELS": "", "XDG_CACHE_HOME": ""}, "/home/robot/.cache/sam_ros/models"),
        ({}, "/home/robot/.cache/sam_ros/models"),
    ],
)
def test_the_folder_obeys_the_variables(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    """Ours first, then the XDG rules: an empty or relative XDG_CACHE_HOME counts as none."""
    monkeypatch.setenv("HOME", "/home/robot")
    for name in ("SAM_ROS_MODELS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache.folder() == Path(expected)


def test_a_folder_is_found_when_all_its_files_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CLIP is a folder; one file short it is not found."""
    monkeypatch.setenv("SAM_ROS_MODELS", str(tmp_path))
    clip = CATALOGUE["clip-vit-base-patch32"]
    cache.place(clip).mkdir()
    for file in clip.files[1:]:
        cache.path_of(clip, file).write_bytes(b"")
    assert cache.find(clip.name) is None
    cache.path_of(clip, clip.files[0]).write_bytes(b"")
    assert cache.find(clip.name) == tmp_path / clip.name
    assert cache.find("no such model") is None


def test_verify_tells_what_is_wrong(entry: Entry) -> None:
    path = cache.path_of(entry, entry.files[0])
    assert cache.verify(entry) == [f"{path}: missing"]
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert cache.verify(entry) == []
    path.write_bytes(CONTENT[:-1])
    assert "SHA-256 is" in cache.verify(entry)[0]


def test_remove_leaves_nothing(entry: Entry) -> None:
    path = cache.path_of(entry, entry.files[0])
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert cache.remove(entry) == len(CONTENT)
    assert cache.find("toy") is None and not path.parent.exists()
    assert cache.remove(entry) == 0
