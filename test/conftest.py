"""What all tests share: a ROS domain of their own, and the way to go without ROS."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from sam_ros.nodes.processes import free_domain, local_environment

settings.register_profile("no_deadline", deadline=None)  # other work on the machine is no failure
settings.load_profile("no_deadline")

HERE = Path(__file__).parent
NEED_ROS = (HERE / "client", HERE / "nodes", HERE / "launch", HERE / "test_interfaces.py")


def pytest_configure() -> None:
    """Keep ROS to this machine, and let Ctrl-C reach the children of a job in the background."""
    os.environ.update(local_environment())  # before any process joins DDS
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class ModuleNeedingRos(pytest.Module):
    """A test module on a machine without ROS: it is skipped before it can import anything."""

    def collect(self) -> Iterator[pytest.Item]:
        pytest.skip("needs ROS 2: run it by `make test`, which brings it", allow_module_level=True)


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Skip the tests of ROS where rclpy is not installed."""
    needs_ros = any(module_path.is_relative_to(place) for place in NEED_ROS)
    if needs_ros and find_spec("rclpy") is None:
        return ModuleNeedingRos.from_parent(parent, path=module_path)
    return None


@pytest.fixture(scope="module", autouse=True)
def ros_domain() -> Iterator[int]:
    """Give the tests of each file a ROS domain that no other program on this machine is in."""
    domain = free_domain()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain))
        yield domain


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out unless ``-m`` asks for them."""
    if "slow" in config.getoption("markexpr"):
        return
    skip = pytest.mark.skip(reason="takes minutes and gigabytes, run with: pytest -m slow")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)
