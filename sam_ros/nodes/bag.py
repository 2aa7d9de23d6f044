"""A recorded camera: the messages of a rosbag2 that the node has a use for, in their order."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"


class BagError(ValueError):
    """A bag that cannot be played; the text says what was expected."""


@dataclass(frozen=True)
class Topic:
    """A recorded topic that is played.

    Attributes:
        recorded: its name in the bag.
        kind: type of its messages.
    """

    recorded: str
    kind: str


@dataclass(frozen=True, eq=False)
class Record:
    """One recorded message.

    Attributes:
        topic: the name under which it is played.
        time: when it was recorded [ns].
        data: the message as it went over the wire (CDR); it begins with a std_msgs/Header.
    """

    topic: str
    time: int
    data: bytes

    @property
    def stamp(self) -> int:
        """The stamp of its header [ns]."""
        order = "<" if self.data[1] & 1 else ">"
        seconds, nanoseconds = struct.unpack_from(f"{order}iI", self.data, 4)
        return int(seconds) * 1_000_000_000 + int(nanoseconds)


class Bag:
    """An open bag, of sqlite3 or MCAP.

    Args:
        path: a folder with metadata.yaml, or a file .mcap.
        image_topic: of the pictures; "": the only one that is not called depth.
        depth_topic: of the depth images; "": the only one that is called so, if there is one.

    Attributes:
        topics: what is played, by the names that it is played under: image or image/compressed,
            camera_info, depth, depth/camera_info.
        image: the first of these.

    Raises:
        BagError: there is no such bag, it cannot be read, or its topics leave a choice.
    """

    def __init__(self, path: str, image_topic: str = "", depth_topic: str = "") -> None:
        self._reader = _open(path)
        recorded = {item.topic: str(item.msgtype) for item in self._reader.connections}
        depth = depth_topic or _only(recorded, (IMAGE,), is_depth=True)
        image = image_topic or _only(recorded, (IMAGE, COMPRESSED), is_depth=False)
        _check(recorded, "image_topic", image, (IMAGE, COMPRESSED))
        if depth:
            _check(recorded, "depth_topic", depth, (IMAGE,))
        self.image = "image/compressed" if recorded[image] == COMPRESSED else "image"
        chosen = {self.image: image, "camera_info": _info_of(image)}
        if depth:
            chosen |= {"depth": depth, "depth/camera_info": _info_of(depth)}
        self.topics = {
            name: Topic(topic, recorded[topic])
            for name, topic in chosen.items()
            if topic in recorded
        }

    def records(self) -> Iterator[Record]:
        """The messages in the order of their recording."""
        names = {topic.recorded: name for name, topic in self.topics.items()}
        wanted = [item for item in self._reader.connections if item.topic in names]
        for connection, time, data in self._reader.messages(connections=wanted):
            yield Record(names[connection.topic], time, bytes(data))

    def close(self) -> None:
        """Gives the files back."""
        self._reader.close()


def _open(path: str) -> Any:
    """A reader of rosbags, open."""
    try:
        from rosbags.rosbag2 import Reader, ReaderError
    except ImportError as error:
        text = f"path: {path}; bags are read by rosbags: pip install rosbags"
        raise BagError(text) from error
    place = Path(path).expanduser()
    if not path or not place.exists():
        text = "expected a folder with metadata.yaml, or a file .mcap"
        raise BagError(f"path: {path!r}; {text}, found nothing")
    try:
        reader = Reader(place)
        reader.open()
    except (OSError, ValueError, ReaderError) as error:
        raise BagError(f"path: {place}; expected a rosbag2 ({error})") from error
    return reader


def _only(recorded: Mapping[str, str], kinds: tuple[str, ...], is_depth: bool) -> str:
    """The one topic of these types that is called depth, or is not; "" when there is no one."""
    found = [
        name for name, kind in recorded.items() if kind in kinds and ("depth" in name) == is_depth
    ]
    return found[0] if len(found) == 1 else ""


def _check(recorded: Mapping[str, str], name: str, topic: str, kinds: tuple[str, ...]) -> None:
    if recorded.get(topic) not in kinds:
        known = sorted(item for item, kind in recorded.items() if kind in kinds)
        expected = f"one of {', '.join(known)}" if known else "a bag with images"
        raise BagError(f"{name}: {topic!r}; expected {expected}")


def _info_of(image: str) -> str:
    """The topic of the calibration that belongs to an image's, by ROS's convention."""
    return f"{image.removesuffix('/compressed').rpartition('/')[0]}/camera_info"
