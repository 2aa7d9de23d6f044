"""Which of several masks is meant, and whether that is clear.

The predicted IoU alone is not trusted: it is over-confident on huge masks. The score multiplies it
with what can be checked: how firm the mask's boundary is, whether the mask does what the prompt
said, and how likely its size is. Why each is there: docs/decisions/0004-ranking.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sam_ros.engine.boxes import Box, box_iou, intersect, pixels_of, tight_box
from sam_ros.engine.config import EngineConfig
from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.prompt import FOREGROUND, Prompt

Mask = npt.NDArray[np.bool_]

STABILITY_WEIGHT = 0.5  # a mask with no stability at all keeps half its score
POINTS_WEIGHT = 0.9  # a mask that is wrong about every point keeps a tenth
OUTLINE_WEIGHT = 0.5  # boxes and masks in prompts are rough: no overlap at all keeps half
SMALL_FRACTION = 0.2  # of the frame: up to here a mask from one click is not large
LARGE_PRIOR = 0.5  # prior at the largest fraction that is believed ...
BEYOND_PRIOR = 0.1  # ... and above it

CONTAINED = 0.95  # share of a mask that lies inside a mask which contains it
BLOCK = 32  # pixels along a block in which pixels are counted
FEW = 8  # masks that are compared without counting
SAME_SIZE = 0.8  # smaller over larger area, above which two masks are of one size


def rank(prompt: Prompt, candidates: Sequence[Hypothesis], config: EngineConfig) -> Hypotheses:
    """Score and sort the masks that answer one prompt, and nest them.

    Masks that are nearly equal all stay: the decoder's three answers are not thinned out, and two
    masks of one size never make an answer ambiguous.

    Args:
        prompt: that the masks answer.
        candidates: at least one, cleaned; their scores and parents are not looked at.
        config: ``max_area_fraction`` and ``ambiguity_margin`` are used.
    """
    scored = [
        replace(item, score=score(prompt, item, config.max_area_fraction)) for item in candidates
    ]
    scored.sort(key=lambda item: (item.score, item.predicted_iou), reverse=True)
    items = tuple(
        replace(item, parent=parent) for item, parent in zip(scored, parents(scored), strict=True)
    )
    return Hypotheses(items, ambiguous=is_ambiguous(items, config.ambiguity_margin))


def score(prompt: Prompt, item: Hypothesis, max_area_fraction: float) -> float:
    """The ranking key of one mask, 0..1; 0 when the mask is empty."""
    if not item.area:
        return 0.0
    prior = 1.0
    if is_single_click(prompt):
        prior = area_prior(item.area / item.mask.size, max_area_fraction)
    trust = _soften(item.stability, STABILITY_WEIGHT)
    return item.predicted_iou * trust * prompt_agreement(prompt, item) * prior


def prompt_agreement(prompt: Prompt, item: Hypothesis) -> float:
    """How far the mask does what the points, the box and the mask of its prompt say, 0..1."""
    agreement = _soften(points_agreement(item.mask, prompt), POINTS_WEIGHT)
    if prompt.box is not None:
        agreement *= _soften(box_iou(item.box, prompt.box), OUTLINE_WEIGHT)
    if prompt.mask is not None and prompt.logits is None:
        agreement *= _soften(mask_agreement(item, prompt.mask), OUTLINE_WEIGHT)
    return agreement


def points_agreement(mask: Mask, prompt: Prompt) -> float:
    """Share of the points that lie on their side: foreground inside, background outside.

    1 without points.
    """
    if not len(prompt.points):
        return 1.0
    x, y = pixels_at(prompt.points, mask.shape).T
    return float(np.mean(mask[y, x] == (prompt.labels == FOREGROUND)))


def mask_agreement(item: Hypothesis, prior: Mask) -> float:
    """IoU of a mask with the rough mask of its prompt, 0..1."""
    common = _overlap(item.mask, item.box, prior, tight_box(prior))
    union = item.area + int(np.count_nonzero(prior)) - common
    return common / union if union else 0.0


def is_single_click(prompt: Prompt) -> bool:
    """Whether nothing but one foreground point, at most, says how large the object is."""
    outlined = any(part is not None for part in (prompt.box, prompt.mask, prompt.logits))
    return not outlined and int(np.count_nonzero(prompt.labels == FOREGROUND)) <= 1


def area_prior(fraction: float, max_fraction: float) -> float:
    """How likely one click means a mask of this size, 0..1.

    Args:
        fraction: of the frame that the mask covers.
        max_fraction: above it a mask is hardly ever meant.
    """
    if fraction > max_fraction:
        return BEYOND_PRIOR
    if fraction <= SMALL_FRACTION:
        return 1.0
    return 1.0 - (1.0 - LARGE_PRIOR) * (fraction - SMALL_FRACTION) / (
        max_fraction - SMALL_FRACTION
    )


def parents(items: Sequence[Hypothesis]) -> list[int]:
    """For each mask the index of the smallest larger one that contains it, -1 for none."""
    areas = np.array([item.area for item in items], np.int64)
    by_area = np.argsort(areas, kind="stable")
    bounds = _most_in_common(items)
    found = []
    for index, inner in enumerate(items):
        may = (areas > inner.area) & (bounds[index] >= CONTAINED * inner.area)
        outer = (int(j) for j in by_area[may[by_area]] if contains(items[j], inner))
        found.append(next(outer, -1))
    return found


def _most_in_common(items: Sequence[Hypothesis]) -> npt.NDArray[np.float64]:
    """(N, N) pixels that two masks share at most, by how many each has in every block.

    Counting blocks is for crowds: the few masks of a prompt are sooner compared themselves.
    """
    if len(items) <= FEW:
        return np.full((len(items), len(items)), np.inf)
    blocks = np.stack([_counts(item.mask) for item in items])
    return np.stack([np.minimum(blocks, own).sum(1, dtype=np.float64) for own in blocks])


def _counts(mask: Mask) -> npt.NDArray[np.int32]:
    """Pixels of a (H, W) mask in each block of BLOCK x BLOCK."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % BLOCK), (0, -width % BLOCK)))
    rows = padded.reshape(-1, BLOCK, padded.shape[1]).sum(1, dtype=np.int32)
    return rows.reshape(len(rows), -1, BLOCK).sum(2, dtype=np.int32).ravel()


