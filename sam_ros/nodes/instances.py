"""One prompted object between frames, and what is found of it in one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from std_msgs.msg import Header

from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.prompt import Prompt as EnginePrompt

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


def most_alike(logits: Logits, candidates: list[Logits]) -> int:
    """Index of the candidate whose mask overlaps most, by IoU, with that of ``logits``."""
    mask = logits > 0

    def iou(other: Logits) -> float:
        union = np.count_nonzero(mask | (other > 0))
        return np.count_nonzero(mask & (other > 0)) / union if union else 0.0

    return max(range(len(candidates)), key=lambda index: iou(candidates[index]))
