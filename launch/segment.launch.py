"""Starts the segmentation node on cameras: ros2 launch sam_ros segment.launch.py --show-args."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("sam_ros"))
ONLY_WHEN_GIVEN = ("model", "checkpoint", "device", "image_transport", "encode", "labels_file")
SHOWN = ("overlay", "points", "target_points", "scene_points")  # by config/segment.rviz

# name, default, meaning; an empty default leaves the value of params_file
ARGUMENTS = (
    ("image", "image", "topic of the camera images"),
    ("camera_info", "", "topic of the camera's calibration; empty: beside the image topic"),
    ("use_depth", "", "true: clouds and boxes in space from depth images; false: none"),
    ("depth", "depth", "topic of the depth images, registered to the camera images"),
    ("cameras", "", "namespaces as in front,rear: a node for each in one process, one copy of the "
     "weights; image, depth and camera_info are then names in each namespace"),
    ("model", "", "sam_tiny (brings its weights), mobile_sam, sam_vit_b, sam_vit_l or sam_vit_h"),
    ("checkpoint", "", "file with the weights of the model; sam_tiny needs none"),
    ("device", "", "where the model runs: auto, cpu or cuda"),
    ("image_transport", "", "raw, or compressed to subscribe to IMAGE/compressed"),
    ("encode", "", "on_demand: only while something is prompted; always: every frame"),
    ("labels_file", "", "file with the names of the classes of ~/label_mask"),
    ("params_file", str(SHARE / "config" / "sam.yaml"), "YAML file with all parameters"),
    ("namespace", "", "namespace of the node, or of all cameras"),
    ("use_sim_time", "false", "true: take the time from /clock (bags, simulation)"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
    ("rviz", "false", "true: show the result in RViz"),
    ("rviz_config", str(SHARE / "config" / "segment.rviz"), "what RViz shows"),
    ("fixed_frame", "", "frame that RViz shows all in, such as map; empty: that of rviz_config"),
)  # fmt: skip


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
    given: dict[str, str | bool] = {name: value[name] for name in ONLY_WHEN_GIVEN if value[name]}
    if value["use_depth"]:
        given["use_depth"] = _is_true(value["use_depth"])
    simulated = {"use_sim_time": _is_true(value["use_sim_time"])}
    cameras = [name.strip().strip("/") for name in value["cameras"].split(",") if name.strip()]
    inputs = _inputs(value["image"], value["camera_info"], value["depth"])
    if cameras and any(topic.startswith("/") for _, topic in inputs):
        raise RuntimeError(
            f"image: {value['image']}, depth: {value['depth']}; with cameras expected names in "
            "the namespace of each, such as color/image_raw"
        )
    sam = Node(
        package="sam_ros",
        executable="sam_node",
        name="sam",
        namespace=value["namespace"],
        parameters=[value["params_file"], given, simulated],
        remappings=inputs,
        arguments=[
            *(["--cameras", ",".join(cameras)] if cameras else []),
            *("--ros-args", "--log-level", value["log_level"]),
        ],
        output="screen",
    )
    if not _is_true(value["rviz"]):
        return [sam]
    prefix = "/".join(filter(None, (value["namespace"].strip("/"), *cameras[:1])))
    fixed = ["-f", value["fixed_frame"]] if value["fixed_frame"] else []
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", value["rviz_config"], *fixed],
        parameters=[simulated],
        remappings=[
            *((f"/sam/{name}", _within(prefix, f"sam/{name}")) for name in SHOWN),
            ("/image", _within(prefix, value["image"])),
        ],
    )
    return [sam, rviz]


def _inputs(image: str, camera_info: str, depth: str = "depth") -> list[tuple[str, str]]:
    """Remappings of what the node subscribes to, and of clicks on the picture."""
    pairs = [
        ("image", image),
        ("image/compressed", f"{image}/compressed"),
        ("image_mouse_left", f"{image}_mouse_left"),
        ("image_mouse_right", f"{image}_mouse_right"),
        ("camera_info", camera_info or _beside(image)),
        ("depth", depth),
        ("depth/camera_info", "depth/camera_info" if depth == "depth" else _beside(depth)),
    ]
    return [(name, topic) for name, topic in pairs if name != topic]


def _beside(image: str) -> str:
    """Where a camera driver publishes the calibration of an image topic."""
    folder = image.rpartition("/")[0]
    return f"{folder}/camera_info" if folder else "camera_info"


def _within(prefix: str, topic: str) -> str:
    """The absolute name of a topic in a namespace."""
    return topic if topic.startswith("/") else "/" + "/".join(filter(None, (prefix, topic)))


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1")
