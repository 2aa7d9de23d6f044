"""The mask decoder of ``sam_tiny``: the paper's, with high-resolution features and resemblance.

Three additions. The encoder's stride-8 and stride-4 features join the up-sampling (as in SAM 2).
Every pixel is told how much it resembles the pixels that the prompt vouches for, by the angle to
their mean and by the histogram of their appearance (as GrabCut's colour models tell, with learned
bins in place of colours). And the image may have fewer cells than the prompt's maps: what lies
right of it or below it is padding.

Maps at stride 8 and 4 are kept as the cells that a cell of the coarse image was spread into, their
channels the last in memory, so that all that reads them is a product of matrices; and what does
not depend on the prompt is made once for an image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_ros.model.layers import LayerNorm2d, crop
from sam_ros.model.mask_decoder import (
    MaskDecoder,
    PreparedImage,
    in_picture_order,
    spread,
    spread_weight,
)
from sam_ros.model.tiny_image_encoder import TinyChannels, parts_of_cells
from sam_ros.model.tiny_prompt_encoder import WEIGHTS
from sam_ros.model.transformer import TwoWayTransformer

BINS = 64  # of a histogram of appearance
RARE = 1e-3  # added to the share of a bin, so that what was never seen is unlikely only


@dataclass(frozen=True, eq=False)
class TinyImage(PreparedImage):
    """An image with its high-resolution features, and what they look like.

    Attributes:
        coarse: (1 or B, h * w, C) stride-16 features.
        coarse_unit: the same, each of length one.
        stride8: (1 or B, h * w * 4, C8) features of the cells' parts.
        stride4: (1 or B, h * w * 16, C4) features of the parts' parts.
        looks: (1 or B, h * w * 16, C4 + BINS) stride-4 features of length one, and behind them the
            shares of the bins that they belong to.
        whole: (1 or B, 1, BINS) shares of the bins in the whole image.
    """

    coarse: Tensor
    coarse_unit: Tensor
    stride8: Tensor
    stride4: Tensor
    looks: Tensor
    whole: Tensor


class TinyMaskDecoder(MaskDecoder):
    """Reads the embeddings of ``TinyImageEncoder`` and ``TinyPromptEncoder``.

    Args:
        channels: layout of the image embedding.
        transformer: updates tokens and image together.
    """

    def __init__(self, channels: TinyChannels, transformer: TwoWayTransformer) -> None:
        super().__init__(channels.coarse, transformer, iou_head_dim=128)
        self.channels = channels
        self.coarse_affinity = nn.Sequential(
            nn.Conv2d(WEIGHTS, 32, kernel_size=3, padding=1),
            nn.GELU(),
            nn.Conv2d(32, channels.coarse, kernel_size=1),
        )
        self.fine_affinity = nn.Conv2d(WEIGHTS, channels.stride4, kernel_size=1)
        self.bins = nn.Conv2d(channels.stride4, BINS, kernel_size=1)
        self.fine_likelihood = nn.Conv2d(WEIGHTS, channels.stride4, kernel_size=1)

    def prepare(self, image_embeddings: Tensor) -> TinyImage:
        """The image's cells at all strides, and the appearance of each."""
        coarse, stride8, stride4 = self.channels.cells(image_embeddings)
        unit = F.normalize(stride4, dim=2)
        shares = F.linear(stride4, self.bins.weight.flatten(1), self.bins.bias).softmax(2)
        return TinyImage(
            image_embeddings,
            coarse,
            F.normalize(coarse, dim=2),
            stride8,
            stride4,
            torch.cat((unit, shares), 2),
            shares.mean(1, keepdim=True),
        )

    def image_tokens(self, seen: PreparedImage, dense: Tensor) -> Tensor:
        """Image, drawn prompt and coarse affinity, (B, C, h, w)."""
        assert isinstance(seen, TinyImage)
        drawn, weights = self._split(crop(dense, seen.embeddings))
        pooled = weights.unflatten(1, (WEIGHTS, -1)).sum(2)  # stride 4 to stride 16
        alike = _alike(seen.coarse_unit, pooled.flatten(2)).unflatten(2, drawn.shape[2:])
        gather, act, out = self.coarse_affinity
        assert isinstance(out, nn.Conv2d)
        alike = act(gather(alike)).permute(0, 2, 3, 1)  # (B, h, w, 32)
        alike = F.linear(alike, out.weight.flatten(1), out.bias)
        coarse = seen.coarse.unflatten(1, drawn.shape[2:])
        return (coarse + drawn.permute(0, 2, 3, 1) + alike).permute(0, 3, 1, 2)

    def read_masks(
        self, src: Tensor, kernels: Tensor, seen: PreparedImage, dense: Tensor
    ) -> Tensor:
        """Up-sample with the high-resolution features and read the masks.

        Returns:
            Logits (B, M, 4h, 4w) for the (h, w) cells of the prompt's maps; right of and below
            the image they are those of its edge.
        """
        assert isinstance(seen, TinyImage)
        to8, norm, act, to4, last_act = self.output_upscaling
        assert isinstance(to8, nn.ConvTranspose2d) and isinstance(to4, nn.ConvTranspose2d)
        assert isinstance(norm, LayerNorm2d)
        x = spread(src, to8).flatten(1, 4) + seen.stride8  # (B, h * w * 4, C8)
        x = act(F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps))
        read = self._resemblance(seen, crop(dense, seen.embeddings))
        read = read.unflatten(1, (-1, 4)).flatten(2)  # (B, h * w * 4, 16)
        # What a quarter's own four read: each its own, so the weights stand on a diagonal.
        own = torch.block_diag(*[self._resemblance_weight()] * 4)
        weight = torch.cat((spread_weight(to4).flatten(0, 2).T, own))  # (C8 + 16, 4 * C4)
        x = _add_product(self._stride4(seen, to4), torch.cat((x, read), 2), weight)
        x = last_act(x).unflatten(2, (4, -1)).flatten(1, 2)  # (B, h * w * 16, C4)
        masks = in_picture_order(kernels @ x.transpose(1, 2), src.shape[1:3])
        right, below = (4 * dense.shape[i] - masks.shape[i] for i in (3, 2))
        return F.pad(masks, (0, right, 0, below), mode="replicate")

    def _resemblance(self, seen: TinyImage, dense: Tensor) -> Tensor:
        """How each part of a cell is like what the prompt vouches for, (B, h * w * 16, 2 * K)."""
        weights = parts_of_cells(self._split(dense)[1], WEIGHTS).transpose(1, 2)  # (B, K, N)
        width = self.channels.stride4
        sums = _times(weights, seen.looks)  # (B, K, C4 + BINS)
        prototypes = F.normalize(sums[..., :width], dim=2)
        mass = weights.sum(2, keepdim=True)
        ratios = _ratios(sums[..., width:], mass, seen.whole)
        # Rows that read the appearance of a part, and those that read its bins. It lies in several
        # bins: the mean of their logarithms, which is cheaper than its own.
        readers = torch.cat((F.pad(prototypes, (0, BINS)), F.pad(ratios, (width, 0))), 1)
        return _times(readers, seen.looks.transpose(1, 2)).transpose(1, 2).contiguous()

    def _resemblance_weight(self) -> Tensor:
        """The two heads that read the resemblance, as one (2 * K, C4)."""
        heads = self.fine_affinity, self.fine_likelihood
        return torch.cat([head.weight.flatten(1) for head in heads], 1).T

    def _stride4(self, seen: TinyImage, to4: nn.ConvTranspose2d) -> Tensor:
        """The features of each quarter's four parts and all biases, (1 or B, 4hw, 4 * C4)."""
        bias = torch.zeros_like(self.bins.weight[0, :, 0, 0])
        for layer in (to4, self.fine_affinity, self.fine_likelihood):
            assert layer.bias is not None
            bias = bias + layer.bias
        return (seen.stride4 + bias).unflatten(1, (-1, 4)).flatten(2)

    def _split(self, dense: Tensor) -> tuple[Tensor, Tensor]:
        return dense[:, : self.channels.coarse], dense[:, self.channels.coarse :]


