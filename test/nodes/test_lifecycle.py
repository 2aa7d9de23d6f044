"""The node's states: what it answers in each, that memory comes back, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
import rclpy
import stub_node
from lifecycle_msgs.msg import Transition
from node_client import click, scene
from node_process import STUB

from sam_ros.msg import Prompt, Status
from sam_ros.nodes.inputs import Inputs
from sam_ros.nodes.lifecycle import FAILURE, SUCCESS, SamNode

BALLAST_MB = 190  # of the stub's weights
DEAF = """
import runpy, signal, sys, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def code(client: Any) -> int:
    return int(client.call("segment", prompts=[click(40, 30)]).status.code)


def test_the_whole_way_and_memory_comes_back(start_node: Any, client: Any) -> None:
    """Twice round, so that what is loaded only once does not count; ends by SIGINT."""
    node = start_node("autostart:=false")
    client.wait_for_node("unconfigured")
    memory = []
    for _ in range(2):
        assert code(client) == Status.INACTIVE
        assert client.transition("configure") and client.state() == "inactive"
        assert code(client) == Status.INACTIVE
        loaded = node.memory_mb
        assert client.transition("activate") and client.state() == "active"
        client.wait_connected()
        assert code(client) == Status.NO_IMAGE
        header = client.show(scene())
        sticky = click(40, 30, header=header, object_id="cup", persistence=Prompt.STICKY)
        assert client.call("set_prompts", prompts=[sticky]).status.code == 0
        assert client.transition("deactivate") and client.state() == "inactive"
        assert code(client) == Status.INACTIVE
        assert client.transition("activate")
        client.wait_connected()
        assert code(client) == Status.NO_IMAGE  # the picture of before is old
        client.forget()
        client.show(scene())
        client.wait(lambda: client.received["instances"])  # the object was kept
        assert client.transition("deactivate")
        assert client.transition("cleanup") and client.state() == "unconfigured"
        memory.append(node.memory_mb)
        assert loaded - memory[-1] > 0.9 * BALLAST_MB
    assert memory[1] < memory[0] + 10
    assert client.transition("configure")
    shutdown = Transition(id=Transition.TRANSITION_INACTIVE_SHUTDOWN)
    assert client.call("change_state", transition=shutdown).success
    assert client.state() == "finalized"
    assert node.interrupt() == 0 and node.group_is_empty(), node.output


def test_a_parameter_of_the_model_may_change_before_configure(
    start_node: Any, client: Any
) -> None:
    node = start_node("autostart:=false")
    client.wait_for_node("unconfigured")
    assert client.set_parameter("embedding_cache_size", 3).successful
    assert client.transition("configure")
    result = client.set_parameter("embedding_cache_size", 4)
    assert not result.successful and "clean the node up first" in result.reason
    assert node.interrupt() == 0


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        (("model:=sam_vit_b",), "ros2 run sam_ros models fetch sam_vit_b"),
        (("model:=mobile_sam", "checkpoint:=/nowhere/x.pt"), "/nowhere/x.pt is not a file"),
        (("device:=cuda",), "torch sees no CUDA device"),
    ],
)
def test_a_model_that_cannot_be_loaded(
    start_node: Any,
    client: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    parameters: tuple[str, ...],
    reason: str,
) -> None:
    """The node stays up unconfigured, and tells why in its log, its answers and /diagnostics."""
    monkeypatch.setenv("SAM_ROS_MODELS", str(tmp_path))
    if "cuda" in reason.lower():
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("there is a CUDA device")
    node = start_node(*parameters, real=True)
    client.wait_for_node("unconfigured")
    client.wait(lambda: code(client) == Status.MODEL_UNAVAILABLE, 60)
    assert reason in client.call("segment", prompts=[click(1, 1)]).status.message
    status = client.fresh_diagnostics()
    assert status.level == status.ERROR and reason in status.message
    assert reason in node.output and client.state() == "unconfigured"
    assert node.interrupt() == 0


def test_a_wrong_parameter_ends_the_node_with_a_reason(start_node: Any) -> None:
    node = start_node("device:=tpu")
    assert node.process.wait(30) == 1
    assert "device: 'tpu'; expected auto | cpu | cuda" in node.output
    assert "Traceback" not in node.output


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("state", ["unconfigured", "inactive", "active"])
def test_ctrl_c_in_every_state(start_node: Any, client: Any, state: str, times: int) -> None:
    """Exit status 0, no trace of an exception and no process left, even if it comes twice."""
    node = start_node(f"autostart:={'true' if state == 'active' else 'false'}")
    client.wait_for_node("active" if state == "active" else "unconfigured")
    if state == "inactive":
        assert client.transition("configure")
    if state == "active":
        client.show(scene())
    assert node.interrupt(times) == 0
    assert node.group_is_empty() and "Traceback" not in node.output, node.output
    client.wait(lambda: client.node.count_publishers("/sam/mask") == 0, 30)


@pytest.mark.parametrize("delay", [0.0, 0.4, 1.0, 2.0])
def test_ctrl_c_while_starting(start_node: Any, delay: float) -> None:
    """Even in the middle of loading the real model."""
    node = start_node(real=True)
    deadline = time.monotonic() + 30
    while not node.listens() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay)
    assert node.interrupt(patience=30) == 0
    assert node.group_is_empty() and "Traceback" not in node.output, node.output


def test_what_is_closed_or_fails_listens_to_nothing(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Ctrl-C while the model loads: the activation that comes after it must leave no thread."""

    def listening() -> bool:
        return "/image" in [thread.name for thread in threading.enumerate()]

    rclpy.init()
    node = SamNode(load=stub_node.load)
    try:
        assert node.trigger_configure() == SUCCESS
        with monkeypatch.context() as patch:
            patch.setattr(Inputs, "_boxes", property())  # cannot be subscribed with
            assert node.trigger_activate() == FAILURE
        assert not listening()
        assert node.trigger_activate() == SUCCESS
        assert listening()
        assert node.trigger_deactivate() == SUCCESS
        assert not listening()
        assert node.close(10.0)
        assert node.trigger_activate() == FAILURE
        assert not listening()
    finally:
        node.close(10.0)
        node.destroy_node()
        rclpy.try_shutdown()


def test_ctrl_c_that_reaches_another_thread(client: Any) -> None:
    """The kernel may give a signal to any thread; Python handles it in the main one, asleep."""
    command = [sys.executable, "-c", DEAF, str(STUB)]
    with subprocess.Popen(command, cwd=STUB.parents[2]) as process:
        try:
            client.wait_for_node()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()
