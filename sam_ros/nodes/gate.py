"""Between the callbacks and the worker: who may ask now, and what comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from sam_ros.msg import Status
from sam_ros.nodes.diagnostics import Tally
from sam_ros.nodes.frame_segmenter import Due
from sam_ros.nodes.frames import Frame, Frames
from sam_ros.nodes.requests import Request
from sam_ros.nodes.segmentation import Segmentation
from sam_ros.nodes.status import Refused
from sam_ros.nodes.worker import ModelThread, Worker

MOST_CALLS = 12  # service calls at once: each holds a thread of the executor
MOST_MESSAGES = 4  # messages with prompts that wait; they would only grow old
PATIENCE = 0.5  # seconds to wait for a picture whose prompt came before it

Result = TypeVar("Result")
Work = Callable[[Segmentation, Sequence[Request]], Result]


class Gate:
    """Hands frames and requests to the worker while the node is active, and refuses them else.

    Args:
        frames: the pictures that arrived.
        tally: told of what cannot be answered.
        timeout: asked for the longest time that a call may take [s].
        log_fault: called with the exception of work that should not have failed.
        thread: of the model, shared with other cameras; None for one of its own.

    Attributes:
        segmentation: what the worker works with; None while no model is loaded.
        failure: why no model is loaded; "" when none was asked for.
        active: the lifecycle state.
        enabled: what ~/enable said.
        log_fault: as given.
        followers: called in the worker's thread with each frame, after the prompts were answered.
    """

    def __init__(
        self,
        frames: Frames,
        tally: Tally,
        timeout: Callable[[], float],
        log_fault: Callable[[BaseException], None],
        thread: ModelThread | None = None,
    ) -> None:
        self.segmentation: Segmentation | None = None
        self.failure = ""
        self.active = False
        self.enabled = True
        self.followers: list[Callable[[Segmentation, Frame], None]] = []
        self.worker = Worker(self._work_on_frame, log_fault, thread, self._look_ahead)
        self._frames, self._tally, self._timeout = frames, tally, timeout
        self.log_fault = log_fault
        self._calls = threading.BoundedSemaphore(MOST_CALLS)
        self._messages: list[Future[None]] = []
        self._posting = threading.Lock()  # prompts and clicks come in different threads

    def take_frame(self, frame: Frame) -> None:
        """Remembers a picture and offers it to the worker."""
        if self.active and self.enabled:
            self._tally.received()
            self._frames.add(frame)
            self.worker.offer(frame)

    def take_requests(self, requests: Sequence[Request]) -> None:
        """Queues the prompts of one message; of too many messages the oldest are given up."""
        held = self._held(requests)
        self._post(lambda segmentation: segmentation.on_prompts(held), _missing(held))

    def take_boxes(self, requests: Sequence[Request], stamp: int) -> None:
        """Queues a detector's boxes on the picture of a stamp in nanoseconds."""
        frame = self._frames.get(stamp)
        self._post(lambda segmentation: segmentation.on_boxes(requests, stamp, frame), [stamp])

    def _post(self, work: Callable[[Segmentation], None], stamps: Sequence[int]) -> None:
        """Queues work that nobody waits for."""
        try:
            segmentation = self.open_for()
        except Refused as refused:
            self._tally.refused([refused])
            return
        future = self._submit(partial(work, segmentation), stamps)
        future.add_done_callback(self._log_failure)
        with self._posting:
            waiting = [item for item in self._messages if not item.done()]
            self._messages = [*waiting, future]
        if len(waiting) >= MOST_MESSAGES and waiting[0].cancel():
            text = "prompts come faster than they can be answered; the oldest are given up"
            self._tally.refused([Refused(Status.TIMEOUT, text)])

    def ask(self, work: Work[Result], requests: Sequence[Request] = ()) -> Result:
        """Has the worker do something and waits for it.

        Args:
            work: gets the segmentation and the requests.
            requests: prompts that it is about.

        Raises:
            Refused: it cannot be done now, took too long, or failed.
        """
        segmentation = self.open_for(requests)
        if not self._calls.acquire(blocking=False):
            raise Refused(Status.TIMEOUT, f"{MOST_CALLS} requests are waiting already")
        try:
            held = self._held(requests)
            return self._wait(self._submit(partial(work, segmentation, held), _missing(held)))
        finally:
            self._calls.release()

    def later(self, work: Callable[[], None]) -> Future[None]:
        """Queues work that nobody waits for; a fault is logged."""
        future = self.worker.submit(work)
        future.add_done_callback(self._log_failure)
        return future

    def open_for(self, requests: Sequence[Request] = ()) -> Segmentation:
        """What answers requests now; Refused while nothing does."""
        if self.failure:
            raise Refused(Status.MODEL_UNAVAILABLE, self.failure)
        if self.segmentation is None or not self.active:
            raise Refused(Status.INACTIVE, "the node is not active; configure and activate it")
        if not self.enabled:
            raise Refused(Status.INACTIVE, "the node was switched off by ~/enable")
        return self.segmentation

    def _work_on_frame(self, frame: Frame) -> None:
        if self.segmentation is not None and self.active:
            self.segmentation.on_frame(frame)
            for follow in self.followers:
                follow(self.segmentation, frame)

    def _look_ahead(self, frame: Frame) -> Due | None:
        """What encodes a frame that waits, if something is going to."""
        if self.segmentation is None or not self.active:
            return None
        return self.segmentation.look_ahead(frame)

    def _held(self, requests: Sequence[Request]) -> list[Request]:
        """The requests with their pictures, which could leave the cache while they wait."""
        return [
            replace(item, frame=item.frame or self._frames.get(item.stamp)) for item in requests
        ]

    def _submit(self, work: Callable[[], Result], stamps: Sequence[int]) -> Future[Result]:
        return self.worker.submit(
            work, ready=lambda: all(map(self._frames.reached, stamps)), patience=PATIENCE
        )

    def _wait(self, future: Future[Result]) -> Result:
        timeout = self._timeout()
        try:
            return future.result(timeout)
        except Refused:
            raise
        except CancelledError:
            raise Refused(Status.INACTIVE, "the node became inactive meanwhile") from None
        except FutureTimeoutError:
            future.cancel()
            text = f"no answer within request_timeout, {timeout:g} s"
            raise Refused(Status.TIMEOUT, text) from None
        except Exception as error:
            self.log_fault(error)
            raise Refused(Status.INTERNAL, f"{type(error).__name__}: {error}") from error

    def _log_failure(self, future: Future[Any]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self.log_fault(error)


def _missing(requests: Sequence[Request]) -> list[int]:
    """The stamps of the pictures that have yet to come."""
    return [request.stamp for request in requests if request.frame is None]
