"""Masks and prompts drawn on a picture, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from sam_ros.engine.prompt import FOREGROUND, Prompt

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

GREEN: Colour = (46, 204, 83)
RED: Colour = (235, 64, 52)
WHITE: Colour = (255, 255, 255)
INK: Colour = (18, 20, 24)
PALETTE: tuple[Colour, ...] = (
    (30, 144, 255),
    (255, 140, 26),
    (176, 82, 222),
    (0, 191, 165),
    (245, 70, 130),
    (250, 200, 30),
    (110, 120, 255),
    (150, 205, 50),
    (200, 110, 60),
    (90, 200, 250),
)
SHIFT = 4  # cv2 draws with this many bits of sub-pixel position
SHARPNESS = 4  # text is drawn so many times too large and averaged down


@dataclass(frozen=True, eq=False)
class OverlayItem:
    """One object to draw.

    Attributes:
        mask: (H, W) bool, or None to draw the prompt alone.
        colour_id: the same number always gets the same colour.
        text: written above the mask; "" for nothing.
        prompt: its points and box are marked when given.
    """

    mask: npt.NDArray[np.bool_] | None
    colour_id: int
    text: str = ""
    prompt: Prompt | None = None


@dataclass(frozen=True)
class Plate:
    """Where a text lies: left, top, width and height in pixels."""

    x: int
    y: int
    width: int
    height: int

    def meets(self, other: Plate) -> bool:
        """True when the two share a pixel."""
        across = self.x < other.x + other.width and other.x < self.x + self.width
        return across and self.y < other.y + other.height and other.y < self.y + self.height


def colour_of(number: int) -> Colour:
    """A colour for an object id; ten of them, then from the first again."""
    return PALETTE[number % len(PALETTE)]


def draw_instances(rgb: Picture, items: Sequence[OverlayItem]) -> Picture:
    """A copy of (H, W, 3) RGB with all masks, then all prompts, then all texts."""
    canvas = np.ascontiguousarray(rgb).copy()
    for item in items:
        if item.mask is not None:
            draw_mask(canvas, item.mask, colour_of(item.colour_id))
    for item in items:
        if item.prompt is not None:
            draw_prompt(canvas, item.prompt)
    taken: list[Plate] = []
    for item in items:
        if item.text and item.mask is not None and item.mask.any():
            taken.append(_draw_label(canvas, item.mask, item, taken))
    return canvas


def draw_mask(
    canvas: Picture, mask: npt.NDArray[np.bool_], colour: Colour, opacity: float = 0.45
) -> None:
    """Tints the mask in place and draws its contour in full colour over a thin white rim."""
    filled = np.ascontiguousarray(mask).view(np.uint8)
    x, y, width, height = cv2.boundingRect(filled)
    if not width:
        return
    part, inside = canvas[y : y + height, x : x + width], mask[y : y + height, x : x + width]
    levels = np.arange(256)[:, None] * (1 - opacity) + np.array(colour) * opacity
    tinted = cv2.LUT(np.ascontiguousarray(part), levels.astype(np.uint8)[None])
    np.copyto(part, tinted, where=inside[..., None])
    contours, _ = cv2.findContours(filled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    line = _line_width(canvas)
    rim = 1 if min(canvas.shape[:2]) < 240 else 2
    cv2.drawContours(canvas, contours, -1, WHITE, line + rim, cv2.LINE_AA)
    cv2.drawContours(canvas, contours, -1, colour, line, cv2.LINE_AA)


def draw_prompt(canvas: Picture, prompt: Prompt, scale: float = 1.0) -> None:
    """Marks foreground points (green stars), background points (red crosses) and the box in place.

    Args:
        canvas: (H, W, 3) RGB.
        prompt: in pixels of the picture before it was scaled.
        scale: pixels of the canvas per pixel of the prompt.
    """
    if prompt.box is not None:
        first, last = _fixed(prompt.box[:2], scale), _fixed(prompt.box[2:], scale)
        for colour, extra in ((INK, 2), (GREEN, 0)):
            width = _line_width(canvas) + extra
            cv2.rectangle(canvas, first, last, colour, width, cv2.LINE_AA, SHIFT)
    for point, label in zip(prompt.points, prompt.labels):
        shape, colour = (_STAR, GREEN) if label == FOREGROUND else (_CROSS, RED)
        _draw_mark(canvas, (point + 0.5) * scale - 0.5, shape, colour)


def text_size(text: str, height: float) -> tuple[int, int]:
    """(width, height) in pixels that ``draw_text`` covers for letters ``height`` px tall."""
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, height / 21.0, 1)
    return int(np.ceil(width)), int(np.ceil(height * 1.4))


def draw_text(
    canvas: Picture, text: str, corner: tuple[int, int], height: float, colour: Colour = WHITE
) -> None:
    """Writes smooth text in place, its upper left corner at (x, y); clipped at the edges."""
    width, tall = text_size(text, height)
    alpha = np.zeros((tall * SHARPNESS, (width + 2) * SHARPNESS), np.uint8)
    base = (SHARPNESS, int(height * 1.05 * SHARPNESS))
    weight = max(1, round(SHARPNESS * height / 13))
    scale = height / 21.0 * SHARPNESS
    cv2.putText(alpha, text, base, cv2.FONT_HERSHEY_DUPLEX, scale, 255, weight, cv2.LINE_AA)
    alpha = cv2.resize(alpha, (width + 2, tall), interpolation=cv2.INTER_AREA).astype(np.uint8)
    part, alpha = _clip(canvas, alpha, corner)
    share = alpha[..., None].astype(np.float32) / 255
    part[...] = (part * (1 - share) + np.array(colour) * share).astype(np.uint8)


def draw_chip(
    canvas: Picture, text: str, corner: tuple[int, int], height: float, colour: Colour = INK
) -> None:
    """Text on a small coloured plate in place, the plate's upper left corner at (x, y)."""
    pad = max(2, round(height * 0.45))
    width, tall = text_size(text, height)
    plate = np.full((tall + pad, width + 2 * pad), 217, np.uint8)
    part, alpha = _clip(canvas, plate, corner)
    share = alpha[..., None].astype(np.float32) / 255
    part[...] = (part * (1 - share) + np.array(colour) * share).astype(np.uint8)
    draw_text(canvas, text, (corner[0] + pad - 1, corner[1] + pad // 2 + 1), height)


def _draw_label(
    canvas: Picture, mask: npt.NDArray[np.bool_], item: OverlayItem, taken: Sequence[Plate]
) -> Plate:
    """The text above the mask's highest point, inside the picture and clear of other texts."""
    height = max(9.0, min(canvas.shape[:2]) / 36)
    width, tall = text_size(item.text, height)
    width, tall = round(width + height), round(tall + height / 2)
    top = int(mask.any(axis=1).argmax())
    x = float(np.flatnonzero(mask[top]).mean()) - width / 2
    plate = Plate(int(np.clip(x, 0, max(0, canvas.shape[1] - width))), top - tall - 4, width, tall)
    plate = replace(plate, y=max(0, plate.y))
    while any(plate.meets(other) for other in taken):
        plate = replace(plate, y=plate.y + tall + 2)
    draw_chip(canvas, item.text, (plate.x, plate.y), height, colour_of(item.colour_id))
    return plate


def _draw_mark(
    canvas: Picture,
    centre: npt.NDArray[np.float32],
    shape: npt.NDArray[np.float64],
    colour: Colour,
) -> None:
    """A filled shape with a white rim and a dark one, to be seen on any ground."""
    radius = max(5.0, min(canvas.shape[:2]) / 34)
    outline = np.round((centre + shape * radius) * (1 << SHIFT)).astype(np.int32)
    for paint, rim in ((INK, 3), (WHITE, 2)):
        width = max(rim + 1, round(radius * rim / 5))
        cv2.polylines(canvas, [outline], True, paint, width, cv2.LINE_AA, SHIFT)
    cv2.fillPoly(canvas, [outline], colour, cv2.LINE_AA, SHIFT)


def _clip(
    canvas: Picture, patch: npt.NDArray[np.uint8], corner: tuple[int, int]
) -> tuple[Picture, npt.NDArray[np.uint8]]:
    """The part of the canvas that a patch at (x, y) covers and the part of the patch on it."""
    x, y = corner
    top, left = max(0, -y), max(0, -x)
    patch = patch[top : max(top, canvas.shape[0] - y), left : max(left, canvas.shape[1] - x)]
    return canvas[y + top : y + top + patch.shape[0], x + left : x + left + patch.shape[1]], patch


def _fixed(point: npt.NDArray[np.float32], scale: float) -> tuple[int, int]:
    x, y = np.round(((point + 0.5) * scale - 0.5) * (1 << SHIFT)).astype(int)
    return int(x), int(y)


def _line_width(canvas: Picture) -> int:
    return max(2, round(min(canvas.shape[:2]) / 320))


def _star() -> npt.NDArray[np.float64]:
    """(10, 2) corners of a five-pointed star of radius 1 with its tip up."""
    angles = np.arange(10) * np.pi / 5
    radii = np.where(np.arange(10) % 2, 0.45, 1.0)
    return np.stack((np.sin(angles) * radii, -np.cos(angles) * radii), axis=1)


def _cross() -> npt.NDArray[np.float64]:
    """(12, 2) corners of an x of radius 1."""
    arm, bar = 0.95, 0.28
    plus = [(-bar, -arm), (bar, -arm), (bar, -bar), (arm, -bar), (arm, bar), (bar, bar)]
    plus += [(-x, -y) for x, y in plus]
    turn = np.array(((1, -1), (1, 1))) / np.sqrt(2)
    return np.array(plus) @ turn


_STAR, _CROSS = _star(), _cross()
