"""Where the frames of the robot were when a picture was taken, from TF."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Transform
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.time import Time as RclpyTime

from sam_ros.nodes.frames import nanoseconds, seconds

INSTALL = (
    "tf2_ros is not installed, and TF cannot be asked without it; "
    "install it with: sudo apt install ros-$ROS_DISTRO-tf2-ros-py"
)
MOVING = QoSProfile(depth=100)
STATIC = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
HISTORY = 3.0  # seconds of /tf that are kept unread; pictures are younger


class TransformMissing(Exception):
    """TF does not know a transform, or not at that time; it may still come."""


class Transforms:
    """Listens to /tf and /tf_static, from its creation to ``destroy``.

    Reading /tf in Python takes a good part of a core on some robots, and only a click or a target
    frame needs it: messages are kept as bytes, and read when somebody asks.

    Args:
        node: subscribes; its clock empties the buffer when time jumps back.
    """

    def __init__(self, node: Node) -> None:
        self._node, self._buffer = node, None
        self._unread: deque[tuple[float, bytes]] = deque()  # with the time of arrival
        try:  # not among the wheels of ROS 2, and only clicks in another frame need it
            from tf2_msgs.msg import TFMessage
            from tf2_ros import Buffer, TransformException
        except ImportError:
            return
        self._message, self._failure = TFMessage, TransformException
        self._buffer = Buffer(node=node)
        node.destroy_service(self._buffer.srv)  # tf2_frames: other nodes have it
        group = MutuallyExclusiveCallbackGroup()
        self._subscriptions = [
            node.create_subscription(
                TFMessage, "/tf", self._keep, MOVING, callback_group=group, raw=True
            ),
            node.create_subscription(
                TFMessage, "/tf_static", self._take_static, STATIC, callback_group=group
            ),
        ]

    @property
    def problem(self) -> str:
        """What to install; "" when TF can be asked."""
        return "" if self._buffer else INSTALL

    def destroy(self) -> None:
        """Ends the subscriptions."""
        if self._buffer:
            for subscription in self._subscriptions:
                self._node.destroy_subscription(subscription)
            self._buffer.jump_handle.unregister()

    def between(self, target: str, source: str, stamp: Time) -> npt.NDArray[np.float64]:
        """The (4, 4) matrix that takes points [m] in ``source`` to ``target`` at one time.

        Args:
            target: frame to express points in.
            source: frame in which points are given.
            stamp: when; zero for the newest transform.

        Raises:
            TransformMissing: says which transform, and why it is not there.
        """
        if target == source:
            return np.eye(4)
        if not self._buffer:
            raise TransformMissing(INSTALL)
        self._read()
        try:
            found = self._buffer.lookup_transform(target, source, RclpyTime.from_msg(stamp))
        except self._failure as error:
            raise TransformMissing(
                f"no transform from {source!r} to {target!r} "
                f"at {seconds(nanoseconds(stamp))}: {error}"
            ) from None
        return matrix(found.transform)

    def _keep(self, data: bytes) -> None:
        now = time.monotonic()
        self._unread.append((now, data))
        while self._unread[0][0] < now - HISTORY:
            self._unread.popleft()

    def _take_static(self, msg: Any) -> None:
        for transform in msg.transforms:
            self._buffer.set_transform_static(transform, "/tf_static")

    def _read(self) -> None:
        """Puts what was kept into the buffer."""
        for _ in range(len(self._unread)):
            _, data = self._unread.popleft()
            for transform in deserialize_message(data, self._message).transforms:
                self._buffer.set_transform(transform, "/tf")


def matrix(msg: Transform) -> npt.NDArray[np.float64]:
    """A translation [m] and a unit quaternion as a (4, 4) matrix."""
    q, t = msg.rotation, msg.translation
    x, y, z, w = np.array((q.x, q.y, q.z, q.w)) / np.linalg.norm((q.x, q.y, q.z, q.w))
    return np.array(
        (
            (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), t.x),
            (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), t.y),
            (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), t.z),
            (0, 0, 0, 1),
        )
    )
