"""Attention on a grid with decomposed relative positions; no bias of all pairs at once.

The bias of a pair of cells is the sum of a vertical and a horizontal part. Written out for all
pairs of 64 x 64 cells it takes 0.8 GB (ViT-B), and half of the time goes into moving it. Two exact
ways round it; which is faster depends on the device:

* :func:`in_chunks` writes it out for a few rows of queries at a time, while they are in the cache.
* :func:`augmented` needs none: it lets each query carry its two rows of biases as further
  components, against keys that mark their row and column by a one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 1 << 23  # biases written out at once: 32 MB in single precision


def relative_attention(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Softmax of scaled products plus relative positions, applied to values.

    Args:
        q: (B, heads, h * w, d) queries.
        k: keys of that shape.
        v: values of that shape.
        rows: (h, h, d) vector of each query's and each key's row; its product with the unscaled
            query is the vertical part of the bias.
        columns: (w, w, d) the same of columns.

    Returns:
        (B, heads, h * w, d).
    """
    grid = q.unflatten(2, (len(rows), len(columns)))  # (B, heads, h, w, d)
    vertical = torch.einsum("bnhwd,hkd->bnhwk", grid, rows)
    horizontal = torch.einsum("bnhwd,wkd->bnhwk", grid, columns)
    if q.is_cuda:
        return augmented(q, k, v, vertical, horizontal)
    return in_chunks(q, k, v, vertical, horizontal)


def in_chunks(q: Tensor, k: Tensor, v: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """The attention with the bias of at most :data:`CHUNK` pairs, or of one row, at a time.

    Args:
        q: as :func:`relative_attention`.
        k: likewise.
        v: likewise.
        vertical: (B, heads, h, w, h) bias of each query and each row of keys.
        horizontal: (B, heads, h, w, w) bias of each query and each column of keys.
    """
    batch, heads, h, w, _ = vertical.shape
    rows = max(1, CHUNK // (heads * w * h * w))  # of queries, of one image or of several
    images = min(max(1, rows // h), batch)
    rows = min(rows, h)
    parts = []
    for i in range(0, batch, images):
        some = slice(i, i + images)
        strips = []
        for y in range(0, h, rows):
            strip = (some, slice(None), slice(y, y + rows))
            bias = vertical[strip].unsqueeze(-1) + horizontal[strip].unsqueeze(-2)
            bias = bias.flatten(4).flatten(2, 3)  # (images, heads, rows * w, h * w)
            queries = q[some, :, y * w : (y + rows) * w]
            strips.append(F.scaled_dot_product_attention(queries, k[some], v[some], bias))
        parts.append(torch.cat(strips, 2) if len(strips) > 1 else strips[0])
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def augmented(q: Tensor, k: Tensor, v: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """The attention with d + h + w components and no bias: what fused kernels are made for.

    Args:
        q: as :func:`relative_attention`.
        k: likewise.
        v: likewise.
        vertical: as :func:`in_chunks`.
        horizontal: likewise.
    """
    *_, h, w, _ = vertical.shape
    width = q.shape[3]
    total = -(-(width + h + w) // 8) * 8  # fused kernels want multiples of eight
    of_row = torch.eye(h, dtype=q.dtype, device=q.device).repeat_interleave(w, 0)  # (h * w, h)
    of_column = torch.eye(w, dtype=q.dtype, device=q.device).repeat(h, 1)
    place = torch.cat((of_row, of_column), 1).expand(*k.shape[:2], -1, -1)
    biases = torch.cat((vertical, horizontal), -1).flatten(2, 3)
    pad = (0, total - width - h - w)
    queries = F.pad(torch.cat((q * width**-0.5, biases), -1), pad)
    keys = F.pad(torch.cat((k, place), -1), pad)
    values = F.pad(v, (0, total - width))
    return F.scaled_dot_product_attention(queries, keys, values, scale=1.0)[..., :width]
