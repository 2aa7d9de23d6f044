"""One prompt and what it may mean, side by side, as a picture for a README or a bug report."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.overlay import (
    GREEN,
    INK,
    PALETTE,
    Picture,
    draw_chip,
    draw_mask,
    draw_prompt,
    draw_text,
    text_size,
)
from sam_ros.engine.prompt import Prompt

PAPER = (247, 248, 250)
GREY = (110, 116, 126)
GAP = 10
CAPTION = 30


def panel(
    rgb: Picture,
    prompt: Prompt,
    hypotheses: Hypotheses,
    title: str,
    note: str = "",
    height: int = 300,
) -> Picture:
    """The prompt, then its hypotheses, best first, each lit on a darkened picture.

    Args:
        rgb: (H, W, 3) uint8.
        prompt: in pixels of ``rgb``.
        hypotheses: the answer to it.
        title: written above, at the left.
        note: written above, at the right, where there is room.
        height: of each small picture, px.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    scale = height / rgb.shape[0]
    width = max(1, round(rgb.shape[1] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = np.asarray(cv2.resize(rgb, (width, height), interpolation=how), np.uint8)
    cells = [_prompt_cell(small, prompt, scale)]
    for rank, item in enumerate(hypotheses.items):
        close = hypotheses.ambiguous and rank < 2
        cells.append(_hypothesis_cell(small, item, rank, prompt, scale, close))
    return _row(cells, title, note)


def sheet(panels: Sequence[Picture], width: int = 0) -> Picture:
    """Panels of one height on one page, each in the first row that has room for it.

    Args:
        panels: (h, w, 3) uint8 RGB each.
        width: of the page at most, px; the widest panel has room in any case.

    Raises:
        ValueError: no panels, or panels of different heights.
    """
    heights = {item.shape[0] for item in panels}
    if len(heights) != 1:
        raise ValueError(
            f"panels: {len(panels)} of heights {sorted(heights)}; expected one height"
        )
    width = max(width, *(item.shape[1] for item in panels))
    rows: list[list[Picture]] = []
    for item in panels:
        room = (
            row for row in rows if sum(other.shape[1] for other in row) <= width - item.shape[1]
        )
        row = next(room, None)
        if row is None:
            rows.append([item])
        else:
            row.append(item)
    strips = [np.hstack(row) for row in rows]
    used = max(strip.shape[1] for strip in strips)
    page = np.empty((heights.pop() * len(rows), used + GAP, 3), np.uint8)
    page[:] = PAPER
    for line, strip in zip(np.split(page, len(rows)), strips):
        line[:, : strip.shape[1]] = strip
    return page


def _prompt_cell(small: Picture, prompt: Prompt, scale: float) -> Picture:
    cell = small.copy()
    if prompt.mask is not None:
        draw_mask(cell, _scaled(prompt.mask, cell), GREEN, opacity=0.3)
    draw_prompt(cell, prompt, scale)
    draw_chip(cell, "prompt", (8, 8), _letter(cell))
    return cell


def _hypothesis_cell(
    small: Picture, item: Hypothesis, rank: int, prompt: Prompt, scale: float, ambiguous: bool
) -> Picture:
    mask = _scaled(item.mask, small)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)[..., None]
    faded = (0.35 * small + 0.65 * grey) * 0.42
    cell = np.where(mask[..., None], small, faded.astype(np.uint8))
    draw_mask(cell, mask, PALETTE[rank], opacity=0.28)
    draw_prompt(cell, prompt, scale)
    letter = _letter(cell)
    draw_chip(cell, f"{rank + 1}   {item.score:.2f}", (8, 8), letter, PALETTE[rank])
    share = f"{item.area / item.mask.size:.1%} of the picture"
    below = cell.shape[0] - round(letter * 2.4)
    draw_chip(cell, share, (8, below), letter * 0.8)
    if ambiguous:
        width, _ = text_size("ambiguous", letter * 0.8)
        draw_chip(cell, "ambiguous", (cell.shape[1] - width - 22, 8), letter * 0.8)
    return cell


def _row(cells: Sequence[Picture], title: str, note: str) -> Picture:
    height, width = cells[0].shape[:2]
    page = np.empty((height + CAPTION + GAP, len(cells) * (width + GAP), 3), np.uint8)
    page[:] = PAPER
    draw_text(page, title, (GAP, 8), 13, INK)
    left = page.shape[1] - text_size(note, 11)[0] - 2 * GAP
    if left > text_size(title, 13)[0] + 3 * GAP:
        draw_text(page, note, (left, 10), 11, GREY)
    for column, cell in enumerate(cells):
        left = GAP + column * (width + GAP)
        page[CAPTION : CAPTION + height, left : left + width] = cell
    return page


def _scaled(mask: npt.NDArray[np.bool_], small: Picture) -> npt.NDArray[np.bool_]:
    """The mask in the size of the small picture, its edge where half a pixel is covered."""
    size = (small.shape[1], small.shape[0])
    soft = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(soft >= 0.5, np.bool_)


def _letter(cell: Picture) -> float:
    return max(9.0, cell.shape[0] / 24)
