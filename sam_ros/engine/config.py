"""The engine's settings; all of them may change between two calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineConfig:
    """How prompts are decoded and their masks cleaned and ranked.

    Attributes:
        multimask: True for three masks per prompt, False for one. None as the paper does: a lone
            point is ambiguous and gets three, anything else one.
        max_area_fraction: 0..1 of the frame; a mask from one click that is larger is hardly
            believed, one near it less than a small one.
        stability_offset: logits above and below the threshold at which a mask is cut to see how
            stable it is; greater than 0.
        min_area_px: islands and holes of fewer pixels are removed; 0 keeps all.
        ambiguity_margin: 0..1; a runner-up of another size whose score is less than this behind
            the best makes the answer ambiguous.
        prompts_per_batch: decoded at once at most, which bounds the memory.

    Raises:
        ValueError: a setting is out of its range.
    """

    multimask: bool | None = None
    max_area_fraction: float = 0.95
    stability_offset: float = 1.0
    min_area_px: int = 64
    ambiguity_margin: float = 0.15
    prompts_per_batch: int = 16

    def __post_init__(self) -> None:
        _check(
            "max_area_fraction", self.max_area_fraction, 0 < self.max_area_fraction <= 1, "0..1"
        )
        _check("stability_offset", self.stability_offset, self.stability_offset > 0, "above 0")
        _check("min_area_px", self.min_area_px, self.min_area_px >= 0, "at least 0")
        _check("ambiguity_margin", self.ambiguity_margin, 0 <= self.ambiguity_margin <= 1, "0..1")
        _check(
            "prompts_per_batch", self.prompts_per_batch, self.prompts_per_batch >= 1, "1 or more"
        )


def _check(field: str, value: float, holds: bool, expected: str) -> None:
    if not holds:
        raise ValueError(f"{field}: {value:g}; expected {expected}")
