"""Looks of made-up objects: plain, textured, printed, metal, glass."""

from __future__ import annotations

import cv2
import numpy as np

from training.library import Library
from training.mesh import Mesh
from training.patterns import colour, figured, lettering, ornament, recoloured, tiled, weave
from training.solids import Look

Pieces = tuple[list[Mesh], list[str]]  # an object's pieces and the names of its parts


class Painter:
    """Draws looks: plain, textured, printed, transparent."""

    def __init__(
        self, library: Library, rng: np.random.Generator, tone: np.ndarray | None = None
    ) -> None:
        self.library, self.rng, self.tone = library, rng, tone

    def plain(self, gloss: float | None = None) -> Look:
        """One colour; plastic, ceramic or paint."""
        shine = float(self.rng.beta(1, 2.5)) if gloss is None else gloss
        return Look(linear(colour(self.rng, self.tone)), None, 1.0, shine)

    def metal(self) -> Look:
        """Steel, brass or coloured metal."""
        grey = self.rng.uniform(0.35, 0.75)
        return Look(
            tuple(np.clip(grey + self.rng.normal(0, 0.03, 3), 0, 1)),
            None,
            1.0,
            float(self.rng.uniform(0.5, 0.95)),
        )

    def glass(self) -> Look:
        """Clear or tinted."""
        tint = np.clip(0.9 - self.rng.uniform(0, 0.7) * self.rng.random(3), 0, 1)
        return Look(tuple(tint), None, float(self.rng.uniform(0.08, 0.4)), 0.9)

    def any(self) -> Look:
        """Plain, or with a texture."""
        if self.tone is not None or self.rng.random() < 0.5:
            return self.plain()
        return self.textured()

    def textured(self) -> Look:
        """Covered by a surface, a cloth, painted bands or a photograph of the library."""
        draw = self.rng.random()
        if draw < 0.4:
            picture = tiled(
                self.library.surface(self.rng), 192, 192, float(self.rng.uniform(0.4, 1))
            )
            picture = recoloured(np.ascontiguousarray(picture), self.rng)
        elif draw < 0.5:
            picture = weave(192, 192, self.rng)
        elif draw < 0.6:
            picture = figured(192, 192, self.library, self.rng)
        elif draw < 0.85:
            picture = ornament(192, 192, self.rng)
        else:
            picture = cv2.resize(
                self.library.photograph(self.rng), (192, 192), interpolation=cv2.INTER_AREA
            )
        return Look((1, 1, 1), picture, 1.0, float(self.rng.beta(1, 5)))

    def printed(self, aspect: float = 1.0) -> Look:
        """A label or a cover: a ground with lettering and figures; aspect: width over height."""
        height = 160
        width = int(np.clip(height * aspect, 48, 480))
        picture = np.broadcast_to(colour(self.rng), (height, width, 3)).copy()
        if self.rng.random() < 0.3:
            picture = tiled(self.library.surface(self.rng), height, width, 0.6).astype(np.float32)
        for _ in range(int(self.rng.integers(0, 3))):
            self._stamp(picture)
        for _ in range(int(self.rng.integers(1, 4))):
            h, w = (
                int(height * self.rng.uniform(0.15, 0.7)),
                int(width * self.rng.uniform(0.3, 0.95)),
            )
            y, x = int(self.rng.integers(height - h + 1)), int(self.rng.integers(width - w + 1))
            ink = lettering(h, w, self.rng)[..., None].astype(np.float32) / 255
            picture[y : y + h, x : x + w] = (
                picture[y : y + h, x : x + w] * (1 - ink) + colour(self.rng) * ink
            )
        return Look(
            (1, 1, 1), picture.clip(0, 255).astype(np.uint8), 1.0, float(self.rng.beta(1, 4))
        )

    def photograph(self) -> Look:
        """A picture in a frame or on a screen."""
        if self.rng.random() < 0.5:
            return Look(
                (1, 1, 1), cv2.resize(self.library.photograph(self.rng), (224, 160)), 1.0, 0.3
            )
        return self.printed(1.4)

    def _stamp(self, picture: np.ndarray) -> None:
        """Put a cut-out of the library on a print."""
        size = int(min(picture.shape[:2]) * self.rng.uniform(0.3, 0.9))
        figure = cv2.resize(
            self.library.sprite(self.rng).rgba, (size, size), interpolation=cv2.INTER_AREA
        )
        y, x = (int(self.rng.integers(picture.shape[i] - size + 1)) for i in range(2))
        alpha = figure[..., 3:].astype(np.float32) / 255
        window = picture[y : y + size, x : x + size]
        window[:] = window * (1 - alpha) + figure[..., :3] * alpha


def linear(rgb: np.ndarray) -> tuple[float, float, float]:
    """A colour 0..255 (gamma encoded) as linear 0..1."""
    red, green, blue = (float(v) for v in (rgb / 255) ** 2.2 * 0.9 + 0.02)
    return red, green, blue
