"""Scenes and their shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.scene import GROUP, OBJECT, PART, Mask, Scene, load_shard, pixels, save_shard


def make_scene() -> Scene:
    """A scene of an object (leaves 1 and 300) with a part."""
    ids = np.zeros((40, 60), np.int32)
    ids[5:30, 5:40] = 1
    ids[10:20, 10:20] = 300
    masks = [Mask((1, 300), OBJECT, "a/b", "thing"), Mask((300,), PART, "a/b")]
    return Scene.encode(np.full((40, 60, 3), 90, np.uint8), ids, masks, 90, "test")


def test_shard_keeps_everything(tmp_path: Path) -> None:
    """What is saved is loaded again, leaf ids above 255 included, and no partial file is left."""
    scene = make_scene()
    save_shard(tmp_path / "shard-00000.npz", [scene, scene])
    assert load_shard(tmp_path / "shard-00000.npz") == [scene, scene]
    assert [path.name for path in tmp_path.iterdir()] == ["shard-00000.npz"]
    assert scene.image().shape == (40, 60, 3)
    assert scene.mask(0).sum() == 25 * 35
    assert scene.mask(1).sum() == 100


def test_pixels_ignores_leaves_that_are_hidden() -> None:
    """A mask may name leaves of which no pixel is seen."""
    ids = np.array([[0, 1], [2, 1]], np.uint8)
    assert pixels(ids, Mask((1, 9), GROUP, "x")).tolist() == [[False, True], [False, True]]


def test_bad_values_are_named() -> None:
    """Errors name the field and what was expected."""
    with pytest.raises(ValueError, match="leaves"):
        Mask((), OBJECT, "x")
    with pytest.raises(ValueError, match="kind"):
        Mask((1,), 7, "x")
    with pytest.raises(ValueError, match="ids"):
        Scene.encode(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), int), [], 90, "")
