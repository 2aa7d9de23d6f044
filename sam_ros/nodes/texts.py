"""What text prompts ask for, and the objects that their answers become."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Prompt
from sam_ros.nodes.frames import Frame
from sam_ros.nodes.instances import NOTHING, PromptedObject
from sam_ros.nodes.objects import Objects
from sam_ros.nodes.status import invalid

if TYPE_CHECKING:
    from sam_ros.engine.text import TextInstance

MOST_CHARACTERS = 1000
MOST_TEXTS = 32
SHOWN = 40  # characters of a wrong text in an error
SAME = 0.5  # IoU of the masks of one object in two pictures
UNNAMED = "text"

Mask = npt.NDArray[np.bool_]
Sighting = tuple[PromptedObject, Hypotheses]


@dataclass(frozen=True, eq=False)
class Query:
    """A prompt that has nothing but text: it asks for any number of objects.

    Attributes:
        msg: the prompt.
        texts: what it looks for, at least one, each once.
    """

    msg: Prompt
    texts: tuple[str, ...]

    @property
    def object_id(self) -> str:
        """Its name: of the nameless ones that stay, the newest takes the place of the last."""
        return self.msg.object_id or UNNAMED

    @property
    def alone(self) -> bool:
        """Whether text is all that the prompt has."""
        return not (self.msg.points or self.msg.point_labels or self.msg.box or self.msg.mask)

    def message(self) -> Prompt:
        """The prompt with its name."""
        return Prompt(
            header=self.msg.header,
            object_id=self.object_id,
            label=self.msg.label,
            persistence=self.msg.persistence,
            text=self.msg.text,
        )

    @property
    def sticky(self) -> bool:
        """Whether it is asked again on every picture that there is time for."""
        return bool(self.msg.persistence == Prompt.STICKY)


def read_texts(text: str) -> tuple[str, ...]:
    """The texts of "red mug; screwdriver", each once.

    Raises:
        Refused: INVALID_REQUEST; names the limit.
    """
    shown = repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
    if len(text) > MOST_CHARACTERS:
        raise invalid(f"text: {shown}: {len(text)} characters; expected at most {MOST_CHARACTERS}")
    for index, character in enumerate(text):
        if unicodedata.category(character) == "Cc":
            code = f"U+{ord(character):04X}"
            raise invalid(f"text: {shown}: control character {code} at {index}; expected words")
    parts = [" ".join(part.split()) for part in text.split(";")]
    texts: dict[str, str] = {}
    for part in filter(None, parts):
        texts.setdefault(part.casefold(), part)
    if not texts:
        raise invalid(f"text: {shown}; expected words, such as red mug; screwdriver")
    if len(texts) > MOST_TEXTS:
        raise invalid(f"text: {len(texts)} texts; expected at most {MOST_TEXTS}, split by ;")
    return tuple(texts.values())


def not_found(query: Query, found: Collection[TextInstance]) -> str:
    """What to say of the texts that have no instance; "" when all have one."""
    there = {item.text for item in found}
    missing = [text for text in query.texts if text not in there]
    return f"text: not found in this picture: {'; '.join(missing)}" if missing else ""


class Finds:
    """The objects that queries found, with the same names and numbers from picture to picture.

    Args:
        objects: where they are remembered, so that they can be chosen and refined.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._masks: dict[str, dict[str, Mask]] = {}  # query to the names it found and where

    def forget(self, query: str) -> list[str]:
        """Gives up a query; returns the names of what it found."""
        return list(self._masks.pop(query, {}))

    def name(
        self,
        query: Query,
        instances: Sequence[TextInstance],
        frame: Frame,
        taken: set[str],
        again: bool = False,
    ) -> list[Sighting]:
        """What was found as objects.

        Args:
            query: that found them.
            instances: best first.
            frame: the picture.
            taken: names that are not free; those given here are added.
            again: the query is asked on every picture: what it found on the one before is known
                by its mask and has its name, and what it finds no more is among the answers, with
                no mask.
        """
        known = dict(self._masks.get(query.object_id, {})) if again else {}
        sightings: list[Sighting] = []
        for instance in instances:
            name = _same(instance.hypothesis, known)
            seen = name in known and name in self._objects
            known.pop(name, None)
            name = name or self._free(query, instance, taken | known.keys())
            taken.add(name)
            item = self._object(query, instance, frame, name)
            found = Hypotheses((instance.hypothesis,), False)
            sightings.append((item.observed(found) if seen else item, found))
        if again:
            self._masks[query.object_id] = {
                item.object_id: found.best.mask for item, found in sightings
            }
        lost = [self._objects.get(name) for name in known if name in self._objects]
        return [*sightings, *((item, NOTHING) for item in lost)]

    def _object(
        self, query: Query, instance: TextInstance, frame: Frame, name: str
    ) -> PromptedObject:
        label = query.msg.label or instance.text
        msg = Prompt(header=frame.header, object_id=name, label=label)
        prompt = EnginePrompt(box=instance.hypothesis.box)
        return self._objects.propose(msg, instance.label_score, prompt, frame.size)

    def _free(self, query: Query, instance: TextInstance, taken: Collection[str]) -> str:
        """The query's own name, else the text; a number behind it when others have that."""
        stem, number = query.msg.object_id or instance.text, 1
        name = stem
        while name in taken or (not query.msg.object_id and name in self._objects):
            number += 1
            name = f"{stem}_{number}"
        return name


def _same(hypothesis: Hypothesis, known: dict[str, Mask]) -> str:
    """The name of the mask that it overlaps most with; "" when none does enough."""

    def iou(name: str) -> float:
        mask = known[name]
        if mask.shape != hypothesis.mask.shape:
            return 0.0
        union = int(np.count_nonzero(mask | hypothesis.mask))
        return int(np.count_nonzero(mask & hypothesis.mask)) / union if union else 0.0

    best = max(known, key=iou, default="")
    return best if best and iou(best) >= SAME else ""
