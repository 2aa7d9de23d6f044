"""The camera that the pictures come from, as sensor_msgs/CameraInfo describes it."""

from __future__ import annotations

import threading

from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from sam_ros.geometry.camera import Camera, Window, calibrated
from sam_ros.nodes.endpoints import NEWEST
from sam_ros.nodes.reader import drain, unspun


class CameraSource:
    """The newest calibration; a calibration hardly ever changes, so stamps are not compared.

    It comes with every picture and is read when a camera is asked for; after ``destroy`` the last
    one that was read is given.

    Args:
        node: subscribes.
        topic: where it comes from.
        rectified: the pictures are rectified: P describes them instead of K and D.
    """

    def __init__(self, node: LifecycleNode, topic: str, rectified: bool) -> None:
        self._node, self._topic = node, node.resolve_topic_name(topic)
        self.rectified = rectified
        self._lock = threading.Lock()
        self._info: CameraInfo | None = None
        self._camera: Camera | None = None
        self._problem = f"camera_info: none has arrived on {self._topic} yet"
        self._subscription: Subscription | None = unspun(node, CameraInfo, topic, NEWEST)

    def destroy(self) -> None:
        """Ends the subscription."""
        with self._lock:
            if self._subscription is not None:
                self._node.destroy_subscription(self._subscription)
                self._subscription = None

    def camera(self, size: tuple[int, int]) -> Camera:
        """The camera of a picture of this (H, W).

        Raises:
            ValueError: there is none, and why.
        """
        with self._lock:
            self._read()
            camera = self._camera
            if camera is None:
                raise ValueError(self._problem)
        if camera.size != size:
            raise ValueError(
                f"camera_info on {self._topic}: of a picture of {camera.width} x {camera.height} "
                f"px; expected {size[1]} x {size[0]} px, the size of the image"
            )
        return camera

    def _read(self) -> None:
        """Takes what has come; the queue holds the newest message alone."""
        if self._subscription is not None:
            for msg in drain(self._subscription):
                self._take(msg)

    def _take(self, msg: CameraInfo) -> None:
        """Keeps a message; the camera is only made anew where anything but the header changed."""
        old, self._info = self._info, msg
        if old is not None and _fields(old) == _fields(msg):
            return
        self._camera, self._problem = None, ""
        try:
            self._camera = to_camera(msg, self.rectified)
        except ValueError as error:
            self._problem = f"camera_info on {self._topic}: {error}"


def to_camera(msg: CameraInfo, rectified: bool = False) -> Camera:
    """A camera from its message.

    Raises:
        ValueError: the message does not describe a camera; the text names the field.
    """
    roi = msg.roi
    window = Window(
        roi.x_offset, roi.y_offset, roi.width, roi.height, (msg.binning_x, msg.binning_y)
    )
    size = (msg.height, msg.width)
    return calibrated(size, msg.distortion_model, msg.k, msg.d, msg.r, msg.p, window, rectified)


def is_rectified(topic: str) -> bool:
    """Whether a picture's topic says that it is rectified, as image_rect and image_rect_color.

    camera_info is the same message for raw and rectified pictures, so only the name can tell.
    """
    return any("rect" in part for part in topic.split("/")[-2:])


def _fields(msg: CameraInfo) -> tuple[object, ...]:
    size = (msg.height, msg.width, msg.binning_x, msg.binning_y, msg.roi)
    return (*size, msg.distortion_model, *msg.d, *msg.k, *msg.r, *msg.p)
