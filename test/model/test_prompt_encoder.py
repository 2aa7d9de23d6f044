"""The prompt encoder: shapes, padding and precision at sizes that are not the paper's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam_ros.model.prompt_encoder import PromptEncoder

SIZE = (96, 160)
GRID = (6, 10)


@pytest.fixture
def encoder() -> PromptEncoder:
    torch.manual_seed(0)
    return PromptEncoder(32, GRID, SIZE).eval()


def _points(*labels: int) -> tuple[Tensor, Tensor]:
    return torch.rand(2, len(labels), 2) * 90, torch.tensor([labels, labels])


def test_shapes(encoder: PromptEncoder) -> None:
    """Tokens: one a point and one of padding, or two for the box. Dense: the grid."""
    boxes = torch.tensor([[1.0, 2.0, 30.0, 40.0]] * 2)
    masks = torch.randn(2, 1, *encoder.mask_input_size)
    for given, tokens in [
        ((_points(1, 0), None, None), 3),
        ((_points(1, 0), boxes, None), 4),
        ((None, boxes, masks), 2),
        ((None, None, masks), 0),
    ]:
        sparse, dense = encoder(*given)
        assert sparse.shape == (2, tokens, 32)
        assert dense.shape == (2, 32, *GRID)
    assert encoder.get_dense_pe().shape == (1, 32, *GRID)


def test_padding_forgets_where(encoder: PromptEncoder) -> None:
    """A padding point is the learned token, wherever its coordinates are."""
    coords, labels = _points(1, -1, 0)
    moved = coords.clone()
    moved[:, 1] = 77.0
    assert torch.equal(
        encoder((coords, labels), None, None)[0], encoder((moved, labels), None, None)[0]
    )
    assert not torch.equal(coords, moved)


def test_point_on_a_cell_has_its_encoding(encoder: PromptEncoder) -> None:
    """A point and the grid agree about where a cell's centre is (pixel centres at integers)."""
    centre = torch.tensor([[[3 * 16 + 7.5, 4 * 16 + 7.5]]])
    sparse, _ = encoder((centre, torch.tensor([[1]])), None, None)
    place = sparse[0, 0] - encoder.point_embeddings[1].weight[0]
    assert torch.allclose(place, encoder.get_dense_pe()[0, :, 4, 3], atol=1e-5)


def test_autocast_keeps_places(encoder: PromptEncoder) -> None:
    """Under autocast the encoding of a place is that of float32: its angles are not rounded."""
    coords = torch.tensor([[[80.0, 40.0], [81.0, 40.0]]])
    exact = encoder.pe_layer.encode(coords, SIZE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(encoder.pe_layer.encode(coords, SIZE), exact)


def test_prompts_do_not_mix(encoder: PromptEncoder) -> None:
    """A prompt's embedding is the same alone and in a batch."""
    coords, labels = _points(1, 0, 1)
    together, _ = encoder((coords, labels), None, None)
    alone, _ = encoder((coords[1:], labels[1:]), None, None)
    assert torch.allclose(together[1:], alone)
