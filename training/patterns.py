"""Pictures made up on the spot: grounds, patterned cloth, prints."""

from __future__ import annotations

import string

import cv2
import numpy as np

from training.library import Library

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX,
         cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX)  # fmt: skip


def colour(rng: np.random.Generator, near: np.ndarray | None = None) -> np.ndarray:
    """A colour (3,) float32 0..255: often pale, dark or grey, or close to another one."""
    if near is not None:
        return np.clip(near + rng.normal(0, 9, 3) + rng.normal(0, 8), 0, 255).astype(np.float32)
    hue, saturation = rng.uniform(0, 180), 255 * rng.beta(1.1, 1.6)
    value = 255 * (rng.uniform(0.85, 1) if rng.random() < 0.3 else rng.beta(1.5, 1.1))
    if rng.random() < 0.25:
        saturation *= 0.1
    hsv = np.array([[[hue, saturation, value]]], np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)


def smooth_noise(height: int, width: int, cell: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of one scale, (H, W) float32 in about -1..1; cell: pixels per feature."""
    size = (max(2, int(width / cell) + 2), max(2, int(height / cell) + 2))
    coarse = rng.uniform(-1, 1, size[::-1]).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def tiled(texture: np.ndarray, height: int, width: int, scale: float) -> np.ndarray:
    """A texture mirrored at its borders to fill (H, W, 3) uint8; scale: pixels per texel."""
    needed = (int(np.ceil(height / scale)) + 1, int(np.ceil(width / scale)) + 1)
    pad = [(0, max(0, needed[i] - texture.shape[i])) for i in range(2)]
    full = np.pad(texture, (*pad, (0, 0)), mode="symmetric")[: needed[0], : needed[1]]
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(full, None, fx=scale, fy=scale, interpolation=kind)[:height, :width]


def plain(
    height: int, width: int, rng: np.random.Generator, near: np.ndarray | None = None
) -> np.ndarray:
    """A painted or plastic ground: one colour, slightly cloudy. (H, W, 3) uint8."""
    base = colour(rng, near)
    clouds = sum(smooth_noise(height, width, cell, rng) for cell in (width / 3, 40, 6))
    speckle = rng.standard_normal((height, width), dtype=np.float32) * np.float32(
        rng.uniform(0, 3)
    )
    shade = clouds * np.float32(rng.uniform(0, 5)) + speckle
    return np.clip(base + shade[..., None], 0, 255).astype(np.uint8)


def weave(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Cloth with stripes, checks or dots in two or three colours. (H, W, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), float(np.exp(rng.uniform(np.log(6), np.log(70))))
    u = (x * np.cos(angle) + y * np.sin(angle)) / period
    v = (y * np.cos(angle) - x * np.sin(angle)) / period
    first, second = (u % 1 < rng.uniform(0.2, 0.7)), (v % 1 < rng.uniform(0.2, 0.7))
    kind = rng.integers(4)
    dots = (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < rng.uniform(0.02, 0.12)
    amount = [first * 1.0, (first * 1.0 + second) / 2, (first ^ second) * 1.0, dots * 1.0][kind]
    base = colour(rng)
    other = colour(rng) if rng.random() < 0.7 else base * np.float32(rng.uniform(0.6, 0.9))
    threads = 1 + 0.06 * np.sin(x * 2.1) * np.sin(y * 2.1) * (rng.random() < 0.5)
    picture = base + (other - base) * cv2.blur(amount.astype(np.float32), (2, 2))[..., None]
    return np.clip(picture * threads[..., None], 0, 255).astype(np.uint8)


def figured(height: int, width: int, library: Library, rng: np.random.Generator) -> np.ndarray:
    """Cloth or paper with one small figure printed again and again. (H, W, 3) uint8."""
    step = int(rng.integers(24, 90))
    ground = np.broadcast_to(colour(rng), (step, step, 3)).copy()
    size = max(8, int(step * rng.uniform(0.45, 0.95)))
    figure = cv2.resize(
        library.sprite(rng).rgba, (size, size), interpolation=cv2.INTER_AREA
    ).astype(np.float32)
    alpha, offset = figure[..., 3:] / 255, (step - size) // 2
    window = ground[offset : offset + size, offset : offset + size]
    window[:] = window * (1 - alpha) + figure[..., :3] * alpha
    repeated = np.tile(ground.astype(np.uint8), (height // step + 2, width // step + 2, 1))
    if rng.random() < 0.5:
        repeated[step : 2 * step] = np.roll(repeated[step : 2 * step], step // 2, axis=1)
    return np.ascontiguousarray(repeated[:height, :width])


def ornament(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Painted bands of motifs in few strong colours, as on pottery. (H, W, 3) uint8."""
    palette = [colour(rng) for _ in range(int(rng.integers(2, 6)))]
    picture = np.empty((height, width, 3), np.float32)
    row = 0
    while row < height:
        tall = int(rng.integers(4, max(6, height // 3)))
        y, x = np.mgrid[0:tall, 0:width].astype(np.float32)
        u, v = x / (tall * rng.uniform(0.3, 1.5) + 2), y / tall
        folded = 2 * np.abs(u % 1 - 0.5)  # 1 at the seams of a motif, 0 in its middle
        shape = int(rng.integers(5))
        amount = (np.zeros_like(v), folded > v, folded + 2 * np.abs(v - 0.5) < 0.8,
                  (u % 1 - 0.5) ** 2 + (v - 0.5) ** 2 < 0.1, folded > 0.5)[shape]  # fmt: skip
        first, second = (palette[int(i)] for i in rng.integers(len(palette), size=2))
        soft = cv2.blur(amount.astype(np.float32), (2, 2))[..., None]
        picture[row : row + tall] = (first + (second - first) * soft)[: height - row]
        row += tall
    return np.clip(picture, 0, 255).astype(np.uint8)


def ground(height: int, width: int, library: Library, rng: np.random.Generator) -> np.ndarray:
    """A surface for things to lie on or before. (H, W, 3) uint8 RGB."""
    draw = rng.random()
    if draw < 0.2:
        return plain(height, width, rng)
    if draw < 0.3:
        return weave(height, width, rng)
    if draw < 0.36:
        return figured(height, width, library, rng)
    if draw < 0.46:
        return _crop(library.photograph(rng), height, width, rng)
    if draw < 0.52:
        return backdrop(height, width, library, rng)
    scale = float(np.exp(rng.uniform(np.log(0.5), np.log(2.2))))
    return recoloured(tiled(library.surface(rng, plain=True), height, width, scale), rng)


def backdrop(height: int, width: int, library: Library, rng: np.random.Generator) -> np.ndarray:
    """A view of a real room or landscape, out of focus. (H, W, 3) uint8 RGB."""
    around = library.environment(rng)
    view = int(rng.integers(48, 110))
    rolled = np.roll(around, int(rng.integers(256)), axis=1)
    top = (
        int(rng.integers(20, 108 - view * height // width // 2))
        if view * height // width < 88
        else 20
    )
    patch = rolled[top : top + max(20, view * height // width), :view]
    shown = np.clip(patch * np.float32(rng.uniform(0.8, 2.5)), 0, 1) ** np.float32(1 / 2.2) * 255
    return (
        cv2.resize(shown, (width, height), interpolation=cv2.INTER_CUBIC)
        .clip(0, 255)
        .astype(np.uint8)
    )


def recoloured(rgb: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """The same picture in a somewhat different colour and brightness."""
    gain = np.exp(rng.normal(0, 0.12 * strength, 3) + rng.normal(0, 0.2 * strength))
    table = np.clip(np.arange(256)[:, None] * gain + rng.normal(0, 10 * strength), 0, 255)
    return cv2.LUT(rgb, table.astype(np.uint8).reshape(1, 256, 3))


def lettering(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Lines of print: (H, W) uint8 coverage 0..255, like a page, a label or a headline."""
    canvas = np.zeros((height, width), np.uint8)
    size = float(np.exp(rng.uniform(np.log(7), np.log(max(9, height / 2.2)))))
    font, scale = int(rng.choice(FONTS)), size / 22
    thickness, y = max(1, int(scale * rng.uniform(1, 3))), size * 1.2
    while y < height:
        words = " ".join(
            "".join(rng.choice(list(string.ascii_letters), int(rng.integers(2, 9))))
            for _ in range(max(1, int(width / size / 3)))
        )
        cv2.putText(
            canvas, words, (int(size * 0.3), int(y)), font, scale, 255, thickness, cv2.LINE_AA
        )
        y += size * 1.45
    return canvas


def _crop(rgb: np.ndarray, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A random window of a photograph, resized."""
    share = rng.uniform(0.45, 1)
    scale = min(rgb.shape[0] / height, rgb.shape[1] / width) * share
    h, w = int(height * scale), int(width * scale)
    y, x = (int(rng.integers(0, rgb.shape[i] - n + 1)) for i, n in enumerate((h, w)))
    window = rgb[y : y + h, x : x + w]
    if rng.random() < 0.5:
        window = window[:, ::-1]
    return cv2.resize(window, (width, height), interpolation=cv2.INTER_LINEAR)
