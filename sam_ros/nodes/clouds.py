"""Points and boxes in space as ROS messages: pure functions, nothing is published here."""

from __future__ import annotations

import sys
from array import array as Array
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import Point, Pose, Quaternion, TransformStamped, Vector3
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox3D, Detection3D, ObjectHypothesisWithPose

from sam_ros.geometry.boxes import OrientedBox
from sam_ros.nodes.images import Picture
from sam_ros.nodes.instances import InstanceResult
from sam_ros.nodes.labels import UNNAMED

Records = npt.NDArray[np.uint32]

# name, type: four bytes each, in this order; rgb is a float by the convention of PCL and RViz
FIELDS = (
    ("x", PointField.FLOAT32),
    ("y", PointField.FLOAT32),
    ("z", PointField.FLOAT32),
    ("rgb", PointField.FLOAT32),
    ("instance_id", PointField.UINT32),
)


class Room:
    """The memory of a cloud, kept for the next one: new memory costs more than filling it."""

    def __init__(self) -> None:
        self._data = Array("B")

    def records(self, count: int) -> Records:
        """(count, 5) uint32 to fill; what it held before is overwritten."""
        size = 4 * len(FIELDS) * count
        if len(self._data) > size:
            del self._data[size:]
        else:
            self._data.frombytes(bytes(size - len(self._data)))
        return np.frombuffer(self._data, np.uint32).reshape(count, len(FIELDS))

    def cloud(self, header: Header, size: tuple[int, int] | None = None) -> PointCloud2:
        """The message of what was filled in; to be sent before the room is used again.

        Args:
            header: of the source image.
            size: (H, W) of an organised cloud, in which NaN stands for none.
        """
        step = 4 * len(FIELDS)
        height, width = size or (1, len(self._data) // step)
        fields = [
            PointField(name=name, offset=4 * place, datatype=kind, count=1)
            for place, (name, kind) in enumerate(FIELDS)
        ]
        return PointCloud2(
            header=header,
            height=height,
            width=width,
            fields=fields,
            is_bigendian=sys.byteorder == "big",
            point_step=step,
            row_step=step * width,
            data=self._data,
            is_dense=size is None,
        )


def places(records: Records) -> npt.NDArray[np.float32]:
    """The coordinates of (..., 5) records: (..., 3) float32, a view."""
    return records.view(np.float32)[..., :3]


def colours(rgb: Picture) -> npt.NDArray[np.uint32]:
    """(H, W) uint32 0xffRRGGBB of an (H, W, 3) uint8 picture, on machines of either byte order."""
    order = cv2.COLOR_RGB2BGRA if sys.byteorder == "little" else cv2.COLOR_RGB2RGBA
    packed = cv2.cvtColor(rgb, order).view(np.uint32)[..., 0]
    if sys.byteorder == "big":
        packed = (packed >> 8) | np.uint32(0xFF000000)
    return np.asarray(packed)


def to_detection(header: Header, result: InstanceResult, box: OrientedBox) -> Detection3D:
    """One object: its box, and as its pose the centroid of what is seen with the box's axes.

    The score is that of the class; of an object without a label, that of its mask.
    """
    kind = ObjectHypothesisWithPose()
    kind.hypothesis.class_id = result.label or UNNAMED
    mask_score = result.chosen.score if result.chosen else 0.0
    kind.hypothesis.score = float(result.label_score if result.label else mask_score)
    kind.pose.pose = _pose(box.centroid, box)
    bbox = BoundingBox3D(center=_pose(box.center, box), size=_vector(box.size))
    return Detection3D(header=header, results=[kind], bbox=bbox, id=result.object_id)


def to_transform(header: Header, child: str, box: OrientedBox) -> TransformStamped:
    """A frame in the middle of a box, along its axes."""
    msg = TransformStamped(header=header, child_frame_id=child)
    msg.transform.translation = _vector(box.center)
    msg.transform.rotation = _quaternion(box)
    return msg


def _pose(position: npt.NDArray[np.float64], box: OrientedBox) -> Pose:
    return Pose(position=Point(**_named(position)), orientation=_quaternion(box))


def _vector(values: npt.NDArray[np.float64]) -> Vector3:
    return Vector3(**_named(values))


def _quaternion(box: OrientedBox) -> Quaternion:
    return Quaternion(**_named(box.quaternion))


def _named(values: npt.NDArray[np.float64]) -> dict[str, Any]:
    return {name: float(value) for name, value in zip("xyzw", values)}
