"""The whole model: its input."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sam_ros.model import Sam
from sam_ros.model.build import CONFIGS, ViTConfig, assemble


@pytest.fixture(scope="module")
def sam() -> Sam:
    encoder = ViTConfig(dim=16, depth=1, num_heads=2, global_blocks=(0,))
    return assemble(replace(CONFIGS["sam_vit_b"], image_encoder=encoder, image_size=64, dim=16))


def test_preprocess_normalises_and_pads(sam: Sam) -> None:
    """The mean colour becomes zero, like the padding; one deviation above it becomes one."""
    colour = sam.pixel_mean + sam.pixel_std
    x = sam.preprocess(colour.expand(2, 3, 40, 64))
    assert x.shape == (2, 3, 64, 64)
    assert torch.allclose(x[:, :, :40], torch.ones(()))
    assert not x[:, :, 40:].any()


def test_image_larger_than_the_model_is_refused(sam: Sam) -> None:
    """Nothing is cut off in silence."""
    with pytest.raises(ValueError, match="40 x 65 px, expected at most 64"):
        sam.preprocess(torch.zeros(1, 3, 40, 65))


def test_a_click_becomes_a_mask(sam: Sam) -> None:
    """The parts fit each other at a size that is not the paper's."""
    embedding = sam.image_encoder(sam.preprocess(torch.rand(1, 3, 64, 48) * 255))
    points = (torch.tensor([[[20.0, 30.0]]]), torch.tensor([[1]]))
    sparse, dense = sam.prompt_encoder(points=points, boxes=None, masks=None)
    masks, iou = sam.mask_decoder(
        image_embeddings=embedding,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    assert masks.shape == (1, 3, *sam.prompt_encoder.mask_input_size)
    assert iou.shape == (1, 3)
