"""Pictures on the wire to arrays and back: sensor_msgs/Image and CompressedImage <-> numpy."""

from __future__ import annotations

import sys
from array import array as Array
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

Picture = npt.NDArray[np.uint8]

JPEG_START, JPEG_SCAN, JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
PNG_START, PNG_END = b"\x89PNG", b"IEND"


class ImageError(ValueError):
    """An image that cannot be read; the text names the field, its value and what was expected."""


@dataclass(frozen=True)
class Encoding:
    """How one pixel lies in memory.

    Attributes:
        dtype: numpy's name of one channel, byte order left out.
        channels: values per pixel.
        order: "rgb", "bgr" (with or without alpha) or "grey".
        stretch: the values have no fixed range, so a picture shows them from least to greatest.
    """

    dtype: str
    channels: int
    order: str
    stretch: bool = False

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel."""
        return np.dtype(self.dtype).itemsize * self.channels


# nCm names carry no colour order: OpenCV's (blue first) is taken, as RViz does.
ENCODINGS = {
    "rgb8": Encoding("u1", 3, "rgb"),
    "rgba8": Encoding("u1", 4, "rgb"),
    "bgr8": Encoding("u1", 3, "bgr"),
    "bgra8": Encoding("u1", 4, "bgr"),
    "8UC3": Encoding("u1", 3, "bgr"),
    "8UC4": Encoding("u1", 4, "bgr"),
    "mono8": Encoding("u1", 1, "grey"),
    "8UC1": Encoding("u1", 1, "grey"),
    "mono16": Encoding("u2", 1, "grey"),
    "16UC1": Encoding("u2", 1, "grey", stretch=True),
    "32FC1": Encoding("f4", 1, "grey", stretch=True),
}


def decode(msg: Image | CompressedImage) -> Picture:
    """Reads a picture of any usual encoding.

    Args:
        msg: raw or compressed (JPEG, PNG and what else OpenCV reads).

    Returns:
        (H, W, 3) uint8 RGB. For rgb8 and rgba8 it is a view of ``msg.data``: read it, do not
        write it. 16UC1 and 32FC1 are stretched over their own range of finite values.

    Raises:
        ImageError: unknown encoding, zero size, or data that do not fill the picture.
    """
    if isinstance(msg, CompressedImage):
        return _decode_compressed(msg)
    if msg.encoding not in ENCODINGS:
        return _decode_with_cv_bridge(msg)
    encoding = ENCODINGS[msg.encoding]
    pixels = pixel_view(msg, encoding)
    if encoding.order == "rgb":
        return pixels[..., :3]
    if encoding.order == "bgr":
        code = cv2.COLOR_BGR2RGB if encoding.channels == 3 else cv2.COLOR_BGRA2RGB
        return _uint8(cv2.cvtColor(pixels, code))
    return _uint8(cv2.cvtColor(_to_grey(pixels[..., 0], encoding), cv2.COLOR_GRAY2RGB))


def decode_mask(msg: Image) -> npt.NDArray[np.bool_]:
    """Reads a mask: (H, W) bool, true where a one-channel image is above zero.

    Raises:
        ImageError: as ``decode``, and for an encoding of more than one channel.
    """
    encoding = ENCODINGS.get(msg.encoding)
    if encoding is None or encoding.channels != 1:
        wanted = ", ".join(name for name, item in ENCODINGS.items() if item.channels == 1)
        raise ImageError(f"mask.encoding: {msg.encoding!r}; expected one of {wanted}")
    return np.asarray(pixel_view(msg, encoding, "mask")[..., 0] > 0)


def to_image(pixels: npt.NDArray[Any], encoding: str, header: Header) -> Image:
    """Writes an array as a message with rows unpadded, in this machine's byte order.

    Args:
        pixels: (H, W) or (H, W, C), dtype and channels as ``encoding`` says; bool passes as 0 / 1.
        encoding: a key of ``ENCODINGS``.
        header: copied by reference; its stamp is the source image's.

    Raises:
        ValueError: the array does not fit the encoding.
    """
    known = ENCODINGS.get(encoding)
    if known is None:
        raise ValueError(f"encoding: {encoding!r}; expected one of {', '.join(ENCODINGS)}")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    values = pixels.view(np.uint8) if pixels.dtype == np.bool_ else pixels
    if pixels.ndim not in (2, 3) or channels != known.channels or values.dtype != known.dtype:
        raise ValueError(
            f"pixels: {pixels.dtype} of shape {pixels.shape}; {encoding} expects "
            f"{np.dtype(known.dtype)} of {known.channels} channel(s)"
        )
    height, width = pixels.shape[:2]
    msg = Image(header=header, height=height, width=width, encoding=encoding)
    msg.is_bigendian = int(sys.byteorder == "big")
    msg.step = width * known.pixel_bytes
    data = Array("B")
    data.frombytes(np.ascontiguousarray(values).view(np.uint8))  # a list would take 40 ms
    msg.data = data
    return msg


def pixel_view(msg: Image, encoding: Encoding, field: str = "image") -> npt.NDArray[Any]:
    """(H, W, C) view of the message's bytes, in the dtype and byte order the message declares.

    Args:
        msg: the message.
        encoding: that of its name.
        field: what an error calls the message.

    Raises:
        ImageError: zero size, or data that do not fill the picture.
    """
    _check_size(msg, field)
    row = msg.width * encoding.pixel_bytes
    if msg.step < row:
        raise ImageError(
            f"{field}.step: {msg.step}; expected at least {row} "
            f"({msg.width} px x {encoding.pixel_bytes} B of {msg.encoding})"
        )
    needed = msg.height * msg.step
    if len(msg.data) < needed:
        raise ImageError(
            f"{field}.data: {len(msg.data)} bytes; expected {needed} "
            f"(height {msg.height} x step {msg.step})"
        )
    dtype = np.dtype(encoding.dtype).newbyteorder(">" if msg.is_bigendian else "<")
    shape = (msg.height, msg.width, encoding.channels)
    strides = (msg.step, encoding.pixel_bytes, dtype.itemsize)
    return np.ndarray(shape, dtype, buffer=memoryview(msg.data), strides=strides)


def _check_size(msg: Image, field: str = "image") -> None:
    for name, value in (("height", msg.height), ("width", msg.width)):
        if value < 1:
            raise ImageError(f"{field}.{name}: {value}; expected at least 1")


def _to_grey(values: npt.NDArray[Any], encoding: Encoding) -> Picture:
    """(H, W) uint8 from one channel of any depth."""
    if not encoding.stretch:
        return (values >> 8).astype(np.uint8) if encoding.dtype == "u2" else _uint8(values)
    floats = values.astype(np.float32)
    finite = np.isfinite(floats)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = floats[finite].min(), floats[finite].max()
    scaled = (np.where(finite, floats, low) - low) * (255.0 / max(float(high - low), 1e-12))
    return scaled.astype(np.uint8)


def _decode_compressed(msg: CompressedImage) -> Picture:
    """Colour order follows image_transport: OpenCV's, unless the format says "compressed rgb"."""
    if "compressedDepth" in msg.format:
        raise ImageError(
            f"image.format: {msg.format!r}; expected jpeg or png, not compressedDepth"
        )
    data = bytes(msg.data)
    _check_complete(data, msg.format)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"image.data: OpenCV refuses it ({error})") from error
    if pixels is None:
        raise ImageError(
            f"image.data: {len(data)} bytes with format {msg.format!r} that no codec reads; "
            "expected jpeg or png"
        )
    if "compressed rgb" in msg.format:
        return _uint8(pixels)
    return _uint8(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def _check_complete(data: bytes, name: str) -> None:
    """Codecs fill a cut picture with grey and say nothing, so its end is looked for first."""
    if not data:
        raise ImageError(f"image.data: 0 bytes; expected a picture of format {name!r}")
    jpeg = data.startswith(JPEG_START)
    cut_jpeg = jpeg and data.rfind(JPEG_END) <= data.rfind(JPEG_SCAN)
    cut_png = data.startswith(PNG_START) and PNG_END not in data[-64:]
    if cut_jpeg or cut_png:
        kind = "JPEG" if jpeg else "PNG"
        raise ImageError(f"image.data: a {kind} cut off after {len(data)} bytes; expected its end")


def _decode_with_cv_bridge(msg: Image) -> Picture:
    """Bayer, YUV and other encodings, where a ROS installation brings the real cv_bridge."""
    _check_size(msg)
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError:
        raise ImageError(
            f"image.encoding: {msg.encoding!r}; expected one of {', '.join(ENCODINGS)}; "
            "for bayer and yuv install cv_bridge (apt install ros-$ROS_DISTRO-cv-bridge)"
        ) from None
    try:
        return _uint8(CvBridge().imgmsg_to_cv2(msg, "rgb8"))
    except (CvBridgeError, cv2.error, ValueError, TypeError, IndexError) as error:
        raise ImageError(f"image.encoding: {msg.encoding!r}; cv_bridge: {error}") from error


def _uint8(pixels: Any) -> Picture:
    return np.asarray(pixels, np.uint8)
