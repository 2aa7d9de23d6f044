"""What the node does with frames and prompts: the way from a picture to masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sam_ros.msg import Instance, Status
from sam_ros.nodes.diagnostics import Tally
from sam_ros.nodes.frame_segmenter import Due, FrameSegmenter
from sam_ros.nodes.frames import Frame, Frames
from sam_ros.nodes.instances import PromptedObject
from sam_ros.nodes.objects import Objects
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.requests import Proposal, Request, picture, propose
from sam_ros.nodes.scene import Scene
from sam_ros.nodes.stage import Stage
from sam_ros.nodes.status import Refused, invalid
from sam_ros.nodes.text import TextPrompts
from sam_ros.nodes.texts import Query, Sighting
from sam_ros.nodes.throttle import Throttle
from sam_ros.nodes.worker import Worker

if TYPE_CHECKING:  # they import torch, which the node does in the worker's thread only
    from sam_ros.engine.config import EverythingConfig
    from sam_ros.engine.everything import Steps
    from sam_ros.engine.segmenter import Segmenter


class Segmentation:
    """Answers prompts with one model. Every method runs in the worker's thread.

    Args:
        segmenter: the loaded model.
        frames: filled by the subscription; a prompt finds its picture here.
        publish: as the stage wants it.
        tally: counts what happened.
        parameters: as they are now.
        labels: number to name of the classes known beforehand.
        throttle: says which frames may be worked on.
        worker: whose thread this is.

    Attributes:
        objects: known now.
        model: on frames.
        stage: what is on show.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        frames: Frames,
        publish: Callable[[Scene | None, Objects], None],
        tally: Tally,
        parameters: Parameters,
        labels: Mapping[int, str],
        throttle: Throttle,
        worker: Worker,
    ) -> None:
        self._frames, self._tally, self._parameters = frames, tally, parameters
        self._throttle = throttle
        self.objects = Objects(parameters.max_objects, labels)
        embeddings = parameters.embedding_cache()
        self.model = FrameSegmenter(segmenter, frames, tally, embeddings, worker)
        self.stage = Stage(self.objects, publish)
        self._text = TextPrompts(
            segmenter,
            parameters,
            self.objects,
            self.model.embed,
            worker.submit,
            self._show_found,
            tally.report,
        )

    def update(self, parameters: Parameters) -> None:
        """Takes new values of the live parameters."""
        self._parameters = parameters
        self.model.configure(parameters.engine_config())
        self.objects.capacity = parameters.max_objects
        self._text.update(parameters)

    def forget_frames(self) -> None:
        """Lets go of everything that belongs to a picture; the objects stay."""
        self.model.forget()
        self.stage.clear()

    def on_frame(self, frame: Frame) -> None:
        """Answers the sticky prompts on a new frame, and encodes it if that is always wanted."""
        try:
            self._frames.readable(frame)
        except Refused as refused:
            self._tally.unreadable(str(refused))
            return
        encode, sticky = self._encodes, self.objects.sticky
        wanted = encode or bool(self.objects.queries)
        if not wanted or not self._throttle.admits(frame, self._parameters.max_rate_hz):
            return
        if encode:
            self.model.embed(frame)
        if sticky:
            self._show(frame, self._look_for(frame, sticky))
        self._text.offer(frame)

    def look_ahead(self, frame: Frame) -> Due | None:
        """What encodes a frame that waits, when :meth:`on_frame` is going to."""
        if not self._encodes or not self._throttle.due(frame, self._parameters.max_rate_hz):
            return None
        try:
            return self.model.due(self._frames.readable(frame))
        except Refused:  # told of when its turn comes
            return None

    def on_prompts(self, requests: Sequence[Request]) -> None:
        """Answers prompts from a topic: remembers their objects and publishes what is found."""
        for stamp in dict.fromkeys(request.stamp for request in requests):
            group = [request for request in requests if request.stamp == stamp]
            try:
                frame = picture(group, self._frames)
            except Refused as refused:
                left = self._text.keep(group) if refused.code == Status.NO_IMAGE else group
                self._tally.refused([refused] * len(left))
                continue
            self._accept(frame, self._sound(group, frame))

    def on_boxes(self, requests: Sequence[Request], stamp: int, frame: Frame | None) -> None:
        """Answers a detector's boxes; publishes also when it saw nothing, for each of its frames.

        Args:
            requests: one per box; their stamps are not looked at.
            stamp: of the picture in nanoseconds, 0 for the latest; may be off by sync_slop.
            frame: the picture, if one of just this stamp was there when the boxes came.
        """
        try:
            frame = frame or self._frames.near(stamp, self._parameters.sync_slop)
            frame = self._frames.readable(frame)
        except Refused as refused:
            self._tally.refused([refused] * max(1, len(requests)))
            return
        held = [replace(request, frame=frame) for request in requests]
        self._accept(frame, self._sound(held, frame), always=True)

    def set_prompts(self, requests: Sequence[Request], replace_all: bool) -> list[str]:
        """Remembers objects and publishes what is found of them.

        Returns:
            The objects' names, one per request.

        Raises:
            Refused: a prompt cannot be answered; nothing has changed then.
        """
        frame = picture(requests, self._frames) if requests else None
        proposals = self._propose(requests, frame) if frame else []
        for index, item in enumerate(proposals):
            if isinstance(item, Refused):
                raise Refused(item.code, f"prompts[{index}]: {item}")
        accepted = _accepted(proposals)
        names = [item.object_id for item in accepted]
        if replace_all:
            self._forget([name for name in self._known if name not in names])
        if frame:
            self._accept(frame, accepted)
        return names

    def segment(self, requests: Sequence[Request]) -> tuple[Scene, list[Status]]:
        """Answers prompts; remembers and publishes nothing.

        Args:
            requests: one per object.

        Returns:
            What was found for the requests that could be answered, and one status per request.

        Raises:
            Refused: there is no such picture, or no request.
        """
        if not requests:
            raise invalid("prompts: empty; expected at least one")
        frame = picture(requests, self._frames)
        sightings, statuses = self._answer(frame, self._propose(requests, frame))
        results = tuple(
            item.observed(found).result(found, Instance.NEW) for item, found in sightings
        )
        return Scene(frame, results), statuses

    def everything(self, frame: Frame | None, config: EverythingConfig) -> tuple[Frame, Steps]:
        """Begins to segment everything in a picture, the latest one when None is given.

        Returns:
            The picture, and steps of one batch each that end with the masks.

        Raises:
            Refused: there is no such picture.
        """
        frame = self._frames.readable(frame or self._frames.find(0))
        return frame, self.model.everything(frame, config)

    def remove(self, object_ids: Sequence[str]) -> None:
        """Forgets objects, all when none is named.

        Raises:
            Refused: some are not known; the others are forgotten.
        """
        known = self._known
        self._forget([name for name in known if name in object_ids or not object_ids])
        unknown = [name for name in object_ids if name not in known]
        if unknown:
            raise invalid(f"object_ids: {unknown}; expected names of known objects")

    @property
    def _encodes(self) -> bool:
        """Whether new frames are encoded."""
        return bool(self.objects.sticky) or self._parameters.encode == "always"

    @property
    def _known(self) -> list[str]:
        """The names of all objects and queries."""
        return [*self.objects.names, *self.objects.queries]

    def _forget(self, names: Sequence[str]) -> None:
        self.stage.remove([*names, *self._text.forget(names)])

    def _propose(self, requests: Sequence[Request], frame: Frame) -> list[Proposal]:
        return propose(requests, frame, self._frames, self.objects, self._text.read)

    def _sound(self, requests: Sequence[Request], frame: Frame) -> list[PromptedObject | Query]:
        """What a message from a topic asks for; what is wrong with the rest of it is told."""
        proposals = self._propose(requests, frame)
        self._tally.refused([item for item in proposals if isinstance(item, Refused)])
        return _accepted(proposals)

    def _accept(
        self, frame: Frame, accepted: Sequence[PromptedObject | Query], always: bool = False
    ) -> None:
        """Remembers objects and shows them with the sticky ones that were there before."""
        lasting = [item for item in accepted if isinstance(item, Query) and item.sticky]
        for query in lasting:
            self._text.stick(query, frame)
        now = [item for item in accepted if item not in lasting]
        if now or always:
            self.objects.remember(_objects(now))
            asked = {item.object_id for item in now}
            others = [item for item in self.objects.sticky if item.object_id not in asked]
            self._show(frame, self._answer(frame, [*now, *others])[0])
        elif lasting:
            self.stage.tell()

    def _answer(
        self, frame: Frame, proposals: Sequence[Proposal]
    ) -> tuple[list[Sighting], list[Status]]:
        """What is found of each proposal, and a status for each."""
        decoded = iter(self._look_for(frame, _objects(proposals)))
        taken = {item.object_id for item in _objects(proposals)}
        sightings: list[Sighting] = []
        statuses: list[Status] = []
        for item in proposals:
            if isinstance(item, Refused):
                found, status = [], item.status()
            elif isinstance(item, Query):
                found, status = self._text.answer(frame, item, taken)
            else:
                found = [next(decoded)]
                status = Status(message=self._text.doubt(found[0]))
            sightings += found
            statuses.append(status)
        return sightings, statuses

    def _look_for(self, frame: Frame, objects: Sequence[PromptedObject]) -> list[Sighting]:
        """The hypotheses of each object, chosen among by its words if it has some."""
        found = zip(objects, self.model.decode(frame, objects), strict=True)
        return [self._text.choose(frame, sighting) for sighting in found]

    def _show(self, frame: Frame, sightings: Sequence[Sighting]) -> None:
        """Takes note of what was found in a frame, as far as there is room, and publishes it."""
        self.objects.remember(
            [item for item, _ in sightings if item.object_id not in self.objects]
        )
        kept = [(item, masks) for item, masks in sightings if item.object_id in self.objects]
        self.stage.show(frame, [self.objects.observe(item, masks) for item, masks in kept])

    def _show_found(self, frame: Frame, found: Sequence[Sighting]) -> None:
        """Shows what lasting queries have found; what they have lost is forgotten after that."""
        self._show(frame, [*self._look_for(frame, self.objects.sticky), *found])
        self.objects.remove([item.object_id for item, masks in found if not len(masks)])


def _accepted(proposals: Sequence[Proposal]) -> list[PromptedObject | Query]:
    return [item for item in proposals if not isinstance(item, Refused)]


def _objects(proposals: Sequence[Proposal]) -> list[PromptedObject]:
    return [item for item in proposals if isinstance(item, PromptedObject)]
