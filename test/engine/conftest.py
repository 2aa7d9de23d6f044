"""A reference model small enough to run in milliseconds, and the reference's own predictor."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pytest
import torch

from sam_ros.engine.segmenter import Segmenter
from sam_ros.model import Sam
from sam_ros.model.tiny import build_sam_tiny

sys.path.insert(0, str(Path(__file__).parent))  # engine_cases, in whatever way pytest imports

IMAGE_SIZE, PATCH, WIDTH = 128, 8, 32
MISSING = "pip install segment-anything pillow to compare with the reference"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """More threads only wait for each other on a model this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def reference() -> Any:
    """The package segment_anything, with what it takes from torchvision done by Pillow."""
    image = pytest.importorskip("PIL.Image", reason=MISSING)

    def resize(picture: Any, size: tuple[int, int]) -> Any:
        return picture.resize(size[::-1], image.Resampling.BILINEAR)

    contents: dict[str, dict[str, Any]] = {
        "torchvision": {},
        "torchvision.transforms": {},
        "torchvision.transforms.functional": {"resize": resize, "to_pil_image": image.fromarray},
        "torchvision.ops": {},
        "torchvision.ops.boxes": {"batched_nms": None, "box_area": None},
    }
    stand_ins = {name: ModuleType(name) for name in contents}
    for name, module in stand_ins.items():
        vars(module).update(contents[name])
    with patch.dict(sys.modules, stand_ins):
        return pytest.importorskip("segment_anything", reason=MISSING)


@pytest.fixture(scope="session")
def sam(reference: Any) -> Any:
    """A reference Sam of 128 px with random weights whose masks are neither empty nor full."""
    torch.manual_seed(5)  # the frequencies of the positional encoding are drawn here
    modeling = reference.modeling
    cells = (IMAGE_SIZE // PATCH,) * 2
    model = modeling.Sam(
        image_encoder=modeling.ImageEncoderViT(
            depth=2, embed_dim=WIDTH, img_size=IMAGE_SIZE, num_heads=2, patch_size=PATCH,
            out_chans=WIDTH, use_rel_pos=True, global_attn_indexes=(1,), window_size=5,
        ),
        prompt_encoder=modeling.PromptEncoder(
            embed_dim=WIDTH, image_embedding_size=cells, input_image_size=(IMAGE_SIZE,) * 2,
            mask_in_chans=8,
        ),
        mask_decoder=modeling.MaskDecoder(
            num_multimask_outputs=3, transformer_dim=WIDTH,
            transformer=modeling.TwoWayTransformer(
                depth=2, embedding_dim=WIDTH, mlp_dim=64, num_heads=2
            ),
        ),
    ).eval()  # fmt: skip
    _randomise(model)
    model.image_size = IMAGE_SIZE
    model.looks, model.soft = 1, False
    model.mask_decoder.prepare = lambda embeddings: embeddings  # the reference prepares nothing
    return model


@pytest.fixture(scope="session")
def tiny() -> Sam:
    """The package's own small model at 128 px, with random weights."""
    torch.manual_seed(5)
    model = build_sam_tiny(image_size=128).eval()
    _randomise(model)
    return model


def _randomise(model: Any) -> None:
    """Weights large enough for logits of about -5..5 and for a predicted IoU within 0..1."""
    torch.manual_seed(5)
    for name, weights in model.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(weights, std=0.3)
    with torch.no_grad():
        for layer in (0, 3):
            model.mask_decoder.output_upscaling[layer].weight *= 8
        quality = model.mask_decoder.iou_prediction_head.layers[-1]
        quality.weight *= 0.003
        quality.bias.fill_(0.6)


@pytest.fixture
def segmenter(sam: Any) -> Segmenter:
    return Segmenter(sam)


@pytest.fixture
def predictor(reference: Any, sam: Any) -> Any:
    return reference.SamPredictor(sam)


@pytest.fixture(scope="session")
def picture() -> npt.NDArray[np.uint8]:
    """97 x 141 px: blobs of colour and a little noise."""
    rng = np.random.default_rng(5)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 5, 7)))
    smooth = torch.nn.functional.interpolate(coarse, (97, 141), mode="bicubic")[0]
    noisy = smooth.permute(1, 2, 0).numpy() + rng.normal(0, 8, (97, 141, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)
