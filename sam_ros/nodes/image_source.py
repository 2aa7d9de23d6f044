"""Node ``image_source``: publishes pictures, a video or a webcam where there is no robot."""

from __future__ import annotations

import sys
from array import array as Array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import rclpy
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.task import Future
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from sam_ros.nodes.camera_info import pinhole, read_calibration
from sam_ros.nodes.images import to_image
from sam_ros.nodes.pictures import Picture, PictureError, Pictures, open_pictures
from sam_ros.nodes.program import run

# name: default, meaning, range
PARAMETERS: dict[str, tuple[Any, str, tuple[float, float] | None]] = {
    "path": (
        "",
        "a picture, a folder of pictures, a video file, or a camera: 0 or /dev/video0",
        None,
    ),
    "rate": (
        0.0,
        "pictures per second [Hz]; 0: the video's or camera's own, 10 for pictures",
        (0, 1000),
    ),
    "loop": (True, "start again at the end; false: exit with 0 there", None),
    "hold": (1.0, "how long each picture of a folder is shown before the next [s]", (0, 3600)),
    "frame_id": ("camera_color_optical_frame", "frame of the headers", None),
    "horizontal_fov": (60.0, "opening angle of the pinhole camera in camera_info [deg]", (1, 179)),
    "camera_info_file": ("", "calibration (YAML of camera_calibration) used in its place", None),
    "jpeg_quality": (90, "of image/compressed [percent]", (1, 100)),
}


@dataclass(frozen=True)
class Settings:
    """The parameters' values, by name."""

    path: str
    rate: float
    loop: bool
    hold: float
    frame_id: str
    horizontal_fov: float
    camera_info_file: str
    jpeg_quality: int


class ImageSource(Node):
    """Publishes ``image``, ``image/compressed`` and ``camera_info`` with equal stamps.

    Pictures are read only while somebody subscribes, so a video that is played once is missed
    by nobody. All parameters are live; a value that cannot work is refused with its reason.

    Raises:
        ValueError: the parameters name nothing that can be read.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("image_source", **options)
        for name, (default, _, _) in PARAMETERS.items():
            self.declare_parameter(name, default, _descriptor(name))
        self._settings = _settings({name: self.get_parameter(name).value for name in PARAMETERS})
        self._pictures, self._calibration = _open(self._settings)
        self.finished: Future[int] = Future()
        overridable = QoSOverridingOptions.with_default_policies()

        def publisher(kind: type, topic: str) -> Any:
            qos = QoSProfile(depth=2)
            return self.create_publisher(kind, topic, qos, qos_overriding_options=overridable)

        self._makers: list[tuple[Publisher, Callable[[Picture], Any]]] = [
            (publisher(Image, "image"), self._to_image),
            (publisher(CameraInfo, "camera_info"), self._camera_info),
            (publisher(CompressedImage, "image/compressed"), self._to_jpeg),
        ]
        self._shown: Picture | None = None
        self._messages: dict[Publisher, Any] = {}  # of what is shown
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # a camera's pace is real
        self._timer = self.create_timer(self._period(), self._publish_next, clock=steady)
        self.add_on_set_parameters_callback(self._change)
        self.get_logger().info(f"{self._settings.path} at {1 / self._period():.3g} Hz")

    def close(self) -> None:
        """Gives the camera or file back."""
        self._pictures.close()

    def _period(self) -> float:
        return 1 / self._pictures.rate

    def _change(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        """Opens what the new values name before the old is let go."""
        changed = {item.name: item.value for item in parameters if item.name in PARAMETERS}
        settings = _settings({**vars(self._settings), **changed})
        try:
            pictures, calibration = _open(settings)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._pictures.close()
        self._settings, self._pictures, self._calibration = settings, pictures, calibration
        self._timer.timer_period_ns = int(self._period() * 1e9)
        return SetParametersResult(successful=True)

    def _publish_next(self) -> None:
        wanted = any(publisher.get_subscription_count() for publisher, _ in self._makers)
        if self.finished.done() or not wanted:
            return
        try:
            picture = self._read()
        except PictureError as error:
            self.get_logger().error(f"{error}; it is left out", throttle_duration_sec=5.0)
            return
        if picture is not None:
            self._publish(picture)

    def _read(self) -> Picture | None:
        """The next picture, the first again at the end, or None and ``finished`` is set."""
        picture = self._pictures.read()
        if picture is None and self._settings.loop and not self._pictures.live:
            self._pictures.rewind()
            picture = self._pictures.read()
        if picture is None:
            if self._pictures.live or self._settings.loop:
                self.get_logger().fatal(f"path: {self._settings.path}; it gives no more pictures")
                self.finished.set_result(1)
            else:
                self.finished.set_result(0)
        return picture

    def _publish(self, picture: Picture) -> None:
        """Publishes what is subscribed to; a still that is shown again is not converted again."""
        if picture is not self._shown:
            self._shown, self._messages = picture, {}
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._settings.frame_id)
        for publisher, maker in self._makers:
            if publisher.get_subscription_count():
                if publisher not in self._messages:
                    self._messages[publisher] = maker(picture)
                msg = self._messages[publisher]
                msg.header = header
                publisher.publish(msg)

    def _to_image(self, picture: Picture) -> Image:
        return to_image(picture, "rgb8", Header())

    def _to_jpeg(self, picture: Picture) -> CompressedImage:
        quality = (cv2.IMWRITE_JPEG_QUALITY, self._settings.jpeg_quality)
        _, coded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)
        data = Array("B")
        data.frombytes(coded.tobytes())
        return CompressedImage(format="rgb8; jpeg compressed bgr8", data=data)

    def _camera_info(self, picture: Picture) -> CameraInfo:
        height, width = picture.shape[:2]
        info = self._calibration
        if info is None:
            return pinhole(Header(), height, width, self._settings.horizontal_fov)
        if (info.height, info.width) != (height, width):
            self.get_logger().warning(
                f"camera_info_file is for {info.width} x {info.height}; "
                f"the picture has {width} x {height}",
                throttle_duration_sec=10.0,
            )
        return info


def main(args: list[str] | None = None) -> int:
    """Runs the node; returns the exit status."""
    return run("image_source", ImageSource, _publish, args)


def _publish(node: ImageSource) -> int:
    rclpy.spin_until_future_complete(node, node.finished)
    return int(node.finished.result() or 0)


def _settings(values: Mapping[str, Any]) -> Settings:
    """The path may have come as the number of a camera."""
    return Settings(**{**values, "path": str(values["path"])})


def _open(settings: Settings) -> tuple[Pictures, CameraInfo | None]:
    """What the settings name; ValueError says what is wrong with them."""
    file = settings.camera_info_file
    calibration = read_calibration(Path(file).expanduser()) if file else None
    return open_pictures(settings.path, settings.rate, settings.hold), calibration


def _descriptor(name: str) -> ParameterDescriptor:
    default, meaning, limits = PARAMETERS[name]
    descriptor = ParameterDescriptor(description=meaning)
    descriptor.dynamic_typing = name == "path"  # camera 0 arrives as an integer
    if limits and isinstance(default, float):
        span = FloatingPointRange(from_value=float(limits[0]), to_value=float(limits[1]))
        descriptor.floating_point_range = [span]
    elif limits:
        span = IntegerRange(from_value=int(limits[0]), to_value=int(limits[1]), step=1)
        descriptor.integer_range = [span]
    return descriptor


if __name__ == "__main__":
    sys.exit(main())
