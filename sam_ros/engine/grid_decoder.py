"""The mask decoder on a grid of clicks: quality first, masks only of what is good enough."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sam_ros.engine.embedding import Embedding
from sam_ros.engine.upload import send
from sam_ros.model import Sam
from sam_ros.model.layers import crop
from sam_ros.model.transformer import SharedImage

CACHE = 1 << 22  # floats of the image's side at once on a CPU, 16 MB: more fall out of its cache


class GridDecoder:
    """Decodes single clicks on one picture; everything stays on the device.

    Args:
        sam: the model.
        embedding: of the picture.
    """

    def __init__(self, sam: Sam, embedding: Embedding) -> None:
        self._sam, self._embedding = sam, embedding
        self._dtype = sam.mask_decoder.iou_token.weight.dtype
        features = embedding.features.to(self._dtype)
        self._seen = sam.mask_decoder.prepare(features)
        self._cells = features.shape[2:]
        self._pe = crop(sam.prompt_encoder.get_dense_pe(), features).to(self._dtype)
        self._together = max(1, CACHE // (self._cells.numel() * sam.prompt_encoder.dim))
        self._shared: SharedImage | None = None
        image = sam.mask_decoder.image_tokens(self._seen, self._encode(np.zeros((2, 2)))[1])
        if len(image) == 1:  # the same for both clicks, and so for all
            self._shared = sam.mask_decoder.transformer.share(image, self._pe)

    def __call__(self, points: npt.NDArray[np.float64], threshold: float) -> tuple[Tensor, Tensor]:
        """The hypotheses of B clicks, three each, whose predicted IoU is above a threshold.

        Args:
            points: (B, 2) x, y in pixels of the picture.
            threshold: 0: all hypotheses.

        Returns:
            Logits (K, h, w) and predicted IoU (K,) as the decoder gives it, in the order of the
            clicks.
        """
        step = self._together if self._pe.device.type == "cpu" else len(points)
        parts = [
            self._decode(points[start : start + step], threshold)
            for start in range(0, len(points), step)
        ]
        logits, quality = zip(*parts, strict=True)
        return torch.cat(logits), torch.cat(quality)

    def _decode(self, points: npt.NDArray[np.float64], threshold: float) -> tuple[Tensor, Tensor]:
        decoder = self._sam.mask_decoder
        sparse, dense = self._encode(points)
        tokens, image = self._attend(decoder.output_tokens(sparse), dense)
        quality = decoder.iou_prediction_head(tokens[:, 0])[:, 1:]
        good = quality > threshold if threshold > 0 else torch.ones_like(quality, dtype=torch.bool)
        asked = good.any(dim=1).nonzero()[:, 0]
        dense = dense[: len(asked)] if self._shared else dense[asked]
        mask_tokens = tokens[asked, 1 : 1 + decoder.num_mask_tokens]
        kernels = decoder.mask_kernels(mask_tokens, slice(1, None))
        cells = image[asked].unflatten(1, self._cells)
        masks = decoder.read_masks(cells, kernels, self._seen, dense)
        return masks[good[asked]], quality[good]

    def _attend(self, tokens: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """The output tokens, and the image (B, N, C), after the transformer."""
        decoder = self._sam.mask_decoder
        image = self._shared or decoder.image_tokens(self._seen, dense)
        return decoder.transformer(image, self._pe, tokens, wanted=1 + decoder.num_mask_tokens)

    def _encode(self, points: npt.NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """Sparse and dense embeddings of one click each."""
        encoder = self._sam.prompt_encoder
        device = self._pe.device
        coords = self._embedding.transform.to_input(points)[:, None]
        labels = torch.ones(len(points), 1, dtype=torch.int32, device=device)
        clicks = send(torch.from_numpy(coords), device), labels
        sparse, dense = encoder(points=clicks, boxes=None, masks=None)
        if dense.stride(0) == 0:  # one for all of them, which it shall stay
            return sparse.to(self._dtype), dense[:1].to(self._dtype).expand_as(dense)
        return sparse.to(self._dtype), dense.to(self._dtype)
