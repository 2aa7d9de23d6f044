"""The bytes of ~/instances: those of the same message by rclpy."""

from __future__ import annotations

from array import array as Array

import numpy as np
from builtin_interfaces.msg import Duration, Time
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox2D, Point2D, Pose2D

from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.prompt import Prompt
from sam_ros.msg import Instance, InstanceArray, Mask, MaskHypothesis
from sam_ros.nodes.cdr import write_instance_array
from sam_ros.nodes.instances import InstanceResult

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
SHARES = st.floats(0, 1, width=32)
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
SECONDS = st.integers(0, 2**31 - 1)
NANOSECONDS = st.integers(0, 999_999_999)


@st.composite
def hypotheses(draw: st.DrawFn, size: tuple[int, int]) -> Hypothesis:
    """A mask with figures that need not be true of it."""
    return Hypothesis(
        mask=draw(arrays.arrays(np.bool_, size)),
        score=draw(SHARES),
        predicted_iou=draw(SHARES),
        stability=draw(SHARES),
        area=draw(st.integers(0, 2**32 - 1)),
        box=draw(arrays.arrays(np.float32, 4, elements=st.floats(-9e3, 9e3, width=32))),
        parent=draw(st.integers(-1, 2)),
        logits=np.zeros((4, 4), np.float32),
    )


@st.composite
def results(draw: st.DrawFn, size: tuple[int, int]) -> InstanceResult:
    """An object, found or lost."""
    found = tuple(draw(st.lists(hypotheses(size), max_size=3)))
    return InstanceResult(
        object_id=draw(TEXTS),
        instance_id=draw(st.integers(1, 65535)),
        label=draw(TEXTS),
        label_score=draw(SHARES),
        class_id=1,
        state=draw(st.integers(0, 2)),
        selected=draw(st.integers(0, 2)),
        hypotheses=Hypotheses(found, draw(st.booleans())),
        prompt=Prompt(points=np.zeros((1, 2), np.float32), labels=np.ones(1, np.int32)),
    )


def message(item: Hypothesis) -> MaskHypothesis:
    """The same, field by field."""
    height, width = item.mask.shape
    x0, y0, x1, y1 = (float(edge) for edge in item.box)
    centre = Pose2D(position=Point2D(x=(x0 + x1) / 2, y=(y0 + y1) / 2))
    return MaskHypothesis(
        mask=Mask(height=height, width=width, counts=Array("I", item.counts.tolist())),
        score=item.score,
        predicted_iou=item.predicted_iou,
        stability=item.stability,
        area=item.area,
        bbox=BoundingBox2D(center=centre, size_x=x1 - x0, size_y=y1 - y0),
        parent=item.parent,
    )


@given(data=st.data(), size=SIZES, frame=TEXTS, model=TEXTS, sec=SECONDS, nanosec=NANOSECONDS)
def test_the_bytes_are_those_of_the_message(
    data: st.DataObject,
    size: tuple[int, int],
    frame: str,
    model: str,
    sec: int,
    nanosec: int,
) -> None:
    """Read by rclpy, they give every field of the message that it writes itself, and no more."""
    header = Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame)
    objects = data.draw(st.lists(results(size), max_size=3))
    written = write_instance_array(header, size, model, 0.5, objects)
    expected = serialize_message(
        InstanceArray(
            header=header,
            height=size[0],
            width=size[1],
            model=model,
            latency=Duration(nanosec=500_000_000),
            instances=[
                Instance(
                    object_id=item.object_id,
                    instance_id=item.instance_id,
                    label=item.label,
                    label_score=item.label_score,
                    state=item.state,
                    selected=item.selected,
                    ambiguous=item.hypotheses.ambiguous,
                    hypotheses=[message(found) for found in item.hypotheses],
                )
                for item in objects
            ],
        )
    )
    assert len(written) == len(expected)
    read, known = (deserialize_message(item, InstanceArray) for item in (written, expected))
    assert read == known
