"""The terminal client, as a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from node_client import FRAME_ID, scene

from sam_ros.msg import Prompt


def click(*args: str) -> subprocess.CompletedProcess[str]:
    """Runs it."""
    return subprocess.run(
        [sys.executable, "-m", "sam_ros.client.click", *args],
        capture_output=True,
        text=True,
        timeout=90,
        env={**os.environ},
        check=False,
    )


def test_a_point_is_answered_by_a_ranked_table_and_shown(sam: Any) -> None:
    """The node keeps the object under the name that is printed."""
    header = sam.show(scene())
    sam.forget()
    done = click("40", "30", "--id", "cup", "--label", "mug", "--sticky")
    assert done.returncode == 0, done.stderr
    title, columns, best, *others = done.stdout.splitlines()
    assert title.startswith(f"cup (mug) on the picture of {header.stamp.sec}.")
    assert "160 x 120 px" in title and title.endswith("ambiguous")
    assert columns.split()[:3] == ["score", "IoU", "stability"]
    assert best.split() == ["0*", "0.900", "0.900", "0.900", "2400", "30", "20", "90", "60", "1"]
    assert len(others) == 2
    sam.wait(lambda: sam.received["active_prompts"] and sam.received["instances"])
    (prompt,) = sam.received["active_prompts"][-1].prompts
    assert (prompt.object_id, prompt.label, prompt.persistence) == ("cup", "mug", Prompt.STICKY)
    assert prompt.header.frame_id == FRAME_ID


def test_a_background_point_alone_refines_the_newest(sam: Any) -> None:
    sam.show(scene())
    assert click("40", "30", "--id", "cup").returncode == 0
    done = click("-b", "5", "5")
    assert done.returncode == 0 and done.stdout.startswith("cup on"), done.stderr


def test_a_normalised_box_in_a_dry_run_is_not_kept(sam: Any) -> None:
    sam.show(scene())
    assert sam.call("clear").success
    done = click("--box", "0.6", "0.56", "0.9", "0.86", "--normalized", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split()[4] == "1200"
    assert sam.call("remove_objects", object_ids=["object_1"]).status.code != 0


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (("400", "30"), 1, "INVALID_REQUEST: "),
        (("40",), 2, "expected pairs X Y"),
        ((), 2, "nothing to segment"),
        (("40", "30", "--node", "nobody", "--timeout", "1"), 3, "nobody"),
    ],
)
def test_exit_codes(sam: Any, args: tuple[str, ...], code: int, text: str) -> None:
    sam.show(scene())
    done = click(*args)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr and "Traceback" not in done.stderr
