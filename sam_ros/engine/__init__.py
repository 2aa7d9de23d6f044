"""Promptable segmentation without ROS: ``Segmenter(build_sam("sam_tiny"))``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sam_ros.engine.config import EngineConfig
from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.prompt import Prompt

if TYPE_CHECKING:
    from sam_ros.engine.segmenter import Segmenter

__all__ = ["EngineConfig", "Hypotheses", "Hypothesis", "Prompt", "Segmenter"]


def __getattr__(name: str) -> Any:
    """Import the segmenter when it is asked for: it takes torch along, the others do not."""
    if name != "Segmenter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sam_ros.engine.segmenter import Segmenter

    return Segmenter
