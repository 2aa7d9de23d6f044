"""End to end over DDS: an image_source and a node for each camera, in processes of their own.

With ``--together`` the nodes are in one process, with one copy of the weights. Where a model's
weights were not fetched, random ones are taken: as fast, but for masks that may cover the picture.

A sticky click is answered on every frame that the node gets to. Latency runs from the stamp that
the camera gives a frame to the arrival of its ~/instances here. What ROS adds to the model is
measured with the same processes and messages and a model that takes no time (``replay``).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import torch
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from vision_msgs.msg import Point2D

from benchmarks.listener import PATIENCE, Camera, Listener
from benchmarks.machine import describe
from sam_ros.msg import Prompt, Status
from sam_ros.nodes.processes import Child, Processes, local_environment
from sam_ros.resources import find_resource
from sam_ros.srv import SetPrompts

SIZES = ((480, 640), (720, 1280))
PICTURE = "table_mug_book.jpg"
NODE, REPLAY = "sam_ros.nodes.sam_node", "benchmarks.replay"
CLICK = (0.5, 0.5)  # of width and height
HEADINGS = (
    "size",
    "cameras",
    "answers [Hz]",
    "p50, p99 [ms]",
    "growth [ms]",
    "dropped",
    "CPU",
    "memory [MB]",
    "start [s]",
    "ROS alone: p50, p99 [ms]",
    "its CPU [ms]",
)


@dataclass(frozen=True)
class Traffic:
    """What was heard of the nodes for a while.

    Attributes:
        published_hz: frames that each camera sent.
        answered_hz: frames that each node answered.
        latency_ms: 50th and 99th percentile from the frame's stamp to the answer's arrival.
        growth_ms: median latency of the last quarter less that of the first: frames that queue.
        node_ms: 50th percentile of the time inside the node, from a frame's arrival to its answer.
        dropped: share of the published frames without an answer.
        cpu: processors that one process of nodes keeps busy.
        cpu_ms: CPU time of the nodes for each answer.
        memory_mb: peak of one process of nodes.
        startup_s: from the start of the nodes to the last one's being active.
    """

    published_hz: float
    answered_hz: float
    latency_ms: tuple[float, float]
    growth_ms: float
    node_ms: float
    dropped: float
    cpu: float
    cpu_ms: float
    memory_mb: float
    startup_s: float


@dataclass(frozen=True)
class Result:
    """One measurement.

    Attributes:
        size: (H, W) of the pictures.
        cameras: cameras, and nodes.
        rate_hz: frames that each camera was asked for.
        whole: with the model.
        ros: with one that takes no time.
    """

    size: tuple[int, int]
    cameras: int
    rate_hz: float
    whole: Traffic
    ros: Traffic

    def row(self) -> str:
        """A row of the table, as Markdown."""
        height, width = self.size
        whole, ros = self.whole, self.ros
        cells = (
            f"{width}x{height}",
            f"{self.cameras}",
            f"{whole.answered_hz:.1f} of {whole.published_hz:.1f}",
            f"{whole.latency_ms[0]:.0f}, {whole.latency_ms[1]:.0f}",
            f"{whole.growth_ms:.0f}",
            f"{whole.dropped:.0%}",
            f"{whole.cpu:.0%}",
            f"{whole.memory_mb:.0f}",
            f"{whole.startup_s:.1f}",
            f"{ros.latency_ms[0]:.1f}, {ros.latency_ms[1]:.1f}",
            f"{ros.cpu_ms:.1f}",
        )
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
        model: name of the network.
        checkpoint: file of its weights; "": the embedded or fetched ones.
        rate: frames per second of each camera.
        seconds: of one measurement.
        together: all nodes in one process.
    """

    model: str
    checkpoint: str
    rate: float
    seconds: float
    together: bool


def measure(size: tuple[int, int], cameras: int, settings: Settings) -> Result:
    """Runs the processes for a while, with the model and without, and says how they did."""
    whole, ros = (_run(module, size, cameras, settings) for module in (NODE, REPLAY))
    return Result(size, cameras, settings.rate, whole, ros)


def _run(module: str, size: tuple[int, int], cameras: int, settings: Settings) -> Traffic:
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        bgr = cv2.imread(str(find_resource("samples", PICTURE)))
        cv2.imwrite(str(picture), cv2.resize(bgr, size[::-1]))
        environment = local_environment()
        os.environ.update(environment)
        with Processes(Path(folder), environment) as processes:
            listener = Listener(processes)
            try:
                return _hear(listener, processes, module, picture, size, cameras, settings)
            finally:
                listener.close()


