"""What one prompt may mean: masks ranked by how much they are to be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sam_ros.engine import rle


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One mask that answers a prompt.

    Attributes:
        mask: (H, W) bool in the original image's size.
        score: the ranking key, 0..1.
        predicted_iou: the IoU head's estimate, clipped to 0..1 (not trusted alone).
        stability: IoU of the mask thresholded a little higher and a little lower, 0..1.
        area: pixels in ``mask``.
        box: (4,) float32 tight x0, y0, x1, y1 through the outer edges of the pixels (a mask of the
            single pixel x, y has the box x - 0.5, y - 0.5, x + 0.5, y + 0.5); zeros when empty.
        parent: index, in the same list, of the smallest hypothesis that contains this one; -1
            for none.
        logits: (h, w) float32 low-resolution logits, the mask prompt of a later refinement.
    """

    mask: npt.NDArray[np.bool_]
    score: float
    predicted_iou: float
    stability: float
    area: int
    box: npt.NDArray[np.float32]
    parent: int
    logits: npt.NDArray[np.float32]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        height, width = self.mask.shape
        return height, width

    @property
    def counts(self) -> rle.Counts:
        """The run lengths of ``mask``."""
        return rle.encode(self.mask)

    def packed(self) -> Hypothesis:
        """The same with the mask kept as run lengths: kilobytes for megabytes."""
        return PackedHypothesis(**vars(self))


class PackedHypothesis(Hypothesis):
    """A hypothesis that makes its mask from run lengths each time it is asked for.

    Args:
        mask: (H, W) bool; not held on to.
        values: the other fields of :class:`Hypothesis`.
    """

    _counts: rle.Counts
    _size: tuple[int, int]

    def __init__(self, mask: npt.NDArray[np.bool_], **values: Any) -> None:
        vars(self).update(values, _size=mask.shape, _counts=rle.encode(mask))

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(H, W) bool, a new array."""
        return rle.decode(self._counts, *self._size)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        return self._size

    @property
    def counts(self) -> rle.Counts:
        """The run lengths of ``mask``."""
        return self._counts

    def packed(self) -> Hypothesis:
        """Itself."""
        return self


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """The hypotheses of one prompt, best first.

    Attributes:
        items: one to three hypotheses, sorted by descending score.
        ambiguous: a mask of another size has a score close to the best one's.
    """

    items: tuple[Hypothesis, ...]
    ambiguous: bool

    def packed(self) -> Hypotheses:
        """The same with masks kept as run lengths."""
        return Hypotheses(tuple(item.packed() for item in self.items), self.ambiguous)

    @property
    def best(self) -> Hypothesis:
        """The hypothesis with the highest score."""
        return self.items[0]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Hypothesis:
        return self.items[index]

    def __iter__(self) -> Iterator[Hypothesis]:
        return iter(self.items)
