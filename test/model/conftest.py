"""The reference implementations that the models are compared with, filled with random weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.peers import reference as import_reference

# Width, blocks, heads and global blocks, as published (SAM, section 3 and appendix A).
VITS = {
    "sam_vit_b": (768, 12, 12, (2, 5, 8, 11)),
    "sam_vit_l": (1024, 24, 16, (5, 11, 17, 23)),
    "sam_vit_h": (1280, 32, 16, (7, 15, 23, 31)),
}
TABLES = ("pos_embed", "attention_biases", "positional_encoding_gaussian_matrix")


@pytest.fixture(scope="session")
def reference() -> Callable[..., nn.Module]:
    """``reference(name, image_size=1024, fill=True)``: a reference model, every weight random."""

    def build(name: str, image_size: int = 1024, fill: bool = True) -> nn.Module:
        torch.manual_seed(0)
        model = _mobile_sam() if name == "mobile_sam" else _vit_sam(name, image_size)
        if fill:
            randomise(model if name == "mobile_sam" else model.to_empty(device="cpu"))
        # MobileSAM makes a table of the attention biases here, and here alone.
        return model.eval()

    return build


def _vit_sam(name: str, image_size: int) -> Any:
    package = _import("segment_anything", "pip install segment-anything")
    with torch.device("meta"):  # the initial values take long and are not wanted
        model = package.sam_model_registry[name.removeprefix("sam_")]()
        if image_size != 1024:
            _resize(package.modeling, model, name, image_size)
    return model


def _resize(modeling: Any, model: Any, name: str, image_size: int) -> None:
    """Replace what depends on the size of the image by the same of another size."""
    dim, depth, heads, global_blocks = VITS[name]
    model.image_encoder = modeling.ImageEncoderViT(
        img_size=image_size,
        embed_dim=dim,
        depth=depth,
        num_heads=heads,
        out_chans=256,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=global_blocks,
    )
    cells = (image_size // 16, image_size // 16)
    model.prompt_encoder = modeling.PromptEncoder(256, cells, (image_size, image_size), 16)


def _mobile_sam() -> Any:
    package = _import("mobile_sam", "pip install --no-deps mobilesam-mirror")
    return package.sam_model_registry["vit_t"]()


def _import(package: str, hint: str) -> Any:
    try:
        return import_reference(package)
    except ImportError:
        pytest.skip(f"the reference is not installed: {hint}")


@torch.no_grad()
def randomise(model: nn.Module) -> None:
    """Give every weight and statistic a random value that keeps activations near one.

    The references begin with zeros in biases, relative positions and position embeddings and with
    ones in norms and statistics: left alone, they would hide half of the mistakes.
    """
    for module in model.modules():
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None and tensor.is_floating_point():
                _fill(module, name, tensor)


def _fill(module: nn.Module, name: str, tensor: Tensor) -> None:
    if isinstance(module, nn.Embedding) or name in TABLES:
        tensor.normal_(0, 1)
    elif tensor.dim() == 1 and name in ("weight", "running_var"):  # scales
        tensor.uniform_(0.5, 1.5)
    elif tensor.dim() == 1 or name.startswith("rel_pos"):  # offsets
        tensor.normal_(0, 0.1)
    else:  # what sums over inputs; the weights of a transposed convolution begin with them
        inputs = len(tensor) if isinstance(module, nn.ConvTranspose2d) else tensor[0].numel()
        tensor.normal_(0, 1 / math.sqrt(inputs))
