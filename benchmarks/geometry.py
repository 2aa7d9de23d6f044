"""Five objects of a 1280x720 depth picture to clouds and boxes, in CPU time of one core.

Peers: the same points by a loop over pixels (run on a part of them, times their number) and, for
the organised points alone, ``cv2.reprojectImageTo3D``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from sam_ros.geometry import boxes
from sam_ros.geometry.camera import Camera, calibrated
from sam_ros.geometry.cloud import fill_points, patch

HEIGHT, WIDTH, FOCAL = 720, 1280, 920.0
REPEATS = 31
PART = 64  # one pixel in so many is looped over

Depth = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def scene() -> tuple[Camera, Depth, list[Mask]]:
    """A table that slopes away from the camera with five tilted blocks of 200 x 150 px on it."""
    k = (FOCAL, 0, WIDTH / 2, 0, FOCAL, HEIGHT / 2, 0, 0, 1)
    p = (FOCAL, 0, WIDTH / 2, 0, 0, FOCAL, HEIGHT / 2, 0, 0, 0, 1, 0)
    camera = calibrated((HEIGHT, WIDTH), "plumb_bob", k, [0.0] * 5, np.eye(3), p)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    depth = np.float32(1.2) - np.float32(6e-4) * rows
    masks = []
    for number in range(5):
        mask = np.zeros((HEIGHT, WIDTH), np.bool_)
        mask[300:450, 60 + 240 * number : 260 + 240 * number] = True
        depth[mask] -= 0.08 + 2e-4 * (columns[mask] % 100)
        masks.append(mask)
    noise = np.random.default_rng(0).normal(0, 1e-3, depth.shape)
    return camera, (depth + noise).astype(np.float32), masks


def milliseconds(work: Callable[[], object]) -> float:
    """Median CPU time of one call."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return float(np.median(times)) * 1e3


def loop(camera: Camera, depth: Depth) -> list[tuple[float, float, float]]:
    """Points of some pixels, one after the other."""
    focal, x, y = camera.K[0, 0], camera.K[0, 2], camera.K[1, 2]
    points = []
    for row in range(0, HEIGHT, PART):
        for column in range(WIDTH):
            z = float(depth[row, column])
            if z > 0:
                points.append(((column - x) * z / focal, (row - y) * z / focal, z))
    return points


def main() -> None:
    """Print the times and ratios."""
    camera, depth, masks = scene()
    edges = [
        np.array((60 + 240 * number - 0.5, 299.5, 260 + 240 * number - 0.5, 449.5), np.float32)
        for number in range(5)
    ]
    _ = camera.ray_planes
    out = np.empty((HEIGHT, WIDTH, 3), np.float32)
    found = [patch(depth, mask, box, camera) for mask, box in zip(masks, edges)]
    ours = {
        "all points": lambda: fill_points(out, depth, camera),
        "five surfaces": lambda: [patch(depth, m, b, camera) for m, b in zip(masks, edges)],
        "five boxes": lambda: [boxes.fit(item.some(boxes.MOST)) for item in found],
    }
    times = {name: milliseconds(work) for name, work in ours.items()}
    rows = -(-HEIGHT // PART)
    looped = milliseconds(lambda: loop(camera, depth)) * HEIGHT / rows
    disparity, matrix = (1 / depth).astype(np.float32), np.eye(4, dtype=np.float32)
    cv2.setNumThreads(1)
    opencv = milliseconds(lambda: cv2.reprojectImageTo3D(disparity, matrix))
    print(f"{'five objects at 1280x720':<26}{'CPU [ms]':>9}")
    for name, value in {**times, "together": sum(times.values())}.items():
        print(f"{name:<26}{value:>9.2f}")
    everything = times["all points"]
    print(f"{'all points, loop':<26}{looped:>9.0f}{looped / everything:>8.0f}x")
    print(f"{'all points, OpenCV':<26}{opencv:>9.2f}{opencv / everything:>8.2f}x")


if __name__ == "__main__":
    main()
