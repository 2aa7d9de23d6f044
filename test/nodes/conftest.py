"""Nodes in processes of their own, each group of tests in a ROS domain of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

StartNode = Callable[..., Any]
NO_TEXT = ("clip_model:=/nowhere",)  # the stub has no device for it


@pytest.fixture(scope="module")
def start_node(ros_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNode]:
    """Starts a node with parameters such as "autostart:=false"; all end with the module."""
    from node_process import NodeProcess

    started: list[NodeProcess] = []

    def start(*parameters: str, real: bool = False) -> NodeProcess:
        log = tmp_path_factory.mktemp("node") / "output.log"
        started.append(NodeProcess(ros_domain, log, parameters, real))
        return started[-1]

    yield start
    for node in started:
        node.end()


@pytest.fixture(scope="module")
def client(ros_domain: int) -> Iterator[Any]:
    """A client in this module's domain."""
    from node_client import NodeClient

    client = NodeClient(ros_domain)
    yield client
    client.close()


@pytest.fixture(scope="session")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of an active node with the stub segmenter; one for all tests."""
    from node_client import running

    from sam_ros.nodes.processes import free_domain

    log = tmp_path_factory.mktemp("node") / "output.log"
    with running(free_domain(), log, *NO_TEXT) as client:
        yield client


@pytest.fixture
def sam(shared_node: Any) -> Any:
    """The shared node's client; the node knows no object and nothing is received yet."""
    assert shared_node.call("clear").success
    shared_node.spin(0.05)
    shared_node.forget()
    return shared_node


@pytest.fixture(scope="module")
def uncalibrated(start_node: StartNode, client: Any) -> Any:
    """A robot before a table, whose camera has not told its calibration yet."""
    from robot import Robot

    node = start_node()
    client.wait_for_node()
    robot = Robot(client)
    robot.node = node
    return robot


@pytest.fixture
def robot(uncalibrated: Any) -> Iterator[Any]:
    """A robot whose camera is calibrated; the node knows no object."""
    assert uncalibrated.client.call("clear").success
    uncalibrated.calibrate()
    yield uncalibrated
    uncalibrated.client.call("clear")