def affinity(features: Tensor, weights: Tensor) -> Tensor:
    """Resemblance of every cell to the cells that a prompt vouches for.

    Args:
        features: (1 or B, C, h, w).
        weights: (B, K, h, w) non-negative; the weighted mean over the cells is the prototype.

    Returns:
        (B, K, h, w) cosine in -1..1; zero where a map of weights is empty.
    """
    unit = F.normalize(features, dim=1).flatten(2).transpose(1, 2)
    return _alike(unit, weights.flatten(2)).unflatten(2, features.shape[2:])


def _alike(unit: Tensor, weights: Tensor) -> Tensor:
    """Cosines (B, K, N) of features (1 or B, N, C) to the means by weights (B, K, N)."""
    prototypes = F.normalize(_times(weights, unit), dim=2)  # (B, K, C)
    return _times(prototypes, unit.transpose(1, 2))


def _ratios(filled: Tensor, mass: Tensor, whole: Tensor) -> Tensor:
    """Logarithms of how much likelier the bins are than in the whole image.

    Args:
        filled: (B, K, N) the bins' sums by weights.
        mass: (B, K, 1) sum of the weights.
        whole: (1 or B, 1, N) shares in the whole image.
    """
    ratios = ((filled / mass.clamp(min=1e-6) + RARE) / (whole + RARE)).log()
    return ratios * (mass > 0)


def _times(a: Tensor, b: Tensor) -> Tensor:
    """(B, K, M) @ (1 or B, M, N), without a copy of the one for each of the many."""
    return (a.flatten(0, 1) @ b[0]).unflatten(0, a.shape[:2]) if len(b) == 1 else a @ b


def _add_product(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """(1 or B, N, D) + (B, N, C) @ (C, D): in one pass, unless autocast would round the sum."""
    if torch.is_autocast_enabled(x.device.type):
        return x + a @ b
    return torch.baddbmm(x, a, b.expand(len(a), -1, -1))
