"""The node `sam` with a model that takes no time: what its answers still cost is ROS.

It finds the real masks once for each size of picture and number of prompts, and gives them again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sam_ros.engine import Prompt, Segmenter
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.hypothesis import Hypotheses
from sam_ros.nodes.loading import load_segmenter
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.sam_node import main


class Replay(Segmenter):
    """Encodes one picture of each size and answers each number of prompts on it once."""

    def __init__(self, real: Segmenter) -> None:
        super().__init__(real.sam, real.config, real.encoder)
        self._embeddings: dict[tuple[int, ...], Embedding] = {}
        self._answers: dict[tuple[int, ...], list[Hypotheses]] = {}

    def set_images(self, pictures: Sequence[npt.NDArray[np.uint8]]) -> list[Embedding]:
        """The embedding of the first picture of the same size, for each."""
        for rgb in pictures:
            if rgb.shape not in self._embeddings:
                self._embeddings[rgb.shape] = super().set_images([rgb])[0]
        return [self._embeddings[rgb.shape] for rgb in pictures]

    def segment(self, embedding: Embedding, prompts: Sequence[Prompt]) -> list[Hypotheses]:
        """The answers to the first prompts of that number on a picture of that size."""
        key = (*embedding.size, len(prompts))
        if key not in self._answers:
            self._answers[key] = super().segment(embedding, prompts)
        return self._answers[key]


def load(parameters: Parameters) -> Replay:
    """The model of the parameters, warm."""
    return Replay(load_segmenter(parameters))


if __name__ == "__main__":
    sys.exit(main(load=load))
