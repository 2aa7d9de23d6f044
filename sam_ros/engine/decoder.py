"""The mask decoder for batches of prompts, and on a GPU for batches of a few sizes only."""

from __future__ import annotations

from functools import partial
from weakref import ref

import torch
from torch import Tensor

from sam_ros.engine.cuda_graphs import CudaRecorder, Function, Recorded, Recorder
from sam_ros.model import Sam
from sam_ros.model.mask_decoder import PreparedImage


class Decoder:
    """Decodes prompts on one picture, in the precision of the decoder's weights.

    Recordings are made for one number of prompts. So where the decoder is recorded, batches are
    filled up to the next power of two; what the filling gives is thrown away.

    Args:
        sam: whose mask decoder is used.
        record: None to run it as it is.
    """

    def __init__(self, sam: Sam, record: Recorder | None) -> None:
        self._decoder = sam.mask_decoder
        self._dtype = sam.mask_decoder.iou_token.weight.dtype
        with torch.inference_mode():
            self._pe = sam.prompt_encoder.get_dense_pe().to(self._dtype)
        self._filled = record is not None
        self._seen: tuple[ref[Tensor], PreparedImage] | None = None
        self._by_masks: dict[bool, Function] = {}
        for multimask in (False, True):
            run = partial(self._decode, multimask)
            self._by_masks[multimask] = Recorded(run, record) if record else run

    def __call__(
        self, features: Tensor, sparse: Tensor, dense: Tensor, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Decode B prompts.

        Args:
            features: (1, C, h, w) of the picture.
            sparse: (B, T, C) embeddings of the prompts.
            dense: (B, C', h', w') embeddings of the prompts.
            multimask: three masks for each, or one.

        Returns:
            Logits (B, M, 4h', 4w') and predicted IoU (B, M).
        """
        count = len(sparse)
        if dense.stride(0) == 0:  # one for all of them, without memory of its own for each
            dense = dense[:1]
        if self._filled:
            size = bucket(count)
            sparse, dense = fill(sparse, size), dense if len(dense) == 1 else fill(dense, size)
        given = (x.to(self._dtype) for x in (features, sparse, dense))
        logits, predicted_iou = self._by_masks[multimask](*given)
        return logits[:count], predicted_iou[:count]

    def _decode(
        self, multimask: bool, features: Tensor, sparse: Tensor, dense: Tensor
    ) -> tuple[Tensor, Tensor]:
        logits, predicted_iou = self._decoder(
            image_embeddings=features if self._filled else self._prepared(features),
            image_pe=self._pe,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense.expand(len(sparse), -1, -1, -1),
            multimask_output=multimask,
        )
        return logits, predicted_iou

    def _prepared(self, features: Tensor) -> PreparedImage:
        """What the decoder reads of a picture; kept for the next prompts on the same one."""
        if self._seen is None or self._seen[0]() is not features:
            self._seen = None  # before the next one takes memory
            self._seen = ref(features), self._decoder.prepare(features)
        return self._seen[1]


def make_decoder(sam: Sam) -> Decoder:
    """The fastest decoder for a model on its device."""
    return Decoder(sam, CudaRecorder() if sam.device.type == "cuda" else None)


def bucket(count: int) -> int:
    """The least power of two that is not below a number of prompts, 1 or more."""
    return 1 << (count - 1).bit_length()


def fill(x: Tensor, size: int) -> Tensor:
    """(B, ...) with the last one repeated, (size, ...)."""
    return torch.cat((x, x[-1:].expand(size - len(x), *x.shape[1:])))
