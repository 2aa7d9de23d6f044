"""What everything mode finds, from frame to frame: names, numbers and states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.matching import match
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Instance
from sam_ros.nodes.instances import NOTHING, InstanceResult

OVERLAP = 0.3  # IoU from which a mask is that of the frame before
PATIENCE = 5  # frames that a lost thing is remembered, and told to be lost


@dataclass(frozen=True, eq=False)
class Thing:
    """One thing as it was seen last.

    Attributes:
        number: its instance_id.
        seen: its mask.
        missed: frames since then.
    """

    number: int
    seen: Hypothesis
    missed: int = 0


class Things:
    """The things seen lately. A mask that overlaps with one of the frame before keeps its name.

    Args:
        next_number: gives an instance_id that nothing else has; default: 1, 2, 3, ...
        class_id: value of all of them in ~/label_mask.
    """

    def __init__(self, next_number: Callable[[], int] | None = None, class_id: int = 0) -> None:
        self._next_number = next_number or count(1).__next__
        self._class_id = class_id
        self._things: list[Thing] = []

    @property
    def numbers(self) -> set[int]:
        """The instance_ids in use."""
        return {item.number for item in self._things}

    def update(self, found: Sequence[Hypothesis]) -> list[InstanceResult]:
        """Takes the masks of a new frame.

        Args:
            found: best first.

        Returns:
            They, in their order, NEW or TRACKED; then the things that are LOST.
        """
        pairs = self._match(found)
        seen = [
            Thing(
                self._things[pairs[index]].number if index in pairs else self._next_number(), item
            )
            for index, item in enumerate(found)
        ]
        known = self.numbers
        missed = set(range(len(self._things))) - set(pairs.values())
        lost = [
            replace(self._things[index], missed=self._things[index].missed + 1)
            for index in sorted(missed)
            if self._things[index].missed < PATIENCE
        ]
        self._things = [*seen, *lost]
        states = [Instance.TRACKED if item.number in known else Instance.NEW for item in seen]
        results = [self._result(item, state) for item, state in zip(seen, states, strict=True)]
        return results + [self._result(item, Instance.LOST) for item in lost]

    def _match(self, found: Sequence[Hypothesis]) -> dict[int, int]:
        """Index in ``found`` to index of a thing; none where pictures have changed their size."""
        before = [item.seen for item in self._things]
        if found and any(item.mask.shape != found[0].mask.shape for item in before):
            return {}
        return match(before, found, OVERLAP)

    def _result(self, item: Thing, state: int) -> InstanceResult:
        alone = replace(item.seen, parent=-1)  # the only hypothesis of its instance
        return InstanceResult(
            object_id=f"thing_{item.number}",
            instance_id=item.number,
            label="",
            label_score=0.0,
            class_id=self._class_id,
            state=state,
            selected=0,
            hypotheses=NOTHING if state == Instance.LOST else Hypotheses((alone,), False),
            prompt=EnginePrompt(),
        )
