"""The networks of Segment Anything, named as in the paper, and the loading of their weights."""

from sam_ros.model.build import build_sam, model_names
from sam_ros.model.checkpoint import CheckpointError
from sam_ros.model.sam import Sam

__all__ = ["CheckpointError", "Sam", "build_sam", "model_names"]
