"""The two-way transformer: prompt tokens and the image embedding attend to each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_ros.model.layers import FeedForward, to_cells

WORTH_IT = 16  # tokens: to project that many costs as much as to project the image


@dataclass(frozen=True, eq=False)
class SharedImage:
    """An image that is the same for all prompts, as the first block projects it.

    Points alone change nothing on the image's side, so that is done once for all of them.

    Attributes:
        cells: (1, N, C).
        keys: (1, heads, N, d) that the tokens look for.
        values: (1, heads, N, d) that they read.
        queries: (1, heads, N, d) of the image to the tokens.
    """

    cells: Tensor
    keys: Tensor
    values: Tensor
    queries: Tensor


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

    def share(self, image: Tensor, image_pe: Tensor) -> SharedImage:
        """Project an image that many prompts are going to be asked on.

        Args:
            image: (1, C, h, w).
            image_pe: (1, C, h, w) positional encoding of its cells.
        """
        first = self.layers[0]
        assert isinstance(first, TwoWayBlock)
        cells = to_cells(image)
        placed = cells + to_cells(image_pe)
        reads, tells = first.cross_attn_token_to_image, first.cross_attn_image_to_token
        keys, values = reads.heads(reads.k_proj(placed)), reads.heads(reads.v_proj(cells))
        return SharedImage(cells, keys, values, tells.heads(tells.q_proj(placed)))

    def forward(
        self,
        image: Tensor | SharedImage,
        image_pe: Tensor,
        tokens: Tensor,
        wanted: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Let tokens and image exchange what they know.

        Args:
            image: (B, C, h, w) image embedding, or (1, C, h, w) for all prompts, or that of
                :meth:`share`.
            image_pe: (1, C, h, w) or (B, C, h, w) positional encoding of its cells.
            tokens: (B, T, C).
            wanted: how many of the tokens to return, from the first; None for all.

        Returns:
            The tokens (B, wanted, C) and the image (B, h * w, C) after the exchange.
        """
        if isinstance(image, Tensor) and len(image) == 1 and tokens.shape[:2].numel() > WORTH_IT:
            image = self.share(image, image_pe)
        keys = image if isinstance(image, SharedImage) else to_cells(image)
        key_pe, queries = to_cells(image_pe), tokens
        for layer in self.layers:
            queries, keys = layer(queries, keys, query_pe=tokens, key_pe=key_pe)
        assert isinstance(keys, Tensor)
        queries, tokens = queries[:, :wanted], tokens[:, :wanted]
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
        self, queries: Tensor, keys: Tensor | SharedImage, query_pe: Tensor, key_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        queries = self.norm1(self._attend_to_each_other(queries, query_pe))
        reads, tells = self.cross_attn_token_to_image, self.cross_attn_image_to_token
        if isinstance(keys, SharedImage):
            queries = self._read(queries, reads.shared(queries + query_pe, keys))
            keys = tells.shared(keys, queries + query_pe, queries)
        else:
            placed_keys = keys + key_pe
            queries = self._read(queries, reads(queries + query_pe, placed_keys, keys))
            keys = tells(keys, placed_keys, queries + query_pe, queries)
        return queries, self.norm4(keys)

    def _read(self, queries: Tensor, seen: Tensor) -> Tensor:
        queries = self.norm2(queries + seen)
        return self.norm3(queries + self.mlp(queries))

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
        k, v = self.heads(self.k_proj(k)), self.heads(self.v_proj(v))  # (B, heads, M, d)
        return self.attend(q, k, v)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of (B, N, C) to keys and values that are projected already."""
        q = self.heads(self.q_proj(q))  # (B, heads, N, d)
        x = F.scaled_dot_product_attention(q, k, v)
        x = x.transpose(1, 2).flatten(2)  # (B, N, heads * d)
        return self.out_proj(x)

    def heads(self, x: Tensor) -> Tensor:
        """What a projection gave, for each head: (B, N, heads * d) to (B, heads, N, d)."""
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def _by_head(self, weight: Tensor) -> Tensor:
        """The weights of each head, (heads * d, C) to (heads, d, C)."""
        return weight.unflatten(0, (self.num_heads, -1))


class TokenToImage(Attention):
    """Attention of a few tokens to many cells, without projecting the cells.

    The product of a query with a projected cell is the product of the query, projected back, with
    the cell; and the projection of a weighted sum of cells is the sum's. So the projections of
    keys and values move to the tokens, of which there are a hundred times fewer.
    """

    def shared(self, tokens: Tensor, image: SharedImage) -> Tensor:
        """Let the tokens (B, T, C) of all prompts read the same image."""
        seen = self.attend(tokens.flatten(0, 1)[None], image.keys, image.values)
        return seen[0].unflatten(0, tokens.shape[:2])

    def forward(self, tokens: Tensor, placed: Tensor, image: Tensor) -> Tensor:
        """Let tokens read the image.

        Args:
            tokens: (B, T, C) with their positions.
            placed: (1 or B, N, C) cells with their positions.
            image: (1 or B, N, C) cells.

        Returns:
            (B, T, C).
        """
        q = self.heads(self.q_proj(tokens))  # (B, heads, T, d)
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
        k = self.heads(self.k_proj(tokens))  # (B, heads, T, d)
        k = k * k.shape[3] ** -0.5
        keys = (k @ self._by_head(self.q_proj.weight)).flatten(1, 2)  # (B, heads * T, C)
        offset = k @ self.q_proj.bias.reshape(self.num_heads, -1, 1)  # (B, heads, T, 1)
        scores = keys @ placed.transpose(1, 2) + offset.flatten(1, 2)
        return self._add(image, scores.unflatten(1, k.shape[1:3]), values)

    def shared(self, image: SharedImage, tokens: Tensor, values: Tensor) -> Tensor:
        """The same for one image, whose queries are there."""
        k = self.heads(self.k_proj(tokens))  # (B, heads, T, d)
        k = (k * k.shape[3] ** -0.5).transpose(0, 1)
        scores = k.flatten(1, 2) @ image.queries[0].transpose(1, 2)  # (heads, B * T, N)
        scores = scores.unflatten(1, k.shape[1:3]).transpose(0, 1)
        return self._add(image.cells, scores, values)

    def _add(self, image: Tensor, scores: Tensor, values: Tensor) -> Tensor:
        """What the image reads, by the scores (B, heads, T, N) of its cells, added to it."""
        shares = scores.softmax(2).flatten(1, 2)
        v = self.heads(self.v_proj(values))
        # The shares of a head sum to one, so each head brings its part of the bias.
        bias = self.out_proj.bias / self.num_heads
        told = v @ self._by_head(self.out_proj.weight.transpose(0, 1)) + bias
        return torch.baddbmm(image, shares.transpose(1, 2), told.flatten(1, 2))
