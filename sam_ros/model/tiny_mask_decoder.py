"""The mask decoder of ``sam_tiny``: the paper's, with high-resolution features and affinity.

Two additions: the encoder's stride-8 and stride-4 features join the up-sampling (as in SAM 2), and
every pixel is told how much it resembles the pixels that the prompt vouches for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_ros.model.mask_decoder import MaskDecoder
from sam_ros.model.tiny_image_encoder import TinyChannels
from sam_ros.model.tiny_prompt_encoder import WEIGHTS
from sam_ros.model.transformer import TwoWayTransformer


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

    def image_tokens(self, image_embeddings: Tensor, dense: Tensor) -> Tensor:
        """Image, drawn prompt and coarse affinity, (B, C, h, w)."""
        coarse = image_embeddings[:, : self.channels.coarse]
        drawn, weights = self._split(dense)
        pooled = weights.unflatten(1, (WEIGHTS, -1)).sum(2)  # stride 4 to stride 16
        return coarse + drawn + self.coarse_affinity(affinity(coarse, pooled))

    def read_masks(
        self, src: Tensor, kernels: Tensor, image_embeddings: Tensor, dense: Tensor
    ) -> Tensor:
        """Up-sample with the high-resolution features and read the masks, (B, M, 4h, 4w)."""
        _, stride8, stride4 = self.channels.unfold(image_embeddings)
        weights = F.pixel_shuffle(self._split(dense)[1], 4)
        to8, norm, act, to4, last_act = self.output_upscaling
        x = act(norm(to8(src.permute(0, 3, 1, 2)) + stride8))
        x = to4(x) + stride4 + self.fine_affinity(affinity(stride4, weights))
        return torch.einsum("bmc,bchw->bmhw", kernels, last_act(x))

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
    unit = F.normalize(features, dim=1).flatten(2).expand(len(weights), -1, -1)  # (B, C, hw)
    flat = weights.flatten(2)
    prototypes = F.normalize(flat @ unit.transpose(1, 2), dim=2)  # (B, K, C)
    return (prototypes @ unit).unflatten(2, features.shape[2:])
