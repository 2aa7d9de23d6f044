"""MobileSAM's image encoder: TinyViT-5M (2207.10666) whose last stage keeps stride 16."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sam_ros.model.layers import neck, to_cells, to_image
from sam_ros.model.packing import gelu
from sam_ros.model.windows import merge, partition

_CLASSES = 1000
# torch 2.6 has one name for both: there torch.compile gets what is meant for OpenVINO, as exact.
_is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)


class TinyViT(nn.Module):
    """Convolutions at stride 4, then windowed attention at strides 8, 16 and 16.

    Nothing in it depends on the size of the image. :meth:`freeze` makes it faster once the weights
    are there.

    Args:
        dims: channels of the four stages.
        depths: blocks of the four stages; the first stage's are convolutions.
        num_heads: attention heads of the last three stages.
        window_sizes: side of the attention windows of the last three stages, cells.
        strides: step from each stage to the next.
        out_channels: channels of the embedding.
    """

    def __init__(
        self,
        dims: tuple[int, int, int, int],
        depths: tuple[int, int, int, int],
        num_heads: tuple[int, int, int],
        window_sizes: tuple[int, int, int],
        strides: tuple[int, int, int],
        out_channels: int,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(dims[0])
        downs = [Downsample(n, m, stride) for n, m, stride in zip(dims, dims[1:], strides)]
        convolutions = (InvertedBottleneck(dims[0]) for _ in range(depths[0]))
        self.layers = nn.ModuleList([Stage(convolutions, downs[0])])
        for i, down in enumerate([*downs[1:], None]):
            dim, heads, window = dims[i + 1], num_heads[i], window_sizes[i]
            blocks = (Block(dim, heads, window) for _ in range(depths[i + 1]))
            self.layers.append(Stage(blocks, down))
        # The classifier of the pre-training: in the checkpoint, never called.
        self.norm_head = nn.LayerNorm(dims[-1])
        self.head = nn.Linear(dims[-1], _CLASSES)
        self.neck = neck(dims[-1], out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Encode normalised images (B, 3, H, W) as embeddings (B, C, H / 16, W / 16)."""
        x = self.patch_embed(x)
        for stage in self.layers:
            x = stage(x)
        return self.neck(x)

    def freeze(self) -> None:
        """Let convolutions take their normalisations over and look the tables up, once for all.

        The weights are final then: no further training, no loading, and other names in the state.
        """
        for part in tuple(self.modules()):
            if isinstance(part, Attention):
                part.freeze()
            elif isinstance(norm := getattr(part, "bn", None), nn.BatchNorm2d):
                conv = part.get_submodule("c")
                assert isinstance(conv, nn.Conv2d)
                part.c, part.bn = _fold(conv, norm), nn.Identity()
        _channels_last(self.neck)


