"""The reference packages with random weights; what they take from torchvision is done here."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from itertools import accumulate
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from sam_ros.engine.nms import box_nms
from sam_ros.model import Sam
from sam_ros.model.build import CONFIGS, assemble


def _resize(picture: Any, size: tuple[int, int]) -> Any:
    from PIL import Image

    return picture.resize(size[::-1], Image.Resampling.BILINEAR)


def _to_picture(pixels: Any) -> Any:
    from PIL import Image

    return Image.fromarray(pixels)


def _nms(boxes: Tensor, scores: Tensor, _: Tensor, iou_threshold: float) -> Tensor:
    kept = box_nms(boxes.cpu().numpy(), scores.cpu().numpy(), iou_threshold)
    return torch.from_numpy(kept).to(boxes.device)


_MISSING: dict[str, dict[str, Any]] = {
    "torchvision.transforms.functional": {"resize": _resize, "to_pil_image": _to_picture},
    "torchvision.ops.boxes": {"batched_nms": _nms, "box_area": None},
    "timm.models.registry": {"register_model": lambda build: build},
    "timm.models.layers": {
        "DropPath": nn.Identity,
        "to_2tuple": lambda n: (n, n),
        "trunc_normal_": nn.init.trunc_normal_,
    },
}


@cache
def reference(package: str) -> Any:
    """The package segment_anything or mobile_sam."""
    names = {parent for name in _MISSING for parent in accumulate(name.split("."), "{}.{}".format)}
    stand_ins = {name: ModuleType(name) for name in names}
    for name, contents in _MISSING.items():
        vars(stand_ins[name]).update(contents)
    with patch.dict(sys.modules, stand_ins):
        return import_module(package)


def pair(name: str) -> tuple[Any, Sam]:
    """The reference's model of this name and ours, with the same weights."""
    torch.manual_seed(0)
    if name == "mobile_sam":
        theirs = reference("mobile_sam").sam_model_registry["vit_t"]()
    else:
        registry = reference("segment_anything").sam_model_registry
        theirs = registry[name.removeprefix("sam_")]()
    for parameter in theirs.parameters():
        if parameter.dim() < 2:
            nn.init.normal_(parameter, 1 if parameter.mean() > 0.5 else 0, 0.1)
    with torch.device("meta"):
        ours = assemble(CONFIGS[name])
    state = {key: tensor.clone() for key, tensor in theirs.state_dict().items()}
    ours.load_state_dict(state, strict=True, assign=True)
    return theirs.eval(), ours.eval()
