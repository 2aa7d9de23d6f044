"""``make demo`` on small questions, as a person runs it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from sam_ros.nodes.samples import default_folder

PATIENCE = 240.0


def folder_of(tmp_path: Path, picture: str, *questions: str) -> Path:
    """One picture of the package with other questions."""
    folder = tmp_path / "samples"
    folder.mkdir()
    shutil.copy(default_folder() / picture, folder)
    (folder / "prompts.yaml").write_text(f"{picture}: [{', '.join(questions)}]\n")
    return folder


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """One picture with a click and a box."""
    click = "{title: a click, points: [[290, 165, 1]], ambiguous: true}"
    return folder_of(tmp_path, "coffee.jpg", click, "{title: a box, box: [75, 15, 482, 388]}")


def start(out: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    """The demo, its words in a pipe."""
    command = [sys.executable, "-m", "sam_ros.nodes.demo", "--out", str(out), *arguments]
    return subprocess.Popen(
        [str(item) for item in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def descendants(pid: int) -> list[int]:
    """The processes that a process has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(item) for item in children.read_text().split()] if children.exists() else []


def running(pids: list[int]) -> list[int]:
    """Those of the processes that still run."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_the_demo_answers_and_leaves_pictures(samples: Path, tmp_path: Path) -> None:
    """A row for every hypothesis, a picture for every file and one page; status 0."""
    with start(tmp_path / "out", "--samples", samples) as demo:
        text, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 0, text
    assert "~/segment" in text and "~/prompts" in text
    rows = [line.split() for line in text.splitlines() if "%" in line]
    assert len(rows) == 4, "three hypotheses of the click, one of the box"
    for name in ("coffee.png", "all.png"):
        page = cv2.imread(str(tmp_path / "out" / name))
        assert page is not None and min(page.shape[:2]) > 200


def test_the_demo_looks_for_words(tmp_path: Path) -> None:
    """What is found is said and drawn."""
    pytest.importorskip("transformers", reason="pip install 'transformers>=5,<6'")
    click = "{title: a click, points: [[170, 270, 1]]}"
    folder = folder_of(tmp_path, "table_mug_book.jpg", click)
    with start(tmp_path / "out", "--samples", folder, "--text", "blue pen; blorp") as demo:
        text, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 0, text
    assert re.search(r"table_mug_book +blue pen; blorp: blue pen 0\.\d\d\n", text), text
    assert cv2.imread(str(tmp_path / "out" / "table_mug_book_text.png")) is not None


def test_a_failure_is_told_with_its_reason(samples: Path, tmp_path: Path) -> None:
    """A model that cannot load: status 1, the node's own words, no traceback."""
    with start(tmp_path / "out", "--samples", samples, "--checkpoint", "/no/such/file") as demo:
        text, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 1
    assert "demo failed" in text and "/no/such/file" in text and "Traceback" not in text


def test_missing_samples_are_told(tmp_path: Path) -> None:
    """A folder without questions fails before anything is started."""
    with start(tmp_path / "out", "--samples", tmp_path) as demo:
        text, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 1 and "prompts.yaml" in text and "Traceback" not in text


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_interrupted_demo_leaves_nothing_behind(samples: Path, tmp_path: Path) -> None:
    """SIGTERM in the middle: both processes end with it."""
    with start(tmp_path / "out", "--samples", samples) as demo:
        deadline = time.monotonic() + PATIENCE
        while len(children := descendants(demo.pid)) < 2:
            assert demo.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        demo.send_signal(signal.SIGTERM)
        text, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 130, text
    assert not running(children)
