"""The one thread that owns the model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
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


class Worker:
    """Runs jobs in order and, between them, the newest frame.

    Everything that touches the model runs here, so nothing else needs a lock. Jobs queue; frames
    do not: a frame that finds an older one waiting takes its place. When both wait, they take
    turns.

    Args:
        on_frame: called in the thread with each frame that was not replaced by a newer one.
        on_error: called in the thread when ``on_frame`` raised.
    """

    def __init__(
        self, on_frame: Callable[[Frame], None], on_error: Callable[[Exception], None]
    ) -> None:
        self._on_frame, self._on_error = on_frame, on_error
        self._jobs: list[_Job] = []
        self._slot: Frame | None = None
        self._frame_is_next = False
        self._stopping = False
        self._changed = threading.Condition()
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return len(self._jobs)

    def offer(self, frame: Frame) -> None:
        """Puts a frame into the slot; one that is still there is dropped and counted."""
        with self._changed:
            self.dropped += self._slot is not None
            self._slot = frame
            self._changed.notify()

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
                self._changed.notify()
        return job.future

    def drop_jobs(self) -> None:
        """Cancels every job that has not begun and empties the frame slot."""
        with self._changed:
            jobs, self._jobs, self._slot = self._jobs, [], None
        for job in jobs:
            job.future.cancel()

    def stop(self, timeout: float) -> bool:
        """Ends the thread after the work at hand; false when that takes over ``timeout`` s."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self.drop_jobs()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while self._step():
            pass

    def _step(self) -> bool:
        """Does one piece of work; a function of its own, so that it keeps nothing alive."""
        work = self._next()
        if work is None:
            return False
        try:
            work.run() if isinstance(work, _Job) else self._on_frame(work)
        except Exception as error:
            self._on_error(error)
        return True

    def _next(self) -> _Job | Frame | None:
        """Waits for work; None when the thread is to end."""
        with self._changed:
            while not self._stopping:
                job = next((job for job in self._jobs if job.due()), None)
                if self._slot is not None and (job is None or self._frame_is_next):
                    frame, self._slot, self._frame_is_next = self._slot, None, False
                    return frame
                if job is not None:
                    self._jobs.remove(job)
                    self._frame_is_next = True
                    return job
                self._changed.wait(self._patience())
        return None

    def _patience(self) -> float | None:
        """Seconds until the next job is due without being ready."""
        if not self._jobs:
            return None
        return max(0.0, min(job.deadline for job in self._jobs) - time.monotonic())
