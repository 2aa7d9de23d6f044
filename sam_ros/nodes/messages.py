"""Segmentation results as ROS messages: pure functions, nothing is published here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesisWithPose,
    VisionClass,
)

from sam_ros.msg import InstanceArray, PromptArray
from sam_ros.nodes.cdr import write_instance_array
from sam_ros.nodes.images import to_image
from sam_ros.nodes.instances import InstanceResult
from sam_ros.nodes.labels import UNNAMED
from sam_ros.nodes.objects import Objects
from sam_ros.nodes.prompts import to_box, to_message

Size = tuple[int, int]
Mask2D = npt.NDArray[np.bool_]


def to_instance_array(
    header: Header, size: Size, model: str, latency: float, results: Sequence[InstanceResult]
) -> InstanceArray:
    """All objects of one frame, as :func:`sam_ros.nodes.cdr.write_instance_array` tells them."""
    data = write_instance_array(header, size, model, latency, results)
    return cast(InstanceArray, deserialize_message(data, InstanceArray))


def target_mask(header: Header, size: Size, result: InstanceResult | None) -> Image:
    """mono8, 255 on the target; all 0 when there is none or it is lost."""
    chosen = result.chosen if result else None
    return _binary(header, chosen.mask if chosen else np.zeros(size, np.bool_))


def mask_images(header: Header, size: Size, results: Iterable[InstanceResult]) -> list[Image]:
    """One mono8 0 / 255 image per result, in order; all 0 where the object is lost."""
    return [target_mask(header, size, result) for result in results]


def instance_mask(header: Header, size: Size, results: Sequence[InstanceResult]) -> Image:
    """16UC1, each pixel the instance_id of the object that owns it, 0 elsewhere."""
    values = [result.instance_id for result in results]
    return to_image(paint(size, results, values, np.uint16), "16UC1", header)


def label_mask(header: Header, size: Size, results: Sequence[InstanceResult]) -> Image:
    """mono8, each pixel the class number of the object that owns it, 0 elsewhere."""
    values = [result.class_id for result in results]
    return to_image(paint(size, results, values, np.uint8), "mono8", header)


def confidence(header: Header, size: Size, results: Sequence[InstanceResult]) -> Image:
    """mono8, the score 0..1 of the owner's chosen hypothesis as 0..255, at least 1 on a mask."""
    values = [
        max(1, round(255 * chosen.score)) if (chosen := item.chosen) else 0 for item in results
    ]
    return to_image(paint(size, results, values, np.uint8), "mono8", header)


def label_info(header: Header, classes: Mapping[int, str], threshold: float = 0.0) -> LabelInfo:
    """What the numbers of ~/label_mask mean."""
    named = [VisionClass(class_id=number, class_name=name) for number, name in classes.items()]
    return LabelInfo(header=header, class_map=named, threshold=threshold)


def to_detections(header: Header, results: Iterable[InstanceResult]) -> Detection2DArray:
    """The tight box of each object's chosen mask; lost objects are left out.

    The score is that of the class; of an object without a label, that of its mask.
    """
    detections = []
    for result in results:
        if chosen := result.chosen:
            kind = ObjectHypothesisWithPose()
            kind.hypothesis.class_id = result.label or UNNAMED
            kind.hypothesis.score = float(result.label_score if result.label else chosen.score)
            box = to_box(chosen.box)
            detections.append(
                Detection2D(header=header, results=[kind], bbox=box, id=result.object_id)
            )
    return Detection2DArray(header=header, detections=detections)


def active_prompts(header: Header, objects: Objects) -> PromptArray:
    """The prompts that the node answers on every frame, in pixels of the pictures they name."""
    prompts = []
    for item in objects.sticky:
        msg = to_message(item.prompt, item.header)
        msg.text = "; ".join(item.texts)
        msg.object_id, msg.label, msg.persistence = item.object_id, item.label, item.persistence
        prompts.append(msg)
    prompts += [query.message() for query in objects.queries.values()]
    return PromptArray(header=header, prompts=prompts)


def _binary(header: Header, mask: Mask2D) -> Image:
    return to_image(np.where(mask, np.uint8(255), np.uint8(0)), "mono8", header)


def paint(
    size: Size, results: Sequence[InstanceResult], values: Sequence[int], dtype: Any
) -> npt.NDArray[Any]:
    """(H, W) with each mask filled by its value, large first: a part shows on its whole."""
    canvas = np.zeros(size, dtype)
    masks = [(chosen, value) for item, value in zip(results, values) if (chosen := item.chosen)]
    for chosen, value in sorted(masks, key=lambda pair: -pair[0].area):
        canvas[chosen.mask] = value
    return canvas
