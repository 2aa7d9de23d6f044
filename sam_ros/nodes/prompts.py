"""sam_ros/Prompt messages to the engine's prompts, and other people's messages to Prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox2D, Detection2D, ObjectHypothesis, Point2D

from sam_ros.engine.boxes import centre_and_size
from sam_ros.engine.prompt import BACKGROUND, FOREGROUND
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Prompt
from sam_ros.nodes.images import decode_mask, to_image

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
    _check_labels(msg)
    prompt = EnginePrompt(
        points=_points(msg.points, size, msg.normalized),
        labels=np.array(msg.point_labels, np.int32),
        box=_box(msg.box[0], size, msg.normalized) if msg.box else None,
        mask=decode_mask(msg.mask[0]) if msg.mask else None,
    )
    prompt.validate(size)
    return prompt


def to_message(prompt: EnginePrompt, header: Header) -> Prompt:
    """The way back: pixels of the picture that ``header`` names."""
    msg = Prompt(header=header)
    msg.points = [Point2D(x=float(x), y=float(y)) for x, y in prompt.points]
    msg.point_labels = [int(label) for label in prompt.labels]
    if prompt.box is not None:
        msg.box = [to_box(prompt.box)]
    if prompt.mask is not None:
        msg.mask = [to_image(prompt.mask * np.uint8(255), "mono8", header)]
    return msg


def to_box(box: npt.NDArray[np.float32]) -> BoundingBox2D:
    """Edges x0, y0, x1, y1 as centre and size."""
    x, y, width, height = centre_and_size(box)
    msg = BoundingBox2D(size_x=width, size_y=height)
    msg.center.position.x, msg.center.position.y = x, y
    return msg


def from_point(msg: PointStamped, label: int = FOREGROUND) -> Prompt:
    """A click in pixels, on the object or on its background; z is not looked at."""
    return Prompt(
        header=msg.header,
        points=[Point2D(x=msg.point.x, y=msg.point.y)],
        point_labels=[label],
    )


def from_box(msg: Detection2D) -> Prompt:
    """A detector's box: its id names the object and its most certain class the label.

    A rotated box gives the upright one around it.
    """
    best = _best(msg)
    label = best.class_id if best else ""
    return Prompt(header=msg.header, object_id=msg.id, label=label, box=[_upright(msg.bbox)])


def label_score(msg: Detection2D) -> float:
    """How certain the detector is of the label that ``from_box`` takes, 0 when it names none."""
    best = _best(msg)
    return float(best.score) if best else 0.0


def from_mask(msg: Image) -> Prompt:
    """A rough mask from another node, as the mask prompt."""
    return Prompt(header=msg.header, mask=[msg])


def _check_labels(msg: Prompt) -> None:
    if len(msg.points) != len(msg.point_labels):
        raise ValueError(
            f"point_labels: {len(msg.point_labels)} labels; "
            f"expected {len(msg.points)}, one per point"
        )
    for index, label in enumerate(msg.point_labels):
        if label not in (FOREGROUND, BACKGROUND):
            raise ValueError(
                f"point_labels[{index}]: {label}; expected 1 (foreground) or 0 (background)"
            )


def _points(points: Sequence[Point2D], size: Size, normalized: bool) -> npt.NDArray[np.float32]:
    """(N, 2) pixels."""
    values = np.array([(point.x, point.y) for point in points], np.float64).reshape(-1, 2)
    if normalized:
        _check_unit("points", values)
        values = _to_pixels(np.clip(values, 0, 1), size)
    return values.astype(np.float32)


def _box(msg: BoundingBox2D, size: Size, normalized: bool) -> npt.NDArray[np.float32]:
    """(4,) x0, y0, x1, y1 in pixels."""
    if msg.center.theta:
        raise ValueError(f"box.center.theta: {msg.center.theta:g}; expected 0 (an upright box)")
    for field, value in (("size_x", msg.size_x), ("size_y", msg.size_y)):
        if not value > 0:  # NaN is wrong as well
            raise ValueError(f"box.{field}: {value:g}; expected greater than 0")
    centre = np.array((msg.center.position.x, msg.center.position.y))
    half = np.array((msg.size_x, msg.size_y)) / 2
    if normalized:
        _check_unit("box", np.stack((centre - half, centre + half)))
        centre, half = _to_pixels(centre, size), half * _width_height(size)
    return np.concatenate((centre - half, centre + half)).astype(np.float32)


def _best(msg: Detection2D) -> ObjectHypothesis | None:
    kinds = [result.hypothesis for result in msg.results]
    return max(kinds, key=lambda kind: kind.score, default=None)


def _upright(msg: BoundingBox2D) -> BoundingBox2D:
    theta = msg.center.theta
    if not theta:
        return msg
    cos, sin = abs(np.cos(theta)), abs(np.sin(theta))
    box = BoundingBox2D(size_x=msg.size_x * cos + msg.size_y * sin)
    box.size_y = msg.size_x * sin + msg.size_y * cos
    box.center.position = msg.center.position
    return box


def _check_unit(field: str, values: npt.NDArray[np.float64]) -> None:
    wrong = ~((values >= -1e-6) & (values <= 1 + 1e-6))  # NaN is wrong as well
    if wrong.any():
        raise ValueError(f"{field}: {values[wrong][0]:g}; expected 0..1 (normalized is set)")


def _to_pixels(values: npt.NDArray[np.float64], size: Size) -> npt.NDArray[np.float64]:
    return values * _width_height(size) - 0.5


def _width_height(size: Size) -> npt.NDArray[np.float64]:
    return np.array((size[1], size[0]), np.float64)
