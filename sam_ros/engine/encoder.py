"""What runs the image encoder: torch, or OpenVINO on a CPU where it is installed.

Both take what :meth:`Sam.preprocess` gives and return embeddings on the model's device. They
differ in speed, not in numbers, unless a reduced precision is asked for.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from sam_ros.engine.cuda_graphs import CudaRecorder, Recorded
from sam_ros.model import Sam
from sam_ros.model.image_encoder import ViT
from sam_ros.model.packing import pack
from sam_ros.model.tiny_vit import TinyViT

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Encoder(Protocol):
    """Images to embeddings.

    Attributes:
        sam: the model whose encoder it is.
        runtime: what computes them: "torch" or "openvino".
        dtype: what they are computed in.
    """

    sam: Sam
    runtime: str
    dtype: torch.dtype

    def __call__(self, x: Tensor) -> Tensor:
        """Encode normalised images (B, 3, S, S) float32 as embeddings (B, C, h, w)."""
        ...


class TorchEncoder:
    """The encoder as it is, in the precision of its weights; on a GPU as a CUDA graph.

    Args:
        sam: whose encoder is used, frozen if it can be (:meth:`TinyViT.freeze`) and on a CPU
            packed if that is faster (:func:`pack`).
        compiled: through torch.compile; the first picture then takes a minute. What is compiled is
            kept in :func:`cache_folder`, so that the next start is faster.
    """

    runtime = "torch"

    def __init__(self, sam: Sam, compiled: bool = False) -> None:
        freeze(sam)
        self.sam = sam
        precisions = [weights.dtype for weights in sam.image_encoder.parameters()]
        self.dtype = min(precisions, key=lambda dtype: dtype.itemsize)
        self._input = precisions[0]
        self._encode: Callable[[Tensor], Tensor] = sam.image_encoder
        if compiled:
            os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "inductor"))
            self._encode = torch.compile(sam.image_encoder, dynamic=False)
        elif sam.device.type == "cpu":
            pack(sam.image_encoder)
        if sam.device.type == "cuda":
            self._encode = _recorded(self._encode)

    def __call__(self, x: Tensor) -> Tensor:
        """As :class:`Encoder`."""
        return self._encode(x.to(self._input))


def _recorded(encode: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    graphs = Recorded(lambda x: (encode(x),), CudaRecorder())
    return lambda x: graphs(x)[0]


def freeze(sam: Sam) -> None:
    """Make the encoder's weights final, which some are faster with."""
    final = getattr(sam.image_encoder, "freeze", None)
    if final is not None:
        final()


def prepare(sam: Sam, dtype: torch.dtype) -> None:
    """Freeze the encoder and cast it to a precision, all of it or as much as bears it."""
    freeze(sam)  # while it is in float32
    cast = getattr(sam.image_encoder, "reduce", sam.image_encoder.to)
    cast(dtype)


def make_encoder(
    sam: Sam, dtype: str = "auto", compiled: bool = False, device: str = "cpu"
) -> Encoder:
    """The fastest encoder for a model on a device; the model's own weights go into it.

    On a CPU the decoder stays in float32; on a GPU it takes the encoder's precision.

    Args:
        sam: the model, on the CPU in float32; it is moved to the device, where its weights are
            never held in both precisions.
        dtype: a key of :data:`DTYPES`, or auto: bfloat16 on a GPU, float32 on a CPU.
        compiled: where torch runs it, through torch.compile.
        device: cpu or cuda.

    Raises:
        ValueError: the dtype is none of these.
    """
    if dtype not in ("auto", *DTYPES):
        raise ValueError(f"dtype: {dtype!r}; expected auto, {', '.join(DTYPES)}")
    on_gpu = device == "cuda"
    chosen = (torch.bfloat16 if on_gpu else torch.float32) if dtype == "auto" else DTYPES[dtype]
    # In float32 torch is as fast with MobileSAM, and needs less memory and time to start. Of
    # sam_tiny's encoder OpenVINO would compute all in a reduced precision.
    reduced = isinstance(sam.image_encoder, TinyViT) and chosen != torch.float32
    openvino_is_better = isinstance(sam.image_encoder, ViT) or reduced
    if openvino_is_better and not (on_gpu or compiled) and has_openvino():
        from sam_ros.engine.openvino_encoder import OpenVinoEncoder, has_arithmetic

        if has_arithmetic(chosen):
            return OpenVinoEncoder(sam, chosen)  # not frozen: it finds better ways than ours
    prepare(sam, chosen)
    if on_gpu:
        sam.mask_decoder.to(chosen)
    return TorchEncoder(sam.to(device), compiled)


def has_openvino() -> bool:
    """Whether the extra ``sam_ros[openvino]`` is installed."""
    return importlib.util.find_spec("openvino") is not None


def cache_folder() -> Path:
    """Where compiled models are kept: ``$XDG_CACHE_HOME/sam_ros``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sam_ros"
