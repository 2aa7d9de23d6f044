"""Scaling as the reference does it, for any image size, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sam_ros.engine.transform import MASK_LOGIT, Transform
from sam_ros.engine.upsampling import Upsampler

SIZES = [(1, 1), (97, 141), (480, 640), (641, 479), (1080, 1920), (3, 501), (1024, 1024)]
sides = st.integers(1, 9000)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("image_size", [1024, 384])
def test_images_are_scaled_as_in_the_reference(
    reference: Any, size: tuple[int, int], image_size: int
) -> None:
    """At most one grey level from Pillow's antialiased scaling, which the reference uses."""
    rgb = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = reference.utils.transforms.ResizeLongestSide(image_size).apply_image(rgb)
    transform = Transform(size, image_size)
    scaled = transform.scale_image(torch.from_numpy(rgb))
    assert scaled.dtype == torch.uint8 and scaled.is_contiguous()
    difference = scaled[0].permute(1, 2, 0).int() - torch.from_numpy(expected).int()
    assert difference.abs().max() <= 1
    assert (difference != 0).float().mean() < 0.03
    floats = transform.resize_floats(torch.from_numpy(rgb).permute(2, 0, 1)[None])  # as on a GPU
    assert (floats - scaled).abs().max() <= 1 and (floats == floats.round()).all()


@given(sides, sides, st.sampled_from((384, 1024)))
def test_coordinates_are_scaled_as_in_the_reference(
    reference: Any, height: int, width: int, image_size: int
) -> None:
    """Equal wherever the reference gives an image with pixels."""
    resize = reference.utils.transforms.ResizeLongestSide(image_size)
    transform = Transform((height, width), image_size)
    expected = resize.get_preprocess_shape(height, width, image_size)
    assert transform.input_size == tuple(max(1, side) for side in expected)
    points = np.array(((0, 0), (width - 1, height - 1), (width / 3, height / 7)), np.float32)
    if min(expected):
        scaled = resize.apply_coords(points, (height, width))
        assert (transform.to_input(points) == scaled.astype(np.float32)).all()


@given(sides, sides, st.floats(0, 1), st.floats(0, 1))
def test_there_and_back(height: int, width: int, u: float, v: float) -> None:
    """A point comes back within a hundredth of a pixel and stays inside the square."""
    transform = Transform((height, width), 384)
    point = np.array((u * (width - 1), v * (height - 1)), np.float32)
    scaled = transform.to_input(point)
    assert (scaled >= 0).all() and (scaled < 384).all()
    assert np.abs(transform.to_original(scaled) - point).max() < 0.01


def test_extreme_shapes_keep_a_pixel() -> None:
    """9000 x 1 would have no width at all."""
    transform = Transform((9000, 1), 384)
    assert transform.input_size == (384, 1)
    assert transform.scale_image(torch.zeros(9000, 1, 3, dtype=torch.uint8)).shape == (
        1,
        3,
        384,
        1,
    )


@pytest.mark.parametrize("size", [(97, 141), (480, 640), (300, 61), (2000, 1500)])
def test_a_mask_prompt_covers_the_mask(size: tuple[int, int]) -> None:
    """Scaled back to the image the mask prompt is the mask but for the cells on its edge."""
    y, x = np.ogrid[: size[0], : size[1]]
    mask = ((x / size[1] - 0.4) / 0.3) ** 2 + ((y / size[0] - 0.6) / 0.25) ** 2 < 1
    transform = Transform(size, 384)
    logits = transform.mask_logits(mask, (96, 96))
    assert logits.shape == (1, 1, 96, 96)
    assert logits.min() == -MASK_LOGIT and logits.max() == MASK_LOGIT
    (patch,) = Upsampler(transform, (96, 96), logits.device)(logits[0])
    back = patch.full(size)
    assert (back & mask).sum() / (back | mask).sum() > 0.9


def test_the_padding_of_a_mask_prompt_is_background() -> None:
    """A mask of the whole image ends where the image ends."""
    logits = Transform((48, 96), 384).mask_logits(np.ones((48, 96), np.bool_), (96, 96))[0, 0]
    assert (logits[:48] == MASK_LOGIT).all() and (logits[48:] == -MASK_LOGIT).all()


def test_an_image_has_pixels() -> None:
    """An empty image is refused by name."""
    with pytest.raises(ValueError, match="size: 0 x 64; expected at least 1 x 1"):
        Transform((0, 64), 384)
