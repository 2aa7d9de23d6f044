"""From the decoder's low-resolution logits to masks of the original image, in one pass.

The reference scales the logits to the encoder's square, crops the padding away and scales again.
Both steps are bilinear, and a bilinear scaling is one matrix along y and one along x. So the two
together are ``rows @ logits @ columns.T``, with the same numbers but for rounding.

On a CPU two things make it cheap: only the window around the object is computed, for a weighted
mean of low logits is low, and it goes through in bands, which read few cells and stay in the
cache. On a GPU, where waiting for an answer costs more than arithmetic, whole masks are made,
measured and turned into run lengths, and only these come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sam_ros.engine import rle
from sam_ros.engine.boxes import Box, tight_box
from sam_ros.engine.transform import Size, Transform
from sam_ros.engine.upload import fetch

BAND = 1 << 17  # floats of the original's resolution that a CPU holds at once
STRIP = 256  # columns of the original that are scaled at once
TOGETHER = 1 << 26  # floats of the original's resolution that a GPU holds at once
REACH = 2  # no pixel reads cells further than this from its own, over both scalings


@dataclass(frozen=True, eq=False)
class Patch:
    """The window of the original image that holds a mask.

    Attributes:
        mask: (h, w) bool, every foreground pixel of the mask; a side may be 0.
        x: column of the window's first pixel.
        y: row of the window's first pixel.
        stability: IoU of the masks cut a little above and below the threshold, 0..1.
    """

    mask: npt.NDArray[np.bool_]
    x: int
    y: int
    stability: float

    @property
    def box(self) -> Box:
        """(4,) the tight box of the mask in the original image; zeros when it is empty."""
        box = tight_box(self.mask)
        return box + np.array((self.x, self.y) * 2, np.float32) if box.any() else box

    def full(self, size: Size) -> npt.NDArray[np.bool_]:
        """The mask as (H, W) bool of the whole image; memory is touched in the window only."""
        mask = np.zeros(size, np.bool_)
        height, width = self.mask.shape
        mask[self.y : self.y + height, self.x : self.x + width] = self.mask
        return mask


@dataclass(frozen=True)
class Axis:
    """One side of the image on its way from the logits to the original.

    Attributes:
        cells: of the logits along the encoder's square.
        image_size: side of the square in pixels.
        input_length: pixels of the square that hold the image, the rest is padding.
        length: pixels of the original image.
    """

    cells: int
    image_size: int
    input_length: int
    length: int

    def matrix(self, device: torch.device) -> Tensor:
        """(length, cells): what each pixel reads from each cell over both scalings."""
        cell, part = _neighbours(self.cells, self.image_size, device)
        inside, share = _neighbours(self.input_length, self.length, device)
        read = cell[inside].flatten(1)  # (length, 2, 2) -> (length, 4)
        weight = (share[..., None] * part[inside]).flatten(1)
        empty = torch.zeros(self.length, self.cells, device=device)
        return empty.scatter_add_(1, read, weight.float())

    def window(self, hot: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
        """The pixels that hot cells can reach, and the cells that those pixels read.

        Args:
            hot: (cells,) bool.
        """
        found = np.flatnonzero(hot)
        if not len(found):
            return slice(0, 0), slice(0, 0)
        first, last = int(found[0]), int(found[-1]) + 1
        start = min(max(floor((first - REACH) * self.scale), 0), self.length)
        stop = min(max(ceil((last + REACH) * self.scale), start), self.length)
        return slice(start, stop), slice(max(first - 2 * REACH, 0), last + 2 * REACH)

    @property
    def scale(self) -> float:
        """Pixels per cell."""
        return self.length / self.input_length * self.image_size / self.cells

    def read_by(self, start: int, stop: int) -> slice:
        """The cells that a run of pixels reads."""
        first, last = floor(start / self.scale), ceil(stop / self.scale)
        return slice(max(first - REACH, 0), min(last + REACH, self.cells))


class Upsampler:
    """Scales the logits of one picture's prompts and cuts them into masks.

    Args:
        transform: of the picture.
        low_size: (h, w) of the logits, which cover the whole square.
        device: where the logits are.
    """

    def __init__(self, transform: Transform, low_size: Size, device: torch.device) -> None:
        self.transform, self.low_size, self.size = transform, low_size, transform.size
        self._vertical, self._horizontal = (
            Axis(cells, transform.image_size, inside, length)
            for cells, inside, length in zip(
                low_size, transform.input_size, transform.size, strict=True
            )
        )
        self._rows = self._vertical.matrix(device)
        self._columns = self._horizontal.matrix(device)

    def __call__(
        self, logits: Tensor, threshold: float = 0.0, offset: float = 1.0
    ) -> Iterator[Patch]:
        """Cut logits at the threshold, at the resolution of the picture.

        The stability of a mask is, as in the reference's mask generator, counted at that
        resolution on masks cut ``offset`` above and below the threshold; 0 when both are empty.

        Args:
            logits: (N, h, w).
            threshold: logits above it belong to the mask.
            offset: greater than 0.

        Yields:
            One patch for each of the N masks.
        """
        levels = threshold, threshold + offset, threshold - offset
        if logits.is_cuda:
            for part in logits.float().split(max(1, TOGETHER // (self.size[0] * self.size[1]))):
                yield from self.whole(part, *levels)
        else:
            yield from self._windows(logits.float(), *levels)

    def whole(self, logits: Tensor, middle: float, high: float, low: float) -> list[Patch]:
        """Whole masks, all together, on the device of the logits; it is waited for once.

        Args:
            logits: (N, h, w) float32.
            middle: level of the masks.
            high: upper level of their stability.
            low: lower level.
        """
        values = self._rows @ logits @ self._columns.T  # (N, H, W)
        columns = (values > middle).transpose(1, 2).flatten(1)  # pixels in the order of the runs
        inner, outer = ((values > level).sum((1, 2)) for level in (high, low))
        measures = fetch(torch.stack((inner, outer, columns[:, 0].long())))
        mask, place = (columns[:, 1:] != columns[:, :-1]).nonzero().cpu().numpy().T  # the wait
        starts = np.searchsorted(mask, np.arange(len(logits) + 1))
        return [
            self._patch(place[start:stop] + 1, bool(filled), i / o if o else 0.0)
            for (start, stop), (i, o, filled) in zip(
                pairwise(starts), measures.numpy().T, strict=True
            )
        ]

    def _patch(self, edges: npt.NDArray[np.int64], filled: bool, stability: float) -> Patch:
        """A mask in the columns that it reaches.

        Args:
            edges: pixels, column by column, that differ from the one before them.
            filled: whether the first pixel belongs to the mask.
            stability: of the mask.
        """
        height, width = self.size
        if filled:
            edges = np.concatenate(((0,), edges))
        if len(edges) % 2:  # the mask reaches the last pixel
            edges = np.concatenate((edges, (height * width,)))
        if not len(edges):
            return Patch(np.zeros((0, 0), np.bool_), 0, 0, stability)
        x, end = int(edges[0]) // height, -(-int(edges[-1]) // height)
        runs = np.diff(edges - x * height, prepend=0, append=(end - x) * height)
        return Patch(rle.decode(runs, height, end - x), x, 0, stability)

    def _windows(self, logits: Tensor, middle: float, high: float, low: float) -> Iterator[Patch]:
        """One mask after the other, each in the window around it."""
        reaches = logits > low
        hot_rows, hot_columns = reaches.any(2).numpy(), reaches.any(1).numpy()
        for values, hot_y, hot_x in zip(logits, hot_rows, hot_columns, strict=True):
            y, _ = self._vertical.window(hot_y)
            x, _ = self._horizontal.window(hot_x)
            mask, stability = self._cut(self._widen(values, x), y, middle, high, low)
            yield Patch(mask, x.start, y.start, stability)

    def _widen(self, logits: Tensor, pixels: slice) -> Tensor:
        """The logits (h, w) at some columns of pixels, strip by strip, (h, width)."""
        wide = logits.new_empty(len(logits), pixels.stop - pixels.start)
        for x in range(pixels.start, pixels.stop, STRIP):
            end = min(x + STRIP, pixels.stop)
            cells = self._horizontal.read_by(x, end)
            strip = wide[:, x - pixels.start : end - pixels.start]
            torch.mm(logits[:, cells], self._columns[x:end, cells].T, out=strip)
        return wide

    def _cut(
        self, wide: Tensor, pixels: slice, middle: float, high: float, low: float
    ) -> tuple[npt.NDArray[np.bool_], float]:
        """The mask on some rows of pixels and its stability, band by band.

        Compared and counted by NumPy, which is six times faster at it than torch.
        """
        width = wide.shape[1]
        mask = np.empty((pixels.stop - pixels.start, width), np.bool_)
        inner = outer = 0
        band = max(1, BAND // max(1, width))
        for y in range(pixels.start, pixels.stop, band):
            end = min(y + band, pixels.stop)
            cells = self._vertical.read_by(y, end)
            values = (self._rows[y:end, cells] @ wide[cells]).numpy()
            np.greater(values, middle, out=mask[y - pixels.start : end - pixels.start])
            inner += np.count_nonzero(values > high)
            outer += np.count_nonzero(values > low)
        return mask, inner / outer if outer else 0.0


def _neighbours(old: int, new: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The two old samples that each new one of a bilinear scaling reads, and their shares.

    Returns:
        Indices and weights (new, 2).
    """
    centre = (torch.arange(new, device=device, dtype=torch.float64) + 0.5) * (old / new) - 0.5
    centre = centre.clamp(0, old - 1)
    lower = centre.long()
    share = centre - lower
    upper = (lower + 1).clamp(max=old - 1)
    return torch.stack((lower, upper), 1), torch.stack((1 - share, share), 1)
