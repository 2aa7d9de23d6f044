"""Prompts on their way in: what is wrong with each, or which object it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Prompt
from sam_ros.nodes.frames import Frame, Frames, nanoseconds, seconds
from sam_ros.nodes.instances import PromptedObject
from sam_ros.nodes.objects import Objects
from sam_ros.nodes.prompts import to_prompt
from sam_ros.nodes.status import Refused, invalid
from sam_ros.nodes.texts import Query


@dataclass(frozen=True, eq=False)
class Request:
    """One prompt as it came in.

    Attributes:
        msg: the prompt.
        label_score: confidence of its label, 0..1.
        frame: the picture it is about, if that was there when it came in, or came with it.
    """

    msg: Prompt
    label_score: float = 1.0
    frame: Frame | None = None

    @property
    def stamp(self) -> int:
        """Stamp of the picture that is meant in nanoseconds, 0 for the latest."""
        return self.frame.stamp if self.frame else nanoseconds(self.msg.header.stamp)


Proposal = PromptedObject | Query | Refused
ReadTexts = Callable[[str], tuple[str, ...]]


def picture(requests: Sequence[Request], frames: Frames) -> Frame:
    """The picture that requests are answered on: the first that is there, a named one at first.

    Raises:
        Refused: none of them is there, or can be read.
    """
    refusals: list[Refused] = []
    for request in sorted(requests, key=lambda item: item.stamp == 0):
        try:
            return _picture_of(request, frames)
        except Refused as refused:
            refusals.append(refused)
    raise refusals[0]


def propose(
    requests: Sequence[Request],
    frame: Frame,
    frames: Frames,
    objects: Objects,
    read_texts: ReadTexts,
) -> list[Proposal]:
    """Turns each request into the object it makes, or says why it makes none.

    Args:
        requests: each is judged alone, so that a wrong one spoils no other.
        frame: the picture that is looked at.
        frames: the others that are remembered.
        objects: known so far; not changed.
        read_texts: splits the text of a prompt, or refuses it.
    """
    proposals: list[Proposal] = []
    names: set[str] = set()
    for request in requests:
        try:
            if request.stamp not in (0, frame.stamp):
                other = _picture_of(request, frames)
                raise invalid(
                    f"header.stamp: {seconds(other.stamp)}; expected {seconds(frame.stamp)}, "
                    "the picture of the other prompts"
                )
            proposal = _propose_one(request, frame, objects, read_texts)
            own = _name(proposal, len(proposals))
            if own in names:
                raise invalid(f"object_id: {proposal.object_id!r} is twice in this request")
            if not objects.room_for(names | {own}):
                raise invalid(f"prompts: more than max_objects, which is {objects.capacity}")
        except Refused as refused:
            proposals.append(refused)
        else:
            names.add(own)
            proposals.append(proposal)
    return proposals


def _picture_of(request: Request, frames: Frames) -> Frame:
    return frames.readable(request.frame or frames.find(request.stamp))


def _name(proposal: PromptedObject | Query, index: int) -> str:
    """The name that it takes; one of its own where only what a query finds is named."""
    if isinstance(proposal, Query) and not (proposal.sticky or proposal.msg.object_id):
        return f"prompts[{index}]"
    return proposal.object_id


def _propose_one(
    request: Request, frame: Frame, objects: Objects, read_texts: ReadTexts
) -> PromptedObject | Query:
    msg = request.msg
    _check_supported(msg)
    query = Query(msg, read_texts(msg.text)) if msg.text else None
    if query and query.alone:
        if msg.operation == Prompt.REFINE:
            raise invalid("operation: REFINE by text alone; expected points, a box or a mask")
        return query
    item = objects.propose(msg, request.label_score, _geometry(msg, frame), frame.size)
    item = replace(item, header=frame.header)
    return replace(item, texts=query.texts, given_label=msg.label) if query else item


def _geometry(msg: Prompt, frame: Frame) -> EnginePrompt:
    try:
        return to_prompt(msg, frame.size)
    except ValueError as error:
        raise invalid(str(error)) from None


def _check_supported(msg: Prompt) -> None:
    if msg.persistence == Prompt.TRACK:
        raise invalid("persistence: TRACK is not available yet; expected ONCE or STICKY")
    if msg.persistence not in (Prompt.ONCE, Prompt.STICKY):
        raise invalid(f"persistence: {msg.persistence}; expected ONCE or STICKY")
    if msg.operation not in (Prompt.REPLACE, Prompt.REFINE):
        raise invalid(f"operation: {msg.operation}; expected REPLACE or REFINE")
