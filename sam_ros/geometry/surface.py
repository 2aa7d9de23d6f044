"""Which pixels of an object's mask have a depth to be trusted.

Depth cameras invent readings between the object and what lies behind it ("flying pixels"), and a
mask is never exact to the pixel. So the middle of the mask says where the object is, and pixels
of its rim are taken as far as they continue that surface.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Depth = npt.NDArray[np.float32]

RIM = 3  # pixels along the outline that are doubtful
RINGS = 4 * RIM  # that may be taken back: the middle does not reach far into a corner
FEWEST = 0.2  # of a mask that its middle must keep; of a thinner one, all pixels count
JUMP = 0.03  # of the distance: a step between neighbours that a surface does not make
STEP = 0.01  # of the distance: how far a pixel of the rim may lie from its neighbours
GAP = 0.3  # of the object's width: what lies farther behind or in front is another thing
FEW = 0.003  # of the pixels: so many between the two are flying pixels
SAMPLES = 2000  # pixels looked at to find such gaps


def surface(depth: Depth, mask: Bools, pitch: float) -> Bools:
    """The pixels of a mask that belong to the object's surface.

    Args:
        depth: (H, W) float32 metres, NaN where there is none.
        mask: (H, W) bool.
        pitch: width of a pixel at a distance of 1 m [m], 1 / focal length.

    Returns:
        (H, W) bool, a part of the mask; empty where no pixel has a depth.
    """
    known = mask & np.isfinite(depth)
    core = eroded(mask, RIM) & known
    if np.count_nonzero(core) < FEWEST * np.count_nonzero(known):
        core = known
    core = _smooth(depth, core)
    if not core.any():
        return core
    nearest, farthest = _main_layer(depth[core], pitch)
    known &= (depth >= nearest) & (depth <= farthest)
    return _grown(depth, core & known, known)


def eroded(mask: Bools, steps: int) -> Bools:
    """The middle of a (H, W) mask: pixels with nothing but mask in the square around them.

    Args:
        mask: it goes on beyond the edges of the picture.
        steps: half the side of the square [px].
    """
    inner = mask.copy()
    for step in range(1, steps + 1):
        inner[:, step:] &= mask[:, :-step]
        inner[:, :-step] &= mask[:, step:]
    across = inner.copy()
    for step in range(1, steps + 1):
        inner[step:] &= across[:-step]
        inner[:-step] &= across[step:]
    return inner


def _smooth(depth: Depth, core: Bools) -> Bools:
    """Drops both sides of every jump in depth."""
    limit = JUMP * depth
    smooth = core.copy()
    across = np.abs(depth[:, 1:] - depth[:, :-1]) > limit[:, 1:]
    down = np.abs(depth[1:] - depth[:-1]) > limit[1:]
    smooth[:, 1:] &= ~across
    smooth[:, :-1] &= ~across
    smooth[1:] &= ~down
    smooth[:-1] &= ~down
    return smooth if smooth.any() else core


def _main_layer(values: Depth, pitch: float) -> tuple[float, float]:
    """Nearest and farthest depth of most pixels, up to where almost none are for a while.

    Half a gap wider, for the rim curves away from the middle that is looked at.
    """
    some = np.sort(values[:: len(values) // SAMPLES + 1])
    few = int(FEW * len(some)) + 1
    gap = GAP * pitch * some[len(some) // 2] * len(values) ** 0.5
    dense = np.concatenate(([False], some[few:] - some[:-few] < gap, [False]))
    starts, ends = np.flatnonzero(np.diff(dense)).reshape(-1, 2).T
    if not len(starts):
        return float(some[0]), float(some[-1])
    most = int(np.argmax(ends - starts))
    nearest, farthest = some[starts[most]], some[ends[most] - 1 + few]
    return float(nearest - gap / 2), float(farthest + gap / 2)


def _grown(depth: Depth, core: Bools, known: Bools) -> Bools:
    """Takes back, ring by ring, pixels whose depth goes on from their neighbours'."""
    height, width = depth.shape
    taken = np.zeros((height + 2, width + 2), np.float32)  # a frame of 0; where not taken, 0
    np.copyto(taken[1:-1, 1:-1], depth, where=core)
    values, stride = taken.ravel(), width + 2
    open_ = known > core
    left, own = np.flatnonzero(open_), depth[open_]
    left += 2 * (left // width) + stride + 1  # the same pixels in the frame
    ways = np.array([[-1], [1], [-stride], [stride]])
    for _ in range(RINGS):
        around = values[left + ways]
        count = np.count_nonzero(around, axis=0)
        mean = around.sum(axis=0) / np.maximum(count, 1)
        fits = (count > 0) & (np.abs(own - mean) < STEP * own)
        values[left[fits]] = own[fits]
        if not fits.any():
            break
        left, own = left[~fits], own[~fits]
    return taken[1:-1, 1:-1] > 0
