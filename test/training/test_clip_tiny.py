"""The CLIP that the package brings along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="pip install sam_ros[text]")

import torch
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from sam_ros.engine.clip import Clip
from sam_ros.engine.phrases import Phrases

FOLDER = Path(__file__).parents[2] / "resource" / "models" / "clip_tiny"
COLOURS = {
    "red": (200, 30, 30), "green": (30, 150, 50), "blue": (40, 70, 200), "yellow": (235, 215, 50),
    "white": (245, 245, 245), "black": (15, 15, 18),
}  # fmt: skip


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip.load(FOLDER, "cpu")


def disc(rgb: tuple[int, int, int]) -> np.ndarray:
    """A disc on the grey that the engine puts around a thing."""
    picture = np.full((96, 96, 3), 127, np.uint8)
    row, column = np.mgrid[:96, :96] - 47.5
    picture[np.hypot(row, column) < 36] = rgb
    return picture


def test_it_is_small_and_half_precision() -> None:
    """At most 15 MB in all, the weights in float16."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 15_000_000
    assert CLIPModel.from_pretrained(FOLDER).dtype == torch.float16


def test_plain_transformers_give_what_the_engine_gives(clip: Clip) -> None:
    """Model, tokenizer and image processor load by their Auto classes; equal similarities."""
    texts, pictures = ["a red mug", "book"], [disc(COLOURS["red"]), disc(COLOURS["blue"])]
    model = CLIPModel.from_pretrained(FOLDER, dtype=torch.float32).eval()
    tokens = AutoTokenizer.from_pretrained(FOLDER)(texts, padding=True, return_tensors="pt")
    pixels = AutoImageProcessor.from_pretrained(FOLDER)(pictures, return_tensors="pt")
    with torch.no_grad():
        expected = model(**tokens, **pixels).logits_per_image
    ours = clip.logits(clip.embed_images(pictures), clip.embed_texts(texts))
    torch.testing.assert_close(ours, expected, atol=2e-2, rtol=0)


def test_it_knows_plain_colours(clip: Clip) -> None:
    """For most of six discs the right colour word is the nearest (chance: one of six)."""
    texts = clip.embed_texts([f"a {colour} object" for colour in COLOURS])
    pictures = clip.embed_images([disc(rgb) for rgb in COLOURS.values()])
    nearest = (pictures @ texts.T).argmax(1)
    assert int((nearest == torch.arange(len(COLOURS))).sum()) >= 4


def test_an_object_is_not_the_ground(clip: Clip) -> None:
    """Two words of very different kinds are not the same vector; invented words stay apart."""
    vectors = clip.embed_texts(["mug", "coffee mug", "bicycle", "zorblax"])
    alike = vectors @ vectors.T
    assert alike[0, 1] > 0.7 > max(alike[0, 2], alike[0, 3])


def test_its_phrases_are_read() -> None:
    """phrases.json is the engine's format and not its defaults."""
    assert Phrases.read(FOLDER) != Phrases()


def test_its_scores_are_calibrated() -> None:
    """A bias that `training.clip.calibrate` found on held-out pictures."""
    assert 0 < Phrases.read(FOLDER).bias < 3
