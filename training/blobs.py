"""Byte strings with a JSON table beside them, in one `.npz` file."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def save_blobs(path: str | Path, table: Any, blobs: Sequence[bytes]) -> None:
    """Write the JSON-like `table` and the blobs; the file appears only when it is complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(
            stream,
            blobs=np.frombuffer(b"".join(blobs), np.uint8),
            sizes=np.array([len(blob) for blob in blobs], np.int64),
            table=np.frombuffer(json.dumps(table).encode(), np.uint8),
        )
    partial.rename(path)


def load_blobs(path: str | Path) -> tuple[Any, list[bytes]]:
    """Read what `save_blobs` wrote: (table, blobs)."""
    with np.load(io.BytesIO(Path(path).read_bytes())) as file:
        joined, sizes = file["blobs"].tobytes(), file["sizes"]
        table = json.loads(file["table"].tobytes())
    ends = np.cumsum(sizes)
    return table, [joined[end - size : end] for end, size in zip(ends, sizes, strict=True)]
