"""Loading weights: strictly, without a second copy, and without running what a file contains."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

_SHOWN = 3
_COUNTER = "num_batches_tracked"  # BatchNorm's: training's own, and old files lack it


class CheckpointError(ValueError):
    """A file of weights that cannot be used; the message names the file and the reason."""


def load_checkpoint(
    module: nn.Module,
    path: str | Path,
    name: str | None = None,
    known: Mapping[str, Callable[[], nn.Module]] | None = None,
) -> None:
    """Assign the tensors of a file to a module, which may have been built on the meta device.

    The module keeps its own dtypes: half-precision weights are converted as they are loaded. The
    weights end on the CPU; move the module afterwards.

    Args:
        module: takes every tensor of the file, and no other.
        path: ``.safetensors``, or else a file written by ``torch.save``.
        name: what errors call the module.
        known: builders of the models that a file of another model is compared with.

    Raises:
        CheckpointError: no such file, damaged, holds other objects than tensors, or the tensors
            of another model.
    """
    path = Path(path)
    state = read_checkpoint(path)
    own = module.state_dict()
    differences = _differences(own, state)
    if differences:
        other = _owner(state, known or {})
        holds = f", it holds the weights of {other}" if other else ""
        reason = "; ".join(differences)
        raise CheckpointError(f"{path} does not fit {name or 'the model'}{holds}: {reason}")
    converted = {key: tensor.to(own[key].dtype) for key, tensor in state.items()}
    module.load_state_dict(converted, strict=True, assign=True)


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read a file of named tensors onto the CPU, memory-mapped where its format allows it.

    Raises:
        CheckpointError: as :func:`load_checkpoint`.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    read = load_file if path.suffix == ".safetensors" else _read_pickle
    try:
        content: object = read(path)
    except Exception as error:  # anything may surface from the bytes of a foreign file
        raise CheckpointError(f"{path}: {_reason(error)}") from error
    return _named_tensors(content, path)


def _read_pickle(path: Path) -> object:
    # Files of the format before zip cannot be mapped. A truncated zip is not one any more.
    mapped = zipfile.is_zipfile(path)
    content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    return content


def _reason(error: Exception) -> str:
    """Say what went wrong, without torch's advice to load the file unsafely."""
    if isinstance(error, pickle.UnpicklingError):
        found = re.search(r"GLOBAL (\S+)", str(error))
        if found:
            return f"refused: it would run {found[1]}, expected tensors only"
    if isinstance(error, OSError):
        return str(error)
    return "damaged, or no file of weights"


def _named_tensors(content: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        kind = type(content).__name__
        raise CheckpointError(f"{path}: holds a {kind}, expected a mapping of names to tensors")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            kind = type(value).__name__
            raise CheckpointError(f"{path}: entry {key!r} is a {kind}, expected a tensor")
    return dict(content)


def _differences(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """What keeps a state from filling a module; empty when it fits."""
    found = {
        "missing": [k for k in own if k not in state and not k.endswith(_COUNTER)],
        "unexpected": [key for key in state if key not in own],
        "different": [
            f"{key} is {_form(state[key])}, expected {_form(tensor)}"
            for key, tensor in own.items()
            if key in state and _form(state[key]) != _form(tensor)
        ],
    }
    return [f"{len(v)} {kind} ({_first(v)})" for kind, v in found.items() if v]


def _form(tensor: Tensor) -> str:
    """Shape, and whether the numbers are real: float16 fills float32, int8 does not."""
    kind = "float" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
    return f"{kind} {tuple(tensor.shape)}"


def _first(items: list[str]) -> str:
    return ", ".join([*items[:_SHOWN], *["..."] * (len(items) > _SHOWN)])


def _owner(
    state: Mapping[str, Tensor], known: Mapping[str, Callable[[], nn.Module]]
) -> str | None:
    for name, build in known.items():
        with torch.device("meta"):
            own = build().state_dict()
        if not _differences(own, state):
            return name
    return None
