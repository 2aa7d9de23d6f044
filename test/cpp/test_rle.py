"""The C++ header against the Python decoder, and as other packages find it."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_ros.engine import rle

HERE = Path(__file__).parent
INCLUDE = HERE.parents[1] / "include"
FAILED = 0xFFFFFFFF

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="install a C++ compiler: g++")


class Decoder:
    """A running program that decodes with the header."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def _number(self) -> int:
        return int(struct.unpack("I", self._bytes(4))[0])

    def _bytes(self, count: int) -> bytes:
        assert self.process.stdout is not None
        data = b""
        while len(data) < count:
            more = self.process.stdout.read(count - len(data))
            assert more, f"the program ended with {self.process.wait()}"
            data += more
        return data

    def decode(self, counts: list[int], height: int, width: int, step: int) -> tuple[bytes, int]:
        """Rows of ``step`` bytes and the area, or ValueError with the program's text."""
        assert self.process.stdin is not None
        head = (height, width, step, len(counts))
        self.process.stdin.write(struct.pack(f"{4 + len(counts)}I", *head, *counts))
        size = self._number()
        if size == FAILED:
            raise ValueError(self._bytes(self._number()).decode())
        return self._bytes(size), self._number()


@pytest.fixture(scope="module", params=["c++14", "c++17"])
def decoder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Decoder]:
    """The header compiled with all warnings and with checks of every access and number."""
    program = tmp_path_factory.mktemp("cpp") / "decode"
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    source = HERE / "decode.cpp"
    command = ["c++", f"-std={request.param}", "-O1", *warnings, *checks, f"-I{INCLUDE}"]
    subprocess.run([*command, source, "-o", program], check=True)
    decoder = Decoder(program)
    yield decoder
    assert decoder.process.stdin is not None
    decoder.process.stdin.close()
    assert decoder.process.wait(10) == 0


@st.composite
def masks(draw: st.DrawFn) -> npt.NDArray[np.bool_]:
    """Masks of few and of many runs, of any shape, empty ones too."""
    height, width = draw(st.integers(0, 40)), draw(st.integers(0, 40))
    seed, share = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0, 0.02, 0.5, 0.98, 1]))
    return np.asarray(np.random.default_rng(seed).random((height, width)) < share)


@settings(max_examples=150)
@given(mask=masks(), padding=st.integers(0, 5))
def test_it_decodes_as_python_does(
    decoder: Decoder, mask: npt.NDArray[np.bool_], padding: int
) -> None:
    """Every pixel, the area, and rows with bytes between them that are left alone."""
    height, width = mask.shape
    counts = [int(run) for run in rle.encode(mask)]
    data, area = decoder.decode(counts, height, width, width + padding)
    rows = np.frombuffer(data, np.uint8).reshape(height, width + padding)
    np.testing.assert_array_equal(rows[:, :width], rle.decode(counts, height, width))
    assert (rows[:, width:] == 9).all()
    assert area == rle.area(counts) == mask.sum()


@settings(max_examples=60)
@given(
    counts=st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 12), max_size=8),
    size=st.tuples(st.integers(0, 6), st.integers(0, 6)),
)
def test_it_refuses_what_python_refuses(
    decoder: Decoder, counts: list[int], size: tuple[int, int]
) -> None:
    """Runs that do not fill the mask, with the same words; runs of 0 anywhere are fine."""
    height, width = size
    expected = outcome(lambda: rle.decode(counts, height, width).tobytes())
    assert outcome(lambda: decoder.decode(counts, height, width, width)[0]) == expected


def outcome(decode: Callable[[], bytes]) -> bytes | str:
    """The mask, or the text of the error."""
    try:
        return decode()
    except ValueError as error:
        return str(error)


def _is_built() -> bool:
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return any((Path(item) / "share/sam_ros/cmake").is_dir() for item in prefixes if item)


@pytest.mark.skipif(shutil.which("cmake") is None, reason="install cmake")
@pytest.mark.skipif(not _is_built(), reason="run it by `make test`, which builds the package")
def test_another_package_finds_it(tmp_path: Path) -> None:
    """find_package(sam_ros), then run lengths alone, and the messages with them."""
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    for command in (
        ["cmake", "-S", HERE / "consumer", "-B", tmp_path, "-DCMAKE_BUILD_TYPE=Release"],
        ["cmake", "--build", tmp_path],
    ):
        result = subprocess.run(command, **quiet)  # type: ignore[call-overload]
        assert result.returncode == 0, result.stdout
    for program in ("plain", "messages"):
        subprocess.run([tmp_path / program], check=True)
