"""The image encoder of ``sam_tiny``: a convolutional stem followed by a small vision transformer.

The stem reaches stride 16 in four steps; its stride-4 and stride-8 features travel with the
embedding, folded into channels by space-to-depth, so that the embedding stays one tensor and the
calls between the parts stay the paper's. Position comes from the convolutions: there is no
positional table, and any sides that are multiples of 16 work, square or not.

Sources: SAM (arXiv 2304.02643), ViTDet windows (2203.16527), ConvNeXt blocks (2201.03545), a
depthwise convolution beside attention as in TinyViT (2207.10666).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_ros.model.layers import to_cells
from sam_ros.model.packing import gelu, is_inference

PATCH = 16
STRIP = 1 << 16  # values of a map that go through a ConvBlock's MLP at once


@dataclass(frozen=True)
class TinyChannels:
    """How the channels of a ``sam_tiny`` embedding are shared out.

    Attributes:
        coarse: channels of the stride-16 features, the width of the mask decoder.
        stride8: channels of the stride-8 features (four of ours hold one of theirs).
        stride4: channels of the stride-4 features.
    """

    coarse: int
    stride8: int
    stride4: int

    @property
    def total(self) -> int:
        """Channels of the embedding tensor."""
        return self.coarse + 4 * self.stride8 + 16 * self.stride4

    def fold(self, coarse: Tensor, stride8: Tensor, stride4: Tensor) -> Tensor:
        """Pack (B,C,h,w), (B,C8,2h,2w) and (B,C4,4h,4w) into one (B,total,h,w) embedding."""
        folded = (F.pixel_unshuffle(stride8, 2), F.pixel_unshuffle(stride4, 4))
        return torch.cat((coarse, *folded), dim=1)

    def cells(self, embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take an embedding apart: channels last, the parts of a cell next to each other.

        Returns:
            (B, h * w, C), (B, h * w * 4, C8) and (B, h * w * 16, C4).
        """
        coarse, stride8, stride4 = embedding.split(
            [self.coarse, 4 * self.stride8, 16 * self.stride4], dim=1
        )
        flat = to_cells(coarse).contiguous()
        stride8 = stride8.unflatten(1, (self.stride8, 4)).permute(0, 3, 4, 2, 1)
        return flat, stride8.flatten(1, 3), parts_of_cells(stride4, self.stride4)


def parts_of_cells(folded: Tensor, channels: int) -> Tensor:
    """A map at stride 4, folded into cells by space-to-depth, part by part.

    Args:
        folded: (B, channels * 16, h, w).
        channels: of the map.

    Returns:
        (B, h * w * 16, channels): of each cell the quarters, and of each quarter its quarters.
    """
    quarters = folded.unflatten(1, (channels, 2, 2, 2, 2))  # B, C, y8, y4, x8, x4, h, w
    return quarters.permute(0, 6, 7, 2, 4, 3, 5, 1).flatten(1, 6)


def _for(layer: nn.Module, x: Tensor) -> Tensor:
    """What a layer takes, in its precision: see :meth:`TinyImageEncoder.reduce`."""
    assert isinstance(layer.bias, Tensor)
    return x.to(layer.bias.dtype)


