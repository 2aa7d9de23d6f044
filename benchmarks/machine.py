"""What a result was measured on: hardware and versions, for the JSON beside it."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "numpy", "opencv-python-headless", "ros-rclpy", "ros-rmw-fastrtps-cpp")


def describe() -> dict[str, Any]:
    """The processor, memory, GPU and versions; ``name`` fits into a file's name."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    cpu = _cpu()
    name = re.sub(r"[^a-z0-9]+", "-", f"{gpu or cpu} {os.cpu_count()} cores".lower()).strip("-")
    return {
        "name": name,
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": gpu,
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "ros_distro": os.environ.get("ROS_DISTRO", ""),
        **{package: found for package in PACKAGES if (found := _version(package))},
    }


def _cpu() -> str:
    """The processor's name; a virtual one hides its generation there, but not in the numbers."""
    file = Path("/proc/cpuinfo")
    told = file.read_text() if file.exists() else ""
    keys = ("model name", "cpu family", "model")
    found = [re.search(rf"^{key}\s*: (.*)", told, re.MULTILINE) for key in keys]
    name, family, model = (match[1] if match else "" for match in found)
    if not name:
        return platform.processor() or platform.machine()
    return f"{name} family {family} model {model}" if family else name


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
