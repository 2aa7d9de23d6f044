"""Child processes that never outlive their parent, and a ROS domain of their own for them."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from sam_ros.resources import find_resource

LAST_DOMAIN = 101  # above it, DDS ports meet those that Linux gives out by itself
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


@dataclass(frozen=True)
class Child:
    """A started process.

    Attributes:
        name: for messages.
        process: its handle; it leads a process group of its own.
        log: file with its standard output and errors.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self, lines: int = 12) -> str:
        """The last lines of its log, with its name."""
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"--- {self.log}:", *(text or ["(nothing)"])])


class Processes:
    """Starts processes and ends them all when the ``with`` block is left, however it is left.

    Args:
        logs: folder for one log file per process; made when missing.
        environment: variables to set for them, besides those of this process.
    """

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
        self._children: list[Child] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, name: str, module: str, arguments: Sequence[str] = ()) -> Child:
        """Runs a Python module as a process of its own group."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def ended(self) -> Child | None:
        """A process that ended by itself, if there is one."""
        return next((item for item in self._children if item.process.poll() is not None), None)

    def last_words(self) -> str:
        """The ends of all logs, for a person who asks what went wrong."""
        return "\n".join(child.last_words() for child in self._children)

    def stop(self, patience: float = 8.0) -> dict[str, int]:
        """Asks all to end (SIGINT), then makes them; returns the exit status of each."""
        for child in self._children:
            _signal(child, signal.SIGINT)
        deadline = time.monotonic() + patience
        for child in self._children:
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)
        status = {child.name: child.process.wait() for child in self._children}
        self._children.clear()
        return status


def local_environment() -> dict[str, str]:
    """Variables for processes that shall talk to each other and to nobody else.

    LOCALHOST as the discovery range has rmw_fastrtps replace the transports that were asked for
    by its default ones, which lose most camera frames; so Fast DDS is told by its own means.

    Raises:
        RuntimeError: as :func:`free_domain`.
    """
    variables = {"ROS_DOMAIN_ID": str(free_domain())}
    if not os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps").startswith("rmw_fastrtps"):
        return {**variables, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    version_2 = os.environ.get("ROS_DISTRO") in ("humble", "iron", "jazzy")
    profiles = "FASTRTPS_DEFAULT_PROFILES_FILE" if version_2 else "FASTDDS_DEFAULT_PROFILES_FILE"
    variables[profiles] = str(find_resource("fastdds_local.xml"))
    return {**variables, "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT"}


def free_domain() -> int:
    """A ROS_DOMAIN_ID that nothing on this machine uses, found by its first DDS port.

    Raises:
        RuntimeError: all are in use.
    """
    for domain in random.sample(range(1, LAST_DOMAIN + 1), LAST_DOMAIN):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7410 + 250 * domain))
            except OSError:
                continue
            return domain
    raise RuntimeError(f"ROS_DOMAIN_ID: 1..{LAST_DOMAIN} are all in use on this machine")


def _signal(child: Child, number: signal.Signals) -> None:
    if child.process.poll() is None:
        os.killpg(child.process.pid, number)


def _die_with_parent() -> None:
    """Linux ends the child when the parent is gone, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)
