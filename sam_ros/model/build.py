"""The models by name: one table of sizes, and the one builder that puts the parts together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from torch import nn

from sam_ros.model.checkpoint import load_checkpoint
from sam_ros.model.image_encoder import ViT
from sam_ros.model.mask_decoder import MaskDecoder
from sam_ros.model.meta import on_meta_device
from sam_ros.model.prompt_encoder import PromptEncoder
from sam_ros.model.sam import Sam
from sam_ros.model.tiny import build_sam_tiny
from sam_ros.model.tiny_vit import TinyViT
from sam_ros.model.transformer import TwoWayTransformer
from sam_ros.resources import find_resource


@dataclass(frozen=True)
class ViTConfig:
    """Sizes of the paper's image encoder, by the names of :class:`ViT`."""

    dim: int
    depth: int
    num_heads: int
    global_blocks: tuple[int, ...]
    window_size: int = 14


@dataclass(frozen=True)
class TinyViTConfig:
    """Sizes of MobileSAM's image encoder, by the names of :class:`TinyViT`."""

    dims: tuple[int, int, int, int] = (64, 128, 160, 320)
    depths: tuple[int, int, int, int] = (2, 2, 6, 2)
    num_heads: tuple[int, int, int] = (4, 5, 10)
    window_sizes: tuple[int, int, int] = (7, 14, 7)
    strides: tuple[int, int, int] = (2, 2, 1)


@dataclass(frozen=True)
class SamConfig:
    """Sizes of a model of the paper's family.

    Attributes:
        image_encoder: sizes of the encoder, and thereby which one it is.
        image_size: side of the padded input, pixels.
        stride: pixels a side of one cell of the embedding.
        dim: channels of the embedding, width of the prompts and of the decoder.
        decoder_depth: two-way blocks of the decoder.
        decoder_heads: attention heads of the decoder.
        decoder_mlp_dim: hidden width of the decoder's feed-forward layers.
    """

    image_encoder: ViTConfig | TinyViTConfig
    image_size: int = 1024
    stride: int = 16
    dim: int = 256
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048


CONFIGS = {
    "sam_vit_h": SamConfig(ViTConfig(1280, 32, 16, global_blocks=(7, 15, 23, 31))),
    "sam_vit_l": SamConfig(ViTConfig(1024, 24, 16, global_blocks=(5, 11, 17, 23))),
    "sam_vit_b": SamConfig(ViTConfig(768, 12, 12, global_blocks=(2, 5, 8, 11))),
    "mobile_sam": SamConfig(TinyViTConfig()),
}


def assemble(config: SamConfig) -> Sam:
    """Put a model of the paper's family together, with random initial weights."""
    grid = config.image_size // config.stride
    transformer = TwoWayTransformer(
        config.decoder_depth, config.dim, config.decoder_heads, config.decoder_mlp_dim
    )
    return Sam(
        image_encoder=_image_encoder(config),
        prompt_encoder=PromptEncoder(
            config.dim, (grid, grid), (config.image_size, config.image_size)
        ),
        mask_decoder=MaskDecoder(config.dim, transformer),
        image_size=config.image_size,
    )


def _image_encoder(config: SamConfig) -> nn.Module:
    sizes = config.image_encoder
    if isinstance(sizes, TinyViTConfig):
        return TinyViT(**asdict(sizes), out_channels=config.dim)
    return ViT(config.image_size, config.stride, **asdict(sizes), out_channels=config.dim)


_BUILDERS: dict[str, Callable[[], Sam]] = {
    **{name: partial(assemble, config) for name, config in CONFIGS.items()},
    "sam_tiny": build_sam_tiny,
}
_EMBEDDED = {"sam_tiny": "sam_tiny.safetensors"}  # weights that come with the package


def model_names() -> tuple[str, ...]:
    """The names that :func:`build_sam` knows."""
    return tuple(_BUILDERS)


def build_sam(name: str, checkpoint: str | Path | None = None) -> Sam:
    """Build a model in evaluation mode, on the CPU, in float32.

    Args:
        name: one of :func:`model_names`.
        checkpoint: weights to load, as published or as ``.safetensors``. None: the weights that
            come with the package, and where none come, random ones (for tests and training).

    Raises:
        ValueError: the name is unknown.
        CheckpointError: the checkpoint cannot be used.
        FileNotFoundError: the package's own weights are not there.
    """
    if name not in _BUILDERS:
        raise ValueError(f"model is {name!r}, expected one of {', '.join(_BUILDERS)}")
    if not checkpoint and name in _EMBEDDED:
        checkpoint = find_resource("models", _EMBEDDED[name])
    if not checkpoint:
        return _BUILDERS[name]().eval()
    with on_meta_device():
        sam = _BUILDERS[name]()
    load_checkpoint(sam, checkpoint, name, known=_BUILDERS)
    return sam.eval()
