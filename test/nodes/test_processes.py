"""Child processes that never outlive their parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sam_ros.nodes.processes import LAST_DOMAIN, Processes, free_domain, local_environment

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
POLITE = """
import os, time
print(os.environ["GREETING"], flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("bye", flush=True)
"""
PARENT = """
import sys, time
from pathlib import Path
from sam_ros.nodes.processes import Processes
with Processes(Path(sys.argv[1]), {"GREETING": "hello"}) as processes:
    print(processes.start("child", "polite").process.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with modules to run as children."""
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    (tmp_path / "polite.py").write_text(POLITE)
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", ""), os.getcwd()))
    monkeypatch.setenv("PYTHONPATH", path)
    return tmp_path


def alive(pid: int) -> bool:
    """True while the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(text: str, log: Path) -> None:
    """Waits until a log says something."""
    deadline = time.monotonic() + 20
    while text not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline, f"{log} does not say {text!r}"
        time.sleep(0.02)


def test_children_are_asked_to_end(modules: Path) -> None:
    """They see the variables, get SIGINT at the end, and their words are kept."""
    with Processes(modules / "logs", {"GREETING": "hello"}) as processes:
        child = processes.start("child", "polite")
        wait_for("hello", child.log)
        assert processes.ended() is None
    assert child.process.returncode == 0
    assert child.log.read_text().split() == ["hello", "bye"]


def test_a_deaf_child_is_made_to_end(modules: Path) -> None:
    """Patience has an end as well."""
    processes = Processes(modules / "logs", {})
    child = processes.start("child", "stubborn")
    wait_for("deaf", child.log)
    assert processes.stop(patience=0.3) == {"child": -signal.SIGKILL}
    assert not alive(child.process.pid)


def test_a_child_that_ends_by_itself_is_noticed(modules: Path) -> None:
    """Its last words tell why."""
    with Processes(modules / "logs", {}) as processes:
        child = processes.start("child", "no_such_module")
        deadline = time.monotonic() + 20
        while processes.ended() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert processes.ended() is child
        assert "no_such_module" in processes.last_words()


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_nothing_outlives_the_parent(modules: Path, way: signal.Signals) -> None:
    """However the parent ends, by Ctrl-C or killed on the spot."""
    logs = modules / "logs"
    command = [sys.executable, "-c", PARENT, str(logs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_for("hello", logs / "child.log")
        parent.send_signal(way)
        parent.wait(20)
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid)


def test_a_used_domain_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain whose first port is taken is passed over; with none left it is said."""
    monkeypatch.setattr("random.sample", lambda _, count: [7, 8][:count])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 7410 + 250 * 7))
        assert free_domain() == 8
        monkeypatch.setattr("random.sample", lambda _, count: [7])
        with pytest.raises(RuntimeError, match="ROS_DOMAIN_ID"):
            free_domain()
    assert 7410 + 250 * LAST_DOMAIN < 32768


JOINED = """
import os, rclpy
from pathlib import Path
rclpy.init()
node = rclpy.create_node("one")
files = {line.split()[-1] for line in Path("/proc/self/maps").open() if "/dev/shm/fast" in line}
print(max(Path(file).stat().st_size for file in files))
opened = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
          if os.path.islink(f"/proc/self/fd/{name}")]
inodes = {name[8:-1] for name in opened if name.startswith("socket:")}
rows = [line.split() for kind in ("udp", "tcp") for line in Path(f"/proc/net/{kind}").open()]
print(*(row[1].split(":")[0] for row in rows if row[9] in inodes))
"""
LOOPBACK, DISCOVERY = "0100007F", "0100FFEF"  # 127.0.0.1 and 239.255.0.1 as the kernel writes them


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_processes_of_their_own_carry_frames_and_stay_on_this_machine() -> None:
    """Frames of 640 x 480 fit into the shared memory several times; no socket faces a network."""
    environment = {**os.environ, **local_environment()}
    if environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp") != "rmw_fastrtps_cpp":
        pytest.skip("about Fast DDS: unset RMW_IMPLEMENTATION")
    command = [sys.executable, "-c", JOINED]
    text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    memory, addresses = text.stdout.splitlines()
    assert int(memory) > 4 * 640 * 480 * 3
    assert set(addresses.split()) == {LOOPBACK, DISCOVERY}
