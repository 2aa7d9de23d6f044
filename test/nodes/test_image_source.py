"""The image source as a process of its own, heard over DDS."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from sam_ros.nodes.camera_info import pinhole, read_calibration
from sam_ros.nodes.image_source import PARAMETERS
from sam_ros.nodes.images import decode

PATIENCE = 60.0
CALIBRATION = """
image_width: 64
image_height: 48
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}
camera_matrix: {rows: 3, cols: 3, data: [50, 0, 31, 0, 51, 23, 0, 0, 1]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [50, 0, 31, 0, 0, 51, 23, 0, 0, 0, 1, 0]}
"""


class Listener:
    """Keeps what the source publishes."""

    def __init__(self, domain: int) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("listener", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.images: list[Image] = []
        self.compressed: list[CompressedImage] = []
        self.infos: list[CameraInfo] = []
        for kind, topic, kept in (
            (Image, "image", self.images),
            (CompressedImage, "image/compressed", self.compressed),
            (CameraInfo, "camera_info", self.infos),
        ):
            self.node.create_subscription(kind, topic, kept.append, qos_profile_sensor_data)
        self.setter: Any = self.node.create_client(SetParameters, "image_source/set_parameters")

    def wait(self, ready: Callable[[], bool]) -> None:
        """Spins until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < deadline, "waited in vain"
            self.executor.spin_once(timeout_sec=0.05)

    def call(self, client: Any, request: Any) -> Any:
        """Calls a service of the source."""
        self.wait(client.service_is_ready)
        future = client.call_async(request)
        self.wait(future.done)
        return future.result()

    def set(self, name: str, value: Any) -> Any:
        """Sets one parameter and returns whether it was taken, and why not."""
        parameter = Parameter(name, value=value).to_parameter_msg()
        return self.call(self.setter, SetParameters.Request(parameters=[parameter])).results[0]

    def close(self) -> None:
        """Leaves the graph."""
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)


