"""Clicks from RViz, rqt_image_view, Foxglove and the like, on their way to prompts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from geometry_msgs.msg import Point, PointStamped
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode

from sam_ros.engine.prompt import BACKGROUND, FOREGROUND
from sam_ros.msg import Prompt
from sam_ros.nodes.camera import CameraSource
from sam_ros.nodes.endpoints import QUEUED, subscribe
from sam_ros.nodes.frames import Frame, Frames, nanoseconds
from sam_ros.nodes.prompts import from_point
from sam_ros.nodes.requests import Request
from sam_ros.nodes.status import Refused, invalid
from sam_ros.nodes.transforms import TransformMissing, Transforms

PATIENCE = 0.5  # seconds to wait for a transform that may still come
RETRY = 0.02  # seconds between two looks


@dataclass(frozen=True, eq=False)
class Click3D:
    """A point in space that somebody clicked on.

    Attributes:
        msg: where, in which frame.
        frame: the picture that it is looked for in.
        deadline: monotonic time until which its transform may come [s].
    """

    msg: PointStamped
    frame: Frame
    deadline: float

    def __str__(self) -> str:
        point = self.msg.point
        return f"({point.x:.3f}, {point.y:.3f}, {point.z:.3f}) in {self.msg.header.frame_id!r}"


class Clicks:
    """The subscriptions to clicks, from their creation to ``destroy``.

    A foreground click makes an object; a background click refines the newest one.

    Args:
        node: subscribes.
        frames: the pictures that arrived.
        shown: gives the picture of the newest ~/overlay, None before the first.
        calibration: of the camera.
        transforms: from the frame of a 3-D click to the camera.
        on_requests: gets each click as a prompt.
        on_refused: gets what cannot be answered.
    """

    def __init__(
        self,
        node: LifecycleNode,
        frames: Frames,
        shown: Callable[[], Frame | None],
        calibration: CameraSource,
        transforms: Transforms,
        on_requests: Callable[[Sequence[Request]], None],
        on_refused: Callable[[Refused], None],
    ) -> None:
        self._node, self._frames, self._shown = node, frames, shown
        self._calibration, self._transforms = calibration, transforms
        self._on_requests, self._on_refused = on_requests, on_refused
        self._waiting: list[Click3D] = []
        group = MutuallyExclusiveCallbackGroup()
        callbacks = {
            "~/point": (PointStamped, partial(self._pixel, FOREGROUND, False)),
            "~/background_point": (PointStamped, partial(self._pixel, BACKGROUND, False)),
            "~/normalized_point": (PointStamped, partial(self._pixel, FOREGROUND, True)),
            "image_mouse_left": (Point, partial(self._mouse, FOREGROUND)),
            "image_mouse_right": (Point, partial(self._mouse, BACKGROUND)),
            "~/overlay_mouse_left": (Point, partial(self._overlay_mouse, FOREGROUND)),
            "~/overlay_mouse_right": (Point, partial(self._overlay_mouse, BACKGROUND)),
            "/clicked_point": (PointStamped, self._clicked_point),
        }
        self._subscriptions = [
            subscribe(node, kind, topic, callback, QUEUED, group)
            for topic, (kind, callback) in callbacks.items()
        ]
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self._retry = node.create_timer(RETRY, self._try_again, callback_group=group, clock=steady)
        self._retry.cancel()

    def destroy(self) -> None:
        """Ends the subscriptions and forgets the clicks that wait."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._node.destroy_timer(self._retry)
        self._subscriptions, self._waiting = [], []

    def _pixel(self, label: int, normalized: bool, msg: PointStamped) -> None:
        """A click on the picture of its stamp."""
        self._ask(msg, label, normalized=normalized)

    def _mouse(self, label: int, msg: Point) -> None:
        """A click that does not say on which picture: the viewer shows the latest one."""
        self._ask(PointStamped(point=msg), label)

    def _overlay_mouse(self, label: int, msg: Point) -> None:
        """A click on ~/overlay, which may be older than the latest picture."""
        frame = self._shown()
        if frame is None:
            self._on_refused(invalid("~/overlay_mouse: no ~/overlay has been published yet"))
        else:
            self._ask(PointStamped(header=frame.header, point=msg), label, frame)

    def _clicked_point(self, msg: PointStamped) -> None:
        """A click in space: on the picture of exactly its stamp, else on the latest."""
        stamp = nanoseconds(msg.header.stamp)
        try:
            frame = self._frames.get(stamp) or self._frames.find(0)
        except Refused as refused:
            self._on_refused(refused)
        else:
            self._answer(Click3D(msg, frame, time.monotonic() + PATIENCE))

    def _try_again(self) -> None:
        self._retry.cancel()
        waiting, self._waiting = self._waiting, []
        for click in waiting:
            self._answer(click)

    def _answer(self, click: Click3D) -> None:
        """Hands a 3-D click over as a pixel, keeps it for later, or says what is wrong."""
        try:
            pixel = self._project(click)
        except TransformMissing as missing:
            if time.monotonic() < click.deadline:
                self._waiting.append(click)
                self._retry.reset()
            else:
                self._on_refused(invalid(f"/clicked_point {click}: {missing}"))
        except ValueError as error:
            self._on_refused(invalid(f"/clicked_point {click}: {error}"))
        else:
            place = PointStamped(header=click.frame.header, point=pixel)
            self._ask(place, FOREGROUND, click.frame)

    def _project(self, click: Click3D) -> Point:
        """The pixel of a 3-D click in its picture.

        Raises:
            TransformMissing: TF does not know where it was (yet).
            ValueError: there is no calibration, or the camera does not see the point; says where
                it fell.
        """
        header = click.frame.header
        camera = self._calibration.camera(click.frame.size)
        source, target = click.msg.header.frame_id, header.frame_id
        if not source:
            raise ValueError("header.frame_id: empty; expected the frame of the point")
        turn = self._transforms.between(target, source, header.stamp)
        point = click.msg.point
        seen = turn @ np.array((point.x, point.y, point.z, 1.0))
        pixels, visible = camera.project(seen[None, :3])
        if seen[2] <= 0:
            raise ValueError(f"lies {-seen[2]:.3f} m behind the camera {target!r}")
        if not visible[0]:
            raise ValueError(f"lies beyond what the lens of the camera {target!r} shows")
        x, y = (float(value) for value in pixels[0])
        if not camera.contains(pixels)[0]:
            raise ValueError(
                f"falls on pixel ({x:.1f}, {y:.1f}), outside of the picture of "
                f"{camera.width} x {camera.height} px"
            )
        return Point(x=x, y=y)

    def _ask(
        self, msg: PointStamped, label: int, frame: Frame | None = None, normalized: bool = False
    ) -> None:
        prompt = from_point(msg, label)
        prompt.normalized = normalized
        prompt.operation = Prompt.REPLACE if label == FOREGROUND else Prompt.REFINE
        self._on_requests([Request(prompt, frame=frame)])
