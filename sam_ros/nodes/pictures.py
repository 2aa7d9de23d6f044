"""Where the image source's pictures come from: a file, a folder, a video or a webcam."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
BAG_SUFFIXES = (".mcap", ".db3")
STILLS_RATE = 10.0


class PictureError(ValueError):
    """A path that gives no pictures; the text says what was expected there."""


class Pictures(Protocol):
    """A stream of pictures that can be read one by one.

    Attributes:
        live: a camera, which has no end and cannot go back.
        rate: pictures per second to read them at [Hz].
    """

    live: bool
    rate: float

    def read(self) -> Picture | None:
        """The next (H, W, 3) uint8 RGB picture, or None at the end."""

    def rewind(self) -> None:
        """Starts from the first picture again; a camera goes on."""

    def close(self) -> None:
        """Gives the file or device back."""


class Stills:
    """Picture files in the order of their names, each kept for some frames.

    Args:
        files: at least one.
        rate: at which they are read [Hz].
        hold: how long each is given before the next one [s].

    Raises:
        PictureError: the first file is not a readable picture.
    """

    live = False

    def __init__(self, files: list[Path], rate: float = STILLS_RATE, hold: float = 0.0) -> None:
        self.rate = rate
        self._files, self._repeat = files, max(1, round(hold * rate))
        self._order = self._each()
        self._kept = (files[0], read_picture(files[0]))

    def read(self) -> Picture | None:
        """As ``Pictures.read``; a file that cannot be read raises PictureError, then is past."""
        file = next(self._order, None)
        if file is None:
            return None
        if self._kept[0] != file:
            self._kept = (file, read_picture(file))
        return self._kept[1]

    def rewind(self) -> None:
        """As ``Pictures.rewind``."""
        self._order = self._each()

    def close(self) -> None:
        """Nothing is held open."""

    def _each(self) -> Iterator[Path]:
        return (file for file in self._files for _ in range(self._repeat))


class Capture:
    """A video file or a camera, through OpenCV.

    Args:
        source: path of a video, path of a device such as /dev/video0, or a camera's number.
        rate: pictures per second [Hz]; 0 takes the video's or camera's own.

    Raises:
        PictureError: OpenCV cannot open it.
    """

    def __init__(self, source: str | int, rate: float = 0.0) -> None:
        self.live = isinstance(source, int) or source.startswith("/dev/")
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            what = "a camera that is plugged in, free and allowed" if self.live else "a video"
            raise PictureError(f"path: {source}; expected {what} (OpenCV cannot open it)")
        self.rate = rate or self._capture.get(cv2.CAP_PROP_FPS) or 30.0

    def read(self) -> Picture | None:
        """As ``Pictures.read``; None also when a camera was unplugged."""
        good, pixels = self._capture.read()
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8) if good else None

    def rewind(self) -> None:
        """As ``Pictures.rewind``."""
        if not self.live:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)

    def close(self) -> None:
        """As ``Pictures.close``."""
        self._capture.release()


def read_picture(file: Path) -> Picture:
    """Reads one file as (H, W, 3) uint8 RGB.

    Raises:
        PictureError: it is not a picture that OpenCV reads.
    """
    try:
        data = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        raise PictureError(f"path: {file}; {error.strerror}") from error
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if pixels is None:
        raise PictureError(f"path: {file}; expected a picture ({', '.join(PICTURE_SUFFIXES)})")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def open_pictures(path: str, rate: float = 0.0, hold: float = 0.0) -> Pictures:
    """Opens what a path stands for.

    Args:
        path: a picture, a folder of pictures, a video file, a device (/dev/video0) or its number.
        rate: pictures per second [Hz]; 0: the video's or camera's own, 10 for pictures.
        hold: how long each picture of a folder is given before the next [s].

    Raises:
        PictureError: there is nothing to read; the text says what was expected.
    """
    if not path:
        raise PictureError("path: empty; expected a picture, a folder, a video or a camera (0)")
    if path.isdigit():
        return Capture(int(path), rate)
    place = Path(path).expanduser()
    if (place / "metadata.yaml").exists() or place.suffix in BAG_SUFFIXES:
        raise PictureError(f"path: {place}; expected pictures, and bags are played by bag_source")
    if place.is_dir():
        files = sorted(item for item in place.iterdir() if _is_picture(item))
        if not files:
            raise PictureError(f"path: {place}; expected a folder with pictures, found none in it")
        return Stills(files, rate or STILLS_RATE, hold)
    if not place.exists():
        raise PictureError(f"path: {place}; expected a file, a folder or a camera, found nothing")
    if _is_picture(place):
        return Stills([place], rate or STILLS_RATE)
    return Capture(str(place), rate)


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in PICTURE_SUFFIXES
