"""Everything has run once before the first picture."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from sam_ros.engine.segmenter import Segmenter
from sam_ros.engine.warm_up import warm_up
from sam_ros.model import Sam


def test_what_has_run_is_told(tiny: Sam) -> None:
    """The encoder, then clicks and boxes, on pictures of the expected size."""
    segmenter = Segmenter(tiny)
    sizes: list[Any] = []
    with patch.object(
        segmenter,
        "segment",
        lambda embedding, prompts: sizes.append((embedding.size, len(prompts))),
    ):
        assert list(warm_up(segmenter, (48, 64))) == ["image encoder", "mask decoder"]
    assert sizes == [((48, 64), 2)]
    assert list(warm_up(segmenter, (48, 64)))
