"""A publisher on this machine, and one file of it in the catalogue."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sam_ros.models.catalogue import CATALOGUE, Entry

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def publisher() -> Iterator[Any]:
    """One that serves well until it is told otherwise."""
    from publisher import Publisher

    server = Publisher()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def entry(publisher: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """The publisher's file in the catalogue, and an empty folder to fetch it into."""
    from publisher import toy

    monkeypatch.setenv("SAM_ROS_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("sam_ros.models.download.PAUSE", 0.0)
    made = toy(publisher.address)
    monkeypatch.setitem(CATALOGUE, "toy", made)
    return made
