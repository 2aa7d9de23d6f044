"""The last pictures of the camera, found again by their stamp."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam_ros.msg import Status
from sam_ros.nodes.images import ImageError, Picture, decode
from sam_ros.nodes.status import Refused, invalid


@dataclass(eq=False)
class Frame:
    """One picture as it arrived.

    Attributes:
        image: the message; read-only from here on.
        received: monotonic time of its arrival [s].
        serial: its own number; a camera may send a stamp twice, or none at all.
    """

    image: Image | CompressedImage
    received: float = field(default_factory=time.monotonic)
    serial: int = field(default_factory=count(1).__next__)

    @property
    def header(self) -> Header:
        """The header that every output made from this picture carries."""
        return self.image.header

    @property
    def stamp(self) -> int:
        """The stamp in nanoseconds."""
        return nanoseconds(self.header.stamp)

    @cached_property
    def rgb(self) -> Picture:
        """(H, W, 3) uint8 RGB, decoded when first asked for; may raise ImageError."""
        return decode(self.image)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels; may raise ImageError."""
        height, width = self.rgb.shape[:2]
        return height, width


class Frames:
    """The newest frames, by stamp. Filled by the subscription, read by the worker.

    Args:
        capacity: frames kept; the oldest leaves first.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._frames: OrderedDict[int, Frame] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, frame: Frame) -> None:
        """Keeps the frame as the latest one; of two with one stamp the newer stays."""
        with self._lock:
            self._frames.pop(frame.stamp, None)
            self._frames[frame.stamp] = frame
            while len(self._frames) > self.capacity:
                self._frames.popitem(last=False)

    def __contains__(self, frame: Frame) -> bool:
        with self._lock:
            return self._frames.get(frame.stamp) is frame

    def readable(self, frame: Frame) -> Frame:
        """The frame, decoded by now; one that cannot be is forgotten.

        Raises:
            Refused: what is wrong with its picture.
        """
        try:
            _ = frame.size
        except ImageError as error:
            with self._lock:
                if self._frames.get(frame.stamp) is frame:
                    del self._frames[frame.stamp]
            raise invalid(str(error)) from None
        return frame

    def clear(self) -> None:
        """Forgets all frames."""
        with self._lock:
            self._frames.clear()

    def reached(self, stamp: int) -> bool:
        """True once a frame of this stamp or a newer one has come, so that waiting is in vain."""
        with self._lock:
            return any(key >= stamp for key in list(self._frames)[-1:])

    def get(self, stamp: int) -> Frame | None:
        """The frame of exactly this stamp in nanoseconds; None without one, and for 0."""
        with self._lock:
            return self._frames.get(stamp) if stamp else None

    def find(self, stamp: int) -> Frame:
        """The frame of a stamp in nanoseconds, 0 for the latest.

        Raises:
            Refused: NO_IMAGE or STAMP_NOT_CACHED.
        """
        with self._lock:
            if not self._frames:
                raise Refused(Status.NO_IMAGE, "no image has arrived yet")
            if stamp == 0:
                return next(reversed(self._frames.values()))
            if stamp in self._frames:
                return self._frames[stamp]
            oldest, newest = next(iter(self._frames)), next(reversed(self._frames))
        raise Refused(
            Status.STAMP_NOT_CACHED,
            f"header.stamp: {seconds(stamp)}; expected the stamp of one of the last "
            f"{self.capacity} images, {seconds(oldest)} to {seconds(newest)}",
        )

    def near(self, stamp: int, slop: float) -> Frame:
        """The frame whose stamp is nearest, at most ``slop`` seconds away; the latest for 0.

        Raises:
            Refused: NO_IMAGE or STAMP_NOT_CACHED.
        """
        with self._lock:
            nearest = min(self._frames, key=lambda key: abs(key - stamp), default=stamp)
        if stamp and abs(nearest - stamp) <= slop * 1e9:
            return self.find(nearest)
        return self.find(stamp)


def nanoseconds(stamp: Time) -> int:
    """A stamp as one number."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def seconds(stamp: int) -> str:
    """Nanoseconds as a person reads them, without rounding."""
    return f"{stamp // 1_000_000_000}.{stamp % 1_000_000_000:09d}"
