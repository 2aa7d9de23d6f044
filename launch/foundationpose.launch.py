"""The node for FoundationPose: picture, depth, calibration and mask with equal stamps."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("sam_ros"))
# what FoundationPose subscribes to, and what it is called here
TOPICS = {
    "image": "pose_estimation/image",
    "depth": "pose_estimation/depth_image",
    "camera_info": "pose_estimation/camera_info",
    "mask": "pose_estimation/segmentation",
}

# name, default, meaning; the other arguments of segment.launch.py can be given as well
ARGUMENTS = (
    ("image", "/camera/color/image_raw", "topic of the camera images"),
    ("camera_info", "/camera/color/camera_info", "topic of the camera's calibration"),
    (
        "depth",
        "/camera/aligned_depth_to_color/image_raw",
        "topic of the depth images, registered to the camera images",
    ),
)


def generate_launch_description() -> LaunchDescription:
    """The node, and beside it what brings its inputs and its mask together."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=meaning)
        for name, default, meaning in ARGUMENTS
    ]
    segment = PythonLaunchDescriptionSource(str(SHARE / "launch" / "segment.launch.py"))
    matched = Node(
        package="sam_ros",
        executable="matched",
        namespace=LaunchConfiguration("namespace"),
        remappings=[
            *((name, LaunchConfiguration(name)) for name, _, _ in ARGUMENTS),
            *((f"~/{name}", topic) for name, topic in TOPICS.items()),
        ],
        output="screen",
    )
    return LaunchDescription([*arguments, IncludeLaunchDescription(segment), matched])
