"""Draws the clouds and boxes of a depth picture's objects: how docs/images/depth.png was made.

    python tools/draw_objects_in_space.py COLOUR DEPTH MASKS OUT --focal 920

COLOUR is a picture, DEPTH 16-bit millimetres registered to it, MASKS 8-bit, 1.. for the objects.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt

from sam_ros.engine.boxes import tight_box
from sam_ros.geometry.boxes import OrientedBox, fit
from sam_ros.geometry.camera import Camera, calibrated
from sam_ros.geometry.cloud import patch

matplotlib.use("Agg")
import matplotlib.pyplot as plt

CORNERS = np.array(list(product((-0.5, 0.5), repeat=3)))
EDGES = [(a, b) for a in range(8) for b in range(a) if (CORNERS[a] != CORNERS[b]).sum() == 1]
SHOWN = 6000  # points of an object


def main() -> None:
    """Read the pictures, draw, and print where each object is."""
    options = _parser().parse_args()
    rgb = cv2.cvtColor(cv2.imread(str(options.colour)), cv2.COLOR_BGR2RGB)
    depth = cv2.imread(str(options.depth), cv2.IMREAD_UNCHANGED).astype(np.float32) / 1000
    depth[depth == 0] = np.nan
    masks = cv2.imread(str(options.masks), cv2.IMREAD_UNCHANGED)
    height, width = masks.shape
    f = options.focal
    k = (f, 0, width / 2, 0, f, height / 2, 0, 0, 1)
    p = (f, 0, width / 2, 0, 0, f, height / 2, 0, 0, 0, 1, 0)
    camera = calibrated((height, width), "plumb_bob", k, [], np.eye(3), p)
    _draw(rgb, depth, [masks == n for n in range(1, int(masks.max()) + 1)], camera, options.out)


def _draw(
    rgb: npt.NDArray[np.uint8],
    depth: npt.NDArray[np.float32],
    masks: list[npt.NDArray[np.bool_]],
    camera: Camera,
    out: Path,
) -> None:
    rays = np.moveaxis(camera.ray_planes, 0, -1)
    figure = plt.figure(figsize=(12, 4.2 + 2.4 * ((len(masks) + 2) // 3)))
    grid = figure.add_gridspec(
        (len(masks) + 2) // 3 + 1, 6, height_ratios=[1.9] + [1] * ((len(masks) + 2) // 3)
    )
    picture = figure.add_subplot(grid[0, :])
    picture.imshow(rgb)
    picture.axis("off")
    for number, mask in enumerate(masks):
        found = patch(depth, mask, tight_box(mask), camera)
        box = fit(found.points)
        raw = (rays * depth[..., None])[mask & np.isfinite(depth)]
        print(
            f"{number + 1}: centroid {box.centroid.round(3)} m, size {box.size.round(3)} m, "
            f"{len(found.points)} of {mask.sum()} px kept, {len(raw)} with depth"
        )
        colours = rgb[found.rows, found.columns][found.kept]
        corners = (CORNERS * box.size) @ box.axes.T + box.center
        pixels, _ = camera.project(corners)
        for a, b in EDGES:
            picture.plot(*pixels[[a, b]].T, color=f"C{number}", linewidth=1.2)
        row, column = number // 3 + 1, 2 * (number % 3)
        for place, (axes, names) in enumerate((((0, 2), "x z"), ((2, 1), "z y"))):
            panel = figure.add_subplot(grid[row, column + place])
            _panel(panel, raw, found.points, colours, box, corners, axes, names, number)
    figure.tight_layout()
    figure.savefig(out, dpi=100)


def _panel(
    panel: plt.Axes,
    raw: npt.NDArray[np.float32],
    points: npt.NDArray[np.float32],
    colours: npt.NDArray[np.uint8],
    box: OrientedBox,
    corners: npt.NDArray[np.float64],
    axes: tuple[int, int],
    names: str,
    number: int,
) -> None:
    """One object from above (x, z) or from the side (z, y): dropped points, kept points, box."""
    step, all_ = len(points) // SHOWN + 1, len(raw) // SHOWN + 1
    panel.scatter(*raw[::all_, axes].T, s=1, color="red", linewidths=0)
    panel.scatter(*points[::step, axes].T, s=1.5, c=colours[::step] / 255, linewidths=0)
    for a, b in EDGES:
        panel.plot(*corners[[a, b]][:, axes].T, color=f"C{number}", linewidth=0.8)
    panel.plot(*box.centroid[list(axes)], "k+", markersize=8)
    reach = 0.6 * box.size.max()
    for axis, limit in zip(axes, (panel.set_xlim, panel.set_ylim)):
        limit(box.center[axis] - reach, box.center[axis] + reach)
    if axes[1] == 1:
        panel.invert_yaxis()
    first, second = names.split()
    panel.set_xlabel(f"{first} [m]", fontsize=7)
    panel.set_ylabel(f"{second} [m]", fontsize=7)
    panel.tick_params(labelsize=6)
    panel.set_aspect("equal")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("colour", "depth", "masks", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--focal", type=float, required=True, help="focal length [px]")
    return parser


if __name__ == "__main__":
    main()
