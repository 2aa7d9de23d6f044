"""Every object of a picture, without prompts: a grid of clicks, and what is left after filters.

The automatic mask generation of SAM (section 5 and appendix B), with the results of the reference
code. What makes it faster: the decoder shares what is equal for all clicks
(:class:`sam_ros.model.transformer.SharedImage`), a hypothesis of a low predicted IoU never becomes
a mask, and of the others only the window around the mask is brought to the picture's resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from sam_ros.engine import ranking
from sam_ros.engine.boxes import tight_box
from sam_ros.engine.candidates import Candidate, Search, outermost_box
from sam_ros.engine.config import EverythingConfig
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.grid import Crop, Size, crops_of
from sam_ros.engine.hypothesis import Hypothesis
from sam_ros.engine.nms import box_nms, mask_nms
from sam_ros.engine.prompt import Prompt
from sam_ros.engine.regions import remove_small_regions
from sam_ros.engine.segmenter import Segmenter
from sam_ros.engine.transform import Transform

__all__ = ["EverythingConfig", "Steps", "everything_steps", "segment_everything"]

Steps = Generator[float, None, list[Hypothesis]]
Picture = npt.NDArray[np.uint8]


class Cancelled(Exception):
    """The caller of :func:`segment_everything` did not want to wait any longer."""


def segment_everything(
    segmenter: Segmenter,
    rgb: Picture,
    config: EverythingConfig,
    on_progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Hypothesis]:
    """Segment every object of a picture.

    Args:
        segmenter: the model; of its config only ``max_area_fraction`` is read.
        rgb: (H, W, 3) uint8.
        config: thresholds and the grid.
        on_progress: called after each batch with the share of the work that is done, 0..1.
        cancelled: asked after each batch.

    Returns:
        The masks, best first; ``parent`` is an index in this list.

    Raises:
        ValueError: ``rgb`` is something else.
        Cancelled: ``cancelled`` said so.
    """
    steps = everything_steps(segmenter, rgb, config)
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return end.value
        if on_progress is not None:
            on_progress(progress)
        if cancelled is not None and cancelled():
            raise Cancelled("segment_everything was cancelled")


@torch.inference_mode()
def everything_steps(
    segmenter: Segmenter,
    rgb: Picture,
    config: EverythingConfig,
    embedding: Embedding | None = None,
) -> Steps:
    """As :func:`segment_everything`, in steps, so that the model can do other work in between.

    Args:
        segmenter: the model.
        rgb: (H, W, 3) uint8.
        config: thresholds and the grid.
        embedding: of ``rgb``, if it is there already.

    Yields:
        After each encoding and each batch: the share of the work that is done, 0..1.

    Returns:
        The masks, best first.
    """
    size = (rgb.shape[0], rgb.shape[1])
    crops = list(crops_of(size, config.crop_n_layers, config.crop_overlap_ratio))
    batches = [list(_batches(crop, config)) for crop in crops]
    total, done = sum(map(len, batches)), 0
    found: list[Candidate] = []
    for crop, grid in zip(crops, batches, strict=True):
        if embedding is None or crop.layer:
            part = np.ascontiguousarray(rgb[crop.y0 : crop.y1, crop.x0 : crop.x1])
            embedding = segmenter.set_image(part)
            yield done / total
        search = Search(segmenter, embedding, crop, size, config)
        in_crop: list[Candidate] = []
        for points in grid:
            in_crop += search(points)
            done += 1
            yield done / total
        found += _best_of_crop(in_crop, config)
    return _finish(_best_of_crops(found, len(crops), config), size, segmenter, config)


def _batches(crop: Crop, config: EverythingConfig) -> Iterator[npt.NDArray[np.float64]]:
    per_side = config.points_per_side // config.crop_n_points_downscale_factor**crop.layer
    points = crop.points(max(1, per_side))
    for start in range(0, len(points), config.points_per_batch):
        yield points[start : start + config.points_per_batch]


def _best_of_crop(found: Sequence[Candidate], config: EverythingConfig) -> list[Candidate]:
    scores = np.array([item.predicted_iou for item in found], np.float32)
    return [found[index] for index in box_nms(_boxes(found), scores, config.box_nms_thresh)]


def _best_of_crops(
    found: Sequence[Candidate], crops: int, config: EverythingConfig
) -> Sequence[Candidate]:
    """Of masks that different crops found, those of the smallest crop."""
    if crops == 1:
        return found
    scores = np.array([1 / np.prod(item.crop.size) for item in found], np.float32)
    return [found[index] for index in box_nms(_boxes(found), scores, config.crop_nms_thresh)]


def _boxes(found: Sequence[Candidate]) -> npt.NDArray[np.float32]:
    return np.array([item.box for item in found], np.float32).reshape(-1, 4)


def _finish(
    found: Sequence[Candidate], size: Size, segmenter: Segmenter, config: EverythingConfig
) -> list[Hypothesis]:
    """Clean the masks, drop what has become equal, measure, sort and nest the rest."""
    masks = [item.full(size) for item in found]
    if config.min_mask_region_area:
        found, masks = _cleaned(found, masks, config)
    sizes = [int(np.count_nonzero(mask)) for mask in masks]
    items = [
        _hypothesis(item, mask, area, segmenter)
        for item, mask, area in zip(found, masks, sizes, strict=True)
        if area >= config.min_mask_area
    ]
    if config.mask_nms_thresh < 1:
        stays = mask_nms([item.mask for item in items], config.mask_nms_thresh)
        items = [items[index] for index in stays]
    items.sort(key=lambda item: (item.score, item.predicted_iou), reverse=True)
    parents = ranking.parents(items)
    return [replace(item, parent=parent) for item, parent in zip(items, parents, strict=True)]


def _cleaned(
    found: Sequence[Candidate], masks: Sequence[npt.NDArray[np.bool_]], config: EverythingConfig
) -> tuple[list[Candidate], list[npt.NDArray[np.bool_]]]:
    """Without small regions; of masks that are alike, one that needed no cleaning stays."""
    cleaned = [remove_small_regions(mask, config.min_mask_region_area) for mask in masks]
    untouched = [new is old for new, old in zip(cleaned, masks, strict=True)]
    boxes = np.array([outermost_box(mask) for mask in cleaned], np.float32).reshape(-1, 4)
    threshold = max(config.box_nms_thresh, config.crop_nms_thresh)
    stays = box_nms(boxes, np.array(untouched, np.float32), threshold)
    return [found[index] for index in stays], [cleaned[index] for index in stays]


def _hypothesis(
    item: Candidate, mask: npt.NDArray[np.bool_], area: int, segmenter: Segmenter
) -> Hypothesis:
    found = Hypothesis(
        mask=mask,
        score=0.0,
        predicted_iou=min(max(item.predicted_iou, 0.0), 1.0),
        stability=item.patch.stability,
        area=area,
        box=tight_box(mask),
        parent=-1,
        logits=_logits(item, mask, segmenter),
    )
    trusted = segmenter.config.max_area_fraction
    return replace(found, score=ranking.score(Prompt(), found, trusted))


def _logits(
    item: Candidate, mask: npt.NDArray[np.bool_], segmenter: Segmenter
) -> npt.NDArray[np.float32]:
    """The logits as a mask prompt on the whole picture; a crop's own would not fit it."""
    low = item.logits
    if item.crop.layer:
        sam = segmenter.sam
        transform = Transform((mask.shape[0], mask.shape[1]), sam.image_size)
        low = transform.mask_logits(mask, sam.prompt_encoder.mask_input_size)[0, 0]
    return low.float().cpu().numpy()
