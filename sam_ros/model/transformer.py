"""The two-way transformer: prompt tokens and the image embedding attend to each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_ros.model.layers import FeedForward


class TwoWayTransformer(nn.Module):
    """Updates tokens and image together (SAM, appendix A, "Lightweight mask decoder").

    Positions are added again at every attention, so that they are never lost on the way.

    Args:
        depth: number of two-way blocks.
        dim: width of tokens and image.
        num_heads: attention heads.
        mlp_dim: hidden width of the tokens' feed-forward layers.
        downsample: attention between tokens and image runs at width ``dim // downsample``.
    """

    def __init__(
        self, depth: int, dim: int, num_heads: int, mlp_dim: int, downsample: int = 2
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayBlock(dim, num_heads, mlp_dim, downsample, first=i == 0) for i in range(depth)
        )
        self.final_attn_token_to_image = TokenToImage(dim, num_heads, downsample)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, image: Tensor, image_pe: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Let tokens and image exchange what they know.

        Args:
            image: (B, C, h, w) image embedding, or (1, C, h, w) for all prompts.
            image_pe: (1, C, h, w) or (B, C, h, w) positional encoding of its cells.
            tokens: (B, T, C).

        Returns:
            The tokens (B, T, C) and the image (B, h * w, C) after the exchange.
        """
        keys = image.flatten(2).transpose(1, 2)  # (B, h * w, C)
        key_pe = image_pe.flatten(2).transpose(1, 2)  # (1 or B, h * w, C)
        queries = tokens
        for layer in self.layers:
            queries, keys = layer(queries, keys, query_pe=tokens, key_pe=key_pe)
        seen = self.final_attn_token_to_image(queries + tokens, keys + key_pe, keys)
        return self.norm_final_attn(queries + seen), keys


class TwoWayBlock(nn.Module):
    """Tokens attend to themselves, then to the image, then the image attends to the tokens."""

    def __init__(
        self, dim: int, num_heads: int, mlp_dim: int, downsample: int, first: bool
    ) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(dim, num_heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = TokenToImage(dim, num_heads, downsample)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = FeedForward(dim, mlp_dim, nn.ReLU)
        self.norm3 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = ImageToToken(dim, num_heads, downsample)
        self.norm4 = nn.LayerNorm(dim)

    def forward(
        self, queries: Tensor, keys: Tensor, query_pe: Tensor, key_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        queries = self.norm1(self._attend_to_each_other(queries, query_pe))

        placed_keys = keys + key_pe
        seen = self.cross_attn_token_to_image(queries + query_pe, placed_keys, keys)
        queries = self.norm2(queries + seen)
        queries = self.norm3(queries + self.mlp(queries))

        keys = self.cross_attn_image_to_token(keys, placed_keys, queries + query_pe, queries)
        return queries, self.norm4(keys)

    def _attend_to_each_other(self, queries: Tensor, query_pe: Tensor) -> Tensor:
        # In the first block the queries are their own positions: nothing to add, nothing to keep.
        placed = queries if self.first else queries + query_pe
        attended = self.self_attn(q=placed, k=placed, v=queries)
        return attended if self.first else queries + attended


class Attention(nn.Module):
    """Multi-head attention whose projections may be narrower than the embedding."""

    def __init__(self, dim: int, num_heads: int, downsample: int = 1) -> None:
        super().__init__()
        inner_dim = dim // downsample
        if inner_dim % num_heads:
            raise ValueError(
                f"attention width {inner_dim} must be a multiple of num_heads {num_heads}"
            )
        self.num_heads = num_heads
        self.q_proj = nn.Linear(dim, inner_dim)
        self.k_proj = nn.Linear(dim, inner_dim)
        self.v_proj = nn.Linear(dim, inner_dim)
        self.out_proj = nn.Linear(inner_dim, dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q = self._split_heads(self.q_proj(q))  # (B, heads, N, d)
        k = self._split_heads(self.k_proj(k))  # (B, heads, M, d)
        v = self._split_heads(self.v_proj(v))
        x = F.scaled_dot_product_attention(q, k, v)
        x = x.transpose(1, 2).flatten(2)  # (B, N, heads * d)
        return self.out_proj(x)

    def _by_head(self, weight: Tensor) -> Tensor:
        """The weights of each head, (heads * d, C) to (heads, d, C)."""
        return weight.unflatten(0, (self.num_heads, -1))

    def _split_heads(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        return x.reshape(batch, length, self.num_heads, width // self.num_heads).transpose(1, 2)


class TokenToImage(Attention):
    """Attention of a few tokens to many cells, without projecting the cells.

    The product of a query with a projected cell is the product of the query, projected back, with
    the cell; and the projection of a weighted sum of cells is the sum's. So the projections of
    keys and values move to the tokens, of which there are a hundred times fewer.
    """

    def forward(self, tokens: Tensor, placed: Tensor, image: Tensor) -> Tensor:
        """Let tokens read the image.

        Args:
            tokens: (B, T, C) with their positions.
            placed: (1 or B, N, C) cells with their positions.
            image: (1 or B, N, C) cells.

        Returns:
            (B, T, C).
        """
        q = self._split_heads(self.q_proj(tokens))  # (B, heads, T, d)
        q = q * q.shape[3] ** -0.5
        # A bias of the keys adds the same to all scores of a query: nothing, after the softmax.
        scores = (q @ self._by_head(self.k_proj.weight)).flatten(1, 2) @ placed.transpose(1, 2)
        seen = (scores.softmax(2) @ image).unflatten(1, q.shape[1:3])  # (B, heads, T, C)
        x = seen @ self._by_head(self.v_proj.weight).transpose(1, 2)
        return self.out_proj(x.transpose(1, 2).flatten(2) + self.v_proj.bias)


class ImageToToken(Attention):
    """Attention of many cells to a few tokens, without projecting the cells.

    As in :class:`TokenToImage` the projections move to the tokens: that of the queries to their
    keys, that of the result to their values.
    """

    def forward(  # type: ignore[override]
        self, image: Tensor, placed: Tensor, tokens: Tensor, values: Tensor
    ) -> Tensor:
        """Add to the image what it reads from the tokens.

        Args:
            image: (1 or B, N, C) cells.
            placed: (1 or B, N, C) cells with their positions.
            tokens: (B, T, C) with their positions.
            values: (B, T, C) tokens.

        Returns:
            (B, N, C).
        """
        k = self._split_heads(self.k_proj(tokens))  # (B, heads, T, d)
        k = k * k.shape[3] ** -0.5
        keys = (k @ self._by_head(self.q_proj.weight)).flatten(1, 2)  # (B, heads * T, C)
        offset = k @ self.q_proj.bias.reshape(self.num_heads, -1, 1)  # (B, heads, T, 1)
        scores = keys @ placed.transpose(1, 2) + offset.flatten(1, 2)
        shares = scores.unflatten(1, k.shape[1:3]).softmax(2).flatten(1, 2)
        v = self._split_heads(self.v_proj(values))
        # The shares of a head sum to one, so each head brings its part of the bias.
        bias = self.out_proj.bias / self.num_heads
        told = v @ self._by_head(self.out_proj.weight.transpose(0, 1)) + bias
        return torch.baddbmm(image, shares.transpose(1, 2), told.flatten(1, 2))
