"""The reference's mask generator, run on its own models and on ours, as pictures of masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sam_ros.model import Sam
from sam_ros.model.prompt_encoder import PromptEncoder

Mask = npt.NDArray[np.bool_]


class AsReference(nn.Module):
    """One of our models with the interface that the reference's predictor expects.

    Args:
        sam: our model.
        reference: the package segment_anything.
    """

    image_format = "RGB"

    def __init__(self, sam: Sam, reference: Any) -> None:
        super().__init__()
        self.image_encoder, self.prompt_encoder = sam.image_encoder, _Float(sam.prompt_encoder)
        self.mask_decoder, self.mask_threshold = sam.mask_decoder, sam.mask_threshold
        self.preprocess, self.device = sam.preprocess, sam.device
        self.image_encoder.img_size = sam.image_size
        self._postprocess = reference.modeling.Sam.postprocess_masks

    def postprocess_masks(self, masks: Tensor, input_size: Any, original_size: Any) -> Tensor:
        return self._postprocess(self, masks, input_size, original_size)


class _Float(nn.Module):
    """Our prompt encoder on the generator's clicks, which come in float64."""

    def __init__(self, encoder: PromptEncoder) -> None:
        super().__init__()
        self.encoder, self.get_dense_pe = encoder, encoder.get_dense_pe

    def forward(self, points: tuple[Tensor, Tensor], boxes: None, masks: None) -> Any:
        return self.encoder((points[0].float(), points[1]), boxes, masks)


def nms(boxes: Tensor, scores: Tensor, categories: Tensor, iou_threshold: float) -> Tensor:
    """What torchvision's batched_nms does, for boxes of one category, pair by pair."""
    assert not categories.any()
    stays: list[int] = []
    for index in scores.sort(descending=True, stable=True).indices.tolist():
        if all(not iou(boxes[index], boxes[other]) > iou_threshold for other in stays):
            stays.append(index)
    return torch.tensor(stays, dtype=torch.int64)


def iou(a: Tensor, b: Tensor) -> Tensor:
    sides = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0)
    common = sides.prod()
    return common / (box_area(a[None])[0] + box_area(b[None])[0] - common)


def box_area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def generate(
    reference: Any, model: Any, rgb: npt.NDArray[np.uint8], **settings: Any
) -> list[dict[str, Any]]:
    """What the reference's generator finds."""
    module = reference.automatic_mask_generator
    module.batched_nms, module.box_area = nms, box_area
    return list(reference.SamAutomaticMaskGenerator(model, **settings).generate(rgb))


def same(a: Mask, b: Mask) -> float:
    """IoU of two masks, 1 where both are empty."""
    union = np.count_nonzero(a | b)
    return float(np.count_nonzero(a & b) / union) if union else 1.0
