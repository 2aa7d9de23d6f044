"""The ViT encoder: relative positions by the book, and every weight takes part."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sam_ros.model.build import CONFIGS, TinyViTConfig, ViTConfig, assemble
from sam_ros.model.image_encoder import Attention

SMALL_VIT = ViTConfig(dim=32, depth=2, num_heads=2, global_blocks=(1,), window_size=3)
SMALL_TINY_VIT = TinyViTConfig((8, 16, 24, 32), (1, 1, 1, 1), (1, 2, 2), (3, 4, 3))


def test_relative_positions() -> None:
    """Attention equals its definition, written out pair by pair of cells."""
    torch.manual_seed(0)
    attention = Attention(dim=6, num_heads=1, grid=4).double()
    for parameter in attention.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(1, 4, 3, 6, dtype=torch.float64)
    cells = [(row, column) for row in range(4) for column in range(3)]
    expected = torch.stack([_attend(attention, x[0], cell, cells) for cell in cells])
    assert torch.allclose(attention(x).reshape(12, 6), expected)


def _attend(
    attention: Attention, x: Tensor, cell: tuple[int, int], cells: list[tuple[int, int]]
) -> Tensor:
    qkv = {at: attention.qkv(x[at]).chunk(3) for at in cells}
    query = qkv[cell][0]
    scores = []
    for other in cells:
        down, right = cell[0] - other[0] + 3, cell[1] - other[1] + 3
        place = attention.rel_pos_h[down] + attention.rel_pos_w[right]
        scores.append(query @ qkv[other][1] / 6**0.5 + query @ place)
    weights = torch.stack(scores).softmax(0)
    return attention.proj(sum(w * qkv[other][2] for w, other in zip(weights, cells)))


@pytest.mark.parametrize("encoder", [SMALL_VIT, SMALL_TINY_VIT], ids=["vit", "tiny_vit"])
def test_every_weight_takes_part(encoder: ViTConfig | TinyViTConfig) -> None:
    """Loss on masks and IoU reaches every weight that can change the result.

    The classifier of the pre-training is never called, and a bias of the keys adds the same to all
    scores of a query, which the softmax takes away again.
    """
    torch.manual_seed(0)
    config = replace(CONFIGS["sam_vit_b"], image_encoder=encoder, image_size=128, dim=32)
    sam = assemble(config)
    for parameter in sam.parameters():
        nn.init.normal_(parameter, std=0.2)
    points = (torch.rand(3, 3, 2) * 128, torch.tensor([[1, 0, -1]] * 3))
    masks = torch.randn(3, 1, *sam.prompt_encoder.mask_input_size)
    embedding = sam.image_encoder(torch.randn(1, 3, 128, 128))
    loss = torch.tensor(0.0)
    for given in (masks, None):
        sparse, dense = sam.prompt_encoder(points, torch.rand(3, 4) * 128, given)
        image_pe = sam.prompt_encoder.get_dense_pe()
        logits, iou = sam.mask_decoder.predict_masks(embedding, image_pe, sparse, dense)
        loss = loss + logits.square().mean() + iou.square().mean()
    loss.backward()
    idle = {n for n, p in sam.named_parameters() if p.grad is None or not p.grad.any()}
    idle -= {n for n in idle if n.endswith("token_to_image.k_proj.bias")}
    assert {name.split(".")[1] for name in idle} <= {"head", "norm_head"}


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_tiny_vit_takes_any_size(size: tuple[int, int]) -> None:
    """The embedding of MobileSAM's encoder has stride 16 whatever the image's shape is."""
    config = replace(CONFIGS["mobile_sam"], image_encoder=SMALL_TINY_VIT, dim=16)
    encoder = assemble(config).image_encoder.eval()
    embedding = encoder(torch.randn(2, 3, *size))
    assert embedding.shape == (2, 16, size[0] // 16, size[1] // 16)


def test_frozen_mobile_sam_gives_the_same_numbers() -> None:
    """With normalisations folded in and tables looked up, and after freezing twice as well."""
    torch.manual_seed(0)
    config = replace(CONFIGS["mobile_sam"], image_encoder=SMALL_TINY_VIT, dim=16)
    encoder = assemble(config).image_encoder.eval()
    for name, tensor in encoder.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if "var" in name else tensor.normal_(0, 0.3)
    image = torch.randn(1, 3, 96, 160)
    with torch.inference_mode():
        expected = encoder(image)
        for _ in range(2):
            encoder.freeze()
            difference = (encoder(image) - expected).abs().max()
            assert difference < 1e-5 * (expected.max() - expected.min())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in encoder.modules())
