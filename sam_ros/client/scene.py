"""What comes back: sam_ros/InstanceArray as numpy masks and plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from std_msgs.msg import Header

from sam_ros.client.errors import SamError
from sam_ros.engine import rle
from sam_ros.msg import Instance as InstanceMsg
from sam_ros.msg import InstanceArray, MaskHypothesis

BoolMask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One mask that the object may have.

    Attributes:
        score: what hypotheses are ranked by, 0..1.
        predicted_iou: what the model thinks of the mask, 0..1.
        stability: how little it changes with the threshold, 0..1.
        area: px.
        box: (4,) float32, x0, y0, x1, y1 around the mask.
        parent: index of the smallest hypothesis that contains this one, -1 for none.
        message: as it came.
    """

    score: float
    predicted_iou: float
    stability: float
    area: int
    box: npt.NDArray[np.float32]
    parent: int
    message: MaskHypothesis

    @cached_property
    def mask(self) -> BoolMask:
        """(H, W) bool, decoded when first asked for."""
        mask = self.message.mask
        return rle.decode(np.asarray(mask.counts), mask.height, mask.width)


@dataclass(frozen=True, eq=False)
class Instance:
    """One object.

    Attributes:
        object_id: its name.
        instance_id: its value in ~/instance_mask.
        label: class name, "" for none.
        label_score: 0..1.
        state: ``sam_ros.msg.Instance.NEW``, ``TRACKED`` or ``LOST``.
        selected: index of the hypothesis that the node's other outputs show.
        ambiguous: whether asking again is worth it.
        size: (H, W) of the picture.
        hypotheses: best first; empty when the object is lost.
    """

    object_id: str
    instance_id: int
    label: str
    label_score: float
    state: int
    selected: int
    ambiguous: bool
    size: tuple[int, int]
    hypotheses: tuple[Hypothesis, ...]

    @property
    def best(self) -> Hypothesis | None:
        """The selected hypothesis; None when the object is lost."""
        return self.hypotheses[self.selected] if self.hypotheses else None

    @property
    def mask(self) -> BoolMask:
        """(H, W) bool of the selected hypothesis; all False when the object is lost."""
        return self.best.mask if self.best else np.zeros(self.size, np.bool_)


@dataclass(frozen=True, eq=False)
class Scene:
    """What was found in one picture.

    Attributes:
        header: of the picture.
        size: (H, W) px.
        model: name of the network.
        latency: from the arrival of the picture to its answer [s].
        instances: the objects that were answered, in the order they were asked for.
        refused: why the others were not, by the index of their prompt.
    """

    header: Header
    size: tuple[int, int]
    model: str
    latency: float
    instances: tuple[Instance, ...]
    refused: Mapping[int, SamError] = field(default_factory=dict)

    def __getitem__(self, object_id: str) -> Instance:
        """The object of a name; KeyError when it is not there."""
        for item in self.instances:
            if item.object_id == object_id:
                return item
        raise KeyError(object_id)


def to_scene(msg: InstanceArray, refused: Mapping[int, SamError] | None = None) -> Scene:
    """Reads a message of ~/instances, or the result of ~/segment."""
    size = (msg.height, msg.width)
    return Scene(
        header=msg.header,
        size=size,
        model=msg.model,
        latency=msg.latency.sec + msg.latency.nanosec / 1e9,
        instances=tuple(_instance(item, size) for item in msg.instances),
        refused=dict(refused or {}),
    )


def _instance(msg: InstanceMsg, size: tuple[int, int]) -> Instance:
    return Instance(
        object_id=msg.object_id,
        instance_id=msg.instance_id,
        label=msg.label,
        label_score=msg.label_score,
        state=msg.state,
        selected=msg.selected,
        ambiguous=msg.ambiguous,
        size=size,
        hypotheses=tuple(_hypothesis(item) for item in msg.hypotheses),
    )


def _hypothesis(msg: MaskHypothesis) -> Hypothesis:
    centre = np.array((msg.bbox.center.position.x, msg.bbox.center.position.y))
    half = np.array((msg.bbox.size_x, msg.bbox.size_y)) / 2
    return Hypothesis(
        score=msg.score,
        predicted_iou=msg.predicted_iou,
        stability=msg.stability,
        area=msg.area,
        box=np.concatenate((centre - half, centre + half)).astype(np.float32),
        parent=msg.parent,
        message=msg,
    )
