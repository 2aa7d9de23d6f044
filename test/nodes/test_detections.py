"""Detections in, instances out: any detector's boxes at the camera's rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from builtin_interfaces.msg import Time
from node_client import FRAME_ID, GREEN, RED, boxed, mask_of, names, pixels, scene
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from sam_ros.msg import Instance
from sam_ros.nodes.images import to_image

RED_BOX, GREEN_BOX = (28, 18, 92, 62), (98, 68, 142, 102)
PERIOD = 33_333_333  # nanoseconds


def stamped(nanoseconds: int) -> Header:
    whole, rest = divmod(nanoseconds, 1_000_000_000)
    return Header(stamp=Time(sec=whole, nanosec=rest), frame_id=FRAME_ID)


def detection(corners: Any, track: str, kinds: dict[str, float]) -> Detection2D:
    msg = Detection2D(id=track, bbox=boxed(*corners).box[0])
    for name, score in kinds.items():
        kind = ObjectHypothesisWithPose()
        kind.hypothesis.class_id, kind.hypothesis.score = name, score
        msg.results.append(kind)
    return msg


def seen(header: Header) -> Detection2DArray:
    """What a detector with a tracker finds in the scene; it gives classes as numbers."""
    detections = [
        detection(RED_BOX, "track-4", {"41": 0.83, "7": 0.1}),
        detection(GREEN_BOX, "track-9", {"bowl": 0.61}),
    ]
    return Detection2DArray(header=header, detections=detections)


@pytest.fixture(scope="module")
def labelled(start_node: Any, client: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A client of a node with a labels file."""
    file: Path = tmp_path_factory.mktemp("labels") / "labels.yaml"
    file.write_text("41: cup\n45: bowl\n")
    start_node(f"labels_file:={file}")
    client.wait_for_node()
    return client


def outputs(sam: Any, topics: tuple[str, ...]) -> Any:
    sam.wait(lambda: all(sam.received[topic] for topic in topics))
    return [sam.received[topic][-1] for topic in topics]


def test_label_info_is_there_before_the_first_picture(labelled: Any) -> None:
    """The first test of the file: nothing has been shown yet."""
    (info,) = outputs(labelled, ("label_info",))
    assert {item.class_id: item.class_name for item in info.class_map} == {41: "cup", 45: "bowl"}


def test_class_score_and_track_are_carried(labelled: Any) -> None:
    """To the instances, the detections and the label image, in one decode."""
    header = labelled.show(scene())
    labelled.forget()
    labelled.send("sam/box", seen(header))
    instances, detections, labels = outputs(labelled, ("instances", "detections", "label_mask"))
    assert instances.header == detections.header == labels.header == header
    assert [(item.object_id, item.label) for item in instances.instances] == [
        ("track-4", "cup"),
        ("track-9", "bowl"),
    ]
    assert [item.label_score for item in instances.instances] == pytest.approx([0.83, 0.61])
    told = [(item.id, item.results[0].hypothesis) for item in detections.detections]
    assert [(track, kind.class_id) for track, kind in told] == [
        ("track-4", "cup"),
        ("track-9", "bowl"),
    ]
    assert [kind.score for _, kind in told] == pytest.approx([0.83, 0.61])
    np.testing.assert_array_equal(pixels(labels), 41 * mask_of(RED) + 45 * mask_of(GREEN))


def test_new_labels_get_numbers_behind_the_file(labelled: Any) -> None:
    header = labelled.show(scene())
    labelled.forget()
    cat = detection(RED_BOX, "", {"cat": 0.5})
    labelled.send("sam/box", Detection2DArray(header=header, detections=[cat]))
    info, labels = outputs(labelled, ("label_info", "label_mask"))
    named = {item.class_name: item.class_id for item in info.class_map}
    assert (named["cup"], named["bowl"]) == (41, 45) and named["cat"] > 45
    np.testing.assert_array_equal(pixels(labels), named["cat"] * mask_of(RED))


@pytest.mark.parametrize(("shift_ms", "near"), [(4, True), (-9, True), (40, False)])
def test_the_nearest_picture_within_the_tolerance(
    labelled: Any, shift_ms: int, near: bool
) -> None:
    """sync_slop is 20 ms."""
    start = 7_000_000_000_000 + abs(shift_ms) * 10_000_000_000
    headers = [stamped(start + index * PERIOD) for index in range(3)]
    for header in headers:
        labelled.show(scene(), header)
    labelled.forget()
    labelled.send("sam/box", seen(stamped(start + PERIOD * (1 if near else 2) + shift_ms * 10**6)))
    if near:
        assert outputs(labelled, ("instances",))[0].header == headers[1]
    else:
        labelled.wait(lambda: "expected the stamp of one of" in labelled.fact("last_problem"), 5)
        assert not labelled.received["instances"]


def test_a_picture_without_detections_has_an_empty_answer(labelled: Any) -> None:
    """So that the masks of the picture before do not stay."""
    header = labelled.show(scene())
    labelled.forget()
    labelled.send("sam/box", Detection2DArray(header=header))
    instances, mask = outputs(labelled, ("instances", "mask"))
    assert instances.header == mask.header == header
    assert not instances.instances and not pixels(mask).any()


def test_a_wrong_box_spoils_no_other(labelled: Any) -> None:
    header = labelled.show(scene())
    msg = seen(header)
    msg.detections[0].bbox.size_x = -3.0
    labelled.forget()
    labelled.send("sam/box", msg)
    assert names(outputs(labelled, ("instances",))[0]) == ["track-9"]
    labelled.wait(lambda: "box.size_x: -3" in labelled.fact("last_problem"), 5)


def test_at_the_rate_of_the_camera(labelled: Any) -> None:
    """30 pictures a second, each answered on itself, both boxes in one scene.

    On a machine that cannot keep up the camera waits: what would be lost by a full queue is not
    what is asked here. A picture that got lost on its way, best effort, is sent again.
    """
    headers = [stamped(9_000_000_000_000 + index * PERIOD) for index in range(30)]
    received = labelled.received["instances"]
    received.clear()

    def see(header: Header) -> None:
        labelled.send("image", to_image(scene(), "rgb8", header))
        labelled.send("sam/box", seen(header))

    def open_of(some: list[Header]) -> list[Header]:
        answered = [item.header for item in received]
        return [header for header in some if header not in answered]

    def catch_up(some: list[Header], left: int) -> None:
        for _ in range(10):
            if labelled.wait(lambda: len(open_of(some)) <= left, 3, fail=False):
                return
            see(open_of(some)[0])
        raise AssertionError(f"without an answer: {open_of(some)}")

    for index, header in enumerate(headers, 1):
        see(header)
        labelled.spin(PERIOD / 1e9)
        catch_up(headers[:index], left=2)
    catch_up(headers, left=0)
    assert {item.header.stamp.nanosec for item in received} == {h.stamp.nanosec for h in headers}
    assert all(names(item) == ["track-4", "track-9"] for item in received)
    told = {(item.object_id, item.instance_id) for msg in received for item in msg.instances}
    assert len(told) == 2  # each track keeps its number
    assert all(item.state != Instance.LOST for msg in received for item in msg.instances)


def test_a_wrong_labels_file_fails_on_configure(
    start_node: Any, client: Any, tmp_path: Path
) -> None:
    """The log names the line; the node stays alive and unconfigured."""
    file = tmp_path / "labels.txt"
    file.write_text("cup\ncup\n")
    node = start_node(f"labels_file:={file}")
    client.wait(lambda: "line 2: 2: 'cup'; expected each only once" in node.output, 60)
    assert node.process.poll() is None
    assert node.interrupt() == 0
