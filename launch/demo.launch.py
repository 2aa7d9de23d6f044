"""Pictures instead of a camera, and the node on them: ros2 launch sam_ros demo.launch.py."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, LogInfo
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory("sam_ros"))

# name, default, meaning; the arguments of segment.launch.py can be given as well
ARGUMENTS = (
    ("path", str(SHARE / "resource" / "samples"), "pictures, a video file, or a camera: 0"),
    ("rate", "10.0", "pictures per second [Hz]; 0: the video's or camera's own"),
    ("hold", "8.0", "how long each picture of a folder is shown [s]"),
)
HINT = (
    "Prompt an object: ros2 service call /sam/set_prompts sam_ros/srv/SetPrompts "
    '"{prompts: [{persistence: 1, points: [{x: 320, y: 240}], point_labels: [1]}]}"'
    "   Result: /sam/overlay"
)


def generate_launch_description() -> LaunchDescription:
    """The node first: segment.launch.py sets the transport and arguments used here as well."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=meaning)
        for name, default, meaning in ARGUMENTS
    ]
    segment = PythonLaunchDescriptionSource(str(SHARE / "launch" / "segment.launch.py"))
    kinds = {"path": str, "rate": float, "hold": float}
    values = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in kinds.items()
    }
    source = Node(
        package="sam_ros",
        executable="image_source",
        namespace=LaunchConfiguration("namespace"),
        parameters=[values],
        remappings=[("image", LaunchConfiguration("image"))],
        output="screen",
    )
    return LaunchDescription(
        [*arguments, IncludeLaunchDescription(segment), source, LogInfo(msg=HINT)]
    )
