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
from sam_ros.geometry.cloud import Patch, fill_points, moved, patch
from sam_ros.nodes import clouds
from sam_ros.nodes.endpoints import create_publisher
from sam_ros.nodes.instances import InstanceResult
from sam_ros.nodes.messages import paint
from sam_ros.nodes.outputs import ANSWERS, LATEST
from sam_ros.nodes.scene import Scene

FEWEST = 10  # points of an object that has a place
ROWS = 24  # of a picture written at a time

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

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the picture."""
        return self._camera.size

    def fill(self, values: clouds.Records) -> None:
        """Writes all pixels to (H, W, 5) records, some rows at a time to stay in the cache."""
        numbers = [item.instance_id for item in self._scene.results]
        owners = paint(self.size, self._scene.results, numbers, np.uint16)
        for start in range(0, self.size[0], ROWS):
            rows = slice(start, start + ROWS)
            places = clouds.places(values[rows])
            fill_points(places, self._depth, self._camera, rows)
            if self._transform is not None:
                places[:] = moved(places, self._transform)
            values[rows, :, 3] = self._colours[rows]
            values[rows, :, 4] = owners[rows]

    @property
    def target(self) -> InstanceResult | None:
        """The target; None when there is none or it is lost."""
        target = self._scene.target
        return target if target is not None and target.chosen is not None else None

    @property
    def target_count(self) -> int:
        """Points of the target's surface."""
        return len(self._patch(self.target).points) if self.target else 0

    def fill_target(self, values: clouds.Records) -> None:
        """Writes the target's surface to (N, 5) records, N the ``target_count``."""
        if self.target is None:
            return
        found = self._patch(self.target)
        points = found.points
        if self._transform is not None:
            points = moved(points, self._transform)
        clouds.places(values)[:] = points
        values[:, 3] = self._colours[found.rows, found.columns][found.kept]
        values[:, 4] = self.target.instance_id

    @property
    def surroundings(self) -> npt.NDArray[np.intp]:
        """(N,) the pixels with a depth that are not the target's, counted row by row."""
        keep = np.isfinite(self._depth)
        if self.target is not None and self.target.chosen is not None:
            keep &= ~self.target.chosen.mask
        return np.flatnonzero(keep)

    @cached_property
    def boxes(self) -> list[tuple[InstanceResult, boxes.OrientedBox]]:
        """The objects that have a place, with their boxes."""
        found = []
        for item in self._scene.results:
            if item.chosen is None:
                continue
            points = self._patch(item).some(boxes.MOST)
            if len(points) >= FEWEST:
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
        self._detections = create_publisher(node, Detection3DArray, "~/detections_3d", ANSWERS)
        self._node, self._frames = node, _frames_publisher(node)
        self._room, self._target_room, self._scene_room = (clouds.Room() for _ in range(3))

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
        self._publish_pixels(view)
        if self._target.get_subscription_count():
            view.fill_target(self._target_room.records(view.target_count))
            self._target.publish(self._target_room.cloud(view.header))
        if not (self._detections.get_subscription_count() or with_frames):
            return ""
        found = [clouds.to_detection(view.header, item, box) for item, box in view.boxes]
        self._detections.publish(Detection3DArray(header=view.header, detections=found))
        return (self._send_frames(view) if with_frames else "") or view.problem

    def _publish_pixels(self, view: View) -> None:
        organised = self._points.get_subscription_count()
        scene = self._scene.get_subscription_count()
        if not (organised or scene):
            return
        height, width = view.size
        records = self._room.records(height * width)
        view.fill(records.reshape(height, width, -1))
        if organised:
            self._points.publish(self._room.cloud(view.header, view.size))
        if scene:
            pixels = view.surroundings
            some = self._scene_room.records(len(pixels))
            np.take(records, pixels, axis=0, out=some, mode="clip")  # mode: without a copy
            self._scene.publish(self._scene_room.cloud(view.header))

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
