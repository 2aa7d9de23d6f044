"""The mask decoder of ``sam_tiny``: the paper's, with high-resolution features and resemblance.

Three additions. The encoder's stride-8 and stride-4 features join the up-sampling (as in SAM 2).
Every pixel is told how much it resembles the pixels that the prompt vouches for, by the angle to
their mean and by the histogram of their appearance (as GrabCut's colour models tell, with learned
bins in place of colours). And the image may have fewer cells than the prompt's maps: what lies
right of it or below it is padding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_ros.model.layers import crop
from sam_ros.model.mask_decoder import MaskDecoder
from sam_ros.model.tiny_image_encoder import TinyChannels
from sam_ros.model.tiny_prompt_encoder import WEIGHTS
from sam_ros.model.transformer import TwoWayTransformer

BINS = 64  # of a histogram of appearance
RARE = 1e-3  # added to the share of a bin, so that what was never seen is unlikely only


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

    def image_tokens(self, image_embeddings: Tensor, dense: Tensor) -> Tensor:
        """Image, drawn prompt and coarse affinity, (B, C, h, w)."""
        coarse = image_embeddings[:, : self.channels.coarse]
        drawn, weights = self._split(crop(dense, coarse))
        pooled = weights.unflatten(1, (WEIGHTS, -1)).sum(2)  # stride 4 to stride 16
        return coarse + drawn + self.coarse_affinity(affinity(coarse, pooled))

    def read_masks(
        self, src: Tensor, kernels: Tensor, image_embeddings: Tensor, dense: Tensor
    ) -> Tensor:
        """Up-sample with the high-resolution features and read the masks.

        Returns:
            Logits (B, M, 4h, 4w) for the (h, w) cells of the prompt's maps; right of and below
            the image they are those of its edge.
        """
        _, stride8, stride4 = self.channels.unfold(image_embeddings)
        weights = F.pixel_shuffle(self._split(crop(dense, image_embeddings))[1], 4)
        alike = self.fine_affinity(affinity(stride4, weights))
        alike = alike + self.fine_likelihood(likelihood(self.bins(stride4), weights))
        to8, norm, act, to4, last_act = self.output_upscaling
        x = act(norm(to8(src.permute(0, 3, 1, 2)) + stride8))
        x = to4(x) + stride4 + alike
        masks = torch.einsum("bmc,bchw->bmhw", kernels, last_act(x))
        right, below = (4 * dense.shape[i] - masks.shape[i] for i in (3, 2))
        return F.pad(masks, (0, right, 0, below), mode="replicate")

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
    unit = F.normalize(features, dim=1).flatten(2)  # (1 or B, C, hw)
    prototypes = F.normalize(_times(weights.flatten(2), unit.transpose(1, 2)), dim=2)  # (B, K, C)
    return _times(prototypes, unit).unflatten(2, features.shape[2:])


def likelihood(bins: Tensor, weights: Tensor) -> Tensor:
    """How much likelier every cell's appearance is among the cells that a prompt vouches for.

    Args:
        bins: (1 or B, N, h, w) logits of the bins that a cell belongs to.
        weights: (B, K, h, w) non-negative; each map fills one histogram over the bins.

    Returns:
        (B, K, h, w) logarithm of the ratio to the whole image's histogram; zero where a map of
        weights is empty.
    """
    shares = bins.flatten(2).softmax(1)  # (1 or B, N, hw)
    whole = shares.mean(2, keepdim=True)
    flat = weights.flatten(2)
    mass = flat.sum(2, keepdim=True)
    filled = _times(flat, shares.transpose(1, 2)) / mass.clamp(min=1e-6)  # (B, K, N)
    ratios = ((filled + RARE) / (whole.transpose(1, 2) + RARE)).log()
    # A cell lies in several bins: the mean of their logarithms, which is cheaper than its own.
    return _times(ratios * (mass > 0), shares).unflatten(2, bins.shape[2:])


def _times(a: Tensor, b: Tensor) -> Tensor:
    """(B, K, M) @ (1 or B, M, N), without a copy of the one for each of the many."""
    return (a.flatten(0, 1) @ b[0]).unflatten(0, a.shape[:2]) if len(b) == 1 else a @ b
