"""The engine's settings; all of them may change between two calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineConfig:
    """How prompts are decoded and their masks cleaned and ranked.

    Attributes:
        multimask: True for three masks per prompt, False for one. None as the paper does: a lone
            point is ambiguous and gets three, anything else one.
        max_area_fraction: 0..1 of the frame; a mask from one click that is larger is hardly
            believed, one near it less than a small one.
        stability_offset: logits above and below the threshold at which a mask is cut to see how
            stable it is; greater than 0.
        min_area_px: islands and holes of fewer pixels are removed; 0 keeps all.
        sharpen: whether boundaries are moved to the picture's edges. None: of soft models' masks.
        ambiguity_margin: 0..1; a runner-up of another size whose score is less than this behind
            the best makes the answer ambiguous.
        prompts_per_batch: decoded at once at most, which bounds the memory.

    Raises:
        ValueError: a setting is out of its range.
    """

    multimask: bool | None = None
    max_area_fraction: float = 0.95
    stability_offset: float = 1.0
    min_area_px: int = 64
    sharpen: bool | None = None
    ambiguity_margin: float = 0.15
    prompts_per_batch: int = 16

    def __post_init__(self) -> None:
        _check(
            "max_area_fraction", self.max_area_fraction, 0 < self.max_area_fraction <= 1, "0..1"
        )
        _check("stability_offset", self.stability_offset, self.stability_offset > 0, "above 0")
        _check("min_area_px", self.min_area_px, self.min_area_px >= 0, "at least 0")
        _check("ambiguity_margin", self.ambiguity_margin, 0 <= self.ambiguity_margin <= 1, "0..1")
        _check(
            "prompts_per_batch", self.prompts_per_batch, self.prompts_per_batch >= 1, "1 or more"
        )


@dataclass(frozen=True)
class EverythingConfig:
    """How everything in a picture is segmented; names and defaults as in the reference.

    Attributes:
        points_per_side: the grid of clicks has this many along x and along y.
        points_per_batch: clicks decoded at once at most, which bounds the memory.
        pred_iou_thresh: masks whose predicted IoU is not above it are dropped, 0..1; 0: none.
        stability_score_thresh: masks of a lower stability are dropped, 0..1; 0: none.
        stability_score_offset: logits above and below the threshold at which a mask is cut to see
            how stable it is; greater than 0.
        box_nms_thresh: of two masks from one crop whose boxes have a larger IoU, 0..1, the one
            with the lower predicted IoU is dropped.
        mask_nms_thresh: the same for the masks themselves, 0..1, at the end; 1: none. Not in the
            reference.
        crop_n_layers: the picture is also segmented in 4, 16, ... crops, for small objects.
        crop_nms_thresh: as ``box_nms_thresh``, between crops; the mask of a smaller crop stays.
        crop_overlap_ratio: overlap of the first layer's crops, 0..1 of the picture's short side.
        crop_n_points_downscale_factor: each layer's grid has so many times fewer points per side.
        min_mask_region_area: islands and holes of fewer pixels are removed; 0 keeps all.
        min_mask_area: masks of fewer pixels are dropped; 0 keeps all. Not in the reference.

    Raises:
        ValueError: a setting is out of its range.
    """

    points_per_side: int = 32
    points_per_batch: int = 64
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    mask_nms_thresh: float = 1.0
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    min_mask_region_area: int = 0
    min_mask_area: int = 0

    def __post_init__(self) -> None:
        for field in ("pred_iou", "stability_score", "box_nms", "mask_nms", "crop_nms"):
            value = getattr(self, f"{field}_thresh")
            _check(f"{field}_thresh", value, 0 <= value <= 1, "0..1")
        overlap, offset = self.crop_overlap_ratio, self.stability_score_offset
        _check("crop_overlap_ratio", overlap, 0 <= overlap <= 1, "0..1")
        _check("stability_score_offset", offset, offset > 0, "above 0")
        for name in ("points_per_side", "points_per_batch", "crop_n_points_downscale_factor"):
            _check(name, getattr(self, name), getattr(self, name) >= 1, "1 or more")
        for name in ("crop_n_layers", "min_mask_region_area", "min_mask_area"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "at least 0")


def _check(field: str, value: float, holds: bool, expected: str) -> None:
    if not holds:
        raise ValueError(f"{field}: {value:g}; expected {expected}")
