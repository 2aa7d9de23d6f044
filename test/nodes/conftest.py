"""Nodes in processes of their own, each group of tests in a ROS domain of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")  # before this process joins DDS
sys.path.insert(0, str(Path(__file__).parent))

StartNode = Callable[..., Any]


@pytest.fixture(scope="module")
def domain() -> int:
    """A ROS_DOMAIN_ID that nothing else uses."""
    from sam_ros.nodes.processes import free_domain

    return free_domain()


@pytest.fixture(scope="module")
def start_node(domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNode]:
    """Starts nodes: start_node(*parameters, real=False); all of them end with the module."""
    from node_process import NodeProcess

    started: list[NodeProcess] = []

    def start(*parameters: str, real: bool = False) -> NodeProcess:
        log = tmp_path_factory.mktemp("node") / "output.log"
        started.append(NodeProcess(domain, log, parameters, real))
        return started[-1]

    yield start
    for node in started:
        node.end()


@pytest.fixture(scope="module")
def client(domain: int) -> Iterator[Any]:
    """A client of the node in this module's domain."""
    from node_client import NodeClient

    client = NodeClient(domain)
    yield client
    client.close()
