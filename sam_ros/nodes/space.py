"""What the node publishes of objects in space: clouds, boxes and frames."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from sam_ros.geometry import boxes
from sam_ros.geometry.camera import Camera
from sam_ros.geometry.cloud import Patch, moved, patch, points_of
from sam_ros.nodes import clouds
from sam_ros.nodes.messages import paint
from sam_ros.nodes.objects import InstanceResult
from sam_ros.nodes.outputs import LATEST, create_publisher
from sam_ros.nodes.scene import Scene

FEWEST = 10  # points of an object that has a place

Matrix = npt.NDArray[np.float64]


class View:
    """A scene with the depth of its pixels; each part is computed when it is first asked for.

    Args:
        scene: what was found.
        depth: (H, W) float32 metres, NaN where there is none.
        camera: of the picture.
        frame_id: frame to express everything in.
        transform: (4, 4) from the camera to that frame; None for the camera's own.
    """

    def __init__(
        self,
        scene: Scene,
        depth: npt.NDArray[np.float32],
        camera: Camera,
        frame_id: str,
        transform: Matrix | None,
    ) -> None:
        self._scene, self._depth, self._camera = scene, depth, camera
        self._transform = transform
        self._patches: dict[str, Patch] = {}
        self.header = Header(stamp=scene.frame.header.stamp, frame_id=frame_id)

    @cached_property
    def points(self) -> clouds.Records:
        """(H, W, 5) all pixels, organised."""
        values, places = clouds.records(self._camera.size)
        points = points_of(self._depth, self._camera, None if self._is_moved else places)
        if self._transform is not None:
            places[:] = moved(points, self._transform)
        values[..., 3] = self._colours
        numbers = [item.instance_id for item in self._scene.results]
        values[..., 4] = paint(self._camera.size, self._scene.results, numbers, np.uint16)
        return values

    @property
    def target_points(self) -> clouds.Records:
        """(N, 5) the target's surface; nothing without a target."""
        target = self._scene.target
        if target is None or target.chosen is None:
            return clouds.records((0,))[0]
        found = self._patch(target)
        values, places = clouds.records((len(found.points),))
        places[:] = self._moved(found.points)
        values[:, 3] = self._colours[found.rows, found.columns][found.kept]
        values[:, 4] = target.instance_id
        return values

    @property
    def scene_points(self) -> clouds.Records:
        """(N, 5) every pixel with a depth that is not the target's."""
        keep = np.isfinite(self._depth)
        target = self._scene.target
        if target is not None and target.chosen is not None:
            keep &= ~target.chosen.mask
        return np.take(self.points.reshape(-1, 5), np.flatnonzero(keep), axis=0)

    @cached_property
    def boxes(self) -> list[tuple[InstanceResult, boxes.OrientedBox]]:
        """The objects that have a place, with their boxes."""
        found = []
        for item in self._scene.results:
            if item.chosen is not None and len(points := self._patch(item).points) >= FEWEST:
                box = boxes.fit(points)
                found.append(
                    (item, box if self._transform is None else box.moved(self._transform))
                )
        return found

    @property
    def problem(self) -> str:
        """Which objects have no place although they were found; "" when there is none."""
        placed = {item.object_id for item, _ in self.boxes}
        lost = [
            item.object_id
            for item in self._scene.results
            if item.chosen is not None and item.object_id not in placed
        ]
        return f"depth: fewer than {FEWEST} readings on {', '.join(lost)}" if lost else ""

    def _patch(self, item: InstanceResult) -> Patch:
        if item.object_id not in self._patches:
            assert item.chosen is not None
            mask, box = item.chosen.mask, item.chosen.box
            self._patches[item.object_id] = patch(self._depth, mask, box, self._camera)
        return self._patches[item.object_id]

    @property
    def _is_moved(self) -> bool:
        return self._transform is not None

    def _moved(self, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return points if self._transform is None else moved(points, self._transform)

    @cached_property
    def _colours(self) -> npt.NDArray[np.uint32]:
        return clouds.colours(self._scene.frame.rgb)


class Space:
    """The publishers; nothing is computed that nobody subscribes to.

    Args:
        node: publishes; silent while it is not active.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._points = create_publisher(node, PointCloud2, "~/points", LATEST)
        self._target = create_publisher(node, PointCloud2, "~/target_points", LATEST)
        self._scene = create_publisher(node, PointCloud2, "~/scene_points", LATEST)
        self._detections = create_publisher(node, Detection3DArray, "~/detections_3d", LATEST)
        self._node, self._frames = node, _frames_publisher(node)

    @property
    def wanted(self) -> bool:
        """True while somebody subscribes to any of it."""
        publishers = (self._points, self._target, self._scene, self._detections)
        return any(item.get_subscription_count() for item in publishers)

    def publish(self, view: View, with_frames: bool) -> str:
        """Publishes what somebody subscribes to; returns what is wrong, "" for nothing.

        Args:
            view: the scene in space.
            with_frames: also send a TF frame for each object.
        """
        for publisher, name in (
            (self._points, "points"),
            (self._target, "target_points"),
            (self._scene, "scene_points"),
        ):
            if publisher.get_subscription_count():
                publisher.publish(clouds.to_cloud(getattr(view, name), view.header))
        if not (self._detections.get_subscription_count() or with_frames):
            return ""
        found = [clouds.to_detection(view.header, item, box) for item, box in view.boxes]
        self._detections.publish(Detection3DArray(header=view.header, detections=found))
        return (self._send_frames(view) if with_frames else "") or view.problem

    def _send_frames(self, view: View) -> str:
        if self._frames is None:
            return "publish_tf: tf2_msgs is not installed (apt install ros-$ROS_DISTRO-tf2-msgs)"
        own = self._node.get_fully_qualified_name().strip("/")
        msg = self._frames.msg_type()
        msg.transforms = [
            clouds.to_transform(view.header, f"{own}/{item.object_id}", box)
            for item, box in view.boxes
        ]
        self._frames.publish(msg)
        return ""


def _frames_publisher(node: LifecycleNode) -> Any:
    """The publisher of /tf; None where its type is not installed."""
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        return None
    return node.create_publisher(TFMessage, "/tf", 100)
