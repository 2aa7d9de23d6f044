"""The launch files, run by the real ros2 launch where it is installed."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "launch"
NEED_LAUNCH = pytest.mark.skipif(
    find_spec("launch_ros") is None or find_spec("launch") is None,
    reason="needs launch_ros, which comes with a ROS 2 installation (ros-$ROS_DISTRO-launch-ros)",
)
RUN = (
    "import sys; from launch import LaunchService as L;"
    "from launch.actions import IncludeLaunchDescription as I;"
    "from launch.launch_description_sources import PythonLaunchDescriptionSource as P;"
    "from launch import LaunchDescription as D;"
    "a = [tuple(x.split(':=', 1)) for x in sys.argv[2:]];"
    "s = L(); s.include_launch_description(D([I(P(sys.argv[1]), launch_arguments=a)]));"
    "sys.exit(s.run())"
)


def load(name: str) -> Any:
    """The launch file as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.launch.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(path.name[:-10] for path in FOLDER.glob("*.launch.py")))
def test_launch_files_are_python_that_compiles(name: str) -> None:
    """Without launch there is still this much to know."""
    source = (FOLDER / f"{name}.launch.py").read_text()
    assert "def generate_launch_description(" in source
    compile(source, name, "exec")


@NEED_LAUNCH
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("segment", {"model", "image", "rviz", "namespace", "params_file", "image_transport"}),
        ("segment", {"use_depth", "depth", "cameras", "labels_file", "fixed_frame"}),
        ("demo", {"path", "rate", "hold"}),
        ("nav2", {"use_depth", "labels_file"}),
        ("foundationpose", {"image", "depth", "camera_info"}),
    ],
)
def test_every_argument_is_described(name: str, wanted: set[str]) -> None:
    """What --show-args prints."""
    from launch.actions import DeclareLaunchArgument

    description = load(name).generate_launch_description()
    arguments = [item for item in description.entities if isinstance(item, DeclareLaunchArgument)]
    assert wanted <= {item.name for item in arguments}
    assert all(item.description and item.default_value is not None for item in arguments)


@NEED_LAUNCH
@pytest.mark.parametrize(
    ("image", "info", "expected"),
    [
        ("image", "", {}),
        (
            "/cam/color/image_raw",
            "",
            {
                "image": "/cam/color/image_raw",
                "image/compressed": "/cam/color/image_raw/compressed",
                "camera_info": "/cam/color/camera_info",
            },
        ),
        ("/cam/image", "/other/info", {"camera_info": "/other/info"}),
    ],
)
def test_inputs_follow_the_image_topic(image: str, info: str, expected: dict[str, str]) -> None:
    """Compressed images and calibration are looked for beside the image."""
    mapped = dict(load("segment")._inputs(image, info))
    assert {name: mapped.get(name) for name in expected} == expected
    assert bool(mapped) == bool(expected)


@NEED_LAUNCH
def test_clicks_and_depth_follow_their_topics() -> None:
    """rqt_image_view publishes beside the picture; depth has its calibration beside it."""
    mapped = dict(load("segment")._inputs("/cam/color/image_raw", "", "/cam/aligned/image_raw"))
    assert mapped["image_mouse_left"] == "/cam/color/image_raw_mouse_left"
    assert mapped["depth"] == "/cam/aligned/image_raw"
    assert mapped["depth/camera_info"] == "/cam/aligned/camera_info"


def started(**arguments: str) -> list[dict[str, Any]]:
    """What segment.launch.py asks of launch_ros.actions.Node."""
    from launch import LaunchContext

    module, context = load("segment"), LaunchContext()
    module.Node = lambda **fields: fields
    for name, default, _ in module.ARGUMENTS:
        context.launch_configurations[name] = arguments.get(name, default)
    return list(module._nodes(context))


@NEED_LAUNCH
def test_several_cameras_are_one_process() -> None:
    """Each in its namespace; the topics are relative, so they are in it too."""
    (node,) = started(cameras="front, rear", namespace="/robot/", image="color/image_raw")
    assert node["arguments"][:2] == ["--cameras", "front,rear"]
    assert node["namespace"] == "/robot/"
    assert ("camera_info", "color/camera_info") in node["remappings"]
    with pytest.raises(RuntimeError, match="image: /cam/image_raw"):
        started(cameras="front,rear", image="/cam/image_raw")


@NEED_LAUNCH
def test_what_is_given_goes_to_the_node_and_the_rest_to_the_file() -> None:
    (node,) = started(namespace="arm", use_depth="true", model="sam_vit_b")
    assert node["namespace"] == "arm" and "--cameras" not in node["arguments"]
    assert node["parameters"][1] == {"model": "sam_vit_b", "use_depth": True}
    assert started()[0]["parameters"][1] == {}


@NEED_LAUNCH
def test_rviz_shows_the_first_camera() -> None:
    _, rviz = started(cameras="front,rear", image="image_raw", rviz="true", fixed_frame="map")
    mapped = dict(rviz["remappings"])
    assert mapped["/sam/points"] == "/front/sam/points" and mapped["/image"] == "/front/image_raw"
    assert rviz["arguments"][-2:] == ["-f", "map"]


@NEED_LAUNCH
def test_the_demo_starts_and_ends_clean(tmp_path: Path) -> None:
    """Source and node come up under launch, and end with 0 after Ctrl-C."""
    samples = FOLDER.parent / "resource" / "samples"
    log = tmp_path / "log"
    environment = {**os.environ, "ROS_LOG_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    arguments = [str(FOLDER / "demo.launch.py"), f"path:={samples}", "namespace:=arm"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while "is loaded on" not in log.read_text() or " Hz" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0, log.read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    text = log.read_text()
    assert "arm.sam" in text and "arm.image_source" in text
    assert "Traceback" not in text and "process has died" not in text
