"""Short ways to write prompts and hypotheses in tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sam_ros.engine.boxes import tight_box
from sam_ros.engine.hypothesis import Hypothesis
from sam_ros.engine.prompt import Prompt


def clicks(*points: tuple[float, float], labels: Any = None, **parts: Any) -> Prompt:
    """A prompt of points, all foreground unless labels are given."""
    chosen = [1] * len(points) if labels is None else labels
    xy = np.array(points, np.float32).reshape(-1, 2)
    return Prompt(points=xy, labels=np.array(chosen, np.int32), **parts)


def boxed(*corners: float, **parts: Any) -> Prompt:
    """A prompt of a box x0, y0, x1, y1."""
    return Prompt(box=np.array(corners, np.float32), **parts)


def rectangle(size: tuple[int, int], *corners: int) -> npt.NDArray[np.bool_]:
    """(H, W) bool, true in the pixels x0..x1 - 1, y0..y1 - 1."""
    x0, y0, x1, y1 = corners
    mask = np.zeros(size, np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def hypothesis(
    mask: npt.NDArray[np.bool_], predicted_iou: float = 0.9, stability: float = 0.95
) -> Hypothesis:
    """A measured mask, not yet ranked."""
    return Hypothesis(
        mask=mask,
        score=0.0,
        predicted_iou=predicted_iou,
        stability=stability,
        area=int(mask.sum()),
        box=tight_box(mask),
        parent=-1,
        logits=np.zeros((4, 4), np.float32),
    )
