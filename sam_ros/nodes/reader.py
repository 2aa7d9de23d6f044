"""Subscriptions that no executor looks at: read when asked for, or by a thread of their own.

rclpy's executor collects all entities of the node anew several times for each message, and keeps
Python from the other threads while it does. To wait for one subscription alone costs next to
nothing; it is done as in ``rclpy.wait_for_message``.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from sam_ros.nodes.endpoints import subscribe

FOREVER = -1  # nanoseconds
PAUSE = 1.0  # seconds after something went wrong


class Unspun(CallbackGroup):
    """Subscriptions whose callbacks are never called."""

    def can_execute(self, entity: object) -> bool:
        """Never."""
        return False

    beginning_execution = can_execute

    def ending_execution(self, entity: object) -> None:
        """Nothing has begun."""


def unspun(node: Node, kind: Any, topic: str, qos: QoSProfile) -> Subscription:
    """A subscription that no executor looks at; :func:`drain` reads it."""
    return subscribe(node, kind, topic, lambda _: None, qos, Unspun())


def drain(subscription: Subscription) -> Iterator[Any]:
    """The messages that have come for an unspun subscription, oldest first."""
    with subscription.handle:
        while taken := subscription.handle.take_message(subscription.msg_type, False):
            yield taken[0]


class Reader:
    """Calls back for each message of a topic, in a thread of its own, until ``destroy``.

    Args:
        node: subscribes; what goes wrong is written to its log, and reading goes on.
        kind: of the messages.
        topic: their name.
        callback: gets each; the next one waits for it.
        qos: of the subscription.
    """

    def __init__(
        self,
        node: Node,
        kind: Any,
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile,
    ) -> None:
        self._node, self._callback = node, callback
        self._subscription = unspun(node, kind, topic, qos)
        self._end = GuardCondition(None, None, node.context)
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._read_on, name=self._subscription.topic_name, daemon=True
        )
        self._thread.start()

    def destroy(self) -> None:
        """Ends the thread, when its last callback is done, and the subscription.

        To be called from another thread, once.
        """
        self._ended.set()
        self._end.trigger()
        self._thread.join()
        self._end.destroy()
        self._node.destroy_subscription(self._subscription)

    def _read_on(self) -> None:
        context, source = self._node.context.handle, self._subscription.handle
        end = self._end.handle
        with context, source, end:
            waits = rclpy_implementation.WaitSet(1, 1, 0, 0, 0, 0, context)
            while not self._ended.is_set():
                try:
                    waits.clear_entities()  # of those added, a wait leaves what is ready
                    waits.add_subscription(source)
                    waits.add_guard_condition(end)
                    waits.wait(FOREVER)
                    self._read()
                except Exception:  # the next message may be better
                    self._node.get_logger().error(
                        traceback.format_exc(), throttle_duration_sec=PAUSE
                    )
                    self._ended.wait(PAUSE)

    def _read(self) -> None:
        """Calls back for what has come; a function of its own, so that it keeps nothing alive."""
        for message in drain(self._subscription):
            if not self._ended.is_set():
                self._callback(message)
