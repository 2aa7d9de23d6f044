"""Imports run one way, nodes -> engine, geometry -> model; only nodes and client know ROS."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import sam_ros

PACKAGE = Path(sam_ros.__file__).resolve().parent
NUMERIC = {"numpy", "cv2"}
# Part of the package -> what it may import besides itself and the standard library.
ALLOWED = {
    "model": {"torch", "safetensors", "sam_ros.resources"},
    "engine": {"torch", *NUMERIC, "openvino", "transformers", "huggingface_hub", "sam_ros.model"},
    "geometry": {"numpy"},
    "models": {"filelock", "pooch", "requests", "tqdm"},
}
GENERATED = ("sam_ros.msg", "sam_ros.srv", "sam_ros.action")


def imports_of(module: Path) -> Iterator[str]:
    """The full names of all that a module imports, wherever in it the import stands."""
    folder = ("sam_ros", *module.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else ()
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def foreign(name: str, own: str) -> bool:
    """Whether an import needs a permission: it is of neither the own part nor Python itself."""
    standard = name.partition(".")[0] in sys.stdlib_module_names
    return not (standard or within(name, {f"sam_ros.{own}"}))


@pytest.mark.parametrize("part", ALLOWED)
def test_parts_import_only_what_lies_below(part: str) -> None:
    """They reach neither up to ROS nor to packages that they must do without."""
    modules = sorted((PACKAGE / part).rglob("*.py"))
    assert modules
    wrong = [
        f"{module.relative_to(PACKAGE)} imports {name}"
        for module in modules
        for name in imports_of(module)
        if foreign(name, part) and not within(name, ALLOWED[part])
    ]
    assert wrong == []


def test_nodes_reach_the_model_through_the_engine_or_its_builder() -> None:
    """Nodes know of sam_ros.model only what it exports, not the insides of the networks."""
    wrong = [
        f"{module.name} imports {name}"
        for module in sorted((PACKAGE / "nodes").rglob("*.py"))
        for name in imports_of(module)
        if name.startswith("sam_ros.model.") and name.count(".") > 2
    ]
    assert wrong == []


def test_nothing_below_imports_nodes_or_messages() -> None:
    """The package's own __init__ modules are as clean as its parts."""
    modules = [path for path in PACKAGE.rglob("*.py") if not {"nodes", "client"} & {*path.parts}]
    above = {"rclpy", "sam_ros.client", "sam_ros.nodes", *GENERATED}
    assert [m for m in modules for name in imports_of(m) if within(name, above)] == []


@pytest.mark.parametrize("name", ["sam_ros", *GENERATED, "sam_ros.nodes"])
def test_messages_import_without_torch(name: str) -> None:
    """A program that only reads our messages does not pay for torch or OpenCV."""
    if name in GENERATED and find_spec("rclpy") is None:
        pytest.skip("needs ROS 2: run it by `make test`, which brings it")
    heavy = "{'torch', 'cv2', 'safetensors'}"
    code = f"import sys, {name}; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["sam_ros.nodes.sam_node", "benchmarks.replay"])
def test_the_node_says_how_threads_wait_before_there_is_torch(name: str) -> None:
    """Torch reads it once, when it is loaded."""
    if find_spec("rclpy") is None:
        pytest.skip("needs ROS 2: run it by `make test`, which brings it")
    code = f"import sys, {name}; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    assert result.stdout.strip() == "False"


def test_the_client_imports_without_torch() -> None:
    """What asks the node does not load a model's libraries; of nodes only the demo asks."""
    if find_spec("rclpy") is None:
        pytest.skip("needs ROS 2: run it by `make test`, which brings it")
    code = "import sys, sam_ros.client; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"
    nodes = sorted((PACKAGE / "nodes").rglob("*.py"))
    asking = {m.stem for m in nodes for name in imports_of(m) if within(name, {"sam_ros.client"})}
    assert asking == {"demo", "demo_client"}


def test_the_engine_offers_its_names_and_torch_comes_with_the_segmenter_only() -> None:
    """`sam_ros.engine` is imported without torch; its Segmenter brings it."""
    code = (
        "import sys, sam_ros.engine as e; assert 'torch' not in sys.modules; "
        "assert all(getattr(e, name) for name in e.__all__); assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
