"""The node as it is shipped: the embedded sam_tiny, a photograph and clicks on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from node_client import boxed, click, codes, pixels

from sam_ros.action import SegmentEverything
from sam_ros.engine import rle
from sam_ros.msg import Prompt, PromptArray, Status

RESOURCE = Path(__file__).parents[2] / "resource"
CUP = (300, 225)  # x, y in coffee.jpg


@pytest.fixture(scope="module")
def real(start_node: Any, client: Any) -> Iterator[Any]:
    if not (RESOURCE / "models" / "sam_tiny.safetensors").exists():
        pytest.skip("there are no embedded weights: `make train` makes them")
    node = start_node("request_timeout:=60.0", real=True)
    client.wait_for_node()
    client.process = node
    yield client
    assert node.interrupt() == 0, node.output


@pytest.fixture(scope="module")
def coffee() -> np.ndarray:
    picture = cv2.imread(str(RESOURCE / "samples" / "coffee.jpg"))
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def test_clicks_are_answered_with_masks_that_hold_them(real: Any, coffee: np.ndarray) -> None:
    header = real.show(coffee)
    height, width = coffee.shape[:2]
    prompts = [
        click(*CUP, header=header),
        click(-9, 0),
        boxed(0, 0, width - 1, height - 1),
    ]
    reply = real.call("segment", patience=70, prompts=prompts, return_images=True)
    assert codes(reply) == [0, 1, 0]
    cup = reply.result.instances[0]
    assert [item.score for item in cup.hypotheses] == sorted(
        (item.score for item in cup.hypotheses), reverse=True
    )
    best = cup.hypotheses[0]
    mask = rle.decode(np.array(best.mask.counts, np.uint32), height, width)
    assert mask[CUP[1], CUP[0]]
    assert 0.01 < best.area / mask.size < 0.6
    np.testing.assert_array_equal(pixels(reply.masks[0]), 255 * mask)


def test_everything_in_a_photograph(real: Any, coffee: np.ndarray) -> None:
    """With low thresholds, so that it holds for any weights."""
    header = real.show(coffee)
    goal = SegmentEverything.Goal(pred_iou_thresh=0.05, stability_score_thresh=0.05)
    assert real.everything.wait_for_server(20)
    with real.parameter("points_per_side", 6):
        sent = real.everything.send_goal_async(goal)
        real.wait(sent.done, 30)
        ended = sent.result().get_result_async()
        real.wait(ended.done, 90)
    result = ended.result().result
    assert result.status.code == Status.OK and result.result.header == header
    assert len(result.result.instances) >= 3
    for item in result.result.instances:
        (found,) = item.hypotheses
        run_lengths = np.array(found.mask.counts, np.uint32)
        assert found.area == rle.area(run_lengths) >= 64 and found.predicted_iou > 0.05


def test_refining_feeds_the_mask_back(real: Any, coffee: np.ndarray) -> None:
    header = real.show(coffee)
    real.forget()
    for operation in (Prompt.REPLACE, Prompt.REFINE):
        prompt = click(CUP[0] + 10 * operation, CUP[1], header=header, object_id="cup")
        prompt.operation = operation
        real.send("sam/prompts", PromptArray(prompts=[prompt]))
        count = operation + 1
        real.wait(lambda count=count: len(real.received["instances"]) == count, 60)
    first, second = (item.instances[0] for item in real.received["instances"])
    assert first.instance_id == second.instance_id
    assert len(first.hypotheses) == 3 and len(second.hypotheses) == 1


def test_cleanup_gives_the_memory_back(real: Any, coffee: np.ndarray) -> None:
    """Last in this file: the node is left unconfigured. What libraries keep does not grow."""
    memory = []
    for _ in range(2):
        assert real.transition("deactivate") and real.transition("cleanup")
        memory.append(real.process.memory_mb)
        assert real.transition("configure") and real.transition("activate")
        real.wait_connected()
        real.show(coffee)
    assert real.transition("deactivate") and real.transition("cleanup")
    assert real.process.memory_mb < memory[-1] + 20
