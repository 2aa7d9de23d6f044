"""Pictures on the wire to arrays and back."""

from __future__ import annotations

import builtins
from array import array as Array
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam_ros.nodes.images import ENCODINGS, ImageError, decode, decode_mask, to_image

HEADER = Header(stamp=Time(sec=7, nanosec=9), frame_id="camera")


def picture(height: int = 5, width: int = 7) -> np.ndarray:
    """A picture with no two pixels alike."""
    return np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)


def smooth(height: int = 48, width: int = 64) -> np.ndarray:
    """A picture that survives JPEG: red grows to the right, green downwards, blue stays low."""
    rgb = np.full((height, width, 3), 20, np.uint8)
    rgb[..., 0] = np.linspace(0, 250, width)[None]
    rgb[..., 1] = np.linspace(0, 250, height)[:, None]
    return rgb


def message(rows: np.ndarray, encoding: str, padding: int = 0, big: bool = False) -> Image:
    """A message with ``padding`` bytes behind every row, in the wanted byte order."""
    values = rows.astype(rows.dtype.newbyteorder(">" if big else "<"))
    flat = values.reshape(rows.shape[0], -1).view(np.uint8)
    padded = np.pad(flat, ((0, 0), (0, padding)), constant_values=77)
    return Image(
        height=rows.shape[0],
        width=rows.shape[1],
        encoding=encoding,
        step=padded.shape[1],
        is_bigendian=int(big),
        data=Array("B", padded.tobytes()),
    )


def compressed(rgb: np.ndarray, kind: str = ".jpg", name: str = "jpeg") -> CompressedImage:
    """The picture as a driver sends it."""
    _, data = cv2.imencode(kind, rgb[..., ::-1])
    return CompressedImage(format=name, data=Array("B", data.tobytes()))


def in_encoding(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """What a driver with that encoding would send for the picture."""
    kind = ENCODINGS[encoding]
    pixels = rgb if kind.order == "rgb" else rgb[..., ::-1]
    if kind.channels == 4:
        alpha = np.full((*rgb.shape[:2], 1), 9, np.uint8)
        pixels = np.concatenate((pixels, alpha), axis=2)
    return pixels


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "8UC3", "8UC4"])
@pytest.mark.parametrize("padding", [0, 5])
def test_colour_encodings_give_rgb(encoding: str, padding: int) -> None:
    """Every colour order and alpha comes out as RGB, padding behind the rows is not looked at."""
    rgb = picture()
    msg = message(in_encoding(rgb, encoding), encoding, padding)
    np.testing.assert_array_equal(decode(msg), rgb)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_gives_three_equal_channels(encoding: str) -> None:
    """Eight-bit grey keeps its values."""
    grey = picture()[..., 0]
    np.testing.assert_array_equal(decode(message(grey, encoding, 3)), np.stack([grey] * 3, 2))


@pytest.mark.parametrize("big", [False, True])
def test_mono16_keeps_the_upper_byte_in_either_byte_order(big: bool) -> None:
    """0x1234 is shown as 0x12 whichever way round it is sent."""
    grey = np.array([[0x1234, 0xFFFF], [0x00FF, 0x8000]], np.uint16)
    expected = np.array([[0x12, 0xFF], [0x00, 0x80]], np.uint8)
    np.testing.assert_array_equal(decode(message(grey, "mono16", 2, big))[..., 1], expected)


@pytest.mark.parametrize("big", [False, True])
def test_ranges_without_a_limit_are_stretched(big: bool) -> None:
    """Depth from least to greatest becomes 0..255; NaN and infinity count as the least."""
    metres = np.array([[1.0, 3.0, np.nan], [2.0, np.inf, -np.inf]], np.float32)
    seen = decode(message(metres, "32FC1", 4, big))[..., 0]
    np.testing.assert_array_equal(seen, [[0, 255, 0], [127, 0, 0]])
    millimetres = np.array([[500, 1500], [1000, 500]], np.uint16)
    seen = decode(message(millimetres, "16UC1", 0, big))[..., 0]
    np.testing.assert_array_equal(seen, [[0, 255], [127, 0]])


def test_depth_without_a_single_value_is_black() -> None:
    """All NaN is no reason to fail."""
    assert not decode(message(np.full((2, 3), np.nan, np.float32), "32FC1")).any()
    assert not decode(message(np.full((2, 3), 4.0, np.float32), "32FC1")).any()


def test_rgb8_is_a_view() -> None:
    """The most usual encoding costs no copy."""
    msg = message(picture(), "rgb8", 2)
    view = decode(msg)
    msg.data[0] = 201
    assert view[0, 0, 0] == 201


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    seed=st.integers(0, 99),
)
def test_to_image_is_what_decode_reads(height: int, width: int, encoding: str, seed: int) -> None:
    """Any array of any encoding comes back from its message unchanged."""
    kind = ENCODINGS[encoding]
    random = np.random.default_rng(seed)
    shape = (height, width, kind.channels)[: 2 if kind.channels == 1 else 3]
    array = random.integers(0, 255, shape).astype(kind.dtype)
    msg = to_image(array, encoding, HEADER)
    assert (msg.header, msg.height, msg.width, msg.encoding) == (HEADER, height, width, encoding)
    assert msg.step == width * kind.pixel_bytes and len(msg.data) == height * msg.step
    assert isinstance(msg.data, Array)
    back = np.frombuffer(msg.data, kind.dtype).reshape(shape)
    np.testing.assert_array_equal(back, array)
    assert decode(msg).shape == (height, width, 3)


def test_to_image_copes_with_views() -> None:
    """A transposed, reversed view is written in its own order."""
    view = picture()[::-1, ::2]
    np.testing.assert_array_equal(decode(to_image(view, "rgb8", HEADER)), view)


