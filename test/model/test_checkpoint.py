"""Loading weights: what fits is loaded, and what does not is refused in plain words."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sam_ros.model import CheckpointError
from sam_ros.model.checkpoint import load_checkpoint

State = dict[str, Tensor]


def _net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Linear(4, 5))


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    return _net().state_dict()


def _save_legacy(state: State, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


SAVERS: dict[str, tuple[str, Callable[[State, Path], None]]] = {
    "zip": ("w.pth", torch.save),
    "before zip": ("w.pt", _save_legacy),
    "safetensors": ("w.safetensors", save_file),
}


@pytest.mark.parametrize(("name", "save"), SAVERS.values(), ids=SAVERS)
@pytest.mark.parametrize("meta", [True, False], ids=["meta", "cpu"])
def test_formats(
    state: State, tmp_path: Path, name: str, save: Callable[[State, Path], None], meta: bool
) -> None:
    """Every format fills a module, and a module without memory becomes a real one."""
    save(state, tmp_path / name)
    with torch.device("meta" if meta else "cpu"):
        module = _net()
    load_checkpoint(module, tmp_path / name)
    assert module.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[key]) for key, tensor in module.state_dict().items())
    assert all(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(state: State, tmp_path: Path, dtype: torch.dtype) -> None:
    """Weights that are stored in half precision are computed with in single precision."""
    stored = {k: t.to(dtype) if t.is_floating_point() else t for k, t in state.items()}
    save_file(stored, tmp_path / "w.safetensors")
    module = _net()
    load_checkpoint(module, tmp_path / "w.safetensors")
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert torch.equal(module[0].weight, stored["0.weight"].float())


def test_batch_counter_may_be_missing(state: State, tmp_path: Path) -> None:
    """The counter of BatchNorm, which old files lack, means nothing here."""
    del state["1.num_batches_tracked"]
    torch.save(state, tmp_path / "w.pth")
    with torch.device("meta"):
        module = _net()
    load_checkpoint(module, tmp_path / "w.pth")
    assert not any(tensor.is_meta for tensor in module.state_dict().values())


def _without_two(state: State) -> State:
    return {key: tensor for key, tensor in state.items() if not key.startswith("2.")}


MISFITS: dict[str, tuple[Callable[[State], State], str]] = {
    "missing": (_without_two, r"2 missing \(2.weight, 2.bias\)"),
    "unexpected": (
        lambda s: {**s, **{f"extra.{i}": torch.ones(1) for i in range(5)}},
        r"5 unexpected \(extra.0, extra.1, extra.2, ...\)",
    ),
    "shape": (
        lambda s: {**s, "2.weight": torch.ones(5, 9)},
        r"1 different \(2.weight is float \(5, 9\), expected float \(5, 4\)\)",
    ),
    "quantised": (
        lambda s: {**s, "2.bias": torch.ones(5, dtype=torch.int8)},
        r"1 different \(2.bias is int8 \(5,\), expected float \(5,\)\)",
    ),
}


@pytest.mark.parametrize(("change", "reason"), MISFITS.values(), ids=MISFITS)
def test_weights_that_do_not_fit(
    state: State, tmp_path: Path, change: Callable[[State], State], reason: str
) -> None:
    """The error names the file, the first keys and both shapes, and nothing is loaded."""
    path = tmp_path / "w.pth"
    torch.save(change(state), path)
    module = nn.Sequential(*_net())
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_checkpoint(module, path, "my net")
    assert f"{path} does not fit my net" in str(caught.value)
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())


class Payload:
    """Runs a command while it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before zip"])
def test_malicious_pickle_runs_nothing(state: State, tmp_path: Path, zipped: bool) -> None:
    """A file with code in it is refused by name of what it would run, and the code is not run."""
    path, trace = tmp_path / "w.pth", tmp_path / "trace"
    content = {**state, "payload": Payload(f"touch {trace}")}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"refused: it would run posix\.system") as caught:
        load_checkpoint(_net(), path)
    assert str(path) in str(caught.value)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # the trap is real
    assert trace.exists()


@pytest.mark.parametrize(("name", "save"), SAVERS.values(), ids=SAVERS)
@pytest.mark.parametrize("kept", [0.0, 0.2, 0.6, 0.99])
def test_truncated_file(
    state: State, tmp_path: Path, name: str, save: Callable[[State, Path], None], kept: float
) -> None:
    """A file that ends early is refused at whatever place it ends."""
    path = tmp_path / name
    save(state, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(CheckpointError, match=f"{re.escape(str(path))}: damaged"):
        load_checkpoint(_net(), path)


FOREIGN: dict[str, tuple[object, str]] = {
    "list": ([torch.ones(2)], "holds a list, expected a mapping of names to tensors"),
    "nested": ({"model": {"0.weight": torch.ones(2)}}, "entry 'model' is a dict"),
    "number": ({"0.weight": 3}, "entry '0.weight' is a int, expected a tensor"),
}


@pytest.mark.parametrize(("content", "reason"), FOREIGN.values(), ids=FOREIGN)
def test_other_contents(tmp_path: Path, content: object, reason: str) -> None:
    """A file of other things than named tensors is refused by what it holds."""
    path = tmp_path / "w.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(_net(), path)


@pytest.mark.parametrize("name", ["notes.txt", "w.pth", "w.safetensors"])
def test_text_is_no_checkpoint(tmp_path: Path, name: str) -> None:
    """A file of text, such as the page of a failed download, is refused."""
    path = tmp_path / name
    path.write_text("<html>404 not found</html>")
    with pytest.raises(CheckpointError, match=f"{re.escape(str(path))}: damaged"):
        load_checkpoint(_net(), path)


def test_no_such_file(tmp_path: Path) -> None:
    """A missing file and a folder are named."""
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(CheckpointError, match=f"{re.escape(str(path))}: no such file"):
            load_checkpoint(_net(), path)
