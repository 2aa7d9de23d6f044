"""Subscriptions that no executor looks at: read when asked for, or by a thread of their own.

rclpy's executor collects all entities of the node anew several times for each message, and keeps
Python from the other threads while it does. To wait for one subscription alone costs next to
nothing; it is done as in ``rclpy.wait_for_message``.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from sam_ros.nodes.endpoints import subscribe

FOREVER = -1  # nanoseconds


class Unspun(CallbackGroup):
    """Subscriptions whose callbacks are never called."""

    def can_execute(self, entity: object) -> bool:
        """Never."""
        return False

    beginning_execution = can_execute

    def ending_execution(self, entity: object) -> None:
        """Nothing has begun."""


def take(subscription: Subscription) -> Any | None:
    """The next message of an unspun subscription, or None; its handle is held by the caller."""
    taken = subscription.handle.take_message(subscription.msg_type, False)
    return taken[0] if taken else None


class Reader:
    """Calls back for each message of a topic, in a thread of its own, until ``destroy``.

    Args:
        node: subscribes; an exception of the callback is written to its log.
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
        self._subscription = subscribe(node, kind, topic, callback, qos, Unspun())
        self._end = GuardCondition(None, None, node.context)
        self._ended = False
        self._thread = threading.Thread(target=self._read, name=topic, daemon=True)
        self._thread.start()

    def destroy(self) -> None:
        """Ends the thread, when its last callback is done, and the subscription."""
        if not self._ended:
            self._ended = True
            self._end.trigger()
            self._thread.join()
            self._end.destroy()
            self._node.destroy_subscription(self._subscription)

    def _read(self) -> None:
        context, source = self._node.context.handle, self._subscription.handle
        end = self._end.handle
        with context, source, end:
            waits = rclpy_implementation.WaitSet(1, 1, 0, 0, 0, 0, context)
            while not self._ended:
                waits.clear_entities()
                waits.add_subscription(source)
                waits.add_guard_condition(end)
                waits.wait(FOREVER)
                while not self._ended and (message := take(self._subscription)) is not None:
                    self._call(message)

    def _call(self, message: Any) -> None:
        try:
            self._callback(message)
        except Exception:  # the next message may be better
            self._node.get_logger().error(traceback.format_exc())
