"""Memory is kept between frames, and given back at the end; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource
from sam_ros.engine.memory import keep_memory, release_memory
{keep}

def frame():
    blocks = [b"1" * (1 << 25) for _ in range(4)]  # 32 MB each

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() >> 20

before = resident()
frame()
frame()
start = faults()
frame()
print(faults() - start)
release_memory()
print(resident() - before)
"""


def measure(keep: str) -> tuple[int, int]:
    """Page faults of a frame in steady state, and MB still held after giving back."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(keep=keep)],
        capture_output=True,
        text=True,
        check=True,
    )
    faults, held = map(int, run.stdout.split())
    return faults, held


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tunes the allocator of glibc")
def test_kept_between_frames_and_given_back() -> None:
    faults, held = measure("keep_memory()")
    others, _ = measure("")
    assert faults < 100 < 10_000 < others
    assert held < 20
