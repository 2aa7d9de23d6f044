"""The model on frames: embeddings are remembered, and times are taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sam_ros.engine.cache import EmbeddingCache
from sam_ros.engine.hypothesis import Hypotheses
from sam_ros.nodes.diagnostics import Tally
from sam_ros.nodes.frames import Frame, Frames
from sam_ros.nodes.instances import NOTHING, PromptedObject

if TYPE_CHECKING:  # they import torch, which the node does in the worker's thread only
    from sam_ros.engine.config import EngineConfig, EverythingConfig
    from sam_ros.engine.embedding import Embedding
    from sam_ros.engine.everything import Steps
    from sam_ros.engine.segmenter import Segmenter


@dataclass(frozen=True, eq=False)
class Due:
    """A frame that is going to be encoded.

    Attributes:
        model: of the frame's camera.
        frame: readable, and waiting for its turn.
    """

    model: FrameSegmenter
    frame: Frame


class FrameSegmenter:
    """Embeds frames and decodes objects. Only the worker touches it.

    Args:
        segmenter: the loaded model.
        frames: whose embeddings are worth remembering.
        tally: told of every run.
        embeddings: where they are remembered.
        waiting: other cameras' frames that are going to be encoded as well.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        frames: Frames,
        tally: Tally,
        embeddings: EmbeddingCache,
        waiting: Callable[[], Sequence[Due]] = tuple,
    ) -> None:
        self._segmenter, self._frames, self._tally = segmenter, frames, tally
        self._embeddings, self._waiting = embeddings, waiting

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
        """Lets go of all embeddings."""
        self._embeddings.clear()

    def embed(self, frame: Frame) -> Embedding:
        """The frame's embedding, from the cache if it was made before.

        Where the device has room for more, frames of other cameras are encoded in the same batch.
        """
        embedding = self._embeddings.get(frame.serial)
        if embedding is not None:
            return embedding
        began = time.monotonic()
        batch = [Due(self, frame), *self._others()]
        embeddings = self._segmenter.set_images([item.frame.rgb for item in batch])
        for item, made in zip(batch, embeddings, strict=True):
            item.model._take(item.frame, made, time.monotonic() - began)
        return embeddings[0]

    def due(self, frame: Frame) -> Due | None:
        """The frame as one that is going to be encoded; None when it has been."""
        return None if frame.serial in self._embeddings else Due(self, frame)

    def _others(self) -> list[Due]:
        """What fits into one batch with a frame of this camera."""
        room = self._segmenter.most_together - 1
        if not room:
            return []
        encoder = self._segmenter.encoder
        alike = [item for item in self._waiting() if item.model._segmenter.encoder is encoder]
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
            return self._segmenter.segment(embedding, [item.prompt for item in objects])
        finally:
            self._segmenter.config = config
