"""The node ``sam`` from your own Python node: prompts in, numpy masks out.

::

    from sam_ros.client import SamClient, prompt

    sam = SamClient(node)  # any rclpy node of yours
    scene = sam.segment([prompt(points=[(320, 240)])])
    mask = scene.instances[0].mask  # (H, W) bool
"""

from sam_ros.client.client import SamClient
from sam_ros.client.errors import (
    Inactive,
    InternalError,
    InvalidRequest,
    ModelUnavailable,
    NoAnswer,
    NoImage,
    SamError,
    StampNotCached,
    TextUnavailable,
)
from sam_ros.client.prompt import prompt
from sam_ros.client.scene import Hypothesis, Instance, Scene, to_scene

__all__ = [
    "Hypothesis",
    "Inactive",
    "Instance",
    "InternalError",
    "InvalidRequest",
    "ModelUnavailable",
    "NoAnswer",
    "NoImage",
    "SamClient",
    "SamError",
    "Scene",
    "StampNotCached",
    "TextUnavailable",
    "prompt",
    "to_scene",
]
