"""Cutting an image into square windows for local attention, and putting it together again."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def partition(x: Tensor, size: int, fill: Tensor | None = None) -> Tensor:
    """Cut (B, H, W, C) into windows (B * count, size, size, C).

    Where the image is no multiple of the window, cells are added at the right and at the bottom.
    They take part in the attention: the published weights were trained so.

    Args:
        x: the image.
        size: side of a window in cells.
        fill: (C,) what the added cells hold; None for zeros.
    """
    _, h, w, c = x.shape
    rows, columns = _count(h, size), _count(w, size)
    x = F.pad(x, (0, 0, 0, columns * size - w, 0, rows * size - h))
    if fill is not None:
        x[:, h:], x[:, :h, w:] = fill, fill
    x = x.reshape(-1, rows, size, columns, size, c).transpose(2, 3)
    return x.reshape(-1, size, size, c)  # (B, rows, columns, size, size, C) -> (B * count, ...)


def merge(windows: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Undo :func:`partition`: windows (B * count, size, size, C) to (B, H, W, C)."""
    (h, w), (size, c) = image_size, windows.shape[2:]
    rows, columns = _count(h, size), _count(w, size)
    x = windows.reshape(-1, rows, columns, size, size, c).transpose(2, 3)
    return x.reshape(-1, rows * size, columns * size, c)[:, :h, :w]


def _count(length: int, size: int) -> int:
    """Windows that cover a length. Not -(-length // size): converters divide towards zero."""
    return (length + size - 1) // size
