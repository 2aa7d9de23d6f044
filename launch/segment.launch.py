"""Starts the segmentation node on a camera: ros2 launch sam_ros segment.launch.py --show-args."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("sam_ros"))
ONLY_WHEN_GIVEN = ("model", "checkpoint", "device", "image_transport", "encode")

# name, default, meaning; an empty default leaves the value of params_file
ARGUMENTS = (
    ("image", "image", "topic of the camera images"),
    ("camera_info", "", "topic of the camera's calibration; empty: beside the image topic"),
    ("model", "", "sam_tiny (brings its weights), mobile_sam, sam_vit_b, sam_vit_l or sam_vit_h"),
    ("checkpoint", "", "file with the weights of the model; sam_tiny needs none"),
    ("device", "", "where the model runs: auto, cpu or cuda"),
    ("image_transport", "", "raw, or compressed to subscribe to IMAGE/compressed"),
    ("encode", "", "on_demand: only while something is prompted; always: every frame"),
    ("params_file", str(SHARE / "config" / "sam.yaml"), "YAML file with all parameters"),
    ("namespace", "", "namespace of the node, for several cameras"),
    ("use_sim_time", "false", "true: take the time from /clock (bags, simulation)"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
    ("rviz", "false", "true: show the result in RViz"),
    ("rviz_config", str(SHARE / "config" / "segment.rviz"), "what RViz shows"),
)


def generate_launch_description() -> LaunchDescription:
    """The arguments, the transport that carries whole frames, the node and RViz."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=meaning)
        for name, default, meaning in ARGUMENTS
    ]
    # Fast DDS loses most frames between two processes otherwise: its shared memory is too small.
    name = "FASTDDS_BUILTIN_TRANSPORTS"
    transport = EnvironmentVariable(name, default_value="LARGE_DATA")
    return LaunchDescription(
        [*arguments, SetEnvironmentVariable(name, transport), OpaqueFunction(function=_nodes)]
    )


def _nodes(context: LaunchContext) -> list[Node]:
    value = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    given = {name: value[name] for name in ONLY_WHEN_GIVEN if value[name]}
    simulated = {"use_sim_time": value["use_sim_time"].lower() in ("true", "1")}
    sam = Node(
        package="sam_ros",
        executable="sam_node",
        name="sam",
        namespace=value["namespace"],
        parameters=[value["params_file"], given, simulated],
        remappings=_inputs(value["image"], value["camera_info"]),
        arguments=["--ros-args", "--log-level", value["log_level"]],
        output="screen",
    )
    if value["rviz"].lower() not in ("true", "1"):
        return [sam]
    prefix = "/".join(part for part in ("", value["namespace"].strip("/"), "sam") if part)
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", value["rviz_config"]],
        parameters=[simulated],
        remappings=[("/sam/overlay", f"/{prefix}/overlay")],
    )
    return [sam, rviz]


def _inputs(image: str, camera_info: str) -> list[tuple[str, str]]:
    """Remappings of what the node subscribes to."""
    beside = image.rpartition("/")[0]
    info = camera_info or (f"{beside}/camera_info" if beside else "camera_info")
    pairs = [("image", image), ("image/compressed", f"{image}/compressed"), ("camera_info", info)]
    return [(name, topic) for name, topic in pairs if name != topic]
