"""The objects that prompts are about: their names, numbers, prompts and what was found of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from std_msgs.msg import Header

from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Instance, Prompt
from sam_ros.nodes.labels import LAST_CLASS_ID
from sam_ros.nodes.status import invalid

if TYPE_CHECKING:
    from sam_ros.nodes.texts import Query

LAST_INSTANCE_ID = 65535
UNNAMED = "object"  # the class of what has no label
NOTHING = Hypotheses((), False)

Logits = npt.NDArray[np.float32]
Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class InstanceResult:
    """What was found of one object in one frame.

    Attributes:
        object_id: the object's name.
        instance_id: its value in ~/instance_mask, 1..65535.
        label: class name; "" for none.
        label_score: confidence of the label, 0..1.
        class_id: its value in ~/label_mask, 1..255.
        state: Instance.NEW, TRACKED or LOST.
        selected: index of the hypothesis that the outputs show.
        hypotheses: best first; empty when the object is LOST.
        prompt: what was asked, in pixels.
    """

    object_id: str
    instance_id: int
    label: str
    label_score: float
    class_id: int
    state: int
    selected: int
    hypotheses: Hypotheses
    prompt: EnginePrompt

    @property
    def chosen(self) -> Hypothesis | None:
        """The selected hypothesis; None while the object is lost."""
        return self.hypotheses[self.selected] if len(self.hypotheses) else None


@dataclass(frozen=True, eq=False)
class PromptedObject:
    """One object as the node remembers it between frames.

    Attributes:
        header: of the picture the prompt was made on.
        prompt: all that the object was prompted with so far, in pixels of a picture of ``size``.
        persistence: Prompt.ONCE or STICKY.
        selected: index of the chosen hypothesis in the newest result.
        pinned: a person or a node chose it; it is then looked for in the next result by its shape.
        logits: of each hypothesis of the newest result; empty before the first one.
        texts: words that select among the hypotheses; ``given_label`` is what it is called then.
    """

    object_id: str
    instance_id: int
    label: str
    label_score: float
    class_id: int
    header: Header
    prompt: EnginePrompt
    size: Size
    persistence: int
    selected: int = 0
    pinned: bool = False
    logits: tuple[Logits, ...] = ()
    texts: tuple[str, ...] = ()
    given_label: str = ""

    def refined(self, prompt: EnginePrompt, header: Header) -> PromptedObject:
        """The object with more points, its chosen logits as the mask prompt.

        Args:
            prompt: points to add; its box, when there is one, takes the place of the old one.
            header: of the picture the new points were made on.
        """
        merged = EnginePrompt(
            points=np.concatenate((self.prompt.points, prompt.points)),
            labels=np.concatenate((self.prompt.labels, prompt.labels)),
            box=self.prompt.box if prompt.box is None else prompt.box,
            mask=self.prompt.mask if prompt.mask is None else prompt.mask,
            logits=self.logits[self.selected] if self.logits and prompt.mask is None else None,
        )
        return replace(self, prompt=merged, header=header, selected=0, pinned=False)

    def observed(self, hypotheses: Hypotheses) -> PromptedObject:
        """The object after a frame in which it was found."""
        selected = self.selected if self.texts else 0
        if self.pinned and self.logits:
            selected = most_alike(self.logits[self.selected], [item.logits for item in hypotheses])
        return replace(self, selected=selected, logits=tuple(item.logits for item in hypotheses))

    def result(self, hypotheses: Hypotheses, state: int) -> InstanceResult:
        """What is published of the object for one frame."""
        return InstanceResult(
            self.object_id,
            self.instance_id,
            self.label,
            self.label_score,
            self.class_id,
            state,
            self.selected,
            hypotheses,
            self.prompt,
        )


class Objects:
    """The prompted objects by name. Only the worker touches them.

    An object keeps its number while it is remembered. ONCE objects leave the stream after one
    frame, but are remembered until others need their room: they can be refined and chosen among.

    Args:
        capacity: objects remembered, and prompts of one request.
        labels: number to name of the classes known beforehand.

    Attributes:
        reserved: numbers of things that are no prompted objects.
        classes: label to its value in ~/label_mask, 1..255; a number once given stays.
        queries: sticky prompts of nothing but text, by name; what they find are ONCE objects.
    """

    def __init__(self, capacity: int, labels: Mapping[int, str] | None = None) -> None:
        self.capacity = capacity
        self._objects: dict[str, PromptedObject] = {}  # the most recently prompted last
        self._last_id = 0
        self.reserved: set[int] = set()
        self.queries: dict[str, Query] = {}
        self._named = {str(number): name for number, name in (labels or {}).items()}
        self.classes: dict[str, int] = {name: int(key) for key, name in self._named.items()}

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
        """The objects that are answered in every frame, oldest first."""
        return [item for item in self._objects.values() if item.persistence == Prompt.STICKY]

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
            known = self.get(msg.object_id) if msg.object_id else self._last()
            if known.size != size:
                raise invalid(
                    f"operation: REFINE of {known.object_id!r}, which was prompted on a picture "
                    f"of {known.size[1]} x {known.size[0]} px; this one has {size[1]} x {size[0]}"
                )
            persistence = msg.persistence if msg.object_id else known.persistence
            refined = replace(known.refined(prompt, msg.header), persistence=persistence)
            return self.labelled(refined, msg.label, label_score) if msg.label else refined
        known_id = self._objects[msg.object_id].instance_id if msg.object_id in self else None
        number = known_id or self.next_number()
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

    def update(self, item: PromptedObject) -> None:
        """Takes what has become of a remembered object; its rank stays."""
        if item.object_id in self:
            self._objects[item.object_id] = item

    def observe(self, object_id: str, hypotheses: Hypotheses) -> InstanceResult:
        """Takes note of what was found of a remembered object; empty: it is lost in this frame."""
        item = self.get(object_id)
        if not len(hypotheses):
            return item.result(NOTHING, Instance.LOST)
        state = Instance.TRACKED if item.logits else Instance.NEW
        self._objects[object_id] = item.observed(hypotheses)
        return self._objects[object_id].result(hypotheses, state)

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

    def _last(self) -> PromptedObject:
        """The object that was prompted or chosen last, which a nameless refinement is about."""
        if not self._objects:
            raise invalid("operation: REFINE without an object_id; expected a known object")
        return self._objects[self.names[-1]]

    def next_number(self) -> int:
        """A number 1..65535 that no remembered object has, and that is not reserved."""
        taken = {item.instance_id for item in self._objects.values()} | self.reserved
        while True:
            self._last_id = self._last_id % LAST_INSTANCE_ID + 1
            if self._last_id not in taken:
                return self._last_id

    def labelled(self, item: PromptedObject, label: str, score: float) -> PromptedObject:
        """The object with a label and its number; the names after the 255th share that number.

        A detector that sends numbers means those of the labels file.
        """
        label = self._named.get(label, label)
        score = score if label else 0.0
        return replace(item, label=label, label_score=score, class_id=self.class_of(label))

    def class_of(self, label: str) -> int:
        """The value of a label in ~/label_mask, "" for what has none; a new one when it is new."""
        number = min(max(self.classes.values(), default=0) + 1, LAST_CLASS_ID)
        return self.classes.setdefault(label or UNNAMED, number)

    def _name(self, number: int) -> str:
        name = f"object_{number}"
        while name in self:
            name += "_"
        return name


def most_alike(logits: Logits, candidates: list[Logits]) -> int:
    """Index of the candidate whose mask overlaps most, by IoU, with that of ``logits``."""
    mask = logits > 0

    def iou(other: Logits) -> float:
        union = np.count_nonzero(mask | (other > 0))
        return np.count_nonzero(mask & (other > 0)) / union if union else 0.0

    return max(range(len(candidates)), key=lambda index: iou(candidates[index]))
