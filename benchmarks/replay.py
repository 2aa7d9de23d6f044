"""The node `sam` with a model that takes no time: what its answers still cost is ROS.

It finds the real masks once for each size of picture and number of prompts, and gives them again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sam_ros.nodes.sam_node import main

if TYPE_CHECKING:  # imported by the node, which first says how torch's threads wait
    from sam_ros.engine import Prompt, Segmenter
    from sam_ros.engine.embedding import Embedding
    from sam_ros.engine.hypothesis import Hypotheses
    from sam_ros.nodes.parameters import Parameters


def load(parameters: Parameters) -> Segmenter:
    """The model of the parameters, warm, which from then on gives again what it gave."""
    from sam_ros.nodes.loading import load_segmenter

    segmenter = load_segmenter(parameters)
    encode, decode = segmenter.set_images, segmenter.segment
    embeddings: dict[tuple[int, ...], Embedding] = {}
    answers: dict[tuple[int, ...], list[Hypotheses]] = {}

    def set_images(pictures: Sequence[npt.NDArray[np.uint8]]) -> list[Embedding]:
        for rgb in pictures:
            if rgb.shape not in embeddings:
                embeddings[rgb.shape] = encode([rgb])[0]
        return [embeddings[rgb.shape] for rgb in pictures]

    def segment(embedding: Embedding, prompts: Sequence[Prompt]) -> list[Hypotheses]:
        key = (*embedding.size, len(prompts))
        if key not in answers:
            answers[key] = decode(embedding, prompts)
        return answers[key]

    vars(segmenter).update(set_images=set_images, segment=segment)
    return segmenter


if __name__ == "__main__":
    sys.exit(main(load=load))
