"""Node ``bag_source``: plays a recorded camera to the node ``sam``, by the clock or by answers."""

from __future__ import annotations

import sys
import time
from typing import Any

from builtin_interfaces.msg import Time
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sam_ros.msg import InstanceArray
from sam_ros.nodes.bag import CAMERA_INFO, COMPRESSED, IMAGE, Bag, Record
from sam_ros.nodes.frames import nanoseconds
from sam_ros.nodes.program import run

TYPES = {IMAGE: Image, COMPRESSED: CompressedImage, CAMERA_INFO: CameraInfo}
TICK = 0.025  # seconds between two messages of /clock, at most
FIRST = 1.0  # seconds after which the first picture is sent again
LINGER = 0.5  # seconds for the last message to arrive

# name: default, meaning, range
PARAMETERS: dict[str, tuple[Any, str, tuple[float, float] | None]] = {
    "path": ("", "a bag: a folder with metadata.yaml (sqlite3 or MCAP), or a file .mcap", None),
    "image_topic": ("", "topic of the pictures in the bag; empty: the only one", None),
    "depth_topic": ("", "topic of the depth images in the bag; empty: the only one", None),
    "rate": (
        1.0,
        "times as fast as it was recorded; 0: each picture follows the answer to the last one",
        (0, 100),
    ),
    "answers": ("sam/instances", "topic of the answers that rate 0 waits for", None),
    "answer_timeout": (10.0, "longest wait for an answer with rate 0 [s]", (0.1, 600)),
}


class BagSource(Node):
    """Publishes the recorded messages, unchanged, and the recorded time as ``/clock``.

    Nothing is sent before somebody subscribes to the pictures. With ``rate`` 0 the first picture
    is shown until it is answered, with what was recorded beside it and its time, however long
    that takes: there is time to join and to prompt on it. Then every picture is answered before
    the next is sent, so that each run gives the same.

    Raises:
        ValueError: the parameters name nothing that can be played.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("bag_source", **options)
        values = {name: self._declare(name) for name in PARAMETERS}
        self._rate, self._timeout = float(values["rate"]), float(values["answer_timeout"])
        self._bag = Bag(values["path"], values["image_topic"], values["depth_topic"])
        overridable = QoSOverridingOptions.with_default_policies()
        self._outputs: dict[str, Any] = {
            name: self.create_publisher(
                TYPES[topic.kind], name, QoSProfile(depth=5), qos_overriding_options=overridable
            )
            for name, topic in self._bag.topics.items()
        }
        self._time = self.create_publisher(Clock, "/clock", QoSProfile(depth=10))
        self._answers = values["answers"]
        if self._is_paced:
            self.create_subscription(InstanceArray, self._answers, self._answered, 10)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self)
        self._open: Record | None = None  # the picture that waits for its answer
        self._beginning: list[Record] = []  # what was sent before the first answer
        self._last_answer: int | None = None
        self.sent = self.missed = 0
        played = ", ".join(f"{topic.recorded} as {n}" for n, topic in self._bag.topics.items())
        self.get_logger().info(f"{values['path']}: {played}")

    @property
    def _is_paced(self) -> bool:
        return self._rate == 0

    def play(self) -> None:
        """Plays the bag once."""
        self._wait_for_listeners()
        began, first = time.monotonic(), None
        for record in self._bag.records():
            first = record.time if first is None else first
            if not self._is_paced:
                self._wait_until(record.time, began, first)
            elif record.topic == self._bag.image:
                self._settle()
            self._send(record)
        self._settle()
        self._spin(LINGER)
        end = f"{self.missed} of them were not answered" if self._is_paced else "that is the end"
        self.get_logger().info(f"{self.sent} pictures were sent; {end}")

    def close(self) -> None:
        """Gives the bag back."""
        self._executor.shutdown()
        self._bag.close()

    def _declare(self, name: str) -> Any:
        default, meaning, limits = PARAMETERS[name]
        descriptor = ParameterDescriptor(description=meaning, read_only=True)
        if limits:
            low, high = map(float, limits)
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        return self.declare_parameter(name, default, descriptor).value

    def _wait_for_listeners(self) -> None:
        """Until somebody hears the pictures, and where answers are waited for, gives them."""
        pictures = self._outputs[self._bag.image]
        while not pictures.get_subscription_count() or (
            self._is_paced and not self.count_publishers(self._answers)
        ):
            self.get_logger().info("waiting for the node sam", throttle_duration_sec=10.0)
            self._spin(0.1)

    def _wait_until(self, moment: int, began: float, first: int) -> None:
        """Until the recorded time has come, with ``/clock`` going on meanwhile."""
        while (left := began + (moment - first) / 1e9 / self._rate - time.monotonic()) > 0:
            self._spin(min(left, TICK))
            now = first + int((time.monotonic() - began) * self._rate * 1e9)
            self._show_time(min(now, moment))

    def _send(self, record: Record) -> None:
        self._show_time(record.time)
        self._outputs[record.topic].publish(record.data)
        if self._is_paced and self._last_answer is None:
            self._beginning.append(record)
        if record.topic == self._bag.image:
            self._open = record
            self.sent += 1

    def _settle(self) -> None:
        """Waits for the answer to the picture that was sent last."""
        if self._open is None or not self._is_paced:
            return
        picture = self._outputs[self._bag.image]
        while self._last_answer is None and not self._wait_for_answer(FIRST):
            text = "the first picture is not answered yet: is there a sticky prompt?"
            self.get_logger().info(text, throttle_duration_sec=10.0)
            self._show_time(self._beginning[-1].time)
            for record in self._beginning:
                self._outputs[record.topic].publish(record.data)
        if not self._wait_for_answer(self._timeout / 2):
            picture.publish(self._open.data)  # it may have been lost on its way
            if not self._wait_for_answer(self._timeout / 2):
                self.missed += 1
                self.get_logger().warning(f"no answer within {self._timeout:g} s; going on")

    def _wait_for_answer(self, patience: float) -> bool:
        assert self._open is not None
        deadline, stamp = time.monotonic() + patience, self._open.stamp
        while self._last_answer != stamp and (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)
        return self._last_answer == stamp

    def _answered(self, msg: InstanceArray) -> None:
        self._last_answer = nanoseconds(msg.header.stamp)

    def _show_time(self, moment: int) -> None:
        stamp = Time(sec=moment // 1_000_000_000, nanosec=moment % 1_000_000_000)
        self._time.publish(Clock(clock=stamp))

    def _spin(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)


def main(args: list[str] | None = None) -> int:
    """Runs the node; returns the exit status: 1 when a picture was not answered."""
    return run("bag_source", BagSource, _play, args)


def _play(node: BagSource) -> int:
    node.play()
    return 1 if node.missed else 0


if __name__ == "__main__":
    sys.exit(main())