class ConvBlock(nn.Module):
    """Depthwise 5x5 convolution and a channel MLP, residual; (B,H,W,C) in and out."""

    def __init__(self, dim: int, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.local = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, mlp_ratio * dim)
        self.project = nn.Linear(mlp_ratio * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.local(_for(self.local, x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        strips = x.numel() // STRIP if is_inference(x) else 1
        if strips < 2:
            return x + self._mlp(y)
        # The hidden layer of a whole map falls out of the cache, that of some rows does not.
        cells = zip(x.flatten(0, 2).chunk(strips), y.flatten(0, 2).chunk(strips), strict=True)
        return torch.cat([part + self._mlp(local) for part, local in cells]).view(x.shape)

    def _mlp(self, y: Tensor) -> Tensor:
        hidden = gelu(self.expand, _for(self.expand, self.norm(_for(self.norm, y))))
        return self.project(hidden)


class DownSample(nn.Module):
    """Strided 3x3 convolution and LayerNorm; (B,H,W,C) to (B,H/2,W/2,D)."""

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim_in, dim_out, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(dim_out)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(_for(self.conv, x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.norm(_for(self.norm, y))


class Attention(nn.Module):
    """Multi-head self-attention inside square windows, or over the whole grid."""

    def __init__(self, dim: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window_size = window_size
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        qkv = self.qkv(_for(self.qkv, x))
        if not self.window_size:  # nothing to cut, and so nothing to copy
            q, k, v = qkv.view(b, h * w, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
            y = F.scaled_dot_product_attention(q, k, v)
            return self.proj(y.transpose(1, 2).reshape(b, h, w, c))
        win_h = win_w = self.window_size
        if h % win_h or w % win_w:
            # Windows that reach over the edge are filled with zeros, as in the paper's encoder.
            qkv = F.pad(qkv, (0, 0, 0, -w % win_w, 0, -h % win_h))
        n_h, n_w = qkv.shape[1] // win_h, qkv.shape[2] // win_w
        qkv = qkv.view(b, n_h, win_h, n_w, win_w, 3, self.num_heads, c // self.num_heads)
        qkv = qkv.permute(5, 0, 1, 3, 6, 2, 4, 7)  # 3, B, n_h, n_w, heads, win_h, win_w, C/heads
        q, k, v = qkv.reshape(3, b * n_h * n_w, self.num_heads, win_h * win_w, -1).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        y = y.view(b, n_h, n_w, self.num_heads, win_h, win_w, -1).permute(0, 1, 4, 2, 5, 3, 6)
        return self.proj(y.reshape(b, n_h * win_h, n_w * win_w, c)[:, :h, :w])


class Block(nn.Module):
    """Transformer block with a depthwise 3x3 convolution between attention and MLP."""

    def __init__(self, dim: int, num_heads: int, window_size: int, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, num_heads, window_size)
        self.local = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm2 = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, mlp_ratio * dim)
        self.project = nn.Linear(mlp_ratio * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        x = x + self.local(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x + self.project(gelu(self.expand, _for(self.expand, self.norm2(x))))


class TinyImageEncoder(nn.Module):
    """Images to embeddings that carry their own high-resolution features."""

    def __init__(
        self,
        channels: TinyChannels,
        stem: tuple[int, int, int] = (24, 48, 96),
        stem_blocks: tuple[int, int] = (2, 2),
        dim: int = 192,
        depth: int = 6,
        num_heads: int = 6,
        window_size: int = 8,
        global_blocks: tuple[int, ...] = (2, 5),
    ) -> None:
        """Build the encoder.

        Args:
            channels: layout of the embedding.
            stem: channels at strides 2, 4 and 8.
            stem_blocks: ``ConvBlock`` s at strides 4 and 8.
            dim: width of the transformer at stride 16.
            depth: transformer blocks.
            num_heads: attention heads.
            window_size: side of the attention windows in cells of 16 px.
            global_blocks: indices of the blocks that attend to the whole grid.
        """
        super().__init__()
        self.channels = channels
        self.stride2 = nn.Conv2d(3, stem[0], 3, stride=2, padding=1)
        self.stride4 = DownSample(stem[0], stem[1])
        self.blocks4 = nn.Sequential(*(ConvBlock(stem[1]) for _ in range(stem_blocks[0])))
        self.stride8 = DownSample(stem[1], stem[2])
        self.blocks8 = nn.Sequential(*(ConvBlock(stem[2]) for _ in range(stem_blocks[1])))
        self.stride16 = DownSample(stem[2], dim)
        windows = (0 if i in global_blocks else window_size for i in range(depth))
        self.blocks = nn.Sequential(*(Block(dim, num_heads, window) for window in windows))
        self.neck = nn.Conv2d(dim, channels.coarse, 3, padding=1)
        self.neck_norm = nn.LayerNorm(channels.coarse)
        self.fine8 = nn.Linear(stem[2], channels.stride8)
        self.fine4 = nn.Linear(stem[1], channels.stride4)

    def reduce(self, dtype: torch.dtype) -> None:
        """Let what takes the time be computed in another precision: the blocks' products.

        Sums, normalisations and outputs keep theirs. Where all is bfloat16, masks differ by more.
        """
        for part in self.modules():
            if isinstance(part, Attention):
                part.to(dtype)
            elif isinstance(part, DownSample):
                part.conv.to(dtype)
            elif isinstance(part, ConvBlock | Block):
                part.expand.to(dtype)
                part.project.to(dtype)
            if isinstance(part, ConvBlock):
                part.local.to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Encode images.

        Args:
            x: (B, 3, H, W) normalised RGB, sides multiples of 16.

        Returns:
            (B, channels.total, H/16, W/16) embedding; :meth:`TinyChannels.cells` takes it apart.
        """
        x = x.contiguous(memory_format=torch.channels_last)  # as all the convolutions have it
        x = gelu(self.stride2, x).permute(0, 2, 3, 1)  # B, H/2, W/2, C
        fine4 = self.blocks4(self.stride4(x))
        fine8 = self.blocks8(self.stride8(fine4))
        x = self.blocks(self.stride16(fine8))
        x = self.neck(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        maps = (self.neck_norm(x), self.fine8(fine8), self.fine4(fine4))
        return self.channels.fold(*(m.permute(0, 3, 1, 2) for m in maps))
