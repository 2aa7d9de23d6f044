"""The losses of SAM (appendix A): focal and dice for masks, squared error for the IoU head."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sam_ros.model.tiny_mask_decoder import affinity

AFFINITY_SCALE = 8.0  # a cosine c counts as the logit AFFINITY_SCALE * (c - AFFINITY_MIDDLE)
AFFINITY_MIDDLE = 0.5


def mask_loss(logits: Tensor, targets: Tensor, focal: float) -> Tensor:
    """Loss of each mask.

    Args:
        logits: (N, M, h, w).
        targets: (N, h, w) coverage 0..1.
        focal: 0 for 4 x cross entropy + dice (easier at the start), 1 for the paper's
            20 x focal + dice, between them a blend. Both classes weigh a half in the focal loss:
            with its paper's 0.25 for foreground, what is unsure falls out of the mask.

    Returns:
        (N, M).
    """
    target = targets[:, None].expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p = torch.sigmoid(logits)
    pixel = 4 * (1 - focal) * entropy
    if focal > 0:
        wrong = p + target - 2 * p * target  # 1 - p of the true class
        pixel = pixel + 10 * focal * wrong**2 * entropy
    overlap = 2 * (p * target).sum((2, 3)) + 1
    dice = 1 - overlap / (p.sum((2, 3)) + target.sum((2, 3)) + 1)
    return pixel.mean((2, 3)) + dice


def true_iou(logits: Tensor, targets: Tensor) -> Tensor:
    """IoU of thresholded (N, M, h, w) logits with (N, h, w) targets, (N, M) without gradient."""
    with torch.no_grad():
        mask, target = logits > 0, (targets > 0.5)[:, None]
        union = (mask | target).sum((2, 3)).clamp(min=1)
        return (mask & target).sum((2, 3)) / union


def affinity_loss(coarse: Tensor, targets: Tensor) -> Tensor:
    """Cells of one mask should look alike in the embedding, and unlike all others.

    Args:
        coarse: (B, C, h, w) stride-16 part of the embedding.
        targets: (B, P, 4h, 4w) coverage 0..1.

    Returns:
        A scalar; inside and outside of a mask weigh the same.
    """
    coverage = F.avg_pool2d(targets, 4)
    logits = AFFINITY_SCALE * (affinity(coarse, coverage) - AFFINITY_MIDDLE)
    entropy = F.binary_cross_entropy_with_logits(logits, coverage, reduction="none")
    inside = (entropy * coverage).sum((2, 3)) / coverage.sum((2, 3)).clamp(min=1e-3)
    outside = (entropy * (1 - coverage)).sum((2, 3)) / (1 - coverage).sum((2, 3)).clamp(min=1e-3)
    return (inside + outside).mean() / 2
