"""Building without values."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sam_ros.model.build import CONFIGS, assemble
from sam_ros.model.meta import on_meta_device

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_parameter_is_without_memory(name: str) -> None:
    with on_meta_device():
        sam = assemble(CONFIGS[name])
    assert {tensor.device.type for tensor in sam.state_dict().values()} == {"meta"}


def test_values_come_back_afterwards() -> None:
    with on_meta_device():
        pass
    assert torch.nn.Linear(3, 3).weight.any() and torch.randn(3).device.type == "cpu"


def test_nothing_large_is_imported_for_it() -> None:
    """Sympy and its friends would double the time in which the node is ready."""
    program = (
        "import sys; from sam_ros.model.build import *; from sam_ros.model.meta import *\n"
        "with on_meta_device(): [build() for build in _BUILDERS.values()]\n"
        "sys.exit('sympy' in sys.modules)"
    )
    program = program.replace("import *;", "import _BUILDERS;", 1)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0
