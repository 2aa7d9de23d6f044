"""What the node tells about its own health."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from sam_ros.nodes.status import Refused

PERIOD = 1.0  # seconds between two messages
WARNED_FOR = 5.0  # seconds that a problem stays in the level of /diagnostics


@dataclass
class Counts:
    """What happened since the node was configured.

    Attributes:
        frames_received: pictures that arrived.
        frames_unreadable: of these, the ones that could not be decoded.
        frames_encoded: runs of the image encoder.
        prompts_answered: prompts decoded, the sticky ones once per frame.
        prompts_refused: prompts from topics that could not be answered.
        scenes_published: results published.
        encode_ms: the last run of the image encoder [ms].
        decode_ms: the last decoding of all prompts of a frame [ms].
        latency_ms: from the arrival of the picture to its last publication [ms].
    """

    frames_received: int = 0
    frames_unreadable: int = 0
    frames_encoded: int = 0
    prompts_answered: int = 0
    prompts_refused: int = 0
    scenes_published: int = 0
    encode_ms: float = 0.0
    decode_ms: float = 0.0
    latency_ms: float = 0.0


class Tally:
    """Counts and the last problem, written by any thread.

    Args:
        warn: shows a problem to a person; expected to hold back repetitions.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._lock = threading.Lock()
        self._counts = Counts()
        self._problem, self._problem_at = "", float("-inf")

    @property
    def counts(self) -> Counts:
        """The counts as they are now."""
        with self._lock:
            return replace(self._counts)

    @property
    def problem(self) -> str:
        """The last problem; "" when there was none."""
        return self._problem

    @property
    def troubled(self) -> bool:
        """True for a few seconds after a problem."""
        return time.monotonic() - self._problem_at < WARNED_FOR

    def reset(self) -> None:
        """Starts again from zero."""
        with self._lock:
            self._counts = Counts()
        self._problem, self._problem_at = "", float("-inf")

    def received(self) -> None:
        """A picture arrived."""
        with self._lock:
            self._counts.frames_received += 1

    def unreadable(self, problem: str) -> None:
        """A picture could not be decoded."""
        with self._lock:
            self._counts.frames_unreadable += 1
        self.report(problem)

    def encoded(self, seconds: float) -> None:
        """The image encoder ran."""
        with self._lock:
            self._counts.frames_encoded += 1
            self._counts.encode_ms = seconds * 1e3

    def decoded(self, seconds: float, prompts: int) -> None:
        """Prompts of one frame were decoded together."""
        with self._lock:
            self._counts.prompts_answered += prompts
            self._counts.decode_ms = seconds * 1e3

    def published(self, latency: float) -> None:
        """A scene went out, ``latency`` seconds after its picture came in."""
        with self._lock:
            self._counts.scenes_published += 1
            self._counts.latency_ms = latency * 1e3

    def refused(self, refusals: Sequence[Refused]) -> None:
        """Prompts from a topic could not be answered; nobody waits for a status there."""
        if refusals:
            with self._lock:
                self._counts.prompts_refused += len(refusals)
            more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
            self.report(f"prompt refused: {refusals[0]}{more}")

    def report(self, problem: str) -> None:
        """Something went wrong that a person should know about."""
        self._problem, self._problem_at = problem, time.monotonic()
        self._warn(problem)


class Diagnostics:
    """Publishes /diagnostics once a second, in every lifecycle state.

    Args:
        node: publishes it.
        tally: what to tell.
        facts: asked each time for more to tell, such as the lifecycle state and the model.
    """

    def __init__(self, node: Node, tally: Tally, facts: Callable[[], Mapping[str, str]]) -> None:
        self._node, self._tally, self._facts = node, tally, facts
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 1)
        group = MutuallyExclusiveCallbackGroup()
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self._timer = node.create_timer(PERIOD, self._publish, callback_group=group, clock=steady)

    def _publish(self) -> None:
        msg = DiagnosticArray()
        msg.header.stamp = self._node.get_clock().now().to_msg()
        msg.status = [self._status()]
        self._publisher.publish(msg)

    def _status(self) -> DiagnosticStatus:
        facts = dict(self._facts())
        failure = facts.get("failure", "")
        level, message = DiagnosticStatus.OK, facts.get("state", "")
        if failure:
            level, message = DiagnosticStatus.ERROR, failure
        elif self._tally.troubled:
            level, message = DiagnosticStatus.WARN, self._tally.problem
        values = {**facts, **_texts(self._tally.counts), "last_problem": self._tally.problem}
        return DiagnosticStatus(
            level=level,
            name=f"{self._node.get_fully_qualified_name().strip('/')}: segmentation",
            message=message,
            hardware_id=facts.get("device", ""),
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )


def _texts(counts: Counts) -> dict[str, str]:
    return {
        name: f"{value:.1f}" if isinstance(value, float) else str(value)
        for name, value in asdict(counts).items()
    }
