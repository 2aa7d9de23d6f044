"""sensor_msgs/CameraInfo of a picture: an ideal camera, or a calibration from a file."""

from __future__ import annotations

import math
from pathlib import Path

import yaml
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header


def pinhole(header: Header, height: int, width: int, horizontal_fov: float) -> CameraInfo:
    """An ideal camera with its axis through the middle of the picture.

    Args:
        header: of the image.
        height: px.
        width: px.
        horizontal_fov: degrees between the left and the right edge.
    """
    focal = width / 2 / math.tan(math.radians(horizontal_fov) / 2)
    x, y = (width - 1) / 2, (height - 1) / 2
    info = CameraInfo(header=header, height=height, width=width, distortion_model="plumb_bob")
    info.d = [0.0] * 5
    info.k = [focal, 0.0, x, 0.0, focal, y, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [focal, 0.0, x, 0.0, 0.0, focal, y, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def read_calibration(file: Path) -> CameraInfo:
    """Reads what camera_calibration writes.

    Raises:
        ValueError: no such file, or not such a file.
    """
    try:
        data = yaml.safe_load(file.read_text())
        info = CameraInfo(height=data["image_height"], width=data["image_width"])
        info.distortion_model = data["distortion_model"]
        info.d = [float(value) for value in data["distortion_coefficients"]["data"]]
        info.k = [float(value) for value in data["camera_matrix"]["data"]]
        info.r = [float(value) for value in data["rectification_matrix"]["data"]]
        info.p = [float(value) for value in data["projection_matrix"]["data"]]
    except (OSError, KeyError, TypeError, AssertionError, yaml.YAMLError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"camera_info_file: {file}; expected a calibration in YAML ({reason})"
        ) from error
    return info
