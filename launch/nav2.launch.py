"""The node as the costmap layers of config/nav2.yaml want it: clouds, and classes by number."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

SHARE = Path(get_package_share_directory("sam_ros"))

# name, default, meaning; the other arguments of segment.launch.py can be given as well
ARGUMENTS = (
    ("use_depth", "true", "clouds, which both layers need"),
    ("labels_file", str(SHARE / "config" / "labels.yaml"), "the classes that the costmap knows"),
)


def generate_launch_description() -> LaunchDescription:
    """Other defaults for segment.launch.py."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=meaning)
        for name, default, meaning in ARGUMENTS
    ]
    segment = PythonLaunchDescriptionSource(str(SHARE / "launch" / "segment.launch.py"))
    return LaunchDescription([*arguments, IncludeLaunchDescription(segment)])
