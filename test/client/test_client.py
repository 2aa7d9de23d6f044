"""The Python client in a user's node, over DDS to the node `sam` in another process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from node_client import GREEN, RED, mask_of, scene
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger
from stub_node import SLOW

from sam_ros.client import (
    InvalidRequest,
    NoAnswer,
    NoImage,
    SamClient,
    SamError,
    Scene,
    StampNotCached,
    prompt,
)
from sam_ros.client.errors import error_of
from sam_ros.msg import Prompt, Status
from sam_ros.nodes.images import to_image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def client(sam: Any, user: Any) -> Iterator[SamClient]:
    """A client in the user's node, which nobody spins."""
    with SamClient(user) as client:
        yield client


def spin_until(node: Any, ready: Callable[[], bool], patience: float = 30.0) -> None:
    """Spins a user's node in one thread until something is so."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    deadline = time.monotonic() + patience
    while not ready():
        assert time.monotonic() < deadline, "it did not happen in time"
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (prompt(points=[(40, 30)]), RED),
        (prompt(points=np.array([[120, 80], [40, 30]]), labels=[1, 0]), GREEN),
        (prompt(box=(30, 20, 89, 59)), RED),
        (prompt(mask=mask_of(GREEN)), GREEN),
        (prompt(points=[(0.25, 0.25)], normalized=True), RED),
    ],
)
def test_prompts_go_in_and_masks_come_out(client: SamClient, asked: Prompt, expected: Any) -> None:
    """Each kind of prompt about a picture that is sent along, nobody spinning."""
    found = client.segment([asked], image=scene())
    assert found.size == (120, 160) and found.model == "sam_tiny" and found.latency >= 0
    (instance,) = found.instances
    np.testing.assert_array_equal(instance.mask, mask_of(expected))
    assert instance.best is not None and instance.best.area == instance.mask.sum()
    x0, y0, x1, y1 = instance.best.box
    rows, columns = np.nonzero(instance.mask)
    assert (x0, y0) <= (columns.min(), rows.min()) and (x1, y1) >= (columns.max(), rows.max())


def test_a_callback_may_wait_for_an_answer(client: SamClient, user: Any) -> None:
    """In a timer of a node whose executor has one thread, which is the one that waits."""
    masks: list[Any] = []

    def tick() -> None:
        timer.cancel()
        masks.append(client.segment([prompt(points=[(40, 30)])], image=scene()).instances[0].mask)

    timer = user.create_timer(0.01, tick)
    spin_until(user, lambda: bool(masks))
    np.testing.assert_array_equal(masks[0], mask_of(RED))


def test_the_stream_is_decoded_and_its_callback_may_ask(
    client: SamClient, user: Any, sam: Any
) -> None:
    """Sticky objects by name with each picture; from there the picture is asked about again."""
    header = sam.show(scene())
    scenes: list[Scene] = []
    again: list[Scene] = []

    def heard(found: Scene) -> None:
        scenes.append(found)
        if not again:
            stamp = found.header.stamp
            again.append(client.segment([prompt(points=[(120, 80)], stamp=stamp)]))

    client.subscribe(heard)
    spin_until(user, lambda: user.count_publishers("/sam/instances") > 0)
    names = client.set_prompts(
        [
            prompt(points=[(40, 30)], object_id="mug", label="cup", persistence=Prompt.STICKY),
            prompt(box=(95, 65, 145, 105), object_id="bowl", persistence=Prompt.STICKY),
        ]
    )
    assert names == ["mug", "bowl"]

    def complete() -> bool:
        sam.send("image", to_image(scene(), "rgb8", sam.header()))
        return bool(scenes and again)

    spin_until(user, complete)
    mug = scenes[-1]["mug"]
    assert mug.label == "cup" and len(mug.hypotheses) == 3
    np.testing.assert_array_equal(mug.mask, mask_of(RED))
    np.testing.assert_array_equal(scenes[-1]["bowl"].mask, mask_of(GREEN))
    assert scenes[0].header.stamp.sec >= header.stamp.sec
    assert again[0].header == scenes[0].header
    np.testing.assert_array_equal(again[0].instances[0].mask, mask_of(GREEN))
    assert client.select_hypothesis("mug") == 1
    client.remove_objects(["bowl"])
    with pytest.raises(InvalidRequest, match="bowl"):
        client.remove_objects(["bowl"])
    client.remove_objects()


def test_a_refusal_is_an_exception_of_its_own(client: SamClient, sam: Any) -> None:
    """Its class, code and text name the status; the node goes on."""
    assert sam.call("enable", data=False).success
    assert sam.call("enable", data=True).success  # no picture is left
    with pytest.raises(NoImage, match="NO_IMAGE: no image") as caught:
        client.segment([prompt(points=[(1, 1)])])
    assert caught.value.code == Status.NO_IMAGE
    header = sam.show(scene())
    header.stamp.sec -= 500
    with pytest.raises(StampNotCached):
        client.segment([prompt(points=[(1, 1)], stamp=header.stamp)])
    with pytest.raises(InvalidRequest, match=r"points\[0\]: \(900, 1\)"):
        client.segment([prompt(points=[(900, 1)])])
    with pytest.raises(SamError, match="object_id"):
        client.select_hypothesis("no such object")


def test_every_code_has_a_class() -> None:
    """All but OK; a code of a newer node is a SamError."""
    names = [name for name in dir(Status) if name.isupper() and name != "SLOT_TYPES"]
    codes = {name: getattr(Status, name) for name in names}
    assert len(codes) == 9 and error_of(Status(code=codes.pop("OK"))) is None
    for name, code in codes.items():
        error = error_of(Status(code=code, message="why"))
        assert type(error) is not SamError and str(error) == f"{name}: why"
        assert error is not None and error.code == code
    assert type(error_of(Status(code=200, message="why"))) is SamError


def test_a_wrong_prompt_leaves_the_others_answered(client: SamClient) -> None:
    asked = [prompt(points=[(40, 30)]), prompt(points=[(-9, 0)]), prompt(points=[(120, 80)])]
    found = client.segment(asked, image=scene())
    assert [item.mask.sum() for item in found.instances] == [2400, 1200]
    assert list(found.refused) == [1] and isinstance(found.refused[1], InvalidRequest)


def test_futures_come_at_once_and_their_callbacks_must_not_wait(client: SamClient) -> None:
    """Two answers on their way together; waiting in the client's thread is told, not done."""
    asked = [prompt(points=[(40, 30)])]
    faults: list[BaseException | None] = []
    threads: list[str] = []
    client.segment(asked, image=scene())

    def answered(_: Any) -> None:
        threads.append(threading.current_thread().name)
        try:
            client.segment(asked, image=scene())
        except RuntimeError as error:
            faults.append(error)

    futures = [client.segment_async(asked, image=scene()) for _ in range(2)]
    futures[0].add_done_callback(answered)
    assert [item.result(30).instances[0].mask.sum() for item in futures] == [2400, 2400]
    deadline = time.monotonic() + 10
    while not threads and time.monotonic() < deadline:
        time.sleep(0.01)
    if threads == ["sam_client"]:  # else it was done before the callback was there
        assert "_async" in str(faults[0])