def start(*parameters: str, log: Path | None = None) -> subprocess.Popen[bytes]:
    """The node with parameters such as "path:=x"."""
    given = [item for value in parameters for item in ("-p", value)]
    command = [sys.executable, "-m", "sam_ros.nodes.image_source", "--ros-args", *given]
    output = log.open("wb") if log else subprocess.DEVNULL
    return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a red picture, and a file with a blue one of another size."""
    folder = tmp_path_factory.mktemp("pictures")
    cv2.imwrite(str(folder / "red.png"), np.full((48, 64, 3), (0, 0, 250), np.uint8))
    (folder / "other").mkdir()
    cv2.imwrite(str(folder / "other" / "blue.png"), np.full((30, 40, 3), (250, 0, 0), np.uint8))
    return folder


@pytest.fixture(scope="module")
def listener(ros_domain: int) -> Iterator[Listener]:
    """Something that subscribes."""
    listener = Listener(ros_domain)
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def source(pictures: Path, listener: Listener) -> Iterator[Listener]:
    """The listener beside a running source."""
    process = start(f"path:={pictures}", "rate:=25.0", "frame_id:=eye")
    listener.wait(lambda: len(listener.images) > 3)
    yield listener
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0, "SIGINT, even twice, is a normal end"


def test_image_compressed_and_camera_info_have_equal_stamps(source: Listener) -> None:
    """One publication gives all three, stamped when it happens."""

    def stamps(kept: list[Any]) -> set[tuple[int, int]]:
        return {(item.header.stamp.sec, item.header.stamp.nanosec) for item in kept}

    def together() -> bool:
        shared = stamps(source.images) & stamps(source.compressed) & stamps(source.infos)
        return len(shared) > 3

    source.wait(together)
    image, info = source.images[-1], source.infos[-1]
    assert image.header.frame_id == info.header.frame_id == "eye"
    assert (image.height, image.width) == (info.height, info.width) == (48, 64)
    assert abs(image.header.stamp.sec - time.time()) < 60
    assert tuple(decode(image)[20, 20]) == (250, 0, 0)
    red, green, blue = decode(source.compressed[-1])[20, 20].astype(int)
    assert red > 240 and green < 12 and blue < 12


def test_parameters_are_live(source: Listener, pictures: Path) -> None:
    """Another path shows at once; one that cannot be read is refused and nothing changes."""
    refused = source.set("path", "/no/such/place")
    assert not refused.successful and "/no/such/place" in refused.reason
    assert not source.set("rate", -2.0).successful
    assert source.set("path", str(pictures / "other")).successful
    source.wait(lambda: source.images[-1].width == 40)
    assert source.infos[-1].width in {40, 64}
    assert source.set("path", str(pictures)).successful
    source.wait(lambda: source.images[-1].width == 64)


def test_a_still_that_is_shown_again_follows_the_parameters(source: Listener) -> None:
    """Its messages are made once, but stamped anew, and made anew when a parameter changes."""
    focal = source.infos[-1].k[0]
    assert source.set("horizontal_fov", 20.0).successful
    assert source.set("frame_id", "other").successful
    source.wait(lambda: source.infos[-1].k[0] > 2 * focal)
    source.wait(lambda: source.images[-1].header.frame_id == "other")
    source.images.clear()
    source.wait(lambda: len(source.images) > 2)
    assert len({item.header.stamp.nanosec for item in source.images}) == len(source.images)
    assert {item.header.frame_id for item in source.images} == {"other"}
    assert source.set("horizontal_fov", 60.0).successful
    assert source.set("frame_id", "eye").successful


def test_parameters_are_described(source: Listener) -> None:
    """Every parameter says what it means, and numbers say their range."""
    client = source.node.create_client(DescribeParameters, "image_source/describe_parameters")
    reply = source.call(client, DescribeParameters.Request(names=list(PARAMETERS)))
    assert len(reply.descriptors) == len(PARAMETERS)
    for descriptor in reply.descriptors:
        assert descriptor.description
        default = PARAMETERS[descriptor.name][0]
        ranges = len(descriptor.floating_point_range) + len(descriptor.integer_range)
        assert ranges == (isinstance(default, (int, float)) and not isinstance(default, bool))


def test_a_video_that_is_played_once_is_heard_whole(tmp_path: Path, listener: Listener) -> None:
    """The source waits for its listener, plays all frames and ends with 0."""
    writer = cv2.VideoWriter(
        str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 20, (100, 80)
    )
    for _ in range(8):
        writer.write(np.zeros((80, 100, 3), np.uint8))
    writer.release()
    listener.images.clear()
    process = start(f"path:={tmp_path / 'v.avi'}", "loop:=false")
    listener.wait(lambda: process.poll() is not None)
    assert process.returncode == 0
    assert 1 <= len([item for item in listener.images if item.width == 100]) <= 8


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("path:=''", "expected a picture"),
        ("path:=/no/such/place", "found nothing"),
        ("rate:=-1.0", "rate"),
        ("loop:=3", "loop"),
        ("camera_info_file:=/no/such/file", "camera_info_file"),
    ],
)
def test_wrong_parameters_end_with_one_line(
    pictures: Path, tmp_path: Path, parameter: str, words: str
) -> None:
    """The exit status is not 0, and the reason is no traceback."""
    given = [f"path:={pictures}", parameter]
    process = start(*given, log=tmp_path / "log")
    assert process.wait(PATIENCE) == 2
    text = (tmp_path / "log").read_text()
    assert words in text and "Traceback" not in text


def test_the_pinhole_sees_its_opening_angle() -> None:
    """Ninety degrees: half the width at a distance of half the width."""
    info = pinhole(Header(stamp=Time(sec=1), frame_id="eye"), 48, 64, 90.0)
    assert info.k[0] == info.k[4] == pytest.approx(32)
    assert (info.k[2], info.k[5]) == (31.5, 23.5)
    assert (info.height, info.width, info.header.frame_id) == (48, 64, "eye")


def test_a_calibration_is_read(tmp_path: Path) -> None:
    """The file of camera_calibration; a spoilt one is refused by name."""
    file = tmp_path / "camera.yaml"
    file.write_text(CALIBRATION)
    info = read_calibration(file)
    assert (info.width, info.height, info.k[4], info.d[0]) == (64, 48, 51, 0.1)
    file.write_text("image_width: 64")
    with pytest.raises(ValueError, match=r"camera_info_file.*camera.yaml"):
        read_calibration(file)
