"""``sam_tiny``: the parts of the small model that the package brings its own weights for."""

from __future__ import annotations

from sam_ros.model.sam import Sam
from sam_ros.model.tiny_image_encoder import PATCH, TinyChannels, TinyImageEncoder
from sam_ros.model.tiny_mask_decoder import TinyMaskDecoder
from sam_ros.model.tiny_prompt_encoder import TinyPromptEncoder
from sam_ros.model.transformer import TwoWayTransformer

CHANNELS = TinyChannels(coarse=128, stride8=32, stride4=16)


def build_sam_tiny(image_size: int = 512) -> Sam:
    """Build ``sam_tiny`` with initial weights.

    Args:
        image_size: longest side of the input in pixels, a multiple of 16. The weights fit any.
    """
    cells = _cells(image_size)
    dim = CHANNELS.coarse
    transformer = TwoWayTransformer(depth=2, dim=dim, num_heads=8, mlp_dim=512)
    sam = Sam(
        TinyImageEncoder(CHANNELS),
        TinyPromptEncoder(dim, (cells, cells), (image_size, image_size)),
        TinyMaskDecoder(CHANNELS, transformer),
        image_size,
        side_step=PATCH,
    )
    sam.looks, sam.soft = 3, True
    return sam


def set_image_size(sam: Sam, image_size: int) -> None:
    """Change the resolution that a ``sam_tiny`` works at; no weight depends on it.

    Args:
        sam: made by :func:`build_sam_tiny`.
        image_size: new longest side of the input in pixels, a multiple of 16.
    """
    cells = _cells(image_size)
    sam.image_size = image_size
    sam.prompt_encoder.image_embedding_size = (cells, cells)
    sam.prompt_encoder.input_image_size = (image_size, image_size)
    sam.prompt_encoder.mask_input_size = (4 * cells, 4 * cells)


def _cells(image_size: int) -> int:
    if image_size <= 0 or image_size % PATCH:
        raise ValueError(f"image_size: {image_size}, expected a multiple of {PATCH}")
    return image_size // PATCH