def contains(outer: Hypothesis, inner: Hypothesis) -> bool:
    """Whether a larger mask holds another one, but for a ragged edge."""
    if not 0 < inner.area < outer.area:
        return False
    common = _overlap(outer.mask, outer.box, inner.mask, inner.box)
    return common >= CONTAINED * inner.area


def is_ambiguous(items: Sequence[Hypothesis], margin: float) -> bool:
    """Whether a mask of another size comes close to the best one.

    Args:
        items: best first.
        margin: of the score; closer than this is close.
    """
    best = items[0]
    rivals = (item for item in items[1:] if item.area and best.score - item.score < margin)
    return any(not _same_size(best.area, item.area) for item in rivals)


def pixels_at(points: npt.NDArray[np.float32], size: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """The pixels (N, 2) x, y that hold points (N, 2) x, y of an image of (H, W)."""
    limit = (size[1] - 1, size[0] - 1)
    pixels: npt.NDArray[np.int64] = np.clip(np.floor(points + 0.5), 0, limit).astype(np.int64)
    return pixels


def _overlap(a: Mask, box_a: Box, b: Mask, box_b: Box) -> int:
    """Pixels in both masks, counted where their boxes meet."""
    window = pixels_of(intersect(box_a, box_b))
    return int(np.count_nonzero(a[window] & b[window]))


def _same_size(a: int, b: int) -> bool:
    return min(a, b) > SAME_SIZE * max(a, b)


def _soften(value: float, weight: float) -> float:
    """Let an ingredient of 0..1 take away at most ``weight`` of the score."""
    return 1.0 - weight * (1.0 - value)
