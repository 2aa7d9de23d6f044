"""This process's side of the wire: what is heard of cameras and their nodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import rclpy  # noqa: TID251
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor  # noqa: TID251
from rclpy.qos import QoSProfile, qos_profile_sensor_data  # noqa: TID251
from rclpy.subscription import Subscription  # noqa: TID251
from sensor_msgs.msg import CameraInfo

from sam_ros.msg import InstanceArray
from sam_ros.nodes.processes import Child, Processes
from sam_ros.nodes.reader import Reader, drain, unspun
from sam_ros.srv import SetPrompts

MANY = QoSProfile(depth=10_000)  # frames between two counts
PATIENCE = 300.0  # seconds until nodes are active: torch takes long on a busy machine


@dataclass
class Camera:
    """What is heard of one camera and its node.

    Attributes:
        node: the node's process.
        frames: subscription of its camera_info, which nothing wakes up for: that would cost what
            is measured.
        answers: latency and time inside the node for each answer [s].
    """

    node: Child
    state: Any
    prompts: Any
    frames: Subscription
    answers: list[tuple[float, float]] = field(default_factory=list)

    def count_frames(self) -> int:
        """Frames that the camera sent since the last call."""
        return sum(1 for _ in drain(self.frames))

    def on_answer(self, msg: InstanceArray) -> None:
        """Takes the time of an answer."""
        sent = msg.header.stamp.sec + msg.header.stamp.nanosec * 1e-9
        inside = msg.latency.sec + msg.latency.nanosec * 1e-9
        self.answers.append((time.time() - sent, inside))


class Listener:
    """Spins, waits and asks.

    Args:
        processes: looked at while waiting; one that ends by itself ends the measurement.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node("ros_path", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._readers: list[Reader] = []

    def close(self) -> None:
        """Leaves the ROS graph."""
        for reader in self._readers:
            reader.destroy()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def listen(self, name: str, node: Child) -> Camera:
        """Hears a camera of this namespace and its node."""
        prefix = f"{name}/sam"
        camera = Camera(
            node,
            self._node.create_client(GetState, f"{prefix}/get_state"),
            self._node.create_client(SetPrompts, f"{prefix}/set_prompts"),
            unspun(self._node, CameraInfo, f"{name}/camera_info", MANY),
        )
        topic = f"{prefix}/instances"
        self._readers.append(
            Reader(self._node, InstanceArray, topic, camera.on_answer, qos_profile_sensor_data)
        )
        return camera

    def wait(self, ready: Callable[[], bool], patience: float) -> bool:
        """Spins until something is so; false when it was not in time."""
        deadline = time.monotonic() + patience
        while not ready():
            if time.monotonic() > deadline:
                return False
            if ended := self._processes.ended():
                raise RuntimeError(f"{ended.name} ended by itself\n{ended.last_words()}")
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def ask(self, client: Any, request: Any, done: Callable[[Any], bool]) -> None:
        """Calls a service until its answer is as wanted."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.wait(client.service_is_ready, PATIENCE)
            future = client.call_async(request)
            if self.wait(future.done, 60.0) and done(future.result()):
                return
            self.wait(lambda: False, 0.2)
        raise RuntimeError(f"{client.srv_name}: no such answer in {PATIENCE:.0f} s")
