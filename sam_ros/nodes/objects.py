"""The objects that prompts are about: their names, numbers and ranks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sam_ros.engine.hypothesis import Hypotheses
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Instance, Prompt
from sam_ros.nodes.instances import NOTHING, InstanceResult, PromptedObject, Size
from sam_ros.nodes.labels import Classes
from sam_ros.nodes.status import invalid

if TYPE_CHECKING:
    from sam_ros.nodes.texts import Query

LAST_INSTANCE_ID = 65535


class Objects:
    """The prompted objects by name. Only the worker touches them.

    An object keeps its number while it is remembered. ONCE objects leave the stream after one
    frame, but are remembered until others need their room: they can be refined and chosen among.

    Args:
        capacity: objects remembered, and prompts of one request.
        labels: number to name of the classes known beforehand.

    Attributes:
        reserved: numbers of things that are no prompted objects.
        classes: of their labels.
        queries: sticky prompts of nothing but text, by name; what they find are ONCE objects.
    """

    def __init__(self, capacity: int, labels: Mapping[int, str] | None = None) -> None:
        self.capacity = capacity
        self._objects: dict[str, PromptedObject] = {}  # the most recently prompted last
        self._last_id = 0
        self.reserved: set[int] = set()
        self.queries: dict[str, Query] = {}
        self.classes = Classes(labels or {})

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, object_id: str) -> bool:
        return object_id in self._objects

    @property
    def names(self) -> list[str]:
        """All names, the most recently prompted last."""
        return list(self._objects)

    @property
    def sticky(self) -> list[PromptedObject]:
        """The objects that are answered in every frame, in the order of their numbers."""
        sticky = (item for item in self._objects.values() if item.persistence == Prompt.STICKY)
        return sorted(sticky, key=lambda item: item.instance_id)

    def get(self, object_id: str) -> PromptedObject:
        """An object by its name; Refused when it is not known."""
        if object_id not in self._objects:
            raise invalid(f"object_id: {object_id!r}; expected the name of a known object")
        return self._objects[object_id]

    def propose(
        self, msg: Prompt, label_score: float, prompt: EnginePrompt, size: Size
    ) -> PromptedObject:
        """The object that a prompt would make; nothing is remembered yet.

        Args:
            msg: whose object_id, label, persistence and operation count.
            label_score: confidence of its label, 0..1.
            prompt: its geometry in pixels.
            size: (H, W) of the picture it was made on.

        Raises:
            Refused: a refinement of an object that is unknown or of a picture of another size.
        """
        if msg.operation == Prompt.REFINE:
            return self._refined(msg, label_score, prompt, size)
        known = self._objects.get(msg.object_id)
        number = known.instance_id if known else self.next_number()
        proposed = PromptedObject(
            object_id=msg.object_id or self._name(number),
            instance_id=number,
            label="",
            label_score=0.0,
            class_id=0,
            header=msg.header,
            prompt=prompt,
            size=size,
            persistence=msg.persistence,
        )
        return self.labelled(proposed, msg.label, label_score)

    def _refined(
        self, msg: Prompt, label_score: float, prompt: EnginePrompt, size: Size
    ) -> PromptedObject:
        """A known object with more points; without a name, the one prompted or chosen last."""
        if not (msg.object_id or self._objects):
            raise invalid("operation: REFINE without an object_id; expected a known object")
        known = self.get(msg.object_id or self.names[-1])
        if known.size != size:
            raise invalid(
                f"operation: REFINE of {known.object_id!r}, which was prompted on a picture "
                f"of {known.size[1]} x {known.size[0]} px; this one has {size[1]} x {size[0]}"
            )
        persistence = msg.persistence if msg.object_id else known.persistence
        refined = replace(known.refined(prompt, msg.header), persistence=persistence)
        return self.labelled(refined, msg.label, label_score) if msg.label else refined

    def room_for(self, names: Collection[str]) -> bool:
        """True when objects of these names can be remembered together with the sticky ones."""
        sticky = sum(item.object_id not in names for item in self.sticky)
        return sticky + len(names) <= self.capacity

    def remember(self, objects: Iterable[PromptedObject]) -> None:
        """Keeps objects as the most recently prompted; the first of them is the newest."""
        for item in reversed(list(objects)):
            self._objects.pop(item.object_id, None)
            self._objects[item.object_id] = item
        spare = [key for key, item in self._objects.items() if item.persistence == Prompt.ONCE]
        for key in spare[: max(0, len(self) - self.capacity)]:
            del self._objects[key]

    def observe(self, item: PromptedObject, hypotheses: Hypotheses) -> InstanceResult:
        """Takes note of what was found of a remembered object; its rank stays.

        Args:
            item: the object, as it has become.
            hypotheses: found of it; none when it is lost in this frame.
        """
        if not len(hypotheses):
            self._objects[item.object_id] = item
            return item.result(NOTHING, Instance.LOST)
        state = Instance.TRACKED if item.logits else Instance.NEW
        self._objects[item.object_id] = item.observed(hypotheses)
        return self._objects[item.object_id].result(hypotheses, state)

    def select(self, object_id: str, index: int) -> int:
        """Chooses a hypothesis of an object, -1 for the next one; returns its index."""
        item = self.get(object_id)
        count = len(item.logits)
        if not count:
            raise invalid(f"object_id: {object_id!r} has not been segmented yet")
        if not -1 <= index < count:
            raise invalid(f"index: {index}; expected -1..{count - 1} for object {object_id!r}")
        selected = (item.selected + 1) % count if index == -1 else index
        chosen = replace(item, selected=selected, pinned=True)
        del self._objects[object_id]
        self._objects[object_id] = chosen
        return selected

    def remove(self, object_ids: Iterable[str]) -> None:
        """Forgets objects, known or not."""
        for name in object_ids:
            self._objects.pop(name, None)

    def newest(self, object_ids: Collection[str]) -> str | None:
        """Which of these was prompted or chosen last; None when none is remembered."""
        return next((name for name in reversed(self._objects) if name in object_ids), None)

    def next_number(self) -> int:
        """A number 1..65535 that no remembered object has, and that is not reserved."""
        taken = {item.instance_id for item in self._objects.values()} | self.reserved
        while True:
            self._last_id = self._last_id % LAST_INSTANCE_ID + 1
            if self._last_id not in taken:
                return self._last_id

    def labelled(self, item: PromptedObject, label: str, score: float) -> PromptedObject:
        """The object with a label and its number."""
        label = self.classes.label(label)
        score = score if label else 0.0
        return replace(item, label=label, label_score=score, class_id=self.classes.number(label))

    def _name(self, number: int) -> str:
        name = f"object_{number}"
        while name in self:
            name += "_"
        return name
