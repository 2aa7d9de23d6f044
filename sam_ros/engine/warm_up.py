"""The first run of everything, before a picture waits for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sam_ros.engine.prompt import Prompt
from sam_ros.engine.segmenter import Segmenter
from sam_ros.engine.transform import Size


def warm_up(segmenter: Segmenter, size: Size) -> Iterator[str]:
    """Run the model once for each number of prompts that is recorded on its device.

    Args:
        segmenter: the model.
        size: (H, W) of the pictures that are expected.

    Yields:
        What has just been done.
    """
    height, width = size
    embedding = segmenter.set_image(np.zeros((height, width, 3), np.uint8))
    yield "image encoder"
    centre = np.array([[width / 2, height / 2]], np.float32)
    click = Prompt(points=centre, labels=np.ones(1, np.int32))
    box = Prompt(box=np.array([width / 4, height / 4, width / 2, height / 2], np.float32))
    most = segmenter.config.prompts_per_batch if segmenter.sam.device.type == "cuda" else 1
    for count in (1 << power for power in range(most.bit_length())):
        segmenter.segment(embedding, [click] * count + [box] * count)
        yield f"mask decoder, {count} prompts" if count > 1 else "mask decoder"
