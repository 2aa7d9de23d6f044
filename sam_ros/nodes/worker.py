"""The one thread that owns the model, and a second one for work beside it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from sam_ros.nodes.frames import Frame

Result = TypeVar("Result")


@dataclass(eq=False)
class _Job:
    """Work that waits for its turn; it is due when it is ready or its patience has run out."""

    work: Callable[[], Any]
    ready: Callable[[], bool]
    deadline: float
    future: Future[Any] = field(default_factory=Future)

    def due(self) -> bool:
        return self.ready() or time.monotonic() >= self.deadline

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.work()
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class ModelThread:
    """One thread in which the workers of a process take turns.

    It begins with the first worker and ends with the last. One piece of work at a time can go on
    in a second thread beside it.

    Attributes:
        changed: held to look at or change what waits; notified when something does.
        workers: whose turn is next first.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.workers: deque[Worker] = deque()
        self._busy: Worker | None = None
        self._running = False
        self._second = ThreadPoolExecutor(1, "beside")
        self._beside: Future[Any] | None = None

    def add(self, worker: Worker) -> None:
        """Works for one more."""
        with self.changed:
            self.workers.append(worker)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="model", daemon=True).start()

    def remove(self, worker: Worker, timeout: float) -> bool:
        """Ends the work for one; false when the piece at hand takes over ``timeout`` s."""
        with self.changed:
            if worker in self.workers:
                self.workers.remove(worker)
            self.changed.notify_all()
            return self.changed.wait_for(
                lambda: self._busy is not worker and not self.has_beside, timeout
            )

    @property
    def has_beside(self) -> bool:
        """Whether something goes on beside the thread."""
        return self._beside is not None

    def beside(self, work: Callable[[], Result]) -> Future[Result]:
        """Does a piece of work in the second thread, after the last one that was given to it."""
        with self.changed:
            future = self._beside = self._second.submit(work)
        future.add_done_callback(self._forget)
        return future

    def _forget(self, future: Future[Any]) -> None:
        with self.changed:
            if self._beside is future:
                self._beside = None
            self.changed.notify_all()

    def _run(self) -> None:
        while self._step():
            pass

    def _step(self) -> bool:
        """Does one piece of work; a function of its own, so that it keeps nothing alive."""
        work = self._next()
        if work is not None:
            work()
        return work is not None

    def _next(self) -> Callable[[], None] | None:
        """Waits for work; None when nobody is left to work for."""
        with self.changed:
            self._busy = None
            self.changed.notify_all()
            while self.workers:
                for worker in list(self.workers):
                    self.workers.rotate(-1)
                    if (work := worker.take()) is not None:
                        self._busy = worker
                        return work
                waits = [wait for item in self.workers if (wait := item.patience) is not None]
                self.changed.wait(min(waits, default=None))
            self._running = False
        return None


