"""The worker's thread: order, the frame slot, patience and its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from sam_ros.nodes.worker import ModelThread, Worker


class Recorder:
    """What the worker did, and a job that holds it until it is let go."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.errors: list[Exception] = []
        self.go = threading.Event()
        self.busy = threading.Event()

    def hold(self) -> None:
        self.busy.set()
        assert self.go.wait(5)

    def occupy(self, worker: Worker, then: Callable[[], Any] = lambda: None) -> Future[Any]:
        """Keeps the thread busy until it is let go, and has it do something then."""
        future = worker.submit(lambda: (self.hold(), then())[1])
        assert self.busy.wait(5)
        return future


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def worker(recorder: Recorder) -> Iterator[Worker]:
    worker = Worker(recorder.done.append, recorder.errors.append)
    yield worker
    recorder.go.set()
    assert worker.stop(5)


def test_of_many_frames_the_newest_is_worked_on(worker: Worker, recorder: Recorder) -> None:
    recorder.occupy(worker)
    for frame in range(5):
        worker.offer(frame)  # type: ignore[arg-type]
    recorder.go.set()
    worker.submit(lambda: None).result(5)
    assert recorder.done == [4]
    assert worker.dropped == 4


def test_frames_and_jobs_take_turns(worker: Worker, recorder: Recorder) -> None:
    recorder.occupy(worker)
    jobs = [worker.submit(lambda name=name: recorder.done.append(name)) for name in "abc"]
    worker.offer("frame")  # type: ignore[arg-type]
    recorder.go.set()
    jobs[-1].result(5)
    assert recorder.done == ["frame", "a", "b", "c"]


def test_a_failing_job_gives_its_error_and_the_next_one_runs(worker: Worker) -> None:
    failed = worker.submit(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        failed.result(5)
    assert worker.submit(lambda: 7).result(5) == 7


def test_a_failing_frame_is_told_and_the_thread_lives(recorder: Recorder) -> None:
    worker = Worker(lambda frame: frame / 0, recorder.errors.append)  # type: ignore[operator]
    worker.offer(1)  # type: ignore[arg-type]
    assert worker.submit(lambda: 7).result(5) == 7
    deadline = time.monotonic() + 5
    while not recorder.errors and time.monotonic() < deadline:
        time.sleep(0.01)
    assert isinstance(recorder.errors[0], ZeroDivisionError)
    assert worker.stop(5)


def test_a_job_waits_for_its_frame_and_lets_others_pass(
    worker: Worker, recorder: Recorder
) -> None:
    arrived = threading.Event()
    late = worker.submit(lambda: recorder.done.append("late"), arrived.is_set, patience=5)
    worker.submit(lambda: recorder.done.append("other")).result(5)
    arrived.set()
    worker.offer("frame")  # type: ignore[arg-type]
    late.result(5)
    assert recorder.done in (["other", "late", "frame"], ["other", "frame", "late"])


def test_patience_ends(worker: Worker) -> None:
    began = time.monotonic()
    worker.submit(lambda: None, ready=lambda: False, patience=0.2).result(5)
    assert 0.2 <= time.monotonic() - began < 2


def test_dropped_jobs_are_cancelled(worker: Worker, recorder: Recorder) -> None:
    recorder.occupy(worker)
    waiting = worker.submit(lambda: None)
    worker.offer("frame")  # type: ignore[arg-type]
    worker.drop_jobs()
    recorder.go.set()
    with pytest.raises(CancelledError):
        waiting.result(5)
    worker.submit(lambda: None).result(5)
    assert recorder.done == []


def test_a_stopped_worker_cancels_what_comes(recorder: Recorder) -> None:
    worker = Worker(recorder.done.append, recorder.errors.append)
    assert worker.stop(5)
    with pytest.raises(CancelledError):
        worker.submit(lambda: None).result(5)


def test_stop_says_when_the_work_at_hand_takes_too_long(recorder: Recorder) -> None:
    worker = Worker(recorder.done.append, recorder.errors.append)
    recorder.occupy(worker)
    assert not worker.stop(0.05)
    recorder.go.set()
    assert worker.stop(5)


def test_the_frames_of_other_workers_are_seen_in_their_slots(recorder: Recorder) -> None:
    """They are still worked on in their turn; a worker does not see its own."""
    thread = ModelThread()
    workers = [
        Worker(recorder.done.append, recorder.errors.append, thread, ahead)
        for ahead in (lambda frame: frame, lambda frame: f"{frame}, seen", lambda _: None)
    ]
    first = workers[0]
    recorder.occupy(first)
    for worker, frame in zip(workers, "abc", strict=True):
        worker.offer(frame)  # type: ignore[arg-type]
    seen = first.elsewhere()
    recorder.go.set()
    assert seen == ["b, seen"]
    for worker in workers:
        worker.submit(lambda: None).result(5)
    assert sorted(recorder.done) == ["a", "b", "c"]
    assert all(worker.stop(5) for worker in workers)


def test_a_reserved_frame_is_not_replaced(recorder: Recorder) -> None:
    """Its turn comes first, but not before what goes on beside; jobs do not wait for that."""
    worker = Worker(recorder.done.append, recorder.errors.append, ahead=lambda frame: frame)
    end = threading.Event()

    def reserve() -> list[Any]:
        need = worker.reserve()
        worker.beside(lambda: end.wait(5))
        return [need, worker.reserve(), worker.has_beside]

    reserving = recorder.occupy(worker, reserve)
    worker.offer("first")  # type: ignore[arg-type]
    recorder.go.set()
    assert reserving.result(5) == ["first", None, True]
    for frame in ("second", "third"):
        worker.offer(frame)  # type: ignore[arg-type]
    assert worker.submit(lambda: list(recorder.done)).result(5) == []
    end.set()
    worker.submit(lambda: None, ready=lambda: len(recorder.done) == 2, patience=5).result(9)
    assert recorder.done == ["first", "third"]
    assert worker.dropped == 1 and not worker.has_beside
    assert worker.stop(5)


def test_frames_of_other_workers_wait_for_the_reserved_one(recorder: Recorder) -> None:
    """They would be worked on while it waits for what it needs, and it would grow old."""
    thread, end = ModelThread(), threading.Event()
    first, second = (
        Worker(recorder.done.append, recorder.errors.append, thread, lambda frame: frame)
        for _ in range(2)
    )

    def reserve() -> Any:
        need = first.reserve()
        first.beside(lambda: end.wait(5))
        return need

    reserving = recorder.occupy(first, reserve)
    second.offer("the other's")  # type: ignore[arg-type]
    recorder.go.set()
    assert reserving.result(5) == "the other's"
    first.offer("own")  # type: ignore[arg-type]
    for worker in (first, second, first):
        assert worker.submit(lambda: list(recorder.done)).result(5) == []
    end.set()
    first.submit(lambda: None, ready=lambda: len(recorder.done) == 2, patience=5).result(9)
    assert recorder.done == ["the other's", "own"]
    assert first.stop(5) and second.stop(5)


def test_a_worker_ends_when_nothing_goes_on_beside_it(recorder: Recorder) -> None:
    worker = Worker(recorder.done.append, recorder.errors.append)
    worker.beside(recorder.hold)
    assert recorder.busy.wait(5)
    assert not worker.stop(0.05)
    recorder.go.set()
    assert worker.stop(5)
