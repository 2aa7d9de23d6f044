"""Where exactly a thing ends: boundaries of masks moved to the edges and colours of the picture.

A decoder's logits have a fourth of the encoder's resolution, so one of them stands for ten pixels
of a picture 1280 px wide. Cut, they say rightly which thing is meant and only roughly where it
ends. Here the picture itself is asked, as GrabCut does (Rother et al. 2004), but in a few
milliseconds: histograms of colour inside and outside of the mask say which pixels are more likely
the thing's, and the guided filter (He et al. 2010) carries that, and the logits, along what looks
alike and stops at edges, in place of a graph cut.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from sam_ros.engine.boxes import Box, pixels_of, tight_box
from sam_ros.engine.transform import Size, Transform

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Window = tuple[slice, slice]  # rows and columns of the picture

SIDE = 128  # pixels at most along the window in which a boundary is looked for
FINE = 2  # times that many at which it is drawn in the end
MARGIN = 0.2  # of the mask's longer side that the window reaches further, for the surroundings
ROUNDS = 2  # histograms are filled anew from the mask that the ones before gave
PASSES = 3  # of the filter in each round
RADIUS = 3  # pixels of the filter's windows
SMOOTHNESS = 1e-4  # variance of colours (0..1) that is taken for noise, not for an edge
BINS = 24  # along each of red, green and blue
RARE = 1e-4  # added to the share of a bin, so that what was never seen is unlikely only
COLOUR = 2.0  # weight of the histograms beside the logits ...
MOST_EVIDENCE = 4.0  # ... after their logarithms are cut at this
MOST_LOGIT = 15.0  # no logit counts for more
FIRMNESS = 2.0  # logits are multiplied by it when the histograms are filled
BEYOND = 100.0  # taken off a logit for each width of the box that its pixel lies outside of it
LEAST_COMMON = 0.5  # IoU with the mask from which on another one is another thing, not a boundary


def sharpen(
    rgb: npt.NDArray[np.uint8],
    mask: Mask,
    logits: Floats,
    transform: Transform,
    box: Box | None = None,
) -> Mask:
    """A mask whose boundary follows the picture.

    Args:
        rgb: (H, W, 3) uint8, the picture.
        mask: (H, W) bool, cut from the logits.
        logits: (h, w) over the encoder's square.
        transform: of the picture.
        box: (4,) x0, y0, x1, y1 that the prompt gave, if any. What lies outside of it is the less
            likely the further away it is, for boxes are drawn roughly.

    Returns:
        (H, W) bool; ``mask`` itself where the picture would have another thing in its place.
    """
    rows, columns = _window(mask, box)
    if not rows.stop - rows.start or not columns.stop - columns.start:
        return mask
    size = rows.stop - rows.start, columns.stop - columns.start
    # A view of a BGR picture is not for OpenCV.
    fine = _resize(np.ascontiguousarray(rgb[rows, columns]), _within(size, FINE * SIDE))
    small = _within(size, SIDE)
    prior = _read(logits, transform, (rows, columns), small)
    beyond = _beyond(box, (rows, columns), small)
    found = cv2.resize(_settle(_resize(fine, small), prior, beyond, fine), size[::-1])
    sharp = np.zeros_like(mask)
    sharp[rows, columns] = found > _beyond(box, (rows, columns), size)
    common = np.count_nonzero(sharp & mask)
    return sharp if common > LEAST_COMMON * np.count_nonzero(sharp | mask) else mask


def _window(mask: Mask, box: Box | None) -> Window:
    """Rows and columns around the mask and the box, with some of their surroundings."""
    around = tight_box(mask)
    if box is not None and mask.any():
        around = np.concatenate((np.minimum(around[:2], box[:2]), np.maximum(around[2:], box[2:])))
    margin = MARGIN * float((around[2:] - around[:2]).max()) + 2 * RADIUS
    rows, columns = pixels_of(around)
    height, width = mask.shape
    if rows.start == rows.stop:
        return rows, columns
    return (
        slice(max(0, int(rows.start - margin)), min(height, int(rows.stop + margin))),
        slice(max(0, int(columns.start - margin)), min(width, int(columns.stop + margin))),
    )


def _within(size: Size, side: int) -> Size:
    """Height and width, made smaller until both are at most ``side``."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _resize(image: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]:
    """Make an image smaller, to (H, W)."""
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def _read(logits: Floats, transform: Transform, window: Window, size: Size) -> Floats:
    """The logits at the (H, W) pixels of a window that was made smaller, bilinear."""
    to_cells = []
    for axis, (pixels, count) in enumerate(zip(window, size, strict=True)):
        cells = logits.shape[axis] / transform.image_size
        cells *= transform.input_size[axis] / transform.size[axis]  # for each pixel of the picture
        step = (pixels.stop - pixels.start) / count * cells
        to_cells.append((step, pixels.start * cells + step / 2 - 0.5))
    (down, y), (right, x) = to_cells
    matrix = np.array(((right, 0, x), (0, down, y)))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    read = cv2.warpAffine(logits, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return _floats(read)


def _beyond(box: Box | None, window: Window, size: Size) -> Floats:
    """What the logits of a window of (H, W) pixels lose outside of the box; (1, 1) without one."""
    if box is None:
        return np.zeros((1, 1), np.float32)
    lost = []
    for pixels, count, first, last in zip(window, size, box[1::-1], box[:1:-1], strict=True):
        step = (pixels.stop - pixels.start) / count
        centres = pixels.start - 0.5 + (np.arange(count) + 0.5) * step
        distance = np.maximum(first - centres, centres - last).clip(0)
        lost.append(BEYOND * distance / max(float(last - first), 1.0))
    return _floats(np.maximum(lost[0][:, None], lost[1]))


def _settle(
    colours: npt.NDArray[np.uint8], prior: Floats, beyond: Floats, fine: npt.NDArray[np.uint8]
) -> Floats:
    """Logits of a small window (h, w) after all rounds, at the pixels of a finer one."""
    guide = GuidedFilter(_share(colours))
    bins = colours.astype(np.int64) * BINS // 256 @ np.array((BINS * BINS, BINS, 1))
    settled = prior = prior.clip(-MOST_LOGIT, MOST_LOGIT)
    for _ in range(ROUNDS):
        settled = prior + np.float32(COLOUR) * _evidence(bins, settled - beyond)
        for _ in range(PASSES):
            settled = guide(settled)
    return guide(settled, _share(fine))


def _evidence(bins: npt.NDArray[np.int64], logits: Floats) -> Floats:
    """Logarithm of how much likelier each pixel's colour is inside of the mask than outside."""
    inside = 1 / (1 + np.exp(-(FIRMNESS * logits).clip(-30, 30)))
    shares = [
        np.bincount(bins.ravel(), part.ravel(), BINS**3) / max(float(part.sum()), 1e-6) + RARE
        for part in (inside, 1 - inside)
    ]
    ratio = np.log(shares[0] / shares[1]).clip(-MOST_EVIDENCE, MOST_EVIDENCE)
    return np.asarray(ratio.astype(np.float32)[bins])


class GuidedFilter:
    """Smooths maps of an image inside of what looks alike (He et al., ECCV 2010).

    In every square window a map is taken for a linear function of the colours. Planes of colour
    are kept apart: NumPy is several times faster at them.

    Args:
        image: (H, W, 3) float32, 0..1.
    """

    def __init__(self, image: Floats) -> None:
        self.planes = _planes(image)
        self.means = [_mean(plane) for plane in self.planes]

        def covariance(i: int, j: int) -> Floats:
            return _mean(self.planes[i] * self.planes[j]) - self.means[i] * self.means[j]

        rr, gg, bb = (covariance(i, i) + np.float32(SMOOTHNESS) for i in range(3))
        rg, rb, gb = covariance(0, 1), covariance(0, 2), covariance(1, 2)
        # The inverse of a symmetric matrix by its cofactors.
        xx, xy, xz = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
        yy, yz, zz = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
        scale = 1 / (xx * rr + xy * rg + xz * rb)
        rows = (xx, xy, xz), (xy, yy, yz), (xz, yz, zz)
        self._inverse = [[cofactor * scale for cofactor in row] for row in rows]

    def __call__(self, values: Floats, finer: Floats | None = None) -> Floats:
        """Smooth a map.

        Args:
            values: (H, W).
            finer: (H', W', 3) the image with more pixels, if the result shall have them too.
        """
        mean = _mean(values)
        common = [
            _mean(plane * values) - of_plane * mean
            for plane, of_plane in zip(self.planes, self.means, strict=True)
        ]
        slopes = [sum(a * b for a, b in zip(row, common, strict=True)) for row in self._inverse]
        offset = mean - sum(a * b for a, b in zip(slopes, self.means, strict=True))
        parts, planes = [_mean(part) for part in (*slopes, offset)], self.planes
        if finer is not None:
            planes = _planes(finer)
            parts = [_floats(cv2.resize(part, finer.shape[1::-1])) for part in parts]
        return parts[3] + sum(a * b for a, b in zip(parts, planes))  # three slopes: not strict


def _mean(x: Floats) -> Floats:
    """Means over the windows around each pixel."""
    return _floats(cv2.boxFilter(x, -1, (2 * RADIUS + 1, 2 * RADIUS + 1)))


def _planes(image: Floats) -> list[Floats]:
    """The channels of an image, each on its own."""
    return [_floats(plane) for plane in cv2.split(image)]


def _share(colours: npt.NDArray[np.uint8]) -> Floats:
    """Bytes as 0..1."""
    return colours.astype(np.float32) / np.float32(255)


def _floats(x: npt.ArrayLike) -> Floats:
    """What OpenCV gives, which it types as anything."""
    return np.asarray(x, np.float32)