def test_nobody_there_is_no_answer(user: Any) -> None:
    """The wait ends in time, and the text names the service."""
    with SamClient(user, "/nowhere/sam", timeout=0.2) as client:
        assert not client.ready
        with pytest.raises(NoAnswer, match="nobody offers /nowhere/sam/segment"):
            client.segment([prompt(points=[(1, 1)])])
        with pytest.raises(TimeoutError):
            client.segment_async([prompt(points=[(1, 1)])]).result(1)


def test_too_slow_and_closed_are_no_answer(sam: Any, user: Any) -> None:
    """The client's own limit, and its end while a request is on its way."""
    slow = scene()
    slow[0, 0] = SLOW
    client = SamClient(user)
    client.segment([prompt(points=[(40, 30)])], image=scene())  # they have found each other
    spin_until(user, lambda: client.ready)
    client.timeout = 0.5
    with pytest.raises(NoAnswer, match=r"within 0\.5 s"):
        client.segment([prompt(points=[(40, 30)])], image=slow)
    future = client.segment_async([prompt(points=[(40, 30)])], image=slow)
    client.close()
    with pytest.raises(NoAnswer, match="closed"):
        future.result(0)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"points": [1, 2, 3]}, r"points: shape (3,); expected (N, 2)"),
        ({"points": [(1, 2)], "labels": [1, 0]}, "labels: shape (2,); expected (1,)"),
        ({"box": [1, 2, 3]}, "box: shape (3,); expected (4,)"),
        ({"mask": np.zeros((2, 2, 3))}, "mask: shape (2, 2, 3); expected (H, W)"),
    ],
)
def test_a_wrong_shape_is_told_before_anything_is_sent(fields: Any, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        prompt(**fields)


def test_the_example_of_the_document_works(sam: Any, tmp_path: Path) -> None:
    """It runs as a process of its own and picks the middle of the red rectangle."""
    text = (ROOT / "docs" / "clients.md").read_text()
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "Pick" in block
    )
    file = tmp_path / "picker.py"
    file.write_text(code)
    sam.show(scene())
    process = subprocess.Popen([sys.executable, str(file)], cwd=ROOT)
    try:
        caller = sam.node.create_client(Trigger, "/picker/pick")
        sam.wait(caller.service_is_ready, 30)
        future = caller.call_async(Trigger.Request())
        sam.wait(future.done, 30)
        assert future.result().success and future.result().message == "59.5 39.5"
        process.send_signal(signal.SIGINT)  # it closes nothing, and ends all the same
        assert process.wait(30) in (0, 1, -signal.SIGINT)  # Python's own ways to end by Ctrl-C
    finally:
        process.kill()
        process.wait()
