"""Pictures are prepared as the image processors of transformers do it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

pytest.importorskip("transformers", reason="pip install 'transformers>=5,<6' for text prompts")
import transformers

from sam_ros.engine.clip_pixels import Pixels

CPU = torch.device("cpu")
PROCESSORS = {
    "clip": lambda: transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 48}, crop_size={"height": 32, "width": 40}
    ),
    "clip, bilinear": lambda: transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size=32, resample=2
    ),
    "crop larger than the picture": lambda: transformers.CLIPImageProcessorPil(
        do_resize=False, crop_size=45
    ),
    "siglip": lambda: transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32}),
    "plain": lambda: transformers.SiglipImageProcessorPil(
        size={"height": 24, "width": 32}, do_normalize=False, do_rescale=False
    ),
}


SIZES = ((480, 640), (97, 141), (141, 97), (40, 40), (25, 20), (36, 200))


def picture(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Blurred noise with hard edges, as photographs have."""
    rng = np.random.default_rng(height)
    noise = cv2.GaussianBlur(rng.uniform(-300, 500, (height, width, 3)), (0, 0), 1.5)
    noise[:, width // 2 :] -= 60
    return np.clip(noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_those_of_the_library(name: str, size: tuple[int, int]) -> None:
    """Never more than two grey levels away, and seldom even that."""
    processor, rgb = PROCESSORS[name](), picture(*size)
    pixels = Pixels.of(processor.to_dict())
    ours = pixels(rgb, CPU).numpy()
    theirs = processor(rgb, return_tensors="np", input_data_format="channels_last")
    expected = theirs["pixel_values"][0]
    difference = np.abs(ours - expected) * np.array(pixels.std)[:, None, None] / pixels.scale
    assert ours.shape == expected.shape
    assert difference.max() < 2.01
    assert difference.mean() < 0.25


def test_the_files_of_older_and_newer_libraries_are_read(tmp_path: Path) -> None:
    processor = PROCESSORS["clip"]()
    values = processor.to_dict()
    old: dict[str, Any] = {**values, "size": 48, "crop_size": 32}
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": values}))
    nested = Pixels.read(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(old))
    plain = Pixels.read(tmp_path)
    assert nested == Pixels.of(values)
    assert plain.crop == (32, 32)


@pytest.mark.parametrize("mean", [(0.48, 0.46, 0.41), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0)])
def test_the_mean_colour_becomes_about_zero(mean: tuple[float, ...]) -> None:
    processor = transformers.SiglipImageProcessorPil(image_mean=mean, image_std=[0.5] * 3)
    pixels = Pixels.of(processor.to_dict())
    flat = np.full((30, 30, 3), pixels.colour, np.uint8)
    assert pixels(flat, CPU).abs().max() < 0.005


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), [[[1, 2, 3]]]])
def test_what_is_no_picture_is_refused(wrong: Any) -> None:
    pixels = Pixels.of(PROCESSORS["siglip"]().to_dict())
    with pytest.raises(ValueError, match=r"expected uint8 of \(H, W, 3\)"):
        pixels(np.asarray(wrong), CPU)
