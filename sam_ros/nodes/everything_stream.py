"""Everything mode on the pictures of the camera: the parameter everything_rate_hz."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sam_ros.nodes.frames import Frame
from sam_ros.nodes.gate import Gate
from sam_ros.nodes.instances import InstanceResult
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.segmentation import Segmentation
from sam_ros.nodes.status import Refused
from sam_ros.nodes.things import Things

if TYPE_CHECKING:  # it imports torch, which the node does in the worker's thread only
    from sam_ros.engine.everything import Steps


@dataclass(frozen=True, eq=False)
class Run:
    """The work on one frame.

    Attributes:
        segmentation: does it.
        frame: the picture.
        prompted: what the prompts have found on it.
        steps: one batch each.
    """

    segmentation: Segmentation
    frame: Frame
    prompted: tuple[InstanceResult, ...]
    steps: Steps


class EverythingStream:
    """Segments everything in frames of the camera; all of it in the worker's thread.

    One batch is a job of its own, so that newer frames, prompts and services have their turn. A
    frame that comes while one is worked on is passed by.

    Args:
        gate: hands frames over and takes the jobs.
        parameters: asked for the rate and the settings.
    """

    def __init__(self, gate: Gate, parameters: Callable[[], Parameters]) -> None:
        self._gate, self._parameters = gate, parameters
        self._things = Things()
        self._owner: Segmentation | None = None  # whose numbers the things have
        self._next_due = 0.0
        self._job: Future[None] | None = None
        gate.followers.append(self._on_frame)

    def _on_frame(self, segmentation: Segmentation, frame: Frame) -> None:
        rate = self._parameters().everything_rate_hz
        if rate == 0 or self._owner is not segmentation:
            self._forget(segmentation if rate else None)
        busy = self._job is not None and not self._job.done()
        if rate == 0 or busy or frame.received < self._next_due:
            return
        self._next_due = frame.received + 1 / rate
        try:
            _, steps = segmentation.everything(frame, self._parameters().everything_config())
        except Refused:  # a picture that cannot be read is told of elsewhere
            return
        self._advance(Run(segmentation, frame, segmentation.stage.found_on(frame), steps))

    def _forget(self, owner: Segmentation | None) -> None:
        """Begins anew, with the numbers of another segmentation or with none."""
        if self._owner is not None:
            self._owner.objects.reserved = set()
        if owner is not None:
            objects = owner.objects
            self._things = Things(objects.next_number, objects.classes.number(""))
        self._owner = owner

    def _advance(self, run: Run) -> None:
        """Does one step and queues the next."""
        if run.segmentation is not self._owner or not self._gate.active:
            return
        try:
            next(run.steps)
        except StopIteration as end:
            results = self._things.update(end.value)
            run.segmentation.objects.reserved = self._things.numbers
            run.segmentation.stage.show(run.frame, (*run.prompted, *results))
        else:
            self._job = self._gate.later(partial(self._advance, run))
