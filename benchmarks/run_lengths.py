"""Masks to COCO run lengths and back: sam_ros.engine.rle against pycocotools."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from sam_ros.engine import rle

Mask = npt.NDArray[np.bool_]
SIZES = ((480, 640), (1080, 1920))
REPEATS = 50


def blobs(size: tuple[int, int], seed: int = 0) -> Mask:
    """An (H, W) mask of smooth blobs, with thousands of runs as real masks have."""
    noise = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), size[0] / 60) > 0


def milliseconds(work: Callable[[], object]) -> float:
    """Median time of one call."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3


def main() -> None:
    """Print the times and their ratio for each image size."""
    print(f"{'run lengths':<20}{'ours [ms]':>11}{'pycocotools':>13}{'ratio':>8}")
    for size in SIZES:
        mask = blobs(size)
        counts, packed = rle.encode(mask), coco.encode(np.asfortranarray(mask))
        rows = {
            "encode": (
                lambda mask=mask: rle.encode(mask),
                # the peer wants columns, our masks come as rows: the copy is part of its price
                lambda mask=mask: coco.encode(np.asfortranarray(mask)),
            ),
            "decode": (
                lambda counts=counts, size=size: rle.decode(counts, *size),
                lambda packed=packed: coco.decode(packed),
            ),
        }
        for name, (ours, peer) in rows.items():
            mine, theirs = milliseconds(ours), milliseconds(peer)
            label = f"{name} {size[1]}x{size[0]}"
            print(f"{label:<20}{mine:>11.2f}{theirs:>13.2f}{theirs / mine:>7.2f}x")


if __name__ == "__main__":
    main()