@pytest.mark.parametrize(
    ("array", "encoding"),
    [
        (np.zeros((2, 2, 3), np.uint8), "mono8"),
        (np.zeros((2, 2), np.float32), "mono8"),
        (np.zeros((2, 2), np.uint8), "rgb8"),
        (np.zeros((2, 2), np.int64), "16UC1"),
        (np.zeros(4, np.uint8), "mono8"),
        (np.zeros((2, 2), np.uint8), "yuv422"),
    ],
)
def test_to_image_refuses_what_does_not_fit(array: np.ndarray, encoding: str) -> None:
    """Dtype and channels must be those of the encoding."""
    with pytest.raises(ValueError, match="expect"):
        to_image(array, encoding, HEADER)


def broken(**changes: Any) -> Image:
    """A good message with some fields spoilt."""
    msg = message(picture(), "rgb8")
    for name, value in changes.items():
        setattr(msg, name, value)
    return msg


@pytest.mark.parametrize(
    ("msg", "words"),
    [
        (broken(height=0), ["height", "0", "at least 1"]),
        (broken(width=0), ["width", "0", "at least 1"]),
        (broken(step=20), ["step", "20", "21"]),
        (broken(step=0), ["step", "0", "21"]),
        (broken(data=Array("B", bytes(104))), ["data", "104", "105"]),
        (broken(data=Array("B")), ["data", "0 bytes", "105"]),
        (broken(height=2**32 - 1, step=2**32 - 1), ["data", "105"]),
        (broken(encoding="rgb9"), ["encoding", "rgb9", "bgr8"]),
        (broken(encoding=""), ["encoding", "rgb8"]),
        (broken(encoding="mono16", step=13), ["step", "13", "14"]),
    ],
)
def test_broken_messages_are_named(msg: Image, words: list[str]) -> None:
    """The error tells the field, its value and what was expected."""
    with pytest.raises(ImageError) as caught:
        decode(msg)
    for word in words:
        assert word in str(caught.value)


def test_bayer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without cv_bridge an encoding that needs it names the package."""
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "cv_bridge":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImageError, match="bayer_rggb8.*cv-bridge"):
        decode(broken(encoding="bayer_rggb8"))


@pytest.mark.parametrize(
    "name", ["jpeg", "jpg", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8", ""]
)
def test_jpeg_is_read_whatever_the_format_is_called(name: str) -> None:
    """Drivers and image_transport name JPEG differently; colours stay where they are."""
    rgb = smooth()
    difference = np.abs(decode(compressed(rgb, ".jpg", name)).astype(int) - rgb)
    assert difference.mean() < 4


def test_png_is_read_exactly() -> None:
    """PNG loses nothing; grey and alpha become RGB."""
    rgb = smooth()
    np.testing.assert_array_equal(
        decode(compressed(rgb, ".png", "rgb8; png compressed bgr8")), rgb
    )
    _, data = cv2.imencode(".png", rgb[..., 0])
    grey = decode(CompressedImage(format="mono8; png compressed mono8", data=data.tobytes()))
    np.testing.assert_array_equal(grey[..., 2], rgb[..., 0])


def test_swapped_colours_of_the_format_are_honoured() -> None:
    """The words "compressed rgb8" say that the coder was given RGB as if it were BGR."""
    rgb = smooth()
    msg = compressed(rgb[..., ::-1], ".png", "rgb8; png compressed rgb8")
    np.testing.assert_array_equal(decode(msg), rgb)


@pytest.mark.parametrize("kind", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_cut_off_pictures_are_refused(kind: str, share: float) -> None:
    """A codec would fill the rest with grey; half a picture must not be segmented."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    msg = compressed(noise, kind)
    msg.data = msg.data[: int(len(msg.data) * share)]
    with pytest.raises(ImageError, match="data"):
        decode(msg)


def test_bytes_behind_a_jpeg_are_harmless() -> None:
    """Many cameras pad their frames with zeros."""
    msg = compressed(smooth())
    msg.data = msg.data + Array("B", bytes(300))
    assert decode(msg).shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"not a picture at all", "jpeg", "no codec"),
        (b"\xff\xd8\xff\xda\xff\xd9", "jpeg", "data"),
        (b"", "png", "0 bytes"),
        (b"12345678", "16UC1; compressedDepth png", "compressedDepth"),
    ],
)
def test_other_data_is_refused(data: bytes, name: str, words: str) -> None:
    """Garbage, nothing and depth streams are errors with a reason."""
    with pytest.raises(ImageError, match=words):
        decode(CompressedImage(format=name, data=data))


def test_masks_of_every_depth() -> None:
    """Whatever is above zero belongs to the object."""
    values = np.array([[0, 1], [255, 0]])
    for encoding, dtype in (("mono8", np.uint8), ("16UC1", np.uint16), ("32FC1", np.float32)):
        mask = decode_mask(message(values.astype(dtype), encoding, 3))
        np.testing.assert_array_equal(mask, values > 0)
    with pytest.raises(ImageError, match="mask.encoding.*rgb8.*mono8"):
        decode_mask(message(picture(), "rgb8"))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"step": 3}, r"mask\.step: 3; expected at least 7"),
        ({"data": Array("B", bytes(9))}, r"mask\.data: 9 bytes; expected 35"),
        ({"width": 0}, r"mask\.width: 0"),
    ],
)
def test_a_broken_mask_is_not_called_an_image(changes: dict[str, Any], text: str) -> None:
    """The error names the field of the prompt."""
    msg = message(picture()[..., 0], "mono8")
    for name, value in changes.items():
        setattr(msg, name, value)
    with pytest.raises(ImageError, match=text):
        decode_mask(msg)
