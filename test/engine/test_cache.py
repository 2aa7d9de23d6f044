"""The cache answers by exact stamp and lets the oldest frame go."""

from __future__ import annotations

import pytest
import torch

from sam_ros.engine.cache import EmbeddingCache
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.transform import Transform


def embedding() -> Embedding:
    return Embedding(torch.zeros(1), Transform((4, 4), 8))


def test_exact_stamps_and_the_oldest_goes() -> None:
    """Nanoseconds are not rounded, even beyond what a float holds."""
    cache = EmbeddingCache(capacity=2)
    stamps = [1_700_000_000_000_000_001, 1_700_000_000_000_000_002, 1_700_000_000_000_000_003]
    entries = [embedding() for _ in stamps]
    for stamp, entry in zip(stamps, entries, strict=True):
        cache.put(stamp, entry)
    assert cache.get(stamps[0]) is None
    assert [cache.get(stamp) for stamp in stamps[1:]] == entries[1:]
    assert cache.latest is entries[-1]
    assert cache.stamps == tuple(stamps[1:])
    assert stamps[2] in cache and stamps[0] not in cache


def test_bounded_in_bytes() -> None:
    """Large embeddings are fewer; the newest stays even if it alone is too large."""
    cache = EmbeddingCache(capacity=10, most_bytes=10)
    for stamp in range(5):
        cache.put(stamp, embedding())  # of four bytes
    assert cache.stamps == (3, 4) and cache.nbytes == 8
    large = Embedding(torch.zeros(100), Transform((4, 4), 8))
    cache.put(5, large)
    assert cache.latest is large and len(cache) == 1


def test_time_may_run_backwards() -> None:
    """After a bag starts over, its new frames are the newest although their stamps are not."""
    cache = EmbeddingCache(capacity=2)
    entries = {stamp: embedding() for stamp in (100, 101, 5)}
    for stamp, entry in entries.items():
        cache.put(stamp, entry)
    assert cache.latest is entries[5]
    assert cache.stamps == (101, 5)


def test_a_stamp_put_in_again_becomes_the_newest() -> None:
    """It replaces its embedding and takes no second place."""
    cache = EmbeddingCache(capacity=2)
    for stamp in (1, 2, 1):
        cache.put(stamp, embedding())
    assert cache.stamps == (2, 1)


def test_clear_and_empty() -> None:
    """An empty cache has no latest."""
    cache = EmbeddingCache(capacity=1)
    cache.put(1, embedding())
    cache.clear()
    assert cache.latest is None and len(cache) == 0


def test_a_cache_holds_something() -> None:
    """A capacity below one is a mistake."""
    with pytest.raises(ValueError, match="capacity: 0; expected 1 or more"):
        EmbeddingCache(0)
