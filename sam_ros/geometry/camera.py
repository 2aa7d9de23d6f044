"""A calibrated camera: points of its optical frame to pixels, and pixels to rays.

The optical frame is REP 103's: x right, y down, z forward [m]. Pixel centres are at integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sam_ros.geometry.lens import Floats, Lens

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Camera:
    """The calibration of one picture as it is delivered, binned and cut.

    A raw picture is described by K and D, a rectified one by P; R turns the camera that K
    describes into the one of P, whose axes are those of the optical frame (as in image_geometry).

    Attributes:
        width, height: of the picture [px].
        model: distortion model of D: plumb_bob, rational_polynomial, equidistant; "" for none.
        K: (3, 3) intrinsics of the raw picture [px].
        D: (N,) coefficients of the distortion.
        R: (3, 3) rotation; all 0 stands for none.
        P: (3, 4) projection of the rectified picture [px]; its last column moves the second
            camera of a stereo pair.
        rectified: the picture is rectified.

    Raises:
        ValueError: not the calibration of a camera; the text names the field.
    """

    width: int
    height: int
    model: str
    K: Floats
    D: Floats
    R: Floats
    P: Floats
    rectified: bool = False

    def __post_init__(self) -> None:
        for name, value in (("width", self.width), ("height", self.height)):
            if value < 1:
                raise ValueError(f"{name}: {value}; expected at least 1 px")
        name, matrix = ("P", self.P) if self.rectified else ("K", self.K)
        focal = (matrix[0, 0], matrix[1, 1])
        if not (np.isfinite(matrix).all() and min(focal) > 0):
            raise ValueError(
                f"{name}: focal lengths {focal[0]:g}, {focal[1]:g}; expected finite numbers above "
                "0 px (zeros mean that the camera is not calibrated)"
            )
        if not self.rectified:
            _check_rotation(self.R)
            _ = self._lens

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the picture [px]."""
        return self.height, self.width

    @cached_property
    def origin(self) -> Floats:
        """(3,) where the rays start in the optical frame [m]: 0 but for a second stereo camera."""
        if not self.rectified:
            return np.zeros(3)
        return np.array([-self.P[0, 3] / self.P[0, 0], -self.P[1, 3] / self.P[1, 1], 0.0])

    @property
    def pitch(self) -> float:
        """Width of a pixel at a distance of 1 m [m]."""
        return float(1.0 / self._intrinsics[0, 0])

    @cached_property
    def ray_planes(self) -> npt.NDArray[np.float32]:
        """(3, H, W) ``rays`` of all pixels; made once, milliseconds to half a second."""
        rows, columns = np.mgrid[: self.height, : self.width]
        pixels = np.stack((columns, rows), axis=-1).reshape(-1, 2).astype(np.float64)
        planes = self.rays(pixels).T.astype(np.float32)
        return planes.reshape(3, self.height, self.width)

    def project(self, points: Floats) -> tuple[Floats, Bools]:
        """Where points appear.

        Args:
            points: (N, 3) in the optical frame [m].

        Returns:
            (N, 2) pixels x, y, which may lie outside of the picture, and (N,) whether the point
            is in front of the camera and within what the lens's model describes; pixels are NaN
            where it is not.
        """
        seen = (np.asarray(points, np.float64).reshape(-1, 3) - self.origin) @ self._turn
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            rays = seen[:, :2] / seen[:, 2:]
            bent, valid = self._lens.distort(rays)
            valid &= (seen[:, 2] > 0) & np.isfinite(bent).all(axis=1)
        pixels = bent @ self._intrinsics[:2, :2].T + self._intrinsics[:2, 2]
        return np.where(valid[:, None], pixels, np.nan), valid

    def rays(self, pixels: Floats) -> Floats:
        """Where pixels look: ``origin`` + depth * ray is what a depth picture says of a pixel.

        Args:
            pixels: (N, 2) x, y, also fractional ones.

        Returns:
            (N, 3) directions in the optical frame, 1 long along the axis that depth is measured
            on; NaN where no ray arrives.
        """
        pixels = np.asarray(pixels, np.float64).reshape(-1, 2)
        inverse = np.linalg.inv(self._intrinsics[:2, :2])
        rays = self._lens.undistort((pixels - self._intrinsics[:2, 2]) @ inverse.T)
        ahead = np.ones((len(rays), 1))
        return np.asarray(np.hstack((rays, ahead)) @ self._turn.T)

    def contains(self, pixels: Floats) -> Bools:
        """(N,) whether pixels (N, 2) lie in the picture; NaN does not."""
        x, y = pixels[:, 0], pixels[:, 1]
        within = (x >= -0.5) & (x < self.width - 0.5) & (y >= -0.5) & (y < self.height - 0.5)
        return np.asarray(within)

    @property
    def _intrinsics(self) -> Floats:
        return self.P if self.rectified else self.K

    @property
    def _turn(self) -> Floats:
        """Applied to rows on the right: from the optical frame into the axes of the picture."""
        return np.eye(3) if self.rectified or not self.R.any() else self.R

    @cached_property
    def _lens(self) -> Lens:
        return Lens("", np.zeros(0)) if self.rectified else Lens(self.model, self.D)


@dataclass(frozen=True)
class Window:
    """The part of the sensor that a picture shows, in pixels of the whole sensor.

    Attributes:
        x, y: its first column and row.
        width, height: its size; 0 and 0 for all.
        binning: (x, y) sensor pixels joined into one; 0 stands for 1.
    """

    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0
    binning: tuple[int, int] = (1, 1)


def calibrated(
    size: tuple[int, int],
    model: str,
    k: npt.ArrayLike,
    d: npt.ArrayLike,
    r: npt.ArrayLike,
    p: npt.ArrayLike,
    window: Window | None = None,
    rectified: bool = False,
) -> Camera:
    """A camera from the fields of sensor_msgs/CameraInfo.

    Intrinsics are given for the whole sensor; region and binning make those of the picture from
    them, as image_geometry does.

    Args:
        size: (H, W) of the whole sensor [px].
        model: distortion_model.
        k: 9 numbers, row by row.
        d: N coefficients.
        r: 9 numbers, row by row.
        p: 12 numbers, row by row.
        window: what the picture shows of it.
        rectified: the picture was rectified.

    Raises:
        ValueError: not the calibration of a camera; the text names the field.
    """
    window = window or Window()
    height, width = (window.height, window.width) if window.width and window.height else size
    step_x, step_y = (max(1, step) for step in window.binning)
    scale = np.diag([1 / step_x, 1 / step_y, 1.0])
    shift = np.array([[1.0, 0.0, -window.x], [0.0, 1.0, -window.y], [0.0, 0.0, 1.0]])
    return Camera(
        width // step_x,
        height // step_y,
        model,
        scale @ shift @ _matrix("K", k, (3, 3)),
        np.asarray(d, np.float64).ravel(),
        _matrix("R", r, (3, 3)),
        scale @ shift @ _matrix("P", p, (3, 4)),
        rectified,
    )


def _matrix(name: str, values: npt.ArrayLike, shape: tuple[int, int]) -> Floats:
    matrix = np.asarray(values, np.float64)
    if matrix.size != shape[0] * shape[1]:
        raise ValueError(f"{name}: {matrix.size} numbers; expected {shape[0] * shape[1]}")
    return matrix.reshape(shape)


def _check_rotation(matrix: Floats) -> None:
    if matrix.any() and not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3):
        raise ValueError(f"R: {matrix.ravel().tolist()}; expected a rotation, or all 0 for none")
