"""Everything in a picture: sam_ros.engine.everything against segment_anything's mask generator.

Both have the same random weights of vit_b and the same settings, run in turns in one process, and
must find the same masks. ``python -m benchmarks.everything --points 32`` takes minutes.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from sam_ros.engine.config import EverythingConfig
from sam_ros.engine.everything import segment_everything
from sam_ros.engine.nms import box_nms
from sam_ros.engine.segmenter import Segmenter
from sam_ros.model import build_sam
from sam_ros.resources import find_resource

SIZE = (683, 1024)  # the longest side is the encoder's: scaling rounds nothing
SHARE = 0.2  # of the masks that the predicted IoU lets through, as the official weights' 0.88 does
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Outcome:
    """What one run gave.

    Attributes:
        masks: (H, W) bool each.
        cpu: seconds of processor time.
        wall: seconds by the clock.
    """

    masks: list[Mask]
    cpu: float
    wall: float


def measure(work: Callable[[], list[Mask]]) -> Outcome:
    """Runs something once."""
    wall, cpu = time.perf_counter(), time.process_time()
    masks = work()
    return Outcome(masks, time.process_time() - cpu, time.perf_counter() - wall)


def reference() -> Any:
    """The package segment_anything; what it takes from torchvision is done by Pillow and ours."""

    def nms(boxes: Tensor, scores: Tensor, _: Tensor, iou_threshold: float) -> Tensor:
        return torch.from_numpy(box_nms(boxes.numpy(), scores.numpy(), iou_threshold))

    def resize(picture: Any, size: tuple[int, int]) -> Any:
        return picture.resize(size[::-1], Image.Resampling.BILINEAR)

    contents: dict[str, dict[str, Any]] = {
        "torchvision": {},
        "torchvision.transforms": {},
        "torchvision.transforms.functional": {"resize": resize, "to_pil_image": Image.fromarray},
        "torchvision.ops": {},
        "torchvision.ops.boxes": {"batched_nms": nms, "box_area": None},
    }
    modules = {name: ModuleType(name) for name in contents}
    for name, module in modules.items():
        vars(module).update(contents[name])
    with patch.dict(sys.modules, modules):
        import segment_anything

        return segment_anything


def prepare(points: int) -> tuple[Segmenter, Any, npt.NDArray[np.uint8], dict[str, Any]]:
    """Our model, the reference's generator, a picture and the settings."""
    torch.manual_seed(0)
    package, model = reference(), build_sam("sam_vit_b")
    twin = package.sam_model_registry["vit_b"]().eval()
    twin.load_state_dict(model.state_dict())
    bgr = cv2.imread(str(find_resource("samples", "coffee.jpg")))
    rgb = cv2.resize(bgr, SIZE[::-1])[..., ::-1].copy()
    segmenter = Segmenter(model)
    every = EverythingConfig(
        points_per_side=4, pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1
    )
    found = segment_everything(segmenter, rgb, every)
    settings = {
        "points_per_side": points,
        "pred_iou_thresh": float(np.quantile([x.predicted_iou for x in found], 1 - SHARE)),
        "stability_score_thresh": float(np.quantile([x.stability for x in found], 0.5)),
        "box_nms_thresh": 1.0,  # masks of random weights have boxes as large as the picture
    }
    generator = package.SamAutomaticMaskGenerator(twin, **settings)
    return segmenter, generator, rgb, settings


def unmatched(ours: list[Mask], theirs: list[Mask]) -> int:
    """Masks of either that have no twin with an IoU above 0.99."""
    left = list(ours)
    for mask in theirs:
        twin = next((i for i, other in enumerate(left) if _iou(mask, other) > 0.99), None)
        if twin is not None:
            del left[twin]
    return len(left) + len(theirs) - (len(ours) - len(left))


def _iou(a: Mask, b: Mask) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def main(points: int = 32) -> None:
    """Print seconds per picture and masks per second of both."""
    segmenter, generator, rgb, settings = prepare(points)
    config = EverythingConfig(**settings)
    embedding = measure(lambda: segmenter.set_image(rgb) and [])
    ours = measure(lambda: [item.mask for item in segment_everything(segmenter, rgb, config)])
    theirs = measure(lambda: [item["segmentation"] for item in generator.generate(rgb)])
    print(f"{'everything':<20}{'CPU [s]':>10}{'wall [s]':>10}{'masks':>8}{'masks/s':>9}")
    for name, run in (("ours", ours), ("segment_anything", theirs)):
        count = len(run.masks)
        print(f"{name:<20}{run.cpu:>10.1f}{run.wall:>10.1f}{count:>8}{count / run.cpu:>9.2f}")
    print(f"CPU ratio {theirs.cpu / ours.cpu:.2f}x; {points} x {points} points, vit_b, random")
    print(f"of ours, encoding the picture {embedding.cpu:.1f} s; peak memory {_peak():.1f} GB")
    print(f"masks without a twin in the other: {unmatched(ours.masks, theirs.masks)}")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=32, help="clicks along each side")
    main(parser.parse_args().points)
