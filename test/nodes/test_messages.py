"""Results as messages: every output tells the same pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from builtin_interfaces.msg import Time
from pycocotools import mask as coco
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam_ros.engine.boxes import tight_box
from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Instance, Mask, Prompt
from sam_ros.nodes import messages
from sam_ros.nodes.instances import NOTHING, InstanceResult, PromptedObject
from sam_ros.nodes.objects import Objects
from sam_ros.nodes.texts import Query

SIZE = (40, 60)
HEADER = Header(stamp=Time(sec=11, nanosec=12), frame_id="camera")
PROMPT = EnginePrompt(points=np.array([[5, 6]], np.float32), labels=np.array([1], np.int32))


def rectangle(x0: int, y0: int, x1: int, y1: int) -> npt.NDArray[np.bool_]:
    """A filled rectangle, last row and column included."""
    mask = np.zeros(SIZE, np.bool_)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def hypothesis(mask: npt.NDArray[np.bool_], score: float, parent: int = -1) -> Hypothesis:
    """A hypothesis with a tight box."""
    area, box = int(mask.sum()), np.asarray(tight_box(mask), np.float32)
    logits = np.zeros((4, 4), np.float32)
    return Hypothesis(mask, score, 0.7, 0.6, area, box, parent, logits)


def result(
    number: int, *items: Hypothesis, label: str = "", selected: int = 0, class_id: int = 1
) -> InstanceResult:
    """An object with the hypotheses, LOST without any."""
    found = Hypotheses(items, len(items) > 1) if items else NOTHING
    state = Instance.TRACKED if items else Instance.LOST
    name = f"object_{number}"
    return InstanceResult(name, number, label, 0.5, class_id, state, selected, found, PROMPT)


WHOLE = hypothesis(rectangle(2, 3, 31, 22), 0.9)
PART = hypothesis(rectangle(4, 5, 13, 9), 0.4, parent=0)
OTHER = hypothesis(rectangle(25, 10, 50, 30), 0.75)
RESULTS = [
    result(300, PART, label="handle", class_id=7),
    result(2, WHOLE, PART, label="mug", class_id=3),
    result(9, OTHER),
    result(4),
]


def pixels(msg: Image, dtype: type = np.uint8) -> npt.NDArray[np.uint8]:
    """The message's picture."""
    return np.frombuffer(msg.data, dtype).reshape(msg.height, msg.width)


def decoded(msg: Mask) -> npt.NDArray[np.bool_]:
    """The mask as pycocotools reads it."""
    size = [msg.height, msg.width]
    packed = coco.frPyObjects({"size": size, "counts": [int(run) for run in msg.counts]}, *size)
    return coco.decode(packed).astype(bool)


def instance(of: InstanceResult) -> Instance:
    """The object as it is published."""
    (msg,) = messages.to_instance_array(HEADER, SIZE, "sam_tiny", 0.0, [of]).instances
    return msg


def test_an_instance_tells_all_hypotheses() -> None:
    """Every figure of every hypothesis is there, in order, with the mask as COCO has it."""
    msg = instance(RESULTS[1])
    assert (msg.object_id, msg.instance_id, msg.label) == ("object_2", 2, "mug")
    assert (msg.state, msg.selected, msg.ambiguous) == (Instance.TRACKED, 0, True)
    assert msg.label_score == pytest.approx(0.5)
    for told, meant in zip(msg.hypotheses, (WHOLE, PART), strict=True):
        np.testing.assert_array_equal(decoded(told.mask), meant.mask)
        assert (told.area, told.parent) == (meant.area, meant.parent)
        figures = (told.score, told.predicted_iou, told.stability)
        assert figures == pytest.approx((meant.score, 0.7, 0.6))


def test_boxes_enclose_whole_pixels() -> None:
    """A mask over columns 2..31 and rows 3..22 has a box of 30 x 20 about 16.5, 12.5."""
    box = instance(RESULTS[1]).hypotheses[0].bbox
    assert (box.center.position.x, box.center.position.y) == (16.5, 12.5)
    assert (box.size_x, box.size_y, box.center.theta) == (30, 20, 0)


def test_a_lost_object_has_no_hypotheses() -> None:
    """LOST is told by the state, not by an empty mask."""
    msg = instance(RESULTS[3])
    assert msg.state == Instance.LOST and len(msg.hypotheses) == 0


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.25, (0, 250_000_000)), (3.5, (3, 500_000_000)), (-1.0, (0, 0))]
)
def test_the_array_copies_header_and_latency(seconds: float, told: tuple[int, int]) -> None:
    """The stamp is the picture's; a clock that jumps back does not make a negative duration."""
    msg = messages.to_instance_array(HEADER, SIZE, "sam_tiny", seconds, RESULTS)
    assert (msg.header, msg.height, msg.width, msg.model) == (HEADER, *SIZE, "sam_tiny")
    assert (msg.latency.sec, msg.latency.nanosec) == told
    assert [item.instance_id for item in msg.instances] == [300, 2, 9, 4]


