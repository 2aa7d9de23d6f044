"""Layers that several of SAM's parts share."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def to_cells(image: Tensor) -> Tensor:
    """The cells of (B, C, H, W) in a row, (B, H * W, C).

    A view where channels are the last in memory, as in the embeddings of most encoders. OpenVINO
    sees by the one row that nothing has to move, which it does for a permutation with two readers.
    """
    return image.permute(0, 2, 3, 1).flatten(1, 2)


def to_image(cells: Tensor, size: torch.Size) -> Tensor:
    """(B, H * W, C) as (B, C, H, W), a view."""
    return cells.unflatten(1, size).permute(0, 3, 1, 2)


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of an image in (B, C, H, W)."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        cells = to_cells(x)
        cells = F.layer_norm(cells, self.weight.shape, self.weight, self.bias, self.eps)
        return to_image(cells, x.shape[2:])


class FeedForward(nn.Module):
    """The two linear layers of a transformer block, with an activation between them."""

    def __init__(self, dim: int, hidden_dim: int, activation: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, hidden_dim)
        self.lin2 = nn.Linear(hidden_dim, dim)
        self.act = activation()

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(self.act(self.lin1(x)))


class MLP(nn.Module):
    """Linear layers with ReLU between them: a head that reads one output token.

    Args:
        depth: number of linear layers, at least 1.
    """

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int, depth: int) -> None:
        super().__init__()
        widths = [in_dim, *[hidden_dim] * (depth - 1), out_dim]
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            x = F.relu(layer(x))
        return last(x)


def neck(in_channels: int, out_channels: int) -> nn.Sequential:
    """Convolutions that bring an encoder's features to the width of the embedding.

    Shape (B, in_channels, h, w) -> (B, out_channels, h, w); ViTDet, section 3.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False),
        LayerNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
        LayerNorm2d(out_channels),
    )


def crop(x: Tensor, like: Tensor) -> Tensor:
    """The upper left part of maps (..., H, W) that is as large as the maps (..., h, w)."""
    return x[..., : like.shape[-2], : like.shape[-1]]
