"""Prompts on their way in: what is wrong with each, or which object it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Prompt, Status
from sam_ros.nodes.frames import Frame, Frames, nanoseconds, seconds
from sam_ros.nodes.objects import Objects, PromptedObject
from sam_ros.nodes.prompts import to_prompt
from sam_ros.nodes.status import Refused, invalid


@dataclass(frozen=True, eq=False)
class Request:
    """One prompt as it came in.

    Attributes:
        msg: the prompt.
        label_score: confidence of its label, 0..1.
        frame: the picture it is about, if that was there when it came in.
    """

    msg: Prompt
    label_score: float = 1.0
    frame: Frame | None = None

    @property
    def stamp(self) -> int:
        """Stamp of the picture that is meant in nanoseconds, 0 for the latest."""
        return nanoseconds(self.msg.header.stamp)


Proposal = PromptedObject | Refused


def picture(requests: Sequence[Request], frames: Frames) -> Frame:
    """The picture that requests are answered on: that of the first stamp which is not zero.

    Raises:
        Refused: it is not there, or no longer.
    """
    first = next((request for request in requests if request.stamp), requests[0])
    return first.frame or frames.find(first.stamp)


def propose(requests: Sequence[Request], frame: Frame, objects: Objects) -> list[Proposal]:
    """Turns each request into the object it makes, or says why it makes none.

    Args:
        requests: each is judged alone, so that a wrong one spoils no other.
        frame: the picture they are about.
        objects: known so far; not changed.
    """
    proposals: list[Proposal] = []
    names: set[str] = set()
    for request in requests:
        try:
            if request.stamp not in (0, frame.stamp):
                raise invalid(
                    f"header.stamp: {seconds(request.stamp)}; expected {seconds(frame.stamp)}, "
                    "the picture of the other prompts"
                )
            proposal = _propose_one(request, frame, objects)
            if proposal.object_id in names:
                raise invalid(f"object_id: {proposal.object_id!r} is twice in this request")
            if not objects.room_for(names | {proposal.object_id}):
                raise invalid(f"prompts: more than max_objects, which is {objects.capacity}")
        except Refused as refused:
            proposals.append(refused)
        else:
            names.add(proposal.object_id)
            proposals.append(proposal)
    return proposals


def _propose_one(request: Request, frame: Frame, objects: Objects) -> PromptedObject:
    msg = request.msg
    _check_supported(msg)
    return objects.propose(msg, request.label_score, _geometry(msg, frame), frame.size)


def _geometry(msg: Prompt, frame: Frame) -> EnginePrompt:
    try:
        return to_prompt(msg, frame.size)
    except ValueError as error:
        raise invalid(str(error)) from None


def _check_supported(msg: Prompt) -> None:
    if msg.text:
        raise Refused(
            Status.TEXT_UNAVAILABLE, "text: text prompts need a text model, and none is loaded"
        )
    if msg.persistence == Prompt.TRACK:
        raise invalid("persistence: TRACK is not available yet; expected ONCE or STICKY")
    if msg.persistence not in (Prompt.ONCE, Prompt.STICKY):
        raise invalid(f"persistence: {msg.persistence}; expected ONCE or STICKY")
    if msg.operation not in (Prompt.REPLACE, Prompt.REFINE):
        raise invalid(f"operation: {msg.operation}; expected REPLACE or REFINE")
