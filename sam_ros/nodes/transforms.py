"""Where the frames of the robot were when a picture was taken, from TF."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Transform
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time as RclpyTime

from sam_ros.nodes.frames import nanoseconds, seconds
from sam_ros.nodes.reader import Unspun, drain

PERIOD = 0.1  # seconds between two looks at what has come
MOST = 1000  # messages of /tf between two looks

INSTALL = (
    "tf2_ros is not installed, and TF cannot be asked without it; "
    "install it with: sudo apt install ros-$ROS_DISTRO-tf2-ros-py"
)


class TransformMissing(Exception):
    """TF does not know a transform, or not at that time; it may still come."""


class Transforms:
    """Listens to /tf and /tf_static, from its creation to ``destroy``.

    As tf2_ros.TransformListener, which would wake the executor of the node for every message:
    these are read ten times a second, and before each question.

    Args:
        node: subscribes; its clock empties the buffer when time jumps back.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        try:  # not among the wheels of ROS 2, and only clicks in another frame need it
            from tf2_msgs.msg import TFMessage
            from tf2_ros import Buffer, TransformException
        except ImportError:
            self._buffer = None
            return
        self._failure = TransformException
        self._buffer = Buffer(node=node)
        node.destroy_service(self._buffer.srv)  # tf2_frames: other nodes have it
        group, latched = Unspun(), DurabilityPolicy.TRANSIENT_LOCAL
        self._subscriptions = [
            (node.create_subscription(TFMessage, topic, keep, qos, callback_group=group), keep)
            for topic, keep, qos in (
                ("/tf", self._buffer.set_transform, QoSProfile(depth=MOST)),
                (
                    "/tf_static",
                    self._buffer.set_transform_static,
                    QoSProfile(depth=MOST, durability=latched),
                ),
            )
        ]
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._read_on, name="transforms", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str:
        """What to install; "" when TF can be asked."""
        return "" if self._buffer else INSTALL

    def destroy(self) -> None:
        """Ends the subscriptions."""
        if self._buffer:
            self._ended.set()
            self._thread.join()
            with self._lock:
                for subscription, _ in self._subscriptions:
                    self._node.destroy_subscription(subscription)
                self._subscriptions.clear()
            self._buffer.jump_handle.unregister()

    def _read_on(self) -> None:
        while not self._ended.wait(PERIOD):
            self._read()

    def _read(self) -> None:
        """Puts the messages that have come into the buffer."""
        with self._lock:
            for subscription, keep in self._subscriptions:
                for msg in drain(subscription):
                    for transform in msg.transforms:
                        keep(transform, "sam")

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
