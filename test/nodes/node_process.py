"""The node in a process of its own, as a robot runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

STUB = Path(__file__).with_name("stub_node.py")
ROOT = Path(__file__).parents[2]


class NodeProcess:
    """Starts the node and keeps its output.

    Args:
        domain: ROS_DOMAIN_ID.
        log: file for its output.
        parameters: such as "autostart:=false".
        real: run the installed node instead of the one with the stub segmenter.
        cameras: namespaces of several nodes in the process, separated by commas.
    """

    def __init__(
        self,
        domain: int,
        log: Path,
        parameters: Sequence[str] = (),
        real: bool = False,
        cameras: str = "",
    ) -> None:
        program = ["-m", "sam_ros.nodes.sam_node"] if real else [str(STUB)]
        if cameras:
            program += ["--cameras", cameras]
        options = [word for item in parameters for word in ("-p", item)]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONPATH": path}
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *program, "--ros-args", *options],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def memory_mb(self) -> float:
        """Resident memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def listens(self) -> bool:
        """True once Python is up and the node minds SIGTERM, and with it SIGINT."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)

    def interrupt(self, times: int = 1, patience: float = 10.0) -> int:
        """Sends SIGINT to its whole group, as Ctrl-C does; returns the exit status."""
        for _ in range(times):
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGINT)
            time.sleep(0.05)
        return self.process.wait(patience)

    def group_is_empty(self) -> bool:
        """True when no process of its group is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def end(self) -> None:
        """Makes sure that it is gone."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
