"""End to end over DDS: for each camera an image_source and a node, in processes of their own.

A sticky click is answered on every frame that the node gets to. Latency runs from the stamp that
the camera gives a frame to the arrival of its ~/instances here. What ROS costs beside the model is
told in CPU time, which other programs on the machine change little: that of the node's process
less that of the bare model for as many answers, for each frame that came.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy  # noqa: TID251
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor  # noqa: TID251
from rclpy.qos import qos_profile_sensor_data  # noqa: TID251
from sensor_msgs.msg import CameraInfo
from vision_msgs.msg import Point2D

from benchmarks.machine import describe
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import InstanceArray, Prompt, Status
from sam_ros.nodes.processes import Child, Processes, local_environment
from sam_ros.resources import find_resource
from sam_ros.srv import SetPrompts

SIZES = ((480, 640), (720, 1280))
PICTURE = "table_mug_book.jpg"
CLICK = (0.5, 0.5)  # of width and height
PATIENCE = 300.0  # seconds until nodes are active: torch takes long on a busy machine
HEADINGS = (
    "size",
    "cameras",
    "answers [Hz]",
    "p50 [ms]",
    "p99 [ms]",
    "dropped",
    "CPU",
    "memory [MB]",
    "ROS, each frame [ms]",
)


@dataclass(frozen=True)
class Result:
    """One measurement.

    Attributes:
        size: (H, W) of the pictures.
        cameras: cameras, and nodes.
        rate_hz: frames that each camera was asked for.
        published_hz: frames that each camera sent.
        answered_hz: frames that each node answered.
        latency_ms: 50th and 99th percentile from the frame's stamp to the answer's arrival.
        node_ms: 50th percentile of the time inside the node, from a frame's arrival to its answer.
        dropped: share of the published frames without an answer.
        cpu: processors that one node keeps busy.
        memory_mb: peak of one node.
        startup_s: from the start of the nodes to the last one's being active.
        cpu_ms: CPU time of a node for each answer.
        bare_ms: CPU time of the model alone: encoding and one click.
    """

    size: tuple[int, int]
    cameras: int
    rate_hz: float
    published_hz: float
    answered_hz: float
    latency_ms: tuple[float, float]
    node_ms: float
    dropped: float
    cpu: float
    memory_mb: float
    startup_s: float
    cpu_ms: float
    bare_ms: float

    @property
    def ros_ms(self) -> float:
        """CPU time of all but the model for each frame that came, answered or dropped."""
        return (self.cpu_ms - self.bare_ms) * self.answered_hz / self.published_hz

    def row(self) -> str:
        """A row of the table, as Markdown."""
        height, width = self.size
        cells = (
            f"{width}x{height}",
            f"{self.cameras}",
            f"{self.answered_hz:.1f} of {self.published_hz:.1f}",
            f"{self.latency_ms[0]:.0f}",
            f"{self.latency_ms[1]:.0f}",
            f"{self.dropped:.0%}",
            f"{self.cpu:.0%}",
            f"{self.memory_mb:.0f}",
            f"{self.ros_ms:.1f}",
        )
        return f"| {' | '.join(cells)} |"


@dataclass
class Camera:
    """What is heard of one camera and its node.

    Attributes:
        node: the node's process.
        published: stamps of its frames.
        answers: latency and time inside the node for each answer [s].
    """

    node: Child
    state: Any
    prompts: Any
    published: list[int] = field(default_factory=list)
    answers: list[tuple[float, float]] = field(default_factory=list)

    def on_answer(self, msg: InstanceArray) -> None:
        """Takes the time of an answer."""
        sent = msg.header.stamp.sec + msg.header.stamp.nanosec * 1e-9
        inside = msg.latency.sec + msg.latency.nanosec * 1e-9
        self.answers.append((time.time() - sent, inside))


class Listener:
    """This process's side of the wire.

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

    def close(self) -> None:
        """Leaves the ROS graph."""
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
        )
        self._node.create_subscription(
            InstanceArray, f"{prefix}/instances", camera.on_answer, qos_profile_sensor_data
        )
        self._node.create_subscription(
            CameraInfo, f"{name}/camera_info", camera.published.append, 10
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


def measure(
    size: tuple[int, int], cameras: int, rate: float, seconds: float, model: str
) -> Result:
    """Runs the processes for a while and says how they did."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        rgb = _picture(size)
        cv2.imwrite(str(picture), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        environment = local_environment()
        os.environ.update(environment)
        with Processes(Path(folder), environment) as processes:
            listener = Listener(processes)
            try:
                return _measure(listener, processes, picture, size, cameras, rate, seconds, model)
            finally:
                listener.close()


def _measure(
    listener: Listener,
    processes: Processes,
    picture: Path,
    size: tuple[int, int],
    cameras: int,
    rate: float,
    seconds: float,
    model: str,
) -> Result:
    names = [f"camera{index}" for index in range(cameras)]
    bare_ms = _bare_ms(size, model)  # before others compete with it for the processors
    began = time.monotonic()
    heard = _start_nodes(listener, processes, names, model)
    startup = time.monotonic() - began
    for name in names:
        words = _ros_args(name, path=picture, rate=rate)
        processes.start(f"source_{name}", "sam_ros.nodes.image_source", words)
    for camera in heard:
        listener.ask(camera.prompts, _sticky(size), lambda reply: reply.status.code == Status.OK)
    listener.wait(lambda: all(len(camera.answers) > 2 for camera in heard), PATIENCE)
    for camera in heard:
        camera.published.clear()
        camera.answers.clear()
    before, began = [_cpu_seconds(camera.node) for camera in heard], time.monotonic()
    listener.wait(lambda: False, seconds)
    elapsed = time.monotonic() - began
    used = np.subtract([_cpu_seconds(camera.node) for camera in heard], before)
    answers = [answer for camera in heard for answer in camera.answers]
    published = sum(len(camera.published) for camera in heard)
    latency, inside = 1e3 * np.array(answers).T
    return Result(
        size=size,
        cameras=cameras,
        rate_hz=rate,
        published_hz=published / elapsed / cameras,
        answered_hz=len(answers) / elapsed / cameras,
        latency_ms=(float(np.percentile(latency, 50)), float(np.percentile(latency, 99))),
        node_ms=float(np.median(inside)),
        dropped=max(0.0, 1 - len(answers) / max(1, published)),
        cpu=float(used.mean() / elapsed),
        memory_mb=max(_peak_mb(camera.node) for camera in heard),
        startup_s=startup,
        cpu_ms=float(1e3 * used.sum() / len(answers)),
        bare_ms=bare_ms,
    )


def _start_nodes(
    listener: Listener, processes: Processes, names: list[str], model: str
) -> list[Camera]:
    """A node for each camera, when all are active; what the listener hears of each."""
    heard = []
    for name in names:
        words = [*_ros_args(name, model=model), "-r", "__node:=sam"]
        heard.append(
            listener.listen(name, processes.start(f"sam_{name}", "sam_ros.nodes.sam_node", words))
        )
    for camera in heard:
        listener.ask(
            camera.state,
            GetState.Request(),
            lambda reply: reply.current_state.id == State.PRIMARY_STATE_ACTIVE,
        )
    return heard


def _ros_args(namespace: str, **parameters: object) -> list[str]:
    words = ["--ros-args", "-r", f"__ns:=/{namespace}"]
    return words + [
        word for key, value in parameters.items() for word in ("-p", f"{key}:={value}")
    ]


def _bare_ms(size: tuple[int, int], model: str, repeats: int = 15) -> float:
    """Median CPU time of the model on the same picture and click, without ROS."""
    from sam_ros.nodes.loading import load_segmenter
    from sam_ros.nodes.parameters import Parameters

    segmenter, rgb = load_segmenter(Parameters(model=model)), _picture(size)
    point = np.array([[CLICK[0] * size[1], CLICK[1] * size[0]]], np.float32)
    click = EnginePrompt(points=point, labels=np.ones(1, np.int32))
    times = []
    for _ in range(repeats):
        began = time.process_time()
        segmenter.segment(segmenter.set_image(rgb), [click])
        times.append(time.process_time() - began)
    return float(1e3 * np.median(times))


def _picture(size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    bgr = cv2.imread(str(find_resource("samples", PICTURE)))
    return np.asarray(cv2.cvtColor(cv2.resize(bgr, size[::-1]), cv2.COLOR_BGR2RGB), np.uint8)


def _sticky(size: tuple[int, int]) -> SetPrompts.Request:
    point = Point2D(x=CLICK[0] * size[1], y=CLICK[1] * size[0])
    return SetPrompts.Request(
        prompts=[Prompt(points=[point], point_labels=[1], persistence=Prompt.STICKY)]
    )


def _cpu_seconds(child: Child) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{child.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(child: Child) -> float:
    status = Path(f"/proc/{child.process.pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ros_path")
    parser.add_argument("--model", default="sam_tiny")
    parser.add_argument(
        "--rate", type=float, default=10.0, help="frames per second of each camera"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    options = parser.parse_args(arguments)
    machine = describe()
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    results = []
    for size in SIZES:
        for cameras in options.cameras:
            result = measure(size, cameras, options.rate, options.seconds, options.model)
            print(result.row(), flush=True)
            results.append({**asdict(result), "ros_ms": result.ros_ms, "load": os.getloadavg()[0]})
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"{machine['name']}-ros_path-{options.model}.json"
    file.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")
    print(f"written: {file}")


if __name__ == "__main__":
    main()