def conv_norm(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution and batch normalisation, (B, in, H, W) -> (B, out, H / stride, W / stride)."""
    conv = nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        bias=False,
    )
    return nn.Sequential(OrderedDict(c=conv, bn=nn.BatchNorm2d(out_channels)))


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Module:
    """Both in one, for images whose channels are the last in memory."""
    folded = fuse_conv_bn_eval(conv, norm)
    return Pointwise(folded) if conv.kernel_size == (1, 1) else _channels_last(folded)


def _channels_last(module: nn.Module) -> nn.Module:
    for weight in module.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return module


class Pointwise(nn.Module):
    """A convolution of 1 x 1 as the linear layer that it is, (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.linear = nn.Linear(conv.in_channels, conv.out_channels, device="meta")
        self.linear.weight = nn.Parameter(conv.weight.detach().flatten(1))
        assert conv.bias is not None  # the normalisation's
        self.linear.bias = nn.Parameter(conv.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _gelu(layer: nn.Module, x: Tensor) -> Tensor:
    """What follows a :func:`conv_norm`, in one with it once that is folded."""
    conv, norm = layer.get_submodule("c"), layer.get_submodule("bn")
    if not isinstance(norm, nn.Identity):
        return F.gelu(layer(x))
    if isinstance(conv, Pointwise):
        return gelu(conv.linear, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return gelu(conv, x)


class PatchEmbed(nn.Module):
    """Two strided convolutions, (B, 3, H, W) -> (B, dim, H / 4, W / 4)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            conv_norm(3, dim // 2, kernel=3, stride=2),
            nn.GELU(),
            conv_norm(dim // 2, dim, kernel=3, stride=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        first, _, second = self.seq
        return second(_gelu(first, x))


class InvertedBottleneck(nn.Module):
    """Widen, filter each channel, narrow again; residual (MobileNetV2, 1801.04381)."""

    def __init__(self, dim: int, expansion: int = 4) -> None:
        super().__init__()
        hidden = expansion * dim
        self.conv1 = conv_norm(dim, hidden, kernel=1)
        self.conv2 = conv_norm(hidden, hidden, kernel=3, groups=hidden)
        self.conv3 = conv_norm(hidden, dim, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        y = _gelu(self.conv2, _gelu(self.conv1, x))
        return F.gelu(x + self.conv3(y))


class Downsample(nn.Module):
    """The step between two stages, (B, in, H, W) -> (B, out, H / stride, W / stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv_norm(in_channels, out_channels, kernel=1)
        self.conv2 = conv_norm(
            out_channels, out_channels, kernel=3, stride=stride, groups=out_channels
        )
        self.conv3 = conv_norm(out_channels, out_channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(_gelu(self.conv2, _gelu(self.conv1, x)))


class Stage(nn.Module):
    """Blocks of one resolution and the step to the next, (B, C, H, W) in and out."""

    def __init__(self, blocks: Iterable[nn.Module], downsample: Downsample | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class Block(nn.Module):
    """Attention in windows, a depthwise convolution across their borders, and an MLP."""

    def __init__(self, dim: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        self.window_size = window_size
        self.attn = Attention(dim, num_heads, window_size)
        self.local_conv = conv_norm(dim, dim, kernel=3, groups=dim)
        self.mlp = FeedForward(dim)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        cells = to_cells(x)
        cells = cells + self._attend(cells.unflatten(1, size)).flatten(1, 2)
        cells = to_cells(self.local_conv(to_image(cells, size)))
        return to_image(cells + self.mlp(cells), size)

    def _attend(self, x: Tensor) -> Tensor:
        windows = partition(x, self.window_size)  # (B * count, side, side, C)
        attended = self.attn(windows.flatten(1, 2)).reshape(windows.shape)
        return merge(attended, (x.shape[1], x.shape[2]))


class Attention(nn.Module):
    """Multi-head self-attention in a window, with a learned bias for each distance of cells."""

    attention_bias_idxs: Tensor
    bias: Tensor | None

    def __init__(self, dim: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, window_size**2))
        self.register_buffer("attention_bias_idxs", _bias_indices(window_size), persistent=False)
        self.register_buffer("bias", None, persistent=False)

    def freeze(self) -> None:
        """Keep the table of biases: the weights that it is made of change no more."""
        self.bias = self._look_up().detach().clone()

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.transpose(1, 2) for part in self._project(self.norm(x)))
        bias = self._look_up() if self.bias is None else self.bias
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(x.transpose(1, 2).flatten(2))

    def _project(self, x: Tensor) -> Sequence[Tensor]:
        """Queries, keys and values of (B, N, C), (B, N, heads, d) each."""
        parts = (self.num_heads, 3, -1)
        if not _is_exporting():
            return self.qkv(x).unflatten(2, parts).unbind(3)
        # OpenVINO folds this, and then has nothing to cut and to move.
        weights, biases = (
            t.unflatten(0, parts).unbind(1) for t in (self.qkv.weight, self.qkv.bias)
        )
        return [
            F.linear(x, weight.flatten(0, 1), bias.flatten()).unflatten(2, weight.shape[:2])
            for weight, bias in zip(weights, biases)
        ]

    def _look_up(self) -> Tensor:
        """The bias of each pair of cells, (1, heads, N, N): fused kernels want four dimensions."""
        return self.attention_biases[None, :, self.attention_bias_idxs]


def _bias_indices(window_size: int) -> Tensor:
    """For each pair of a window's cells (N, N): where the bias of their distance is kept."""
    # On the CPU also when the module is built on the meta device: no checkpoint brings it.
    cells = torch.arange(window_size**2, device="cpu")
    row, column = cells // window_size, cells % window_size
    rows_apart = (row[:, None] - row[None, :]).abs()
    columns_apart = (column[:, None] - column[None, :]).abs()
    return rows_apart * window_size + columns_apart


class FeedForward(nn.Module):
    """Normalisation and two linear layers on channels-last features."""

    def __init__(self, dim: int, expansion: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, expansion * dim)
        self.fc2 = nn.Linear(expansion * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(gelu(self.fc1, self.norm(x)))
