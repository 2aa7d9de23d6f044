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
from sam_ros.nodes.objects import UNNAMED, InstanceResult

Records = npt.NDArray[np.uint32]

# name, type: four bytes each, in this order; rgb is a float by the convention of PCL and RViz
FIELDS = (
    ("x", PointField.FLOAT32),
    ("y", PointField.FLOAT32),
    ("z", PointField.FLOAT32),
    ("rgb", PointField.FLOAT32),
    ("instance_id", PointField.UINT32),
)


def records(shape: tuple[int, ...]) -> tuple[Records, npt.NDArray[np.float32]]:
    """Room for points, (..., 5) uint32, and the view of their coordinates, (..., 3) float32."""
    values = np.empty((*shape, len(FIELDS)), np.uint32)
    return values, values.view(np.float32)[..., :3]


def colours(rgb: Picture) -> npt.NDArray[np.uint32]:
    """(H, W) uint32 0xffRRGGBB of an (H, W, 3) uint8 picture, on machines of either byte order."""
    order = cv2.COLOR_RGB2BGRA if sys.byteorder == "little" else cv2.COLOR_RGB2RGBA
    packed = cv2.cvtColor(rgb, order).view(np.uint32)[..., 0]
    if sys.byteorder == "big":
        packed = (packed >> 8) | np.uint32(0xFF000000)
    return np.asarray(packed)


def to_cloud(values: Records, header: Header) -> PointCloud2:
    """A cloud of records: organised from (H, W, 5), where NaN stands for none, else from (N, 5).

    Args:
        values: as ``records`` makes them, filled.
        header: of the source image.
    """
    height, width = values.shape[:2] if values.ndim == 3 else (1, len(values))
    fields = [
        PointField(name=name, offset=4 * place, datatype=kind, count=1)
        for place, (name, kind) in enumerate(FIELDS)
    ]
    data = Array("B")
    data.frombytes(np.ascontiguousarray(values).ravel().view(np.uint8))
    step = 4 * len(FIELDS)
    return PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=fields,
        is_bigendian=sys.byteorder == "big",
        point_step=step,
        row_step=step * width,
        data=data,
        is_dense=values.ndim == 2,
    )


def to_detection(header: Header, result: InstanceResult, box: OrientedBox) -> Detection3D:
    """One object: its box, and as its pose the centroid of what is seen with the box's axes."""
    kind = ObjectHypothesisWithPose()
    kind.hypothesis.class_id = result.label or UNNAMED
    kind.hypothesis.score = float(result.chosen.score) if result.chosen else 0.0
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
