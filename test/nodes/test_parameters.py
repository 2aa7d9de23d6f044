"""One dataclass, and what is made from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from rclpy.parameter import Parameter

from sam_ros.nodes import parameter_docs
from sam_ros.nodes.parameters import Parameters, descriptor, facts

ROOT = Path(__file__).parents[2]


def test_sam_yaml_is_what_the_parameters_say() -> None:
    """To renew it: python -m sam_ros.nodes.parameter_docs yaml > config/sam.yaml."""
    assert (ROOT / "config" / "sam.yaml").read_text() == parameter_docs.yaml()


def test_readme_has_the_table_of_parameters() -> None:
    """To renew it: python -m sam_ros.nodes.parameter_docs table."""
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("there is no README.md")
    assert parameter_docs.table() in readme.read_text()


@pytest.mark.parametrize("name", facts())
def test_every_default_is_in_its_own_range(name: str) -> None:
    known, default = facts()[name], getattr(Parameters(), name)
    assert known.text
    if known.low is not None and known.high is not None:
        assert known.low <= default <= known.high
        msg = descriptor(name)
        (span,) = [*msg.floating_point_range, *msg.integer_range]
        assert (span.from_value, span.to_value) == (known.low, known.high)


def test_live_parameters_change_while_configured() -> None:
    changed = Parameters().changed([Parameter("min_area_px", value=9)], live_only=True)
    assert changed.engine_config().min_area_px == 9


def test_other_parameters_say_what_to_do_first() -> None:
    setting = [Parameter("model", value="sam_vit_b")]
    with pytest.raises(ValueError, match="model: is read on configure; clean the node up"):
        Parameters().changed(setting, live_only=True)
    assert Parameters().changed(setting, live_only=False).model == "sam_vit_b"


def test_a_wrong_choice_names_the_right_ones() -> None:
    with pytest.raises(ValueError, match="device: 'tpu'; expected auto | cpu | cuda"):
        Parameters(device="tpu")


def test_names_of_others_are_passed_by() -> None:
    setting = [Parameter("use_sim_time", value=True)]
    assert Parameters().changed(setting, live_only=True) == Parameters()


def test_embeddings_are_bounded_by_number_and_by_megabytes() -> None:
    cache = Parameters(embedding_cache_size=3, embedding_cache_mb=2).embedding_cache()
    assert (cache.capacity, cache.most_bytes) == (3, 2 * 2**20)
    assert Parameters().embedding_cache().most_bytes == 256 * 2**20


@pytest.mark.parametrize(("name", "value"), [("auto", None), ("always", True), ("never", False)])
def test_multimask_reaches_the_engine(name: str, value: bool | None) -> None:
    assert Parameters(multimask=name).engine_config().multimask is value


def test_the_models_are_those_of_the_builder() -> None:
    """The names are repeated here, because a node starts without importing torch."""
    pytest.importorskip("torch", reason="pip install torch")
    from sam_ros.model import model_names

    assert set(facts()["model"].choices) == set(model_names())


def test_the_node_starts_without_torch() -> None:
    """Torch takes seconds to import; only the worker does so, on configure."""
    program = "import sys, sam_ros.nodes.lifecycle; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0
