"""Prompts from numbers: tuples and numpy arrays to sam_ros/Prompt."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from sam_ros.engine.prompt import FOREGROUND
from sam_ros.engine.prompt import Prompt as EnginePrompt
from sam_ros.msg import Prompt
from sam_ros.nodes.prompts import to_message


def prompt(
    points: npt.ArrayLike = (),
    labels: npt.ArrayLike | None = None,
    box: npt.ArrayLike | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
    text: str = "",
    *,
    object_id: str = "",
    label: str = "",
    stamp: Time | None = None,
    persistence: int = Prompt.ONCE,
    refine: bool = False,
    normalized: bool = False,
) -> Prompt:
    """One object to segment, by any mix of points, a box, a mask and words.

    Args:
        points: (N, 2) x and y; pixel centres at integers.
        labels: (N,) 1 on the object, 0 beside it; None: all on it.
        box: (4,) x0, y0, x1, y1.
        mask: (H, W) a rough mask in the size of the picture, not 0 on the object.
        text: what to look for, such as "red mug".
        object_id: name of the object; "": the node names it.
        label: class name, carried to the outputs.
        stamp: of the picture that is meant; None: the latest.
        persistence: ``Prompt.ONCE``, ``STICKY`` or ``TRACK``; for ``SamClient.set_prompts``.
        refine: add the points to those that the object has.
        normalized: points and box are fractions of the picture's width and height.

    Raises:
        ValueError: an array of another shape; names it, its shape and what was expected. All
            else is for the node to judge, which knows the picture.
    """
    places = _array("points", points, (-1, 2)) if np.size(points) else np.zeros((0, 2), np.float32)
    signs = np.full(len(places), FOREGROUND) if labels is None else np.asarray(labels)
    if signs.shape != (len(places),):
        raise ValueError(f"labels: shape {signs.shape}; expected ({len(places)},), one per point")
    made = EnginePrompt(
        points=places,
        labels=signs.astype(np.int32),
        box=None if box is None else _array("box", box, (4,)),
        mask=None if mask is None else _mask(mask),
    )
    msg = to_message(made, Header(stamp=stamp or Time()))
    msg.object_id, msg.label, msg.text = object_id, label, text
    msg.persistence, msg.normalized = persistence, normalized
    msg.operation = Prompt.REFINE if refine else Prompt.REPLACE
    return msg


def _array(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    array = np.asarray(values, np.float32)
    if array.ndim != len(shape) or array.shape[-1] != shape[-1]:
        expected = str(shape).replace("-1", "N")
        raise ValueError(f"{name}: shape {array.shape}; expected {expected}")
    return array


def _mask(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    if np.ndim(mask) != 2:
        raise ValueError(f"mask: shape {np.shape(mask)}; expected (H, W)")
    return np.asarray(mask, np.bool_)
