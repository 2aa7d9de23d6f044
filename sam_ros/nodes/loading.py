"""The model from the disk to the device, and off it again."""

from __future__ import annotations

import contextlib
import importlib
import time
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import cv2
from rclpy.logging import get_logger

from sam_ros.models import cache
from sam_ros.msg import Status
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.status import Refused

if TYPE_CHECKING:
    from sam_ros.engine.segmenter import Segmenter

EMBEDDED = "sam_tiny"
WARM_UP_SIZE = (480, 640)  # rows and columns

# The segmenters in use and what they were made from; all nodes of a process load in one thread.
_loaded: WeakKeyDictionary[Segmenter, tuple[object, ...]] = WeakKeyDictionary()


def import_libraries() -> None:
    """Imports torch and what needs it, which takes seconds; for the worker's thread.

    Done while the node is still unconfigured, so that configure takes the model's own time, and
    cleanup brings the memory back to where it was.
    """
    with contextlib.suppress(ImportError):  # configure will say what is missing
        importlib.import_module("sam_ros.engine.segmenter")


def load_segmenter(parameters: Parameters) -> Segmenter:
    """Loads the model onto its device and runs it once, so that the first frame is not slow.

    The nodes of one process share weights and recordings; each has its own thresholds.

    Raises:
        Refused: MODEL_UNAVAILABLE, with what to do about it.
    """
    checkpoint = _checkpoint(parameters)
    import torch  # see import_libraries

    cv2.setNumThreads(1)  # its threads win nothing on masks and cost CPU time
    device = _device(parameters.device, torch.cuda.is_available())
    key = (parameters.model, checkpoint, device, parameters.dtype, parameters.compile)
    alike = [other for other, made_from in _loaded.items() if made_from == key]
    try:
        first = alike[0] if alike else _load(parameters, checkpoint, device)
    except (ValueError, OSError) as error:
        raise _unavailable(f"{parameters.model}: {error}") from error
    segmenter = first.twin(parameters.engine_config())
    _loaded[segmenter] = key
    _warm_up(segmenter, len(alike) + 1)
    return segmenter


def _load(parameters: Parameters, checkpoint: Path | None, device: str) -> Segmenter:
    from sam_ros.engine.encoder import make_encoder
    from sam_ros.engine.segmenter import Segmenter
    from sam_ros.model import build_sam

    sam = build_sam(parameters.model, checkpoint)
    encoder = make_encoder(sam, parameters.dtype, parameters.compile, device)
    return Segmenter(encoder.sam, encoder=encoder)


def _checkpoint(parameters: Parameters) -> Path | None:
    if not parameters.checkpoint:
        return None if parameters.model == EMBEDDED else _fetched(parameters.model)
    path = Path(parameters.checkpoint).expanduser()
    if not path.is_file():
        raise _unavailable(f"checkpoint: {path} is not a file")
    return path


def _fetched(model: str) -> Path:
    """The checkpoint that the command `models` has fetched; the node never downloads."""
    path = cache.find(model)
    if path is None:
        raise _unavailable(
            f"checkpoint: empty, and {model} is not in {cache.folder()}; fetch it once: "
            f"ros2 run sam_ros models fetch {model} "
            f"(without ros2: python -m sam_ros.models fetch {model}), or name a file"
        )
    return path


def _device(wanted: str, has_cuda: bool) -> str:
    if wanted == "cuda" and not has_cuda:
        raise _unavailable("device: cuda, but torch sees no CUDA device; expected auto or cpu")
    return "cuda" if has_cuda and wanted != "cpu" else "cpu"


def _unavailable(message: str) -> Refused:
    return Refused(Status.MODEL_UNAVAILABLE, message)


def _warm_up(segmenter: Segmenter, cameras: int) -> None:
    """Runs everything once, and says how far it is: recording and compiling take long."""
    from sam_ros.engine.warm_up import warm_up

    began = time.monotonic()
    for done in warm_up(segmenter, WARM_UP_SIZE, cameras):
        get_logger("sam").info(f"warming up, {time.monotonic() - began:.1f} s: {done}")
