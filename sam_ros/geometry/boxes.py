"""Oriented boxes around what a camera sees of an object."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rotations = npt.NDArray[np.float32]

MOST = 10_000  # points that are looked at
SAMPLES = 200  # points that choose the orientation
TRIM = 0.001  # of the points beyond each face: the last outliers
COMPACT = 0.3  # weight of the box's size against the distance of the points from its faces
FLAT = 0.02  # of its length: an object is not thinner, so that flat ones are compared too
FIRST = 2560  # orientations in the whole space; one in 24 is another box
ANGLES = np.radians((7.0, 3.0, 1.2, 0.5))  # of the steps around the best one
TRIES = 4  # steps of one angle


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """A box in space.

    Attributes:
        center: (3,) of the box [m].
        size: (3,) sides along the box's axes [m].
        axes: (3, 3) rotation; its columns are the box's axes. Of the 24 ways to name them, the
            one closest to the camera's own: x right, y down, z forward.
        centroid: (3,) mean of the points [m].
    """

    center: Floats
    size: Floats
    axes: Floats
    centroid: Floats

    @property
    def quaternion(self) -> Floats:
        """(4,) the rotation as x, y, z, w."""
        return _quaternion(self.axes)

    def moved(self, transform: Floats) -> OrientedBox:
        """The box in another frame, by the (4, 4) matrix that leads there."""
        turn, shift = transform[:3, :3], transform[:3, 3]
        return OrientedBox(
            turn @ self.center + shift,
            self.size,
            turn @ self.axes,
            turn @ self.centroid + shift,
        )


def fit(points: npt.NDArray[np.float32]) -> OrientedBox:
    """The box whose faces the points lie on best, and the smaller one of two as good.

    A camera sees two or three sides of a box; the smallest box around those may stand askew on
    them, so it is not size alone that counts (closeness criterion of L-shape fitting, Zhang et
    al. 2017, in three dimensions).

    Args:
        points: (N, 3) in the optical frame [m], finite, without outliers.

    Raises:
        ValueError: no points.
    """
    if not len(points):
        raise ValueError("points: 0; expected at least 1")
    some = points[:: -(-len(points) // MOST)].T
    centroid = some.mean(axis=1)
    columns = np.ascontiguousarray(some) - centroid[:, None]
    few = np.ascontiguousarray(columns[:, :: columns.shape[1] // SAMPLES + 1])
    axes = _named(_orientation(few))
    low, high = _extent(axes.T.astype(np.float32) @ columns)
    center = centroid + axes @ ((low + high) / 2)
    return OrientedBox(center, (high - low).astype(np.float64), axes, centroid.astype(np.float64))


def _quaternion(rotation: Floats) -> Floats:
    """(4,) x, y, z, w of a (3, 3) rotation: the column of its largest eigenvalue (Bar-Itzhack)."""
    (a, b, c), (d, e, f), (g, h, i) = rotation
    symmetric = np.array(
        (
            (a - e - i, b + d, c + g, h - f),
            (b + d, e - a - i, f + h, c - g),
            (c + g, f + h, i - a - e, d - b),
            (h - f, c - g, d - b, a + e + i),
        )
    )
    x, y, z, w = np.linalg.eigh(symmetric)[1][:, -1]
    return np.array((x, y, z, w)) * (-1.0 if w < 0 else 1.0)


def _extent(along: Rotations) -> tuple[Rotations, Rotations]:
    """(3,) and (3,) the outermost coordinates of (3, N) points but for a few of them."""
    first = int(TRIM * along.shape[1])
    last = along.shape[1] - 1 - first
    ordered = np.partition(along, (first, last), axis=1)
    return ordered[:, first], ordered[:, last]


def _orientation(columns: Rotations) -> Floats:
    """(3, 3) columns: the best axes of a set that covers all, then of ever smaller turns."""
    best = _orientations()[_best(_orientations(), np.ascontiguousarray(columns[:, ::2]))]
    for turns in _turns():
        for _ in range(TRIES):
            near = turns @ best
            chosen = _best(near, columns)
            best = near[chosen]
            if chosen == 0:  # not to turn
                break
    u, _, vt = np.linalg.svd(best.T.astype(np.float64))  # many turns leave it a little askew
    return np.asarray(u @ vt)


def _best(candidates: Rotations, columns: Rotations) -> int:
    """Which of (R, 3, 3) candidates, rows their axes, has the box that fits (3, N) points best."""
    along = np.swapaxes(candidates, 0, 1).reshape(-1, 3) @ columns  # (3 R, N)
    low = along.min(axis=1, keepdims=True)
    size = along.max(axis=1, keepdims=True) - low
    along -= low
    np.minimum(along, size - along, out=along)  # to the nearer of two faces
    distance = along.reshape(3, -1, columns.shape[1]).min(axis=0).sum(axis=1) / columns.shape[1]
    sides = size.reshape(3, -1)
    a, b, c = sides + FLAT * sides.max(axis=0)
    return int(np.argmin(distance + COMPACT * np.cbrt(a * b * c)))


def _named(axes: Floats) -> Floats:
    """The same box with its axes in the order and the directions closest to the camera's."""
    same = axes @ _symmetries()
    return np.asarray(same[np.argmax(np.trace(same, axis1=1, axis2=2))])


@cache
def _symmetries() -> Floats:
    """(24, 3, 3) the turns that leave a box's axes on its axes."""
    signed = (
        np.eye(3)[list(order)] * signs
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    )
    return np.array([item for item in signed if np.linalg.det(item) > 0])


@cache
def _orientations() -> Rotations:
    """(R, 3, 3) about 100 orientations, evenly over all that a box can have.

    A spiral over the unit quaternions (Alexa, Super-Fibonacci Spirals, 2022), of which those
    remain that are closer to no turn than to any other symmetry.
    """
    s = np.arange(FIRST) + 0.5
    inner, outer = np.sqrt(s / FIRST), np.sqrt(1 - s / FIRST)
    alpha, beta = 2 * np.pi * s / np.sqrt(2), 2 * np.pi * s / 1.533751168755204288118041
    q = np.stack(
        (inner * np.sin(alpha), inner * np.cos(alpha), outer * np.sin(beta), outer * np.cos(beta))
    )
    q = q * np.where(q[3] < 0, -1, 1)
    parts = np.abs(q[:3])
    near = (parts.max(axis=0) <= (np.sqrt(2) - 1) * q[3]) & (parts.sum(axis=0) <= q[3])
    return _rotations(*q[:, near]).astype(np.float32)


@cache
def _turns() -> tuple[Rotations, ...]:
    """No turn, then small ones about the axes and their diagonals, for each of ``ANGLES``."""
    ways = np.array([item for item in product((-1.0, 0.0, 1.0), repeat=3) if any(item)])
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    sets = []
    for angle in ANGLES:
        x, y, z = np.vstack((np.zeros(3), ways * np.sin(angle / 2))).T
        w = np.sqrt(1 - x * x - y * y - z * z)
        sets.append(_rotations(x, y, z, w).astype(np.float32))
    return tuple(sets)


def _rotations(x: Floats, y: Floats, z: Floats, w: Floats) -> Floats:
    """(N, 3, 3) of unit quaternions."""
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return np.moveaxis(np.array(rows), -1, 0)
