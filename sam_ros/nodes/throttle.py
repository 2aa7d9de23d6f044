"""The limit on pictures per second, in the time that the node runs by."""

from __future__ import annotations

from rclpy.node import Node

from sam_ros.nodes.frames import Frame


class Throttle:
    """Lets pictures through at most at a rate.

    The time is that of their arrival, so that the limit is one of work. Under ``use_sim_time`` it
    is that of their stamps: a replay lets the same pictures through at any speed.

    Args:
        node: whose parameter ``use_sim_time`` counts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._last: int | None = None

    def admits(self, frame: Frame, rate_hz: float) -> bool:
        """True when the picture may be worked on, which then counts as done.

        At rate 0 that is always so, and nothing counts.
        """
        due = self.due(frame, rate_hz)
        if due and rate_hz > 0:
            self._last = self._time(frame)
        return due

    def due(self, frame: Frame, rate_hz: float) -> bool:
        """Whether the picture would be admitted now."""
        if rate_hz <= 0 or self._last is None:
            return True
        since = self._time(frame) - self._last
        return not 0 <= since < int(1e9 / rate_hz)  # a time that went back begins anew

    def _time(self, frame: Frame) -> int:
        simulated = bool(self._node.get_parameter("use_sim_time").value)
        return frame.stamp if simulated else int(frame.received * 1e9)
