"""Settings out of their range are refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sam_ros.engine.config import EngineConfig


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_area_fraction", 0.0),
        ("max_area_fraction", 1.1),
        ("max_area_fraction", float("nan")),
        ("stability_offset", 0.0),
        ("min_area_px", -1),
        ("ambiguity_margin", -0.1),
        ("prompts_per_batch", 0),
    ],
)
def test_ranges(field: str, value: Any) -> None:
    """The message names the field and its value."""
    with pytest.raises(ValueError, match=f"{field}: {value:g}; expected "):
        replace(EngineConfig(), **{field: value})
