"""What was found in one picture."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from sam_ros.nodes.frames import Frame
from sam_ros.nodes.instances import InstanceResult


@dataclass(frozen=True, eq=False)
class Scene:
    """The objects found in one frame: everything that the outputs show.

    Attributes:
        target: the object of ~/mask; None when there is no object.
    """

    frame: Frame
    results: tuple[InstanceResult, ...]
    target: InstanceResult | None = None

    @property
    def age(self) -> float:
        """Seconds since the picture arrived."""
        return time.monotonic() - self.frame.received

    def __contains__(self, object_id: str) -> bool:
        return any(item.object_id == object_id for item in self.results)

    def aimed_at(self, object_id: str | None) -> Scene:
        """The scene with the object of this name as its target."""
        target = next((item for item in self.results if item.object_id == object_id), None)
        return replace(self, target=target)

    def with_selected(self, object_id: str, index: int) -> Scene:
        """The scene with another hypothesis of one object chosen."""
        results = tuple(
            replace(item, selected=index) if item.object_id == object_id else item
            for item in self.results
        )
        return replace(self, results=results)

    def without(self, object_ids: Collection[str]) -> Scene:
        """The scene less some objects."""
        results = tuple(item for item in self.results if item.object_id not in object_ids)
        return replace(self, results=results)
