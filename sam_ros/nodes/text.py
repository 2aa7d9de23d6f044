"""Text prompts: answered once, or asked again on the newest picture for as long as they stay."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sam_ros.msg import Status
from sam_ros.nodes.frames import Frame
from sam_ros.nodes.objects import Objects
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.requests import Request
from sam_ros.nodes.status import Refused
from sam_ros.nodes.text_model import TextModel
from sam_ros.nodes.texts import Finds, Query, Sighting, not_found, read_texts

if TYPE_CHECKING:
    from sam_ros.engine.embedding import Embedding
    from sam_ros.engine.segmenter import Segmenter

Submit = Callable[[Callable[[], None]], Future[None]]
Steps = Generator[None, None, None]


class TextPrompts:
    """What text prompts need beside the segmenter. Only the worker touches it.

    Args:
        segmenter: proposes masks.
        parameters: as they are now.
        objects: whose queries are asked again.
        embed: the embedding of a frame.
        submit: queues a step of work in the worker.
        show: gets what the queries found in a frame.
        report: gets what went wrong where nobody waits.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        parameters: Parameters,
        objects: Objects,
        embed: Callable[[Frame], Embedding],
        submit: Submit,
        show: Callable[[Frame, Sequence[Sighting]], None],
        report: Callable[[str], None],
    ) -> None:
        self._model, self._parameters = TextModel(segmenter, parameters), parameters
        self._objects, self._embed, self._show = objects, embed, show
        self._finds = Finds(objects)
        self._search = StickySearch(submit, self._steps, report)

    def update(self, parameters: Parameters) -> None:
        """Takes new values of the live parameters."""
        self._parameters = parameters
        self._model.update(parameters)

    def read(self, text: str) -> tuple[str, ...]:
        """The texts of a prompt, once it is certain that there is a model for them.

        Raises:
            Refused: INVALID_REQUEST or TEXT_UNAVAILABLE.
        """
        texts = read_texts(text)
        self._model.load()
        return texts

    def answer(self, frame: Frame, query: Query, taken: set[str]) -> tuple[list[Sighting], Status]:
        """Looks for what a query names; an absence is no failure, and its message says so.

        Args:
            frame: the picture.
            query: asked this once.
            taken: names that are not free; those given here are added.
        """
        from sam_ros.engine.text import finish

        found = finish(self._model.search(frame.rgb, self._embed(frame), query.texts))
        sightings = self._finds.name(query, found, frame, taken)
        return sightings, Status(message=not_found(query, found))

    def choose(self, frame: Frame, sighting: Sighting) -> Sighting:
        """Selects the hypothesis of a click or a box that the object's texts fit best."""
        item, hypotheses = sighting
        if not item.texts or not len(hypotheses):
            return sighting
        index, text, score = self._model.choose(frame.rgb, hypotheses, item.texts)
        labelled = self._objects.labelled(item, item.given_label or text, score)
        return replace(labelled, selected=index), hypotheses

    def doubt(self, sighting: Sighting) -> str:
        """What to say of an object that none of its texts fits; "" when one does."""
        item, threshold = sighting[0], self._parameters.text_threshold
        if not item.texts or item.label_score >= threshold:
            return ""
        score = f"{item.label_score:.2f}, text_threshold is {threshold:g}"
        return f"text: {'; '.join(item.texts)} fits none of the masks ({score})"

    def stick(self, query: Query, frame: Frame) -> None:
        """Asks a query from now on, first in this picture; one of its name is replaced."""
        self._objects.remove(self.forget([query.object_id]))
        self._objects.queries[query.object_id] = query
        self._search.restart(frame)

    def keep(self, requests: Sequence[Request]) -> list[Request]:
        """Takes the queries among requests for which there is no picture yet.

        Returns:
            The others.
        """
        left = []
        for request in requests:
            try:
                query = Query(request.msg, self.read(request.msg.text))
            except Refused:
                left.append(request)
                continue
            if query.sticky and query.alone:
                self._objects.queries[query.object_id] = query
            else:
                left.append(request)
        return left

    def forget(self, names: Sequence[str]) -> list[str]:
        """Gives up the queries among names; returns the names of what they found."""
        found: list[str] = []
        for name in names:
            if self._objects.queries.pop(name, None):
                found += self._finds.forget(name)
        return found

    def offer(self, frame: Frame) -> None:
        """Asks all queries in this picture, as soon as they have been asked in the last one."""
        if self._objects.queries:
            self._search.offer(frame)

    def _steps(self, frame: Frame) -> Steps:
        """One search for all queries in one picture, whose results are shown together."""
        sightings: list[Sighting] = []
        taken: set[str] = set()
        embedding = self._embed(frame)
        yield
        for query in list(self._objects.queries.values()):
            found = yield from self._model.search(frame.rgb, embedding, query.texts)
            if self._objects.queries.get(query.object_id) is query:
                sightings += self._finds.name(query, found, frame, taken, again=True)
        if self._objects.queries:
            self._show(frame, sightings)


class StickySearch:
    """Asks again on the newest picture as soon as the last one is done, a step at a time.

    Between two steps the worker does whatever else waits, so that a search of seconds holds up
    nothing. Pictures that come meanwhile are passed over, but for the newest.

    Args:
        submit: queues a step in the worker.
        begin: the steps of a search on a picture.
        report: gets what went wrong with one; the next picture gets its chance.
    """

    def __init__(
        self,
        submit: Submit,
        begin: Callable[[Frame], Steps],
        report: Callable[[str], None],
    ) -> None:
        self._submit, self._begin, self._report = submit, begin, report
        self._next: Frame | None = None
        self._steps: Steps | None = None
        self._future: Future[Any] | None = None

    def offer(self, frame: Frame) -> None:
        """Searches in this picture now, or after the one at hand."""
        self._next = frame
        if self._future is None or self._future.done():  # done: given up with all that waited
            self._start()

    def restart(self, frame: Frame) -> None:
        """Searches in this picture, whatever the search at hand was about."""
        self._steps, self._next = None, frame
        if self._future is None or self._future.done():
            self._start()

    def _start(self) -> None:
        frame, self._next = self._next, None
        self._steps = self._begin(frame) if frame is not None else None
        self._future = self._submit(self._advance) if frame is not None else None

    def _advance(self) -> None:
        try:
            ended = self._steps is None or next(self._steps, True) is not None
        except Exception as error:
            self._report(f"text: {type(error).__name__}: {error}")
            ended = True
        if not ended:
            self._future = self._submit(self._advance)
        else:
            self._start()
