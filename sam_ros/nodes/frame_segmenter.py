"""The model on frames: embeddings are remembered, and times are taken."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sam_ros.engine.cache import EmbeddingCache
from sam_ros.engine.hypothesis import Hypotheses
from sam_ros.nodes.diagnostics import Tally
from sam_ros.nodes.frames import Frame, Frames
from sam_ros.nodes.instances import NOTHING, PromptedObject
from sam_ros.nodes.worker import Worker

if TYPE_CHECKING:  # they import torch, which the node does in the worker's thread only
    from sam_ros.engine.config import EngineConfig, EverythingConfig
    from sam_ros.engine.embedding import Embedding
    from sam_ros.engine.everything import Steps
    from sam_ros.engine.segmenter import Segmenter


CROWDED = 0.6  # a thread that has a core for a smaller share of its time shares it with others
PAUSE = 9  # frames until it is tried again


@dataclass(frozen=True, eq=False)
class Due:
    """A frame that is going to be encoded.

    Attributes:
        model: of the frame's camera.
        frame: readable, and waiting for its turn.
    """

    model: FrameSegmenter
    frame: Frame


@dataclass(frozen=True, eq=False)
class _Made:
    """A frame's embedding that was made ahead.

    Attributes:
        embedding: of the frame.
        seconds: that it took by the clock.
        at_work: the part of them in which the thread had a core.
    """

    embedding: Embedding
    seconds: float
    at_work: float


class FrameSegmenter:
    """Embeds frames and decodes objects. Only the worker touches it.

    Args:
        segmenter: the loaded model.
        frames: whose embeddings are worth remembering.
        tally: told of every run.
        embeddings: where they are remembered.
        worker: knows the frames that wait for their turn.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        frames: Frames,
        tally: Tally,
        embeddings: EmbeddingCache,
        worker: Worker,
    ) -> None:
        self._segmenter, self._frames, self._tally = segmenter, frames, tally
        self._embeddings, self._worker = embeddings, worker
        self._coming: tuple[Frame, Future[_Made]] | None = None
        self._was_crowded = False  # once may be chance
        self._paused = 0  # frames until one is encoded ahead again

    @property
    def device(self) -> str:
        """Where the model runs, such as cpu or cuda:0."""
        return str(self._segmenter.sam.device)

    @property
    def runtime(self) -> str:
        """What runs the image encoder and in which precision."""
        return self._segmenter.runtime

    def configure(self, config: EngineConfig) -> None:
        """Takes new thresholds."""
        self._segmenter.config = config

    def forget(self) -> None:
        """Lets go of all embeddings, also of one that is being made."""
        if self._coming is not None:
            wait([self._coming[1]])
        self._coming = None
        self._embeddings.clear()

    def embed(self, frame: Frame) -> Embedding:
        """The frame's embedding, from the cache if it was made before.

        Where the device has room for more, frames of other cameras are encoded in the same batch.
        """
        embedding = self._embeddings.get(frame.serial)
        if embedding is not None:
            return embedding
        if self._coming is not None and self._coming[0] is frame:
            _, future = self._coming
            self._coming = None
            made = future.result()
            crowded = made.at_work < CROWDED * made.seconds
            self._paused = PAUSE if crowded and self._was_crowded else 0
            self._was_crowded = crowded
            self._take(frame, made.embedding, made.seconds)
            return made.embedding
        batch = [Due(self, frame), *self._others()]
        embeddings, seconds = self._encode([item.frame for item in batch])
        for item, made in zip(batch, embeddings, strict=True):
            item.model._take(item.frame, made, seconds)
        return embeddings[0]

    def due(self, frame: Frame) -> Due | None:
        """The frame as one that is going to be encoded; None when it has been."""
        return None if frame.serial in self._embeddings else Due(self, frame)

    def _encode(self, frames: Sequence[Frame]) -> tuple[list[Embedding], float]:
        """Embeddings, and the seconds that they took together."""
        began = time.monotonic()
        embeddings = self._segmenter.set_images([frame.rgb for frame in frames])
        return embeddings, time.monotonic() - began

    def _encode_ahead(self) -> None:
        """Begins with the next frame, of any camera, if that can go on beside the prompts.

        Where others want the cores nothing is gained by it, and the answer at hand comes later.
        """
        self._paused = max(0, self._paused - 1)
        wanted = self._segmenter.overlaps and not self._paused
        due = self._worker.reserve() if wanted else None
        if due is not None:
            due.model._begin(due.frame)

    def _begin(self, frame: Frame) -> None:
        def encode() -> _Made:
            began = time.thread_time()
            with self._segmenter.beside():
                (embedding,), seconds = self._encode([frame])
            return _Made(embedding, seconds, time.thread_time() - began)

        self._coming = frame, self._worker.beside(encode)

    def _others(self) -> list[Due]:
        """What fits into one batch with a frame of this camera."""
        room = self._segmenter.most_together - 1
        if not room:
            return []
        encoder = self._segmenter.encoder
        waiting: list[Due] = self._worker.elsewhere()
        alike = [item for item in waiting if item.model._segmenter.encoder is encoder]
        return alike[:room]

    def _take(self, frame: Frame, embedding: Embedding, seconds: float) -> None:
        if frame in self._frames:  # not a picture that came with a request
            self._embeddings.put(frame.serial, embedding)
        self._tally.encoded(seconds)

    def decode(self, frame: Frame, objects: Sequence[PromptedObject]) -> list[Hypotheses]:
        """The hypotheses of each object; none for one prompted on a picture of another size."""
        if not objects:
            return []
        embedding = self.embed(frame)
        self._encode_ahead()
        began = time.monotonic()
        fitting = [item for item in objects if item.size == frame.size]
        found: dict[PromptedObject, Hypotheses] = {}
        for worded in (False, True):
            group = [item for item in fitting if bool(item.texts) is worded]
            found |= zip(group, self._segment(embedding, group, choice=worded), strict=True)
        self._tally.decoded(time.monotonic() - began, len(fitting))
        return [found.get(item, NOTHING) for item in objects]

    def everything(self, frame: Frame, config: EverythingConfig) -> Steps:
        """Steps of one batch of clicks each, that end with the masks of everything."""
        from sam_ros.engine.everything import everything_steps

        return everything_steps(self._segmenter, frame.rgb, config, self.embed(frame))

    def _segment(
        self, embedding: Embedding, objects: Sequence[PromptedObject], choice: bool
    ) -> list[Hypotheses]:
        """The answers to the objects' prompts; with a choice of masks also where one would do."""
        if not objects:
            return []
        config = self._segmenter.config
        if choice and config.multimask is None:
            self._segmenter.config = replace(config, multimask=True)
        try:
            with self._segmenter.beside(self._worker.has_beside):
                return self._segmenter.segment(embedding, [item.prompt for item in objects])
        finally:
            self._segmenter.config = config
