"""sam_ros/Prompt messages to the engine's prompts, and other people's messages to Prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import Image
from vision_msgs.msg import BoundingBox2D, Detection2D, Point2D

from sam_ros.engine.prompt import FOREGROUND
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Prompt
from sam_ros.nodes.images import decode_mask

Size = tuple[int, int]


def to_prompt(msg: Prompt, size: Size) -> EnginePrompt:
    """Reads the points, the box and the mask of a message.

    Normalised coordinates run over the outer edges of the picture: x px = x * W - 0.5.

    Args:
        msg: text, persistence, operation and stamps are the caller's affair.
        size: (H, W) of the image the prompt was made on.

    Returns:
        A prompt that has passed the engine's validation.

    Raises:
        ValueError: names the field, its value and what was expected.
    """
    if len(msg.points) != len(msg.point_labels):
        raise ValueError(
            f"point_labels: {len(msg.point_labels)} labels; expected {len(msg.points)}, one per point"
        )
    prompt = EnginePrompt(
        points=_points(msg.points, size, msg.normalized),
        labels=np.array(msg.point_labels, np.int32),
        box=_box(msg.box[0], size, msg.normalized) if msg.box else None,
        mask=decode_mask(msg.mask[0]) if msg.mask else None,
    )
    prompt.validate(size)
    return prompt


def from_point(msg: PointStamped) -> Prompt:
    """A click in pixels; z is not looked at."""
    return Prompt(
        header=msg.header,
        points=[Point2D(x=msg.point.x, y=msg.point.y)],
        point_labels=[FOREGROUND],
    )


def from_box(msg: Detection2D) -> Prompt:
    """A detector's box: its id names the object and its most certain class the label."""
    best = max(msg.results, key=lambda item: item.hypothesis.score, default=None)
    label = best.hypothesis.class_id if best else ""
    return Prompt(header=msg.header, object_id=msg.id, label=label, box=[msg.bbox])


def from_mask(msg: Image) -> Prompt:
    """A rough mask from another node, as the mask prompt."""
    return Prompt(header=msg.header, mask=[msg])


def _points(points: Sequence[Point2D], size: Size, normalized: bool) -> npt.NDArray[np.float32]:
    """(N, 2) pixels; normalised points of the very edge are moved onto the outermost pixels."""
    values = np.array([(point.x, point.y) for point in points], np.float64).reshape(-1, 2)
    if normalized:
        _check_unit("points", values)
        values = np.clip(_to_pixels(values, size), 0, _width_height(size) - 1)
    return values.astype(np.float32)


def _box(msg: BoundingBox2D, size: Size, normalized: bool) -> npt.NDArray[np.float32]:
    """(4,) x0, y0, x1, y1 in pixels; a rotated box gives the upright one around it."""
    for field, value in (("size_x", msg.size_x), ("size_y", msg.size_y)):
        if not value > 0:  # NaN is wrong as well
            raise ValueError(f"box.{field}: {value:g}; expected greater than 0")
    centre = np.array((msg.center.position.x, msg.center.position.y))
    half = np.array((msg.size_x, msg.size_y)) / 2
    if normalized:
        _check_unit("box", np.stack((centre - half, centre + half)))
        centre, half = _to_pixels(centre, size), half * _width_height(size)
    if msg.center.theta:
        half = _upright(half, msg.center.theta)
    return np.concatenate((centre - half, centre + half)).astype(np.float32)


def _upright(half: npt.NDArray[np.float64], theta: float) -> npt.NDArray[np.float64]:
    cos, sin = abs(np.cos(theta)), abs(np.sin(theta))
    return np.array((half[0] * cos + half[1] * sin, half[0] * sin + half[1] * cos))


def _check_unit(field: str, values: npt.NDArray[np.float64]) -> None:
    wrong = ~((values >= -1e-9) & (values <= 1 + 1e-9))  # NaN is wrong as well
    if wrong.any():
        raise ValueError(f"{field}: {values[wrong][0]:g}; expected 0..1 (normalized is set)")


def _to_pixels(values: npt.NDArray[np.float64], size: Size) -> npt.NDArray[np.float64]:
    return values * _width_height(size) - 0.5


def _width_height(size: Size) -> npt.NDArray[np.float64]:
    return np.array((size[1], size[0]), np.float64)
