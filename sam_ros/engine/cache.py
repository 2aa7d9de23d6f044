"""The embeddings of the last frames, so that a click is answered on the picture it was made on."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # embeddings are torch's; keeping them needs no torch
    from sam_ros.engine.embedding import Embedding


MOST_BYTES = 256 << 20  # which the nodes' parameter changes


class EmbeddingCache:
    """Embeddings by the stamp of their frame, the last ``capacity`` that were put in.

    Not locked: the one thread that owns the model owns the cache too.

    Age is the order of putting in, not the stamp: a bag that starts over sends older stamps, and
    its new frames must not be the first to go.

    Args:
        capacity: number of embeddings, 1 or more; on the model's device, 1 to 4 MB each.
        most_bytes: that they take together at most; the newest is kept whatever it takes.

    Raises:
        ValueError: the capacity is less than 1.
    """

    def __init__(self, capacity: int, most_bytes: int = MOST_BYTES) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: {capacity}; expected 1 or more")
        self.capacity, self.most_bytes = capacity, most_bytes
        self._embeddings: OrderedDict[int, Embedding] = OrderedDict()

    def put(self, stamp: int, embedding: Embedding) -> None:
        """Add or replace the embedding of a frame, which becomes the newest.

        Args:
            stamp: of the frame, in nanoseconds.
            embedding: of the frame.
        """
        self._embeddings.pop(stamp, None)
        self._embeddings[stamp] = embedding
        while len(self) > self.capacity or (len(self) > 1 and self.nbytes > self.most_bytes):
            self._embeddings.popitem(last=False)

    def get(self, stamp: int) -> Embedding | None:
        """The embedding of exactly this stamp in nanoseconds, None when it has gone."""
        return self._embeddings.get(stamp)

    @property
    def latest(self) -> Embedding | None:
        """The embedding put in last, None when the cache is empty."""
        return next(reversed(self._embeddings.values()), None)

    @property
    def stamps(self) -> tuple[int, ...]:
        """The stamps held, oldest first, in nanoseconds."""
        return tuple(self._embeddings)

    @property
    def nbytes(self) -> int:
        """Bytes that the embeddings take on the device."""
        return sum(item.nbytes for item in self._embeddings.values())

    def clear(self) -> None:
        """Let go of every embedding."""
        self._embeddings.clear()

    def __len__(self) -> int:
        return len(self._embeddings)

    def __contains__(self, stamp: int) -> bool:
        return stamp in self._embeddings