class Worker:
    """Runs jobs in order and, between them, the newest frame.

    Everything that touches the model runs here, so nothing else needs a lock. Jobs queue; frames
    do not: a frame that finds an older one waiting takes its place, unless that one is reserved.
    When both wait, they take turns.

    Args:
        on_frame: called in the thread with each frame that was not replaced by a newer one.
        on_error: called in the thread when ``on_frame`` raised.
        thread: to share with the workers of other cameras; None for one of its own.
        ahead: called in the thread with a frame that waits: what it is going to need; None for
            nothing.
    """

    def __init__(
        self,
        on_frame: Callable[[Frame], None],
        on_error: Callable[[Exception], None],
        thread: ModelThread | None = None,
        ahead: Callable[[Frame], Any | None] = lambda _: None,
    ) -> None:
        self._on_frame, self._on_error, self._ahead = on_frame, on_error, ahead
        self._jobs: list[_Job] = []
        self._slot: Frame | None = None
        self._reserved: Frame | None = None
        self._frame_is_next = False
        self._stopping = False
        self.dropped = 0
        self._thread = thread or ModelThread()
        self._changed = self._thread.changed
        self._thread.add(self)

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return len(self._jobs)

    @property
    def patience(self) -> float | None:
        """Seconds until the next job is due without being ready; None when no job waits."""
        if not self._jobs:
            return None
        return max(0.0, min(job.deadline for job in self._jobs) - time.monotonic())

    def offer(self, frame: Frame) -> None:
        """Puts a frame into the slot; one that is still there is dropped and counted."""
        with self._changed:
            self.dropped += self._slot is not None
            self._slot = frame
            self._changed.notify_all()

    def submit(
        self,
        work: Callable[[], Result],
        ready: Callable[[], bool] = lambda: True,
        patience: float = 0.0,
    ) -> Future[Result]:
        """Queues work for the thread.

        Args:
            work: called once, in the thread.
            ready: asked again whenever a frame arrives; the work waits until it says true.
            patience: seconds after which the work runs whatever ``ready`` says.

        Returns:
            What ``work`` returns or raises; cancelled by ``drop_jobs`` and ``stop``.
        """
        job = _Job(work, ready, time.monotonic() + patience)
        with self._changed:
            if self._stopping:
                job.future.cancel()
            else:
                self._jobs.append(job)
                self._changed.notify_all()
        return job.future

    def drop_jobs(self) -> None:
        """Cancels every job that has not begun and empties the frame slot."""
        with self._changed:
            jobs, self._jobs, self._slot, self._reserved = self._jobs, [], None, None
        for job in jobs:
            job.future.cancel()

    def stop(self, timeout: float) -> bool:
        """Takes no more work; false when what is at hand takes over ``timeout`` s."""
        with self._changed:
            self._stopping = True
        self.drop_jobs()
        return self._thread.remove(self, timeout)

    def elsewhere(self) -> list[Any]:
        """What the frames in the slots of the thread's other workers are going to need.

        They stay there, and may still be replaced by newer ones.
        """
        with self._changed:
            waiting = [(other, other._slot) for other in self._thread.workers if other is not self]
        needs = [other._ahead(frame) for other, frame in waiting if frame is not None]
        return [need for need in needs if need is not None]

    @property
    def has_beside(self) -> bool:
        """Whether something goes on beside the thread."""
        return self._thread.has_beside

    def reserve(self) -> Any | None:
        """What the frame whose turn is next is going to need, of whichever worker it is.

        No newer one takes its place any more. Its turn comes when nothing is beside the thread.

        Returns:
            None when no frame waits that needs anything, or something is beside the thread.
        """
        if self._thread.has_beside:
            return None
        with self._changed:
            workers = list(self._thread.workers)
        for worker in workers:
            frame = worker._hold()
            if frame is not None and (need := worker._ahead(frame)) is not None:
                return need
        return None

    def beside(self, work: Callable[[], Result]) -> Future[Result]:
        """Does a piece of work beside the thread."""
        return self._thread.beside(work)

    def take(self) -> Callable[[], None] | None:
        """The next piece of work, if any; for the thread, which holds ``changed``."""
        job = next((job for job in self._jobs if job.due()), None)
        if job is None or self._frame_is_next:
            frame = self._next_frame()
            if frame is not None:
                self._frame_is_next = False
                return partial(self._work_on, frame)
        if job is not None:
            self._jobs.remove(job)
            self._frame_is_next = True
            return job.run
        return None

    def _next_frame(self) -> Frame | None:
        """Takes the frame whose turn it is; one that was reserved waits for what it needs.

        And all others wait for that one, of whichever worker it is.
        """
        frame: Frame | None = None
        if self._reserved is not None:
            if not self._thread.has_beside:
                frame, self._reserved = self._reserved, None
        elif all(worker._reserved is None for worker in self._thread.workers):
            frame, self._slot = self._slot, None
        return frame

    def _hold(self) -> Frame | None:
        """Reserves the frame in the slot, unless another one is reserved."""
        with self._changed:
            if self._reserved is not None:
                return None
            self._reserved, self._slot = self._slot, None
            return self._reserved

    def _work_on(self, frame: Frame) -> None:
        try:
            self._on_frame(frame)
        except Exception as error:
            self._on_error(error)
