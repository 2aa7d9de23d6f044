"""The process of a small node: start, work, and a clean end at Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException


class Program(Protocol):
    """A node that has something to give back."""

    def close(self) -> None:
        """Gives back files and threads."""

    def destroy_node(self) -> None:
        """Leaves the ROS graph."""


Node = TypeVar("Node", bound=Program)


def run(
    name: str, make: Callable[[], Node], work: Callable[[Node], int], args: Sequence[str] | None
) -> int:
    """Runs a node to its end.

    Args:
        name: said before an error.
        make: the node.
        work: what it does; returns the exit status.
        args: the command line; None for the process's own.

    Returns:
        The status of the work; 0 after Ctrl-C, 2 when the node's parameters are wrong.
    """
    rclpy.init(args=args)
    try:
        node = make()
    except (ValueError, ParameterException) as error:
        print(f"{name}: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    try:
        return work(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one must not cut the clean-up
        node.close()
        node.destroy_node()
        rclpy.try_shutdown()
