"""What a camera does to a picture: light, lens, sensor and processing."""

from __future__ import annotations

import cv2
import numpy as np


def degrade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A camera's picture of a scene.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: decides which effects apply, and how strongly.

    Returns:
        (H, W, 3) uint8 RGB; regions keep their places.
    """
    light = (image.astype(np.float32) / 255) ** 2.2
    light = _blur(_uneven_light(light, rng), rng)
    light *= _cast(rng) * _exposure(light, rng)
    if rng.random() < 0.35:
        light = _add_noise(light, rng)
    encoded = np.clip(light, 0, 1) ** np.float32(1 / 2.2)
    if rng.random() < 0.3:
        encoded = _tone(encoded, rng)
    encoded = _resample(encoded * 255, rng)
    if rng.random() < 0.45:
        encoded = encoded + _grain(encoded.shape, rng)
    if rng.random() < 0.04:
        encoded = np.repeat(encoded.mean(2, keepdims=True), 3, axis=2)
    return np.clip(encoded + 0.5, 0, 255).astype(np.uint8)


def jpeg_quality(rng: np.random.Generator) -> int:
    """The quality a scene's JPEG is stored with: mostly good, sometimes a webcam's."""
    return int(rng.integers(35, 80) if rng.random() < 0.2 else rng.integers(82, 96))


def _uneven_light(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vignetting, a slope of light across the picture, and shadows of things out of view."""
    height, width = light.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width - 0.5, y / height - 0.5
    field = np.ones((height, width), np.float32)
    if rng.random() < 0.5:
        field *= 1 - rng.uniform(0.1, 0.9) * (x * x + y * y)
    if rng.random() < 0.5:
        field *= 1 + rng.uniform(0, 0.7) * (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1))
    if rng.random() < 0.25:
        field *= _foreign_shadow(height, width, rng)
    return light * field[..., None]


def _foreign_shadow(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A factor in (0, 1]: the shadow of a window frame, a person, a lamp's rim."""
    mask = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        points = rng.uniform(-0.3, 1.3, (int(rng.integers(3, 6)), 2)) * (width, height)
        cv2.fillPoly(mask, [cv2.convexHull(points.astype(np.float32)).astype(np.int32)], 1)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), float(rng.uniform(1.5, 22)))
    return 1 - float(rng.uniform(0.2, 0.65)) * soft


def _blur(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, or moved, or neither."""
    draw = rng.random()
    if draw < 0.45:
        return cv2.GaussianBlur(light, (0, 0), float(rng.uniform(0.4, 1.5)))
    if draw < 0.55:
        length, angle = int(rng.integers(3, 8)), rng.uniform(0, np.pi)
        kernel = np.zeros((length, length), np.float32)
        step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
        centre = np.array([length - 1, length - 1]) / 2
        ends = [tuple(int(v) for v in np.round(centre + sign * step)) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0)
        return cv2.filter2D(light, -1, kernel / max(float(kernel.sum()), 1.0))
    return light


def _cast(rng: np.random.Generator) -> np.ndarray:
    """The colour cast that automatic white balance leaves: (3,) factors."""
    warmth, tint = rng.normal(0, 0.09), rng.normal(0, 0.035)
    return np.array([1 + warmth, 1 + tint, 1 - warmth], np.float32)


def _exposure(light: np.ndarray, rng: np.random.Generator) -> float:
    """A factor that brings the mean to a plausible level, now and then to a poor one."""
    mean = float(light.mean()) + 1e-3
    target = float(np.exp(rng.normal(np.log(0.21), 0.35)))
    factor = (target / mean) ** 0.55
    if rng.random() < 0.12:
        factor *= float(rng.choice([0.4, 1.9]))
    return float(np.clip(factor, 0.3, 3.2))


def _add_noise(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Photon and read noise in linear light."""
    gain, read = rng.uniform(0.0003, 0.004), rng.uniform(0.001, 0.008)
    normal = rng.standard_normal(light.shape, dtype=np.float32)
    return light + normal * np.sqrt(gain * np.clip(light, 0, None) + read * read)


def _tone(encoded: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Contrast and saturation of the camera's processing, on values in 0..1."""
    grey = encoded.mean(2, keepdims=True)
    colour = grey + (encoded - grey) * np.float32(rng.uniform(0.5, 1.4))
    return np.clip(0.5 + (colour - 0.5) * np.float32(rng.uniform(0.75, 1.25)), 0, 1)


def _resample(encoded: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sensor coarser than the picture, or sharpening halos, on values in 0..255."""
    height, width = encoded.shape[:2]
    draw = rng.random()
    if draw < 0.22:
        scale = rng.uniform(0.45, 0.9)
        small = cv2.resize(
            encoded, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_AREA
        )
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if draw < 0.4:
        return encoded + (encoded - cv2.GaussianBlur(encoded, (0, 0), 1.2)) * np.float32(
            rng.uniform(0.3, 1.0)
        )
    return encoded


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Noise after processing: fine in brightness, blotchy in colour; about 1 to 7 grey levels."""
    height, width = shape[:2]
    fine = rng.standard_normal((height, width, 1), dtype=np.float32) * np.float32(
        rng.uniform(0.5, 5)
    )
    coarse = rng.standard_normal((height // 3, width // 3, 3), dtype=np.float32)
    blotches = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return fine + blotches * np.float32(rng.uniform(0.3, 3))