def test_the_smaller_mask_owns_shared_pixels_in_all_images() -> None:
    """Instance, label and confidence images agree about who owns a pixel."""
    instances = messages.instance_mask(HEADER, SIZE, RESULTS)
    labels = messages.label_mask(HEADER, SIZE, RESULTS)
    scores = messages.confidence(HEADER, SIZE, RESULTS)
    assert instances.encoding == "16UC1" and labels.encoding == scores.encoding == "mono8"
    owners = pixels(instances, np.uint16)
    expected = np.zeros(SIZE, np.uint16)
    for number, mask in ((2, WHOLE.mask), (9, OTHER.mask), (300, PART.mask)):
        expected[mask] = number
    np.testing.assert_array_equal(owners, expected)
    for number, class_id, score in ((300, 7, 102), (2, 3, 230), (9, 1, 191), (0, 0, 0)):
        assert set(pixels(labels)[owners == number]) == {class_id}
        assert set(pixels(scores)[owners == number]) == {score}


def test_the_selected_hypothesis_is_shown_everywhere() -> None:
    """Another selection changes target, instance image and detection alike."""
    chosen = result(2, WHOLE, PART, selected=1)
    assert pixels(messages.target_mask(HEADER, SIZE, chosen)).sum() == 255 * PART.area
    owners = pixels(messages.instance_mask(HEADER, SIZE, [chosen]), np.uint16)
    np.testing.assert_array_equal(owners == 2, PART.mask)
    detection = messages.to_detections(HEADER, [chosen]).detections[0]
    assert (detection.bbox.size_x, detection.bbox.size_y) == (10, 5)


def test_the_target_is_black_and_white() -> None:
    """0 and 255 only; nothing without a target or for a lost one."""
    image = messages.target_mask(HEADER, SIZE, RESULTS[2])
    assert (image.header, image.encoding) == (HEADER, "mono8")
    np.testing.assert_array_equal(pixels(image), np.where(OTHER.mask, 255, 0))
    for nothing in (None, RESULTS[3]):
        image = messages.target_mask(HEADER, SIZE, nothing)
        assert (image.height, image.width) == SIZE and not pixels(image).any()
    images = messages.mask_images(HEADER, SIZE, RESULTS)
    assert [int((pixels(item) > 0).sum()) for item in images] == [
        PART.area,
        WHOLE.area,
        OTHER.area,
        0,
    ]


def test_detections_leave_lost_objects_out() -> None:
    """One per mask, with identity, class and its score; without a class the mask's score."""
    msg = messages.to_detections(HEADER, RESULTS)
    assert msg.header == HEADER
    told = [(item.id, item.results[0].hypothesis.class_id) for item in msg.detections]
    assert told == [("object_300", "handle"), ("object_2", "mug"), ("object_9", "object")]
    scores = [item.results[0].hypothesis.score for item in msg.detections]
    assert scores == pytest.approx([0.5, 0.5, 0.75])
    assert all(item.header == HEADER for item in msg.detections)


def test_label_info_names_the_numbers() -> None:
    """The latched table of ~/label_mask."""
    msg = messages.label_info(HEADER, {1: "object", 7: "handle"}, 0.25)
    table = {item.class_id: item.class_name for item in msg.class_map}
    assert table == {1: "object", 7: "handle"} and msg.threshold == pytest.approx(0.25)


def test_active_prompts_say_what_is_asked() -> None:
    """Each prompt names its object and its own picture."""
    own = Header(stamp=Time(sec=5), frame_id="camera")
    objects = Objects(5)
    objects.remember(
        [
            PromptedObject(
                "mug_1", 4, "mug", 1.0, 2, own, PROMPT, SIZE, Prompt.STICKY, texts=("red",)
            )
        ]
    )
    words = Prompt(header=own, text="mug; cup", persistence=Prompt.STICKY)
    objects.queries["text"] = Query(words, ("mug", "cup"))
    msg = messages.active_prompts(HEADER, objects)
    assert msg.header == HEADER
    prompt = msg.prompts[0]
    assert (prompt.header, prompt.object_id, prompt.label) == (own, "mug_1", "mug")
    assert prompt.persistence == Prompt.STICKY
    assert [(point.x, point.y) for point in prompt.points] == [(5, 6)]
    assert list(prompt.point_labels) == [1]
    assert prompt.text == "red"
    query = msg.prompts[1]
    assert (query.header, query.object_id, query.text) == (own, "text", "mug; cup")
    assert query.persistence == Prompt.STICKY


def test_nothing_found_is_empty_not_absent() -> None:
    """No objects give images of the right size with zeros."""
    for make in (messages.instance_mask, messages.label_mask, messages.confidence):
        image = make(HEADER, SIZE, [])
        assert (image.height, image.width) == SIZE and not any(image.data)
