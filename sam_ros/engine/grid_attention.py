"""The two-way transformer for many prompts on one image, at a fraction of the arithmetic.

Points alone change nothing on the image's side, so all that the first block projects of it is the
same for every prompt and is computed once. From there on each prompt has an image of its own, of
4096 cells, but only seven tokens. So the projections of the image are moved to the tokens' side:
``q . (W k) = (W' q) . k`` and ``p V W = (p V) W``. Same numbers but for rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_ros.model.transformer import Attention, TwoWayBlock, TwoWayTransformer


class GridAttention:
    """A :class:`TwoWayTransformer` with the image put in beforehand.

    Args:
        transformer: whose weights are used.
        image: (1, C, h, w) what the transformer gets of the image, for all prompts.
        image_pe: (1, C, h, w) positional encoding of its cells.
    """

    def __init__(self, transformer: TwoWayTransformer, image: Tensor, image_pe: Tensor) -> None:
        self._transformer = transformer
        self._image = image.flatten(2).transpose(1, 2)  # (1, N, C)
        first, *later = (_block(layer) for layer in transformer.layers)
        pe = image_pe.flatten(2).transpose(1, 2)
        self._first, self._later = first, later
        placed = self._image + pe
        reads, tells = first.cross_attn_token_to_image, first.cross_attn_image_to_token
        self._keys = _heads(reads, reads.k_proj(placed))[0].transpose(1, 2)  # (heads, d, N)
        self._values = _heads(reads, reads.v_proj(self._image))[0]  # (heads, N, d)
        self._queries = _heads(tells, tells.q_proj(placed))[0].transpose(1, 2)
        self._places = [
            (
                _place(layer.cross_attn_token_to_image, "k_proj", pe),
                _place(layer.cross_attn_image_to_token, "q_proj", pe),
            )
            for layer in later
        ]
        self._final_place = _place(transformer.final_attn_token_to_image, "k_proj", pe)

    def __call__(self, tokens: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
        """Let the tokens of B prompts and the image exchange what they know.

        Args:
            tokens: (B, T, C).
            wanted: how many of the tokens to return, from the first.

        Returns:
            The tokens (B, wanted, C) and the image (B, N, C) after the exchange.
        """
        queries, image = self._first_block(tokens)
        for layer, places in zip(self._later, self._places):
            queries, image = _later_block(layer, queries, tokens, image, *places)
        asking = (queries + tokens)[:, :wanted]
        final = self._transformer.final_attn_token_to_image
        seen = _read(final, asking, image, self._final_place)
        return self._transformer.norm_final_attn(queries[:, :wanted] + seen), image

    def _first_block(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        layer = self._first
        queries = layer.norm1(layer.self_attn(q=tokens, k=tokens, v=tokens))
        reads, tells = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        asked = _times_shared(_queries(reads, queries + tokens), self._keys)
        seen = _times_shared(asked.softmax(-1), self._values)
        queries = layer.norm2(queries + reads.out_proj(seen.transpose(1, 2).flatten(2)))
        queries = layer.norm3(queries + layer.mlp(queries))
        scores = _times_shared(_heads(tells, tells.k_proj(queries + tokens)), self._queries)
        image = self._image.repeat(len(tokens), 1, 1)
        return queries, layer.norm4(_add_told(tells, image, scores, queries))


def _later_block(
    layer: TwoWayBlock,
    queries: Tensor,
    tokens: Tensor,
    image: Tensor,
    key_place: Tensor,
    query_place: Tensor,
) -> tuple[Tensor, Tensor]:
    placed = queries + tokens
    queries = layer.norm1(queries + layer.self_attn(q=placed, k=placed, v=queries))
    seen = _read(layer.cross_attn_token_to_image, queries + tokens, image, key_place)
    queries = layer.norm2(queries + seen)
    queries = layer.norm3(queries + layer.mlp(queries))
    tells = layer.cross_attn_image_to_token
    keys = _heads(tells, tells.k_proj(queries + tokens))
    scores = _scores(keys, tells.q_proj.weight, image, query_place)
    return queries, layer.norm4(_add_told(tells, image, scores, queries))


def _read(attention: Attention, queries: Tensor, image: Tensor, place: Tensor) -> Tensor:
    """What (B, T, C) tokens see in the (B, N, C) image; the bias of its keys cancels out."""
    asked = _scores(_queries(attention, queries), attention.k_proj.weight, image, place)
    seen = asked.softmax(-1).flatten(1, 2) @ image  # (B, heads * T, C)
    weight = _per_head(attention, attention.v_proj.weight)
    values = torch.einsum("bhtc,hdc->bthd", seen.unflatten(1, asked.shape[1:3]), weight)
    return attention.out_proj(values.flatten(2) + attention.v_proj.bias)


def _add_told(attention: Attention, image: Tensor, scores: Tensor, queries: Tensor) -> Tensor:
    """Add to the image (B, N, C), in place, what it hears from the tokens; ``scores`` unscaled."""
    heads = attention.num_heads
    values = _heads(attention, attention.v_proj(queries))
    weight = attention.out_proj.weight.unflatten(1, (heads, -1))  # (C, heads, d)
    told = torch.einsum("bhtd,chd->bhtc", values, weight)
    told = told + attention.out_proj.bias / heads  # the shares of each head add up to one
    shares = (scores * values.shape[-1] ** -0.5).softmax(2).flatten(1, 2)  # (B, heads * T, N)
    return image.baddbmm_(shares.transpose(1, 2), told.flatten(1, 2))


def _scores(vectors: Tensor, weight: Tensor, image: Tensor, place: Tensor) -> Tensor:
    """(B, heads, T, N) products of (B, heads, T, d) with the image as ``weight`` projects it."""
    heads = vectors.shape[1]
    folded = torch.einsum("bhtd,hdc->bhtc", vectors, weight.unflatten(0, (heads, -1)))
    scores = _times_shared(vectors, place).flatten(1, 2)
    scores.baddbmm_(folded.flatten(1, 2), image.transpose(1, 2))
    return scores.unflatten(1, vectors.shape[1:3])


def _times_shared(vectors: Tensor, shared: Tensor) -> Tensor:
    """(B, heads, T, d) @ (heads, d, N), without a copy of what is shared for each of B."""
    batch, _, length, _ = vectors.shape
    product = vectors.transpose(0, 1).flatten(1, 2) @ shared
    return product.unflatten(1, (batch, length)).transpose(0, 1)


def _queries(attention: Attention, queries: Tensor) -> Tensor:
    """(B, heads, T, d), with the scale of the scores in them."""
    projected = _heads(attention, attention.q_proj(queries))
    return projected * projected.shape[-1] ** -0.5


def _place(attention: Attention, name: str, pe: Tensor) -> Tensor:
    """What a projection makes of the image's positions, (heads, d, N)."""
    projection = getattr(attention, name)
    bias = projection.bias if name == "q_proj" else None
    return _heads(attention, F.linear(pe, projection.weight, bias))[0].transpose(1, 2)


def _heads(attention: Attention, x: Tensor) -> Tensor:
    """(B, N, heads * d) -> (B, heads, N, d)."""
    return x.unflatten(2, (attention.num_heads, -1)).transpose(1, 2)


def _per_head(attention: Attention, weight: Tensor) -> Tensor:
    return weight.unflatten(0, (attention.num_heads, -1))


def _block(layer: nn.Module) -> TwoWayBlock:
    assert isinstance(layer, TwoWayBlock)
    return layer
