"""Depth images, each joined with what was found in the picture of its time."""

from __future__ import annotations

import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image

from sam_ros.geometry.camera import Camera
from sam_ros.nodes.camera import CameraSource
from sam_ros.nodes.diagnostics import Tally
from sam_ros.nodes.endpoints import NEWEST
from sam_ros.nodes.frames import nanoseconds, seconds
from sam_ros.nodes.images import ENCODINGS, ImageError, pixel_view
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.reader import Reader
from sam_ros.nodes.scene import Scene
from sam_ros.nodes.space import Space, View
from sam_ros.nodes.transforms import TransformMissing, Transforms

PATIENCE = 0.5  # seconds from a picture to its transform
SILENCE = 1_000_000_000  # nanoseconds without a depth image that a person should know about


class DepthSource:
    """The subscriptions, from their creation to ``destroy``; scenes wait here for their depth.

    Args:
        node: subscribes.
        parameters: asked for their present values.
        camera: calibration of the pictures; where it is missing, that of the depth serves.
        transforms: to the frame of the outputs.
        space: publishes what comes of it.
        tally: told of what is missing.

    Attributes:
        problem: why the last scene had no place in space; "" when it had one.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: Callable[[], Parameters],
        camera: CameraSource,
        transforms: Transforms,
        space: Space,
        tally: Tally,
    ) -> None:
        self._node, self._parameters, self._space = node, parameters, space
        self._transforms, self._tally, self._cameras = transforms, tally, [camera]
        self._topic = node.resolve_topic_name("depth")
        self._depths: OrderedDict[int, Image] = OrderedDict()
        self._waiting: OrderedDict[int, Scene] = OrderedDict()
        self._last: tuple[int, Image] | None = None  # its hypothesis may be changed much later
        self._lock = threading.Lock()
        self.problem = ""
        self._parts: list[Reader | CameraSource] = []
        if parameters().use_depth:
            own_camera = CameraSource(node, "depth/camera_info", camera.rectified)
            self._cameras.append(own_camera)
            self._parts = [own_camera, Reader(node, Image, "depth", self._take, NEWEST)]

    def destroy(self) -> None:
        """Ends the subscriptions and forgets all depth."""
        for part in self._parts:
            part.destroy()
        with self._lock:
            self._last = None
            self._depths.clear()
            self._waiting.clear()

    def place(self, scene: Scene) -> None:
        """Publishes a scene in space, now or as soon as its depth has come."""
        parameters = self._parameters()
        if not parameters.use_depth or not (self._space.wanted or parameters.publish_tf):
            self.problem = ""
            return
        with self._lock:
            self._remember(self._waiting, scene.frame.stamp, scene)
            self._settle()
            newest = next(reversed(self._depths), None)
            if not self._depths:
                self._report(f"depth: none has arrived on {self._topic} yet")
            elif newest < scene.frame.stamp - SILENCE:
                self._report(f"depth: none on {self._topic} since {seconds(newest)}")

    def _take(self, msg: Image) -> None:
        with self._lock:
            self._remember(self._depths, nanoseconds(msg.header.stamp), msg)
            self._settle()

    def _remember(self, store: OrderedDict[int, Any], stamp: int, item: Image | Scene) -> None:
        store.pop(stamp, None)
        store[stamp] = item
        while len(store) > self._parameters().embedding_cache_size:
            store.popitem(last=False)

    def _settle(self) -> None:
        """Publishes each scene whose depth is there, and gives up where none can come."""
        latest = next(reversed(self._waiting), None)
        for stamp in list(self._waiting):
            scene = self._waiting.pop(stamp)
            try:
                if not self._publish(scene):
                    self._waiting[stamp] = scene
            except TransformMissing as missing:
                if stamp == latest and scene.age < PATIENCE and not self._transforms.problem:
                    self.problem = f"target_frame: {missing}"
                    self._waiting[stamp] = scene  # the transform may still come
                else:
                    self._report(f"target_frame: {missing}")
            except ValueError as error:
                self._report(str(error))
            except Exception as error:  # a callback that raises would end the node
                self._report(f"depth: {type(error).__name__}: {error}")
                self._node.get_logger().error(traceback.format_exc())

    def _publish(self, scene: Scene) -> bool:
        """Publishes a scene if its depth is there."""
        depth = self._match(scene.frame.stamp)
        if depth is None:
            return False
        view = self._view(scene, depth)
        self._last = (scene.frame.stamp, depth)
        self._report(self._space.publish(view, self._parameters().publish_tf))
        return True

    def _match(self, stamp: int) -> Image | None:
        """The depth of exactly this stamp, else the nearest within sync_slop; None: wait.

        Raises:
            ValueError: there is none, and none can come any more.
        """
        if self._last is not None and self._last[0] == stamp:
            return self._last[1]
        if stamp in self._depths or not self._depths:
            return self._depths.get(stamp)
        if next(reversed(self._depths)) < stamp:  # the last to arrive: time may jump back
            return None
        slop = self._parameters().sync_slop
        nearest = min(self._depths, key=lambda other: abs(other - stamp))
        if abs(nearest - stamp) > slop * 1e9:
            raise ValueError(
                f"depth: none within sync_slop, {slop:g} s, of the image at {seconds(stamp)}; "
                f"the nearest is at {seconds(nearest)}"
            )
        return self._depths[nearest]

    def _view(self, scene: Scene, msg: Image) -> View:
        parameters = self._parameters()
        depth = metres(msg, parameters.depth_scale)
        size = scene.frame.size
        if depth.shape != size:
            raise ValueError(
                f"depth on {self._topic}: {msg.width} x {msg.height} px; expected {size[1]} x "
                f"{size[0]} px, registered to the image"
            )
        camera, header = self._calibration(size), scene.frame.header
        target = parameters.target_frame
        if not target or target == header.frame_id:
            return View(scene, depth, camera, header.frame_id, None)
        transform = self._transforms.between(target, header.frame_id, header.stamp)
        return View(scene, depth, camera, target, transform)

    def _calibration(self, size: tuple[int, int]) -> Camera:
        problems: list[ValueError] = []
        for source in self._cameras:
            try:
                return source.camera(size)
            except ValueError as problem:
                problems.append(problem)
        raise problems[0]

    def _report(self, problem: str) -> None:
        self.problem = problem
        if problem:
            self._tally.report(problem)


def metres(msg: Image, scale: float) -> npt.NDArray[np.float32]:
    """A depth image as (H, W) float32 metres, NaN where there is no reading (REP 118).

    Args:
        msg: 32FC1 in metres, or 16UC1 (also called mono16).
        scale: metres of one unit of 16UC1.

    Raises:
        ImageError: another encoding, or data that do not fill the picture.
    """
    if msg.encoding not in ("32FC1", "16UC1", "mono16"):
        raise ImageError(f"depth.encoding: {msg.encoding!r}; expected 32FC1 or 16UC1")
    values = pixel_view(msg, ENCODINGS[msg.encoding])[..., 0]
    if msg.encoding == "32FC1":
        depth = values.astype(np.float32)
    else:
        depth = np.multiply(values, np.float32(scale), dtype=np.float32)
    depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return depth
