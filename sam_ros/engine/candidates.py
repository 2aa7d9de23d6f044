"""The masks that a batch of clicks leaves after the filters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import Tensor

from sam_ros.engine.boxes import tight_box
from sam_ros.engine.config import EverythingConfig
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.grid import Crop, Size
from sam_ros.engine.grid_decoder import GridDecoder
from sam_ros.engine.segmenter import Segmenter
from sam_ros.engine.upsampling import Patch, Upsampler

EDGE = 20  # pixels: a mask that comes so close to an edge of its crop is probably cut off there


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mask that passed the filters of its batch.

    Attributes:
        patch: its window in the crop.
        crop: that it was found in.
        predicted_iou: as the decoder gave it.
        logits: (h, w) of the crop, on the device.
        box: (4,) x0, y0, x1, y1 of its outermost pixels in the picture; zeros at the crop's
            corner when the mask is empty.
    """

    patch: Patch
    crop: Crop
    predicted_iou: float
    logits: Tensor
    box: npt.NDArray[np.float32]

    def full(self, size: Size) -> npt.NDArray[np.bool_]:
        """The mask as (H, W) bool of the picture."""
        patch = replace(self.patch, x=self.patch.x + self.crop.x0, y=self.patch.y + self.crop.y0)
        return patch.full(size)


class Search:
    """Finds masks in one crop, a batch of clicks at a time.

    Args:
        segmenter: the model.
        embedding: of the crop.
        crop: part of the picture.
        size: (H, W) of the picture.
        config: the filters.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        embedding: Embedding,
        crop: Crop,
        size: Size,
        config: EverythingConfig,
    ) -> None:
        sam = segmenter.sam
        self._threshold, self._crop, self._size, self._config = (
            sam.mask_threshold, crop, size, config,
        )  # fmt: skip
        self._decoder = GridDecoder(sam, embedding)
        low_size = sam.prompt_encoder.mask_input_size
        self._upsampler = Upsampler(embedding.transform, low_size, embedding.features.device)

    def __call__(self, points: npt.NDArray[np.float64]) -> list[Candidate]:
        """The masks of (B, 2) clicks in pixels of the crop that pass the filters."""
        config = self._config
        logits, quality = self._decoder(points, config.pred_iou_thresh)
        patches = self._upsampler(logits, self._threshold, config.stability_score_offset)
        return [
            Candidate(patch, self._crop, iou, low.clone(), box)
            for patch, iou, low in zip(patches, quality.float().tolist(), logits, strict=True)
            if np.float32(patch.stability) >= np.float32(config.stability_score_thresh)
            and not cut_off(box := _box(patch, self._crop), self._crop, self._size)
        ]


def cut_off(box: npt.NDArray[np.float32], crop: Crop, size: Size) -> bool:
    """Whether a mask is near an edge of its crop that is not near an edge of the picture.

    Args:
        box: (4,) of its outermost pixels in the picture.
        crop: that it was found in.
        size: (H, W) of the picture.
    """
    edges = np.array((crop.x0, crop.y0, crop.x1, crop.y1))
    limits = np.array((0, 0, size[1], size[0]))
    near_crop, near_picture = np.abs(box - edges) <= EDGE, np.abs(box - limits) <= EDGE
    return bool((near_crop & ~near_picture).any())


def _box(patch: Patch, crop: Crop) -> npt.NDArray[np.float32]:
    """The box in the picture; at the crop's corner when the mask is empty."""
    inside = outermost_box(patch.mask, patch.x, patch.y)
    return (inside + np.array((crop.x0, crop.y0) * 2)).astype(np.float32)


def outermost_box(mask: npt.NDArray[np.bool_], x: int = 0, y: int = 0) -> npt.NDArray[np.float32]:
    """The box (4,) through the centres of a mask's outermost pixels; zeros when it is empty.

    The reference's boxes are these, one pixel smaller than those through the outer edges.

    Args:
        mask: window of the mask.
        x: column of its first pixel.
        y: row of its first pixel.
    """
    box = tight_box(mask)
    if not box.any():
        return box
    return (box + np.array((0.5 + x, 0.5 + y, x - 0.5, y - 0.5))).astype(np.float32)
