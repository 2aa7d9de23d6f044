"""The first run of everything, before a picture waits for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sam_ros.engine.prompt import Prompt
from sam_ros.engine.segmenter import Segmenter
from sam_ros.engine.transform import Size


def warm_up(segmenter: Segmenter, size: Size, cameras: int = 1) -> Iterator[str]:
    """Run the model once for each number of pictures and of prompts that its device records.

    Args:
        segmenter: the model.
        size: (H, W) of the pictures that are expected.
        cameras: whose pictures may come together.

    Yields:
        What has just been done.
    """
    height, width = size
    together = min(cameras, segmenter.most_together)
    pictures = [np.zeros((height, width, 3), np.uint8)] * together
    embedding = segmenter.set_images(pictures)[0]
    yield f"image encoder, {together} pictures" if together > 1 else "image encoder"
    centre = np.array([[width / 2, height / 2]], np.float32)
    click = Prompt(points=centre, labels=np.ones(1, np.int32))
    box = Prompt(box=np.array([width / 4, height / 4, width / 2, height / 2], np.float32))
    most = segmenter.config.prompts_per_batch if segmenter.sam.device.type == "cuda" else 1
    for count in (1 << power for power in range(most.bit_length())):
        segmenter.segment(embedding, [click] * count + [box] * count)
        yield f"mask decoder, {count} prompts" if count > 1 else "mask decoder"
