"""How a lens bends rays: the distortion models of sensor_msgs/CameraInfo (REP 104), both ways.

A ray is x / z, y / z in the camera's optical frame, on the plane at a distance of 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

POLYNOMIAL = (4, 5, 8, 12, 14)  # OpenCV's; cameras mix the first two names up
COEFFICIENTS = {"plumb_bob": POLYNOMIAL, "rational_polynomial": POLYNOMIAL, "equidistant": (4,)}
STEP = 1e-6  # of the finite differences
SAMPLES = 4096  # of the radial curve, from 0 to 90 degrees
ITERATIONS = 6
TOLERANCE = 1e-8  # on the plane at a distance of 1; 1e-5 px of a camera of 1000 px


@dataclass(frozen=True, eq=False)
class Lens:
    """One lens.

    Attributes:
        model: plumb_bob, rational_polynomial, equidistant, or "" for no distortion.
        coefficients: k1, k2, p1, p2, k3 / the same, k4, k5, k6 and perhaps s1, s2, s3, s4 of a
            thin prism / k1, k2, k3, k4.

    Raises:
        ValueError: an unknown model, or coefficients that are not its.
    """

    model: str
    coefficients: Floats

    def __post_init__(self) -> None:
        d = self.coefficients
        if not np.isfinite(d).all():
            raise ValueError(f"D: {d.tolist()}; expected finite numbers")
        if not d.any() and self.model != "equidistant":
            return
        if self.model not in COEFFICIENTS:
            known = ", ".join(COEFFICIENTS)
            raise ValueError(f"distortion_model: {self.model!r}; expected one of {known}")
        if len(d) not in COEFFICIENTS[self.model]:
            counts = " or ".join(map(str, COEFFICIENTS[self.model]))
            raise ValueError(f"D: {len(d)} coefficients; {self.model} expects {counts}")
        if d[12:].any():
            raise ValueError(f"D[12:14]: {d[12:].tolist()}; expected 0, no tilted sensor")

    @property
    def is_ideal(self) -> bool:
        """True without distortion: every ray meets the picture where it is."""
        return self.model != "equidistant" and not self.coefficients.any()

    @cached_property
    def largest(self) -> float:
        """The largest angle to the axis [rad] up to which the model bends rays outwards only.

        Beyond it a polynomial folds back, and two rays would share a pixel.
        """
        return float(np.arctan(self._curve[0][-1]))

    def distort(self, rays: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Where rays meet the picture plane.

        Args:
            rays: (N, 2).

        Returns:
            (N, 2) on the plane at a distance of 1, and (N,) whether the model holds there.
        """
        angle = np.arctan(np.hypot(rays[:, 0], rays[:, 1]))
        return self._bend(rays), angle < self.largest

    def undistort(self, bent: Floats) -> Floats:
        """The rays that meet the picture plane at some points: Newton's method on all at once.

        Args:
            bent: (N, 2) as ``distort`` returns them.

        Returns:
            (N, 2) rays; NaN where no ray of the model arrives.
        """
        if self.is_ideal:
            return bent
        rays = self._start(bent)
        with np.errstate(all="ignore"):  # where no ray arrives the steps lead anywhere
            for _ in range(ITERATIONS):
                error = self._bend(rays) - bent
                if np.nanmax(np.abs(error), initial=0.0) < TOLERANCE:
                    break
                rays = rays - self._newton_step(rays, error)
            found, valid = self.distort(rays)
        # what counts is the way back: near the fold the last digits of the ray are open
        valid &= np.abs(found - bent).max(axis=1) < 1e3 * TOLERANCE
        return np.where(valid[:, None], rays, np.nan)

    def _start(self, bent: Floats) -> Floats:
        """The solution with the radial part of the distortion alone, read off a table."""
        radii, images = self._curve
        target = np.hypot(bent[:, 0], bent[:, 1])
        return bent * (np.interp(target, images, radii) / np.maximum(target, 1e-12))[:, None]

    @cached_property
    def _curve(self) -> tuple[Floats, Floats]:
        """Radii of rays and of their images, as far as the images grow."""
        radii = np.tan(np.linspace(0.0, np.pi / 2, SAMPLES, endpoint=False))
        with np.errstate(all="ignore"):
            images = radii * self._radial(radii)
            falls = np.flatnonzero(~(np.diff(images) > 0))
        end = falls[0] + 1 if len(falls) else SAMPLES
        return radii[:end], images[:end]

    def _newton_step(self, rays: Floats, error: Floats) -> Floats:
        """(N, 2): the error times the inverse of the (N, 2, 2) derivative of the bending."""
        across, down = np.array([STEP, 0.0]), np.array([0.0, STEP])
        a, c = (self._bend(rays + across) - self._bend(rays - across)).T / (2 * STEP)
        b, d = (self._bend(rays + down) - self._bend(rays - down)).T / (2 * STEP)
        u, v = error.T
        step = np.stack((d * u - b * v, a * v - c * u), axis=1) / (a * d - b * c)[:, None]
        return np.asarray(step)

    def _bend(self, rays: Floats) -> Floats:
        radius = np.hypot(rays[:, 0], rays[:, 1])
        bent = rays * self._radial(radius)[:, None]
        if self.model != "equidistant" and self._padded[[2, 3, 8, 9, 10, 11]].any():
            bent += self._shift(rays, radius**2)
        return bent

    @cached_property
    def _padded(self) -> Floats:
        """All 12 coefficients of the widest model, in OpenCV's order."""
        return np.pad(self.coefficients[:12], (0, max(0, 12 - len(self.coefficients))))

    def _radial(self, radius: Floats) -> Floats:
        """(N,): by how much rays of a radius are stretched."""
        if self.model == "equidistant":
            angle = np.arctan(radius)
            far = np.maximum(radius, 1e-12)
            return np.where(
                radius > 1e-8, angle * _polynomial(angle, self.coefficients) / far, 1.0
            )
        k1, k2, _, _, k3, k4, k5, k6 = self._padded[:8]
        return _polynomial(radius, (k1, k2, k3)) / _polynomial(radius, (k4, k5, k6))

    def _shift(self, rays: Floats, square: Floats) -> Floats:
        """(N, 2): what a lens out of centre (p1, p2) and a thin prism (s1 to s4) add."""
        p1, p2 = self._padded[2:4]
        s1, s2, s3, s4 = self._padded[8:12]
        x, y = rays.T
        along = 2 * p1 * x * y + p2 * (square + 2 * x * x) + s1 * square + s2 * square**2
        down = p1 * (square + 2 * y * y) + 2 * p2 * x * y + s3 * square + s4 * square**2
        return np.stack((along, down), axis=1)


def _polynomial(x: Floats, coefficients: Iterable[float]) -> Floats:
    """1 + c0 x^2 + c1 x^4 + ..."""
    square, value = x * x, np.zeros_like(x)
    for coefficient in reversed(tuple(coefficients)):
        value = (value + coefficient) * square
    return value + 1.0
