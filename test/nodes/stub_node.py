"""The node `sam` with a segmenter whose answers are known: run as a process by the tests.

Pictures are coloured rectangles on black. The object under a prompt is the connected area of one
colour; a lone point also gets its left half and everything that is not black. A picture whose
first pixel is BREAK makes the segmenter fail, one whose first pixel is SLOW makes it sleep.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sam_ros.engine.boxes import tight_box
from sam_ros.engine.config import EngineConfig, EverythingConfig
from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.prompt import Prompt
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.sam_node import main

BREAK, SLOW = (13, 13, 13), (14, 14, 14)
SLEEP = 1.5  # seconds
BATCHES = 10
LOGITS_SIZE = (64, 64)

Mask = npt.NDArray[np.bool_]


class StubSegmenter:
    """Answers as a perfect model would, with the interface of Segmenter."""

    sam = SimpleNamespace(device="stub")
    runtime = encoder = "stub"
    most_together = 2
    overlaps = True

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.ballast = np.ones(200_000_000, np.uint8)  # a model's weights, to see them freed

    def beside(self, other: bool = True) -> AbstractContextManager[None]:
        return nullcontext()

    def set_images(self, pictures: Sequence[npt.NDArray[np.uint8]]) -> list[Any]:
        return [self._encode(rgb) for rgb in pictures]

    def _encode(self, rgb: npt.NDArray[np.uint8]) -> Any:
        if tuple(rgb[0, 0]) == BREAK:
            raise RuntimeError("the stub was asked to break")
        if tuple(rgb[0, 0]) == SLOW:
            time.sleep(SLEEP)
        return rgb.copy()

    def segment(self, rgb: npt.NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[Hypotheses]:
        return [self._answer(rgb, prompt) for prompt in prompts]

    def _answer(self, rgb: npt.NDArray[np.uint8], prompt: Prompt) -> Hypotheses:
        whole = _area_at(rgb, *_seed(prompt))
        lone = len(prompt.points) == 1 and prompt.box is None and prompt.logits is None
        lone = lone if self.config.multimask is None else self.config.multimask
        if not lone:
            return Hypotheses((hypothesis(whole, 0.9, -1),), False)
        everything = rgb.any(axis=2)
        left = whole & (np.arange(whole.shape[1]) < np.flatnonzero(whole.any(axis=0)).mean())
        masks = ((whole, 0.9, 1), (everything, 0.8, -1), (left, 0.7, 0))
        return Hypotheses(tuple(hypothesis(*item) for item in masks), True)


def _seed(prompt: Prompt) -> tuple[int, int]:
    """(x, y) of a pixel of the object."""
    if len(prompt.points):
        x, y = prompt.points[prompt.labels == 1][0]
    elif prompt.box is not None:
        x, y = (prompt.box[:2] + prompt.box[2:]) / 2
    else:
        assert prompt.mask is not None
        y, x = np.argwhere(prompt.mask).mean(axis=0)
    return round(float(x)), round(float(y))


def _area_at(rgb: npt.NDArray[np.uint8], x: int, y: int) -> Mask:
    same = (rgb == rgb[y, x]).all(axis=2).astype(np.uint8)
    _, numbers = cv2.connectedComponents(same, connectivity=4)
    return np.asarray(numbers == numbers[y, x])


def hypothesis(mask: Mask, score: float, parent: int) -> Hypothesis:
    small = cv2.resize(mask.astype(np.float32), LOGITS_SIZE[::-1], interpolation=cv2.INTER_AREA)
    return Hypothesis(
        mask=mask,
        score=score,
        predicted_iou=score,
        stability=score,
        area=int(mask.sum()),
        box=tight_box(mask),
        parent=parent,
        logits=(small - 0.5).astype(np.float32),
    )


def everything_steps(
    segmenter: StubSegmenter,
    rgb: npt.NDArray[np.uint8],
    config: EverythingConfig,
    embedding: npt.NDArray[np.uint8],
) -> Generator[float, None, list[Hypothesis]]:
    """Each area that is not black, the largest with the best score, after BATCHES steps."""
    for batch in range(BATCHES):
        if tuple(rgb[0, 0]) == SLOW:
            time.sleep(SLEEP / 5)
        yield (batch + 1) / BATCHES
    count, numbers = cv2.connectedComponents(rgb.any(axis=2).astype(np.uint8), connectivity=4)
    masks = sorted((numbers == number for number in range(1, count)), key=lambda m: -m.sum())
    scores = (0.9 - 0.2 * index for index in range(len(masks)))
    found = [hypothesis(mask, score, -1) for mask, score in zip(masks, scores) if mask.sum() > 1]
    return [
        item
        for item in found
        if item.predicted_iou > config.pred_iou_thresh and item.area >= config.min_mask_area
    ]


def replace_everything() -> None:
    """The module that the node imports when it is asked for everything, without torch."""
    module = ModuleType("sam_ros.engine.everything")
    module.__dict__["everything_steps"] = everything_steps
    sys.modules[module.__name__] = module


def load(parameters: Parameters) -> StubSegmenter:
    return StubSegmenter(parameters.engine_config())


if __name__ == "__main__":
    replace_everything()
    sys.exit(main(load=load))
