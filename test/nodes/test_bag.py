"""A recorded camera is played to the node, in simulated time, and each picture is answered."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from builtin_interfaces.msg import Time
from node_client import NodeClient, pixels
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from sam_ros.client import to_scene
from sam_ros.client.prompt import prompt
from sam_ros.msg import InstanceArray, Prompt, Status
from sam_ros.nodes.bag import Bag, BagError
from sam_ros.nodes.camera_info import pinhole
from sam_ros.nodes.frames import nanoseconds
from sam_ros.nodes.images import to_image

pytest.importorskip("rosbags", reason="install rosbags")

START, PERIOD, COUNT = 1_700_000_000, 0.1, 8  # seconds, seconds, pictures
SIZE = (48, 64)
MANY = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)


def picture(number: int) -> npt.NDArray[np.uint8]:
    """A red square that grows from one picture to the next."""
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[10 : 22 + number, 10 : 30 + 2 * number] = (200, 0, 0)
    return pixels


def header(number: int) -> Header:
    stamp = Time(sec=START, nanosec=round(number * PERIOD * 1e9) + 7)
    return Header(stamp=stamp, frame_id="recorded")


def camera(number: int) -> Iterator[tuple[str, Any]]:
    """What a camera with depth gives at one moment; the depth comes after the picture."""
    info = pinhole(header(number), *SIZE, 60.0)
    yield "/cam/color/camera_info", info
    yield "/cam/color/image_raw", to_image(picture(number), "rgb8", header(number))
    depth = np.full(SIZE, 1000 + number, np.uint16)
    yield "/cam/depth/image_rect", to_image(depth, "16UC1", header(number))
    yield "/cam/depth/camera_info", info


def record(folder: Path, storage: str, extra: tuple[str, ...] = ()) -> Path:
    """A bag of the camera, as ros2 bag would write it."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    path = folder / f"{storage}{len(extra)}"
    with Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        connections: dict[str, Any] = {}
        for number in range(COUNT):
            moment = START * 10**9 + round(number * PERIOD * 1e9) + 20_000_000
            messages = [*camera(number), *((name, list(camera(0))[1][1]) for name in extra)]
            for name, msg in messages:
                kind = f"sensor_msgs/msg/{type(msg).__name__}"
                if name not in connections:
                    connections[name] = writer.add_connection(name, kind, typestore=store)
                writer.write(connections[name], moment, serialize_message(msg))
                moment += 1_000
    return path


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same recording in both formats."""
    folder = tmp_path_factory.mktemp("bags")
    return {storage: record(folder, storage) for storage in ("sqlite3", "mcap")}


class Player:
    """The source in a process of its own."""

    def __init__(self, domain: int, log: Path, *parameters: str) -> None:
        self.log = log
        options = [word for item in parameters for word in ("-p", item)]
        command = [sys.executable, "-m", "sam_ros.nodes.bag_source", "--ros-args", *options]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        return self.log.read_text()


@pytest.fixture
def play(ros_domain: int, tmp_path: Path) -> Iterator[Callable[..., Player]]:
    """Starts a source with parameters such as "rate:=0.0"."""
    started: list[Player] = []

    def start(*parameters: str) -> Player:
        started.append(Player(ros_domain, tmp_path / f"{len(started)}.log", *parameters))
        return started[-1]

    yield start
    for player in started:
        player.process.kill()
        player.process.wait()


@pytest.fixture(scope="module")
def sam(ros_domain: int, start_node: Callable[..., Any]) -> Iterator[Any]:
    """A node in simulated time, which nobody tells yet; it is active all the same."""
    start_node("use_sim_time:=true")
    client = NodeClient(ros_domain, outputs=())
    client.wait_for_node()
    client.answers, client.clocks, client.infos, client.depths = [], [], [], []
    for kind, topic, kept in (
        (InstanceArray, "sam/instances", client.answers),
        (Clock, "/clock", client.clocks),
        (CameraInfo, "camera_info", client.infos),
        (Image, "depth", client.depths),
    ):
        client.node.create_subscription(kind, topic, kept.append, MANY)
    yield client
    client.close()


def click_when_shown(sam: Any) -> None:
    """Prompts on the first picture, which the source shows until it is answered."""
    sticky = prompt(points=[(15, 15)], object_id="square", persistence=Prompt.STICKY)

    def taken() -> bool:
        return bool(sam.call("set_prompts", prompts=[sticky]).status.code == Status.OK)

    sam.wait(taken, 60)


@pytest.fixture
def square(sam: Any) -> Any:
    """The node's client; the node knows a sticky object from a picture before the bag."""
    assert sam.call("clear").success
    sam.show(picture(0))
    click_when_shown(sam)
    sam.answers.clear()
    return sam


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_every_picture_is_answered_in_order(
    sam: Any, bags: dict[str, Path], play: Callable[..., Player], storage: str
) -> None:
    """Paced by the answers: each picture once, its own mask, its own header; then status 0."""
    assert sam.call("clear").success
    sam.call("enable", data=False)
    sam.call("enable", data=True)  # forgets the pictures of the run before
    for kept in (sam.answers, sam.clocks, sam.infos, sam.depths):
        kept.clear()
    player = play(f"path:={bags[storage]}", "rate:=0.0", "answer_timeout:=20.0")
    sam.wait(lambda: sam.clocks and sam.infos and sam.depths, 60)
    click_when_shown(sam)  # until now the first picture was all that is sent
    sam.wait(lambda: player.process.poll() is not None, 60)
    assert player.process.returncode == 0, player.output
    sam.spin(0.2)
    scenes = [to_scene(msg) for msg in sam.answers]
    stamps = [nanoseconds(item.header.stamp) for item in scenes]
    expected = [nanoseconds(header(number).stamp) for number in range(COUNT)]
    assert sorted(stamps) == stamps and sorted(set(stamps)) == expected
    assert len(stamps) <= COUNT + 4  # only the first picture is shown again
    for found in scenes:
        number = expected.index(nanoseconds(found.header.stamp))
        np.testing.assert_array_equal(found["square"].mask, picture(number).any(axis=2))
        assert found.header.frame_id == "recorded"
        assert 0 <= found.latency < 20  # real seconds, whatever the simulated time
    moments = [nanoseconds(msg.clock) for msg in sam.clocks]
    assert moments == sorted(moments)
    assert moments[0] >= START * 10**9 and moments[-1] < (START + 1) * 10**9
    infos = [nanoseconds(msg.header.stamp) for msg in sam.infos]
    depths = [int(pixels(msg)[0, 0]) for msg in sam.depths]
    assert list(dict.fromkeys(infos)) == expected
    assert list(dict.fromkeys(depths)) == [1000 + n for n in range(COUNT)]


