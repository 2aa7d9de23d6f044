"""Several cameras in one process: a node for each, one thread, one copy of the weights."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from diagnostic_msgs.msg import DiagnosticArray
from node_client import GREEN, RED, NodeClient, click, mask_of, pixels, scene, set_prompts
from node_process import NodeProcess

from sam_ros.msg import Prompt
from sam_ros.nodes.processes import free_domain
from sam_ros.nodes.sam_node import _without_namespace
from sam_ros.nodes.worker import ModelThread, Worker


def test_each_camera_has_its_own_objects_and_pictures(tmp_path: Path) -> None:
    """And its own lifecycle: one that is deactivated leaves the other at work."""
    domain = free_domain()
    node = NodeProcess(domain, tmp_path / "output.log", cameras="front,rig/rear")
    clients = [NodeClient(domain, namespace=name) for name in ("front", "rig/rear")]
    front, rear = clients
    try:
        for client, area, where in ((front, RED, (40, 30)), (rear, GREEN, (110, 80))):
            client.wait_for_node()
            client.show(scene())
            prompt = click(*where, object_id="it", persistence=Prompt.STICKY)
            assert set_prompts(client, prompt) == ["it"]
            client.wait(lambda client=client: client.received["mask"])
            np.testing.assert_array_equal(pixels(client.received["mask"][-1]), 255 * mask_of(area))
        assert front.transition("deactivate")
        rear.forget()
        header = rear.show(scene())
        rear.wait(lambda: any(item.header == header for item in rear.received["instances"]))
        expected = {"front/sam: segmentation", "rig/rear/sam: segmentation"}
        rear.wait(lambda: {_name(item) for item in rear.received["diagnostics"]} == expected)
        assert node.interrupt() == 0
    finally:
        for client in clients:
            client.close()
        node.end()
    assert "Traceback" not in node.output


def _name(msg: DiagnosticArray) -> str:
    return str(msg.status[0].name)


def test_workers_share_a_thread_and_take_turns() -> None:
    """A frame of each waits behind the other's job; stopping one leaves the other."""
    done: list[tuple[str, str]] = []

    def note(name: str) -> None:
        done.append((name, threading.current_thread().name))

    thread, go = ModelThread(), threading.Event()
    first = Worker(lambda frame: note("first"), done.append, thread)  # type: ignore[arg-type]
    second = Worker(lambda frame: note("second"), done.append, thread)  # type: ignore[arg-type]
    first.submit(lambda: go.wait(5))
    jobs = [first.submit(lambda: note("first's job")) for _ in range(3)]
    second.offer("frame")  # type: ignore[arg-type]
    go.set()
    for job in jobs:
        job.result(5)
    assert done[0][0] == "second" and {name for _, name in done} == {"model"}
    assert sum(item.name == "model" for item in threading.enumerate()) >= 1
    first.drop_jobs()
    assert first.stop(5)
    assert second.submit(lambda: 7).result(5) == 7
    assert second.stop(5)


def test_the_weights_are_loaded_once() -> None:
    """Two nodes get the same network with thresholds of their own; the last one frees it."""
    pytest.importorskip("torch")
    from sam_ros.nodes.loading import load_segmenter
    from sam_ros.nodes.parameters import Parameters

    one = load_segmenter(Parameters(device="cpu", min_area_px=5))
    other = load_segmenter(Parameters(device="cpu", min_area_px=9))
    assert one.sam is other.sam
    assert (one.config.min_area_px, other.config.min_area_px) == (5, 9)
    weights = weakref.ref(one.sam)
    del one, other
    gc.collect()
    assert weights() is None


def test_the_namespace_of_the_command_line_is_around_the_cameras() -> None:
    """Left to rcl it would replace theirs, and all nodes would have one name."""
    words = ["--cameras", "a,b", "--ros-args", "-r", "__node:=sam", "-r", "__ns:=/robot"]
    left, outer = _without_namespace(words)
    assert (left, outer) == (words[:-2], "/robot")
    assert _without_namespace(left) == (left, "")


@pytest.mark.parametrize("words", [["--cameras", "front,front"], ["--camera", "a", "b"]])
def test_wrong_arguments_end_the_node(words: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sam_ros.nodes.sam_node", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2 and "usage" in done.stderr
