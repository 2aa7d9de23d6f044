"""What the node does with frames and prompts: the way from a picture to masks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sam_ros.engine.cache import EmbeddingCache
from sam_ros.engine.hypothesis import Hypotheses
from sam_ros.msg import Instance, Status
from sam_ros.nodes.diagnostics import Tally
from sam_ros.nodes.frames import Frame, Frames
from sam_ros.nodes.objects import NOTHING, InstanceResult, Objects, PromptedObject
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.requests import Proposal, Request, picture, propose
from sam_ros.nodes.scene import Scene
from sam_ros.nodes.status import Refused, invalid
from sam_ros.nodes.text import Submit, TextPrompts
from sam_ros.nodes.texts import Query, Sighting
from sam_ros.nodes.throttle import Throttle

if TYPE_CHECKING:  # they import torch, which the node does in the worker's thread only
    from sam_ros.engine.config import EverythingConfig
    from sam_ros.engine.embedding import Embedding
    from sam_ros.engine.everything import Steps
    from sam_ros.engine.segmenter import Segmenter


class Segmentation:
    """Answers prompts with one model. Every method runs in the worker's thread.

    Args:
        segmenter: the loaded model.
        frames: filled by the subscription; a prompt finds its picture here.
        publish: called with every scene for the topics and the objects known then; with no scene
            when only the objects have changed.
        tally: counts what happened.
        parameters: as they are now.
        labels: number to name of the classes known beforehand.
        throttle: says which frames may be worked on.
        submit: queues work in the worker.
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
        submit: Submit,
    ) -> None:
        self.objects = Objects(parameters.max_objects, labels)
        self._segmenter, self._frames, self._publish = segmenter, frames, publish
        self._tally, self._parameters = tally, parameters
        self._embeddings = EmbeddingCache(parameters.embedding_cache_size)
        self._scene: Scene | None = None
        self._text = TextPrompts(
            segmenter,
            parameters,
            self.objects,
            self._embed,
            submit,
            self._show_found,
            tally.report,
        )
        self._throttle = throttle

    @property
    def device(self) -> str:
        """Where the model runs, such as cpu or cuda:0."""
        return str(self._segmenter.sam.device)

    @property
    def runtime(self) -> str:
        """What runs the image encoder and in which precision."""
        return self._segmenter.runtime

    def update(self, parameters: Parameters) -> None:
        """Takes new values of the live parameters."""
        self._parameters = parameters
        self._segmenter.config = parameters.engine_config()
        self.objects.capacity = parameters.max_objects
        self._text.update(parameters)

    def forget_frames(self) -> None:
        """Lets go of everything that belongs to a picture; the objects stay."""
        self._embeddings.clear()
        self._scene = None

    def on_frame(self, frame: Frame) -> None:
        """Answers the sticky prompts on a new frame, and encodes it if that is always wanted."""
        try:
            self._frames.readable(frame)
        except Refused as refused:
            self._tally.unreadable(str(refused))
            return
        sticky = self.objects.sticky
        encode = bool(sticky) or self._parameters.encode == "always"
        wanted = encode or bool(self.objects.queries)
        if not wanted or not self._throttle.admits(frame, self._parameters.max_rate_hz):
            return
        if encode:
            self._embed(frame)
        if sticky:
            self._show(frame, sticky)
        self._text.offer(frame)

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
            self._accept(frame, self._proposed(group, frame))

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
        self._accept(frame, self._proposed(held, frame), always=True)

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
            known = [*self.objects.names, *self.objects.queries]
            self._forget([name for name in known if name not in names])
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
        from sam_ros.engine.everything import everything_steps

        frame = self._frames.readable(frame or self._frames.find(0))
        return frame, everything_steps(self._segmenter, frame.rgb, config, self._embed(frame))

    def found_on(self, frame: Frame) -> tuple[InstanceResult, ...]:
        """What was published of a frame, if it is the last one that was."""
        return self._scene.results if self._scene and self._scene.frame is frame else ()

    def show(self, frame: Frame, results: Sequence[InstanceResult]) -> None:
        """Publishes results that others have made of a frame."""
        self._present(Scene(frame, tuple(results)))

    def select(self, object_id: str, index: int) -> int:
        """Chooses a hypothesis and publishes the last scene again with it; returns its index."""
        selected = self.objects.select(object_id, index)
        if self._scene and object_id in self._scene:
            self._present(self._scene.with_selected(object_id, selected))
        return selected

    def remove(self, object_ids: Sequence[str]) -> None:
        """Forgets objects, all when none is named.

        Raises:
            Refused: some are not known; the others are forgotten.
        """
        known = [*self.objects.names, *self.objects.queries]
        self._forget([name for name in known if name in object_ids or not object_ids])
        unknown = [name for name in object_ids if name not in known]
        if unknown:
            raise invalid(f"object_ids: {unknown}; expected names of known objects")

    def _propose(self, requests: Sequence[Request], frame: Frame) -> list[Proposal]:
        return propose(requests, frame, self._frames, self.objects, self._text.read)

    def _proposed(self, requests: Sequence[Request], frame: Frame) -> list[PromptedObject | Query]:
        """The objects of a message from a topic; what is wrong with the others is told."""
        proposals = self._propose(requests, frame)
        self._tally.refused([item for item in proposals if isinstance(item, Refused)])
        return _accepted(proposals)

    def _answer(
        self, frame: Frame, proposals: Sequence[Proposal]
    ) -> tuple[list[Sighting], list[Status]]:
        """What is found of each proposal, and a status for each."""
        decoded = iter(self._decode(frame, _objects(proposals)))
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

    def _accept(
        self, frame: Frame, accepted: Sequence[PromptedObject | Query], always: bool = False
    ) -> None:
        """Remembers objects and shows them with the sticky ones that were there before."""
        lasting = [item for item in accepted if isinstance(item, Query) and item.sticky]
        for query in lasting:
            self._text.stick(query, frame)
        now = [item for item in accepted if item not in lasting]
        if now or always:
            objects, taken = _objects(now), {item.object_id for item in now}
            self.objects.remember(objects)
            others = [item for item in self.objects.sticky if item.object_id not in taken]
            names, found = {item.object_id for item in objects}, []
            for query in now:
                if isinstance(query, Query):
                    found += self._text.answer(frame, query, names)[0]
            self._show(frame, [*objects, *others], found)
        elif lasting:
            self._publish(None, self.objects)

    def _forget(self, names: Sequence[str]) -> None:
        """Forgets objects and queries, and publishes the last scene without them."""
        names = [*names, *self._text.forget(names)]
        self.objects.remove(names)
        if self._scene and any(name in self._scene for name in names):
            self._present(self._scene.without(names))
        else:
            self._publish(None, self.objects)

    def _show(
        self, frame: Frame, objects: Sequence[PromptedObject], found: Sequence[Sighting] = ()
    ) -> None:
        """Looks for objects in a frame and publishes what was found, and what texts have found."""
        self.objects.remember([item for item, _ in found if item.object_id not in self.objects])
        room = [pair for pair in found if pair[0].object_id in self.objects]
        sightings = [*self._decode(frame, objects), *room]
        for item, _ in sightings:
            self.objects.update(item)
        results = [self.objects.observe(item.object_id, masks) for item, masks in sightings]
        self._present(Scene(frame, tuple(results)))

    def _show_found(self, frame: Frame, found: Sequence[Sighting]) -> None:
        """Shows what lasting queries have found; what they have lost is forgotten after that."""
        self._show(frame, self.objects.sticky, found)
        self.objects.remove([item.object_id for item, masks in found if not len(masks)])

    def _present(self, scene: Scene) -> None:
        newest = self.objects.newest([item.object_id for item in scene.results])
        self._scene = scene.aimed_at(newest)
        self._publish(self._scene, self.objects)

    def _decode(self, frame: Frame, objects: Sequence[PromptedObject]) -> list[Sighting]:
        """The hypotheses of each object; none for one prompted on a picture of another size."""
        if not objects:
            return []
        fitting = [item for item in objects if item.size == frame.size]
        embedding = self._embed(frame)
        began = time.monotonic()
        plain = [item for item in fitting if not item.texts]
        found = dict(zip(plain, self._segment(embedding, plain), strict=True))
        if len(plain) < len(fitting):
            worded = [item for item in fitting if item.texts]
            found |= zip(worded, self._segment(embedding, worded, choice=True), strict=True)
        self._tally.decoded(time.monotonic() - began, len(fitting))
        return [self._text.choose(frame, (item, found.get(item, NOTHING))) for item in objects]

    def _segment(
        self, embedding: Embedding, objects: Sequence[PromptedObject], choice: bool = False
    ) -> list[Hypotheses]:
        """The answers to the objects' prompts; with a choice of masks also where one would do."""
        config = self._segmenter.config
        if choice and config.multimask is None:
            self._segmenter.config = replace(config, multimask=True)
        try:
            return self._segmenter.segment(embedding, [item.prompt for item in objects])
        finally:
            self._segmenter.config = config

    def _embed(self, frame: Frame) -> Embedding:
        """The frame's embedding, from the cache if it was made before."""
        embedding = self._embeddings.get(frame.serial)
        if embedding is None:
            began = time.monotonic()
            embedding = self._segmenter.set_image(frame.rgb)
            if frame in self._frames:  # not a picture that came with a request
                self._embeddings.put(frame.serial, embedding)
            self._tally.encoded(time.monotonic() - began)
        return embedding


def _accepted(proposals: Sequence[Proposal]) -> list[PromptedObject | Query]:
    return [item for item in proposals if not isinstance(item, Refused)]


def _objects(proposals: Sequence[Proposal]) -> list[PromptedObject]:
    return [item for item in proposals if isinstance(item, PromptedObject)]