def test_diagnostics_go_on_while_simulated_time_stands_still(sam: Any) -> None:
    """The bag is over: the clock stands, and the node still tells how it is, by that clock."""
    sam.received["diagnostics"].clear()
    sam.wait(lambda: len(sam.received["diagnostics"]) > 1, 10)
    stamps = {msg.header.stamp.sec for msg in sam.received["diagnostics"]}
    assert stamps == {START}


def test_the_rate_is_limited_in_recorded_time(
    square: Any, bags: dict[str, Path], play: Callable[..., Player]
) -> None:
    """Twice slower than recorded, 10 pictures a second become 5: 4 of 8, whatever the machine."""
    with square.parameter("max_rate_hz", 5.0):
        player = play(f"path:={bags['mcap']}", "rate:=0.5")
        square.wait(lambda: player.process.poll() is not None, 60)
        square.wait(lambda: len(square.answers) >= 2, 10)
        square.spin(0.5)
    assert player.process.returncode == 0
    stamps = [nanoseconds(msg.header.stamp) for msg in square.answers]
    assert len(stamps) <= 4  # one may be lost before all have found each other
    assert (np.diff(stamps) >= 2 * PERIOD * 1e9).all()


def test_a_picture_that_nobody_answers_is_counted(
    square: Any, bags: dict[str, Path], play: Callable[..., Player]
) -> None:
    """The source goes on after its patience, and its exit status tells."""
    player = play(f"path:={bags['sqlite3']}", "rate:=0.0", "answer_timeout:=0.4")
    square.wait(lambda: len(square.answers) > 0, 30)
    assert square.call("clear").success
    square.wait(lambda: player.process.poll() is not None, 60)
    assert player.process.returncode == 1
    assert "no answer within 0.4 s" in player.output and "were not answered" in player.output


def test_a_bag_is_played_at_its_own_pace(
    sam: Any, bags: dict[str, Path], play: Callable[..., Player]
) -> None:
    """Ten times slower than recorded, and the clock ticks between the pictures."""
    sam.clocks.clear()
    arrivals: list[float] = []
    subscription = sam.node.create_subscription(
        Image, "image", lambda _: arrivals.append(time.monotonic()), MANY
    )
    player = play(f"path:={bags['mcap']}", "rate:=0.1")  # seconds for a new subscriber to be met
    sam.wait(lambda: player.process.poll() is not None, 60)
    sam.node.destroy_subscription(subscription)
    assert 1 < len(arrivals) <= COUNT
    assert arrivals[-1] - arrivals[0] >= 5 * (len(arrivals) - 1) * PERIOD  # 10, or held up
    moments = [nanoseconds(msg.clock) for msg in sam.clocks]
    assert len(moments) > 5 * COUNT and moments == sorted(moments)


def test_topics_are_found_or_named(bags: dict[str, Path], tmp_path: Path) -> None:
    """One camera needs no names; of two the bag's topics are listed."""
    bag = Bag(str(bags["mcap"]))
    assert {name: topic.recorded for name, topic in bag.topics.items()} == {
        "image": "/cam/color/image_raw",
        "camera_info": "/cam/color/camera_info",
        "depth": "/cam/depth/image_rect",
        "depth/camera_info": "/cam/depth/camera_info",
    }
    bag.close()
    two = record(tmp_path, "mcap", ("/other/image",))
    with pytest.raises(BagError, match=r"image_topic: ''; expected one of .*/other/image"):
        Bag(str(two))
    named = Bag(str(two), image_topic="/other/image")
    assert [item.topic for item in named.records()].count("image") == COUNT
    named.close()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (("path:=''",), "found nothing"),
        (("path:=/no/such/bag",), "expected a folder with metadata.yaml"),
        (("path:=.",), "expected a rosbag2"),
        (("rate:=-1.0", "path:=x"), "rate"),
    ],
)
def test_wrong_parameters_end_with_one_line(
    play: Callable[..., Player], parameters: tuple[str, ...], words: str
) -> None:
    player = play(*parameters)
    assert player.process.wait(60) == 2
    assert words in player.output and "Traceback" not in player.output
