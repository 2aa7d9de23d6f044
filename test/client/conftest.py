"""The node with the stub segmenter, and a node as a user would write it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "nodes"))


@pytest.fixture(scope="module")
def sam(ros_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The tests' own client of an active node with the stub segmenter."""
    from node_client import running

    with running(ros_domain, tmp_path_factory.mktemp("node") / "output.log") as client:
        yield client


@pytest.fixture
def user(ros_domain: int) -> Iterator[Any]:
    """A node of a user, not spinning yet."""
    import rclpy

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    node = rclpy.create_node("user", context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)
