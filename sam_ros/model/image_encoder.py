"""The paper's image encoder: a plain vision transformer with windows (SAM, appendix A)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from sam_ros.model.layers import FeedForward, neck
from sam_ros.model.relative_attention import relative_attention
from sam_ros.model.windows import merge, partition

_LayerNorm = partial(nn.LayerNorm, eps=1e-6)


class ViT(nn.Module):
    """Vision transformer (2010.11929) with windowed attention, as ViTDet (2203.16527) adapts it.

    Args:
        image_size: side of the square input, pixels.
        patch_size: side of a patch, pixels.
        dim: width of the transformer.
        depth: number of blocks.
        num_heads: attention heads of a block.
        global_blocks: indices of the blocks that attend to the whole image.
        window_size: side of the other blocks' windows, patches.
        out_channels: channels of the embedding.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        dim: int,
        depth: int,
        num_heads: int,
        global_blocks: tuple[int, ...],
        window_size: int,
        out_channels: int,
    ) -> None:
        super().__init__()
        grid = image_size // patch_size
        self.patch_embed = PatchEmbed(patch_size, dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, dim))
        self.blocks = nn.ModuleList(
            Block(dim, num_heads, grid, windowed=False)
            if i in global_blocks
            else Block(dim, num_heads, window_size, windowed=True)
            for i in range(depth)
        )
        self.neck = neck(dim, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Encode normalised images (B, 3, S, S) as embeddings (B, C, S / patch, S / patch)."""
        x = self.patch_embed(x) + self.pos_embed  # (B, h, w, C)
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2))


class PatchEmbed(nn.Module):
    """Cuts an image into patches and projects each, (B, 3, H, W) -> (B, h, w, C)."""

    def __init__(self, patch_size: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x)
        return x.permute(0, 2, 3, 1)


class Block(nn.Module):
    """Transformer block; a patch sees all others, or those of its window.

    Args:
        grid: side of the square that attention spans: the image's or the window's, patches.
        windowed: whether the image is cut into windows of that side.
    """

    def __init__(self, dim: int, num_heads: int, grid: int, windowed: bool) -> None:
        super().__init__()
        self.norm1 = _LayerNorm(dim)
        self.attn = Attention(dim, num_heads, grid, windowed)
        self.norm2 = _LayerNorm(dim)
        self.mlp = FeedForward(dim, 4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Attention(nn.Module):
    """Multi-head self-attention on a square grid with decomposed relative positions.

    The bias of a pair of cells is the query's product with one vector for their vertical and one
    for their horizontal distance (MViTv2, 2112.01526, section 4.1).

    Args:
        grid: side of the square that attention spans, patches.
        windowed: whether the image is cut into windows of that side.
    """

    def __init__(self, dim: int, num_heads: int, grid: int, windowed: bool = False) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window_size = grid if windowed else None
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        distances = 2 * grid - 1
        self.rel_pos_h = nn.Parameter(torch.zeros(distances, dim // num_heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(distances, dim // num_heads))

    def forward(self, x: Tensor) -> Tensor:
        if self.window_size is None:
            return self.proj(self._attend(self.qkv(x)))
        # Windows beyond the image hold zeros, whose projection is the bias: nothing to compute.
        qkv = partition(self.qkv(x), self.window_size, fill=self.qkv.bias)
        _, h, w, _ = x.shape
        return self.proj(merge(self._attend(qkv), (h, w)))

    def _attend(self, qkv: Tensor) -> Tensor:
        b, h, w, c = qkv.shape
        qkv = qkv.reshape(b, h * w, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, heads, h * w, d) each
        rows, columns = _by_distance(self.rel_pos_h, h), _by_distance(self.rel_pos_w, w)
        x = relative_attention(q, k, v, rows, columns)
        return x.transpose(1, 2).reshape(b, h, w, c // 3)


def _by_distance(table: Tensor, size: int) -> Tensor:
    """Look the vectors of all pairs of positions up, (size, size, d); distance 0 is midway."""
    position = torch.arange(size, device=table.device)
    return table[position[:, None] - position[None, :] + len(table) // 2]