def _hear(
    listener: Listener,
    processes: Processes,
    module: str,
    picture: Path,
    size: tuple[int, int],
    cameras: int,
    settings: Settings,
) -> Traffic:
    names = [f"camera{index}" for index in range(cameras)]
    began = time.monotonic()
    heard = _start_nodes(listener, processes, module, names, settings)
    startup = time.monotonic() - began
    for name in names:
        words = _ros_args(name, path=picture, rate=settings.rate)
        processes.start(f"source_{name}", "sam_ros.nodes.image_source", words)
    for camera in heard:
        listener.ask(camera.prompts, _sticky(size), lambda reply: reply.status.code == Status.OK)
    listener.wait(lambda: all(len(camera.answers) > 2 for camera in heard), PATIENCE)
    for camera in heard:
        camera.count_frames()
        camera.answers.clear()
    nodes = list(dict.fromkeys(camera.node for camera in heard))
    before, began = [_cpu_seconds(node) for node in nodes], time.monotonic()
    listener.wait(lambda: False, settings.seconds)
    elapsed = time.monotonic() - began
    used = np.subtract([_cpu_seconds(node) for node in nodes], before)
    of_each = [list(camera.answers) for camera in heard]  # more may come meanwhile
    answers = [answer for some in of_each for answer in some]
    published = sum(camera.count_frames() for camera in heard)
    latency, inside = 1e3 * np.array(answers).T
    return Traffic(
        published_hz=published / elapsed / cameras,
        answered_hz=len(answers) / elapsed / cameras,
        latency_ms=(float(np.percentile(latency, 50)), float(np.percentile(latency, 99))),
        growth_ms=float(1e3 * np.median([_growth(some) for some in of_each])),
        node_ms=float(np.median(inside)),
        dropped=max(0.0, 1 - len(answers) / max(1, published)),
        cpu=float(used.mean() / elapsed),
        cpu_ms=float(1e3 * used.sum() / len(answers)),
        memory_mb=max(_peak_mb(node) for node in nodes),
        startup_s=startup,
    )


def _growth(answers: Sequence[tuple[float, float]]) -> float:
    latency = [sent for sent, _ in answers]
    quarter = -(-len(latency) // 4)
    return float(np.median(latency[-quarter:]) - np.median(latency[:quarter]))


def _start_nodes(
    listener: Listener, processes: Processes, module: str, names: list[str], settings: Settings
) -> list[Camera]:
    """A node for each camera, when all are active; what the listener hears of each."""
    model = {"model": settings.model, "checkpoint": settings.checkpoint}
    if settings.together:
        words = ["--cameras", ",".join(names), *_ros_args("", **model)]
        node = processes.start("sam", module, words)
        heard = [listener.listen(name, node) for name in names]
    else:
        heard = [
            listener.listen(name, processes.start(f"sam_{name}", module, _ros_args(name, **model)))
            for name in names
        ]
    for camera in heard:
        listener.ask(
            camera.state,
            GetState.Request(),
            lambda reply: reply.current_state.id == State.PRIMARY_STATE_ACTIVE,
        )
    return heard


def _weights(model: str, folder: Path) -> str:
    """A file of random weights where a model needs one and none was fetched."""
    from sam_ros.model import build_sam
    from sam_ros.models import cache
    from sam_ros.nodes.loading import EMBEDDED

    if model == EMBEDDED or cache.find(model):
        return ""
    file = folder / f"{model}.pt"
    torch.save(build_sam(model).state_dict(), file)
    return str(file)


def _ros_args(namespace: str, **parameters: object) -> list[str]:
    words = [
        word for key, value in parameters.items() if value for word in ("-p", f"{key}:={value}")
    ]
    return ["--ros-args", *(["-r", f"__ns:=/{namespace}"] if namespace else []), *words]


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
    parser.add_argument("--together", action="store_true", help="all nodes in one process")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    options = parser.parse_args(arguments)
    machine = describe()
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        weights = _weights(options.model, Path(folder))
        settings = Settings(
            options.model, weights, options.rate, options.seconds, options.together
        )
        for size, cameras in product(SIZES, options.cameras):
            result = measure(size, cameras, settings)
            print(result.row(), flush=True)
            results.append({**asdict(result), "load": os.getloadavg()[0]})
    options.out.mkdir(parents=True, exist_ok=True)
    way = f"{options.model}-together" if options.together else options.model
    file = options.out / f"{machine['name']}-ros_path-{way}.json"
    file.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")
    print(f"written: {file}")


if __name__ == "__main__":
    main()
