"""Fetching from a server that misbehaves, onto a disk that is full."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from publisher import CONTENT, Publisher

from sam_ros.models import cache
from sam_ros.models.catalogue import CATALOGUE, Entry
from sam_ros.models.download import CHUNK, TRIES, FetchError, fetch

ROOT = Path(__file__).parents[2]


def test_what_is_fetched_is_found_and_not_asked_for_again(
    entry: Entry, publisher: Publisher
) -> None:
    """The bytes are the publisher's, and nothing else is left in the folder."""
    assert cache.find("toy") is None
    fetch(entry)
    path = cache.find("toy")
    assert path is not None and path.read_bytes() == CONTENT
    assert {item.name for item in path.parent.iterdir()} <= {"toy.pt", ".lock"}
    fetch(entry)
    assert publisher.requests == [""]


def test_a_connection_that_is_cut_is_gone_on_with(entry: Entry, publisher: Publisher) -> None:
    """Each request asks from where the last one broke; at most one chunk comes twice."""
    publisher.cut_after = 250_000
    fetch(entry)
    assert cache.path_of(entry, entry.files[0]).read_bytes() == CONTENT
    starts = [int(item.removeprefix("bytes=").rstrip("-")) for item in publisher.requests[1:]]
    assert len(starts) == 2
    assert 250_000 - CHUNK <= starts[0] <= 250_000
    assert starts[0] + 250_000 - CHUNK <= starts[1] <= starts[0] + 250_000


def test_a_later_call_goes_on_where_an_earlier_one_ended(
    entry: Entry, publisher: Publisher
) -> None:
    """What an interrupted process left is kept, and is not taken for the file."""
    part = cache.part_of(entry, entry.files[0])
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:1000])
    assert cache.find("toy") is None and cache.present(entry) == 1000
    fetch(entry)
    assert publisher.requests == ["bytes=1000-"]
    assert cache.path_of(entry, entry.files[0]).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(entry: Entry, publisher: Publisher) -> None:
    """Its answer replaces the part instead of being appended to it."""
    part = cache.part_of(entry, entry.files[0])
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    publisher.ranges = False
    fetch(entry)
    assert cache.path_of(entry, entry.files[0]).read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_begun_anew(
    entry: Entry, publisher: Publisher
) -> None:
    part = cache.part_of(entry, entry.files[0])
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + b"more")
    fetch(entry)
    assert publisher.requests == [""]


@pytest.mark.parametrize("kept", [0, 5])
def test_another_content_is_deleted(entry: Entry, publisher: Publisher, kept: int) -> None:
    """Of the same length but not the same bytes: neither the file nor a part of it stays."""
    part = cache.part_of(entry, entry.files[0])
    part.parent.mkdir(parents=True)
    part.write_bytes(b"wrong"[:kept])
    publisher.content = CONTENT if kept else CONTENT[:-1] + b"\0"
    with pytest.raises(FetchError, match="SHA-256 is not"):
        fetch(entry)
    assert cache.present(entry) == 0 and cache.find("toy") is None
    publisher.content = CONTENT
    fetch(entry)
    assert cache.verify(entry) == []


def test_another_length_is_refused_before_it_is_loaded(entry: Entry, publisher: Publisher) -> None:
    """A page that asks to log in is no file of weights."""
    publisher.content = b"<html>Please log in</html>"
    with pytest.raises(FetchError, match="26 bytes; expected 600000"):
        fetch(entry)
    assert cache.present(entry) == 0


@pytest.mark.parametrize("status", [403, 404, 503])
def test_an_error_of_the_server_is_named(entry: Entry, publisher: Publisher, status: int) -> None:
    publisher.status = status
    with pytest.raises(FetchError, match=rf"toy\.pt: {status} "):
        fetch(entry)
    assert len(publisher.requests) == 1


def test_without_a_network_the_error_says_so(
    entry: Entry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that nobody listens on; what is here is kept."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{closed.getsockname()[1]}"
    gone = replace(entry, files=(replace(entry.files[0], url=f"http://{host}/toy.pt"),))
    part = cache.part_of(entry, entry.files[0])
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:300_000])
    with pytest.raises(FetchError, match=f"no connection with {host}; is this machine on the net"):
        fetch(gone)
    assert cache.present(entry) == 300_000


def test_a_server_that_sends_nothing_is_given_up(entry: Entry, publisher: Publisher) -> None:
    """It is asked a few times, not for ever."""
    publisher.cut_after = -len(CONTENT)  # the header comes, and no byte
    with pytest.raises(FetchError, match="no connection"):
        fetch(entry)
    assert len(publisher.requests) == TRIES


def test_a_disk_without_room_is_told_before_the_download(
    entry: Entry, publisher: Publisher
) -> None:
    """The numbers are named, and nothing is asked for."""
    huge = replace(entry, files=(replace(entry.files[0], size=1 << 60),))
    with pytest.raises(FetchError, match=r"needs 1152921504607 MB more .* only \d+ MB are free"):
        fetch(huge)
    assert publisher.requests == []


def test_a_disk_that_fills_up_meanwhile(entry: Entry) -> None:
    """The system's own full device stands where the part grows."""
    part = cache.part_of(entry, entry.files[0])
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with pytest.raises(FetchError, match="no room"):
        fetch(entry)
    assert cache.find("toy") is None
    part.unlink()
    fetch(entry)


CHILD = """
import sys
from sam_ros.models.catalogue import CATALOGUE, Entry, File
from sam_ros.models.__main__ import main
name, url, sha256, size = sys.argv[1:]
CATALOGUE["toy"] = Entry("toy", "MIT", "", (File(name, url, sha256, int(size)),))
sys.exit(main(["fetch", "toy"]))
"""


def start(entry: Entry, limit: int = 0) -> subprocess.Popen[str]:
    """The command in a process of its own, which may write files of ``limit`` bytes."""
    file = entry.files[0]
    arguments = [file.name, file.url, file.sha256, str(file.size)]

    def restrict() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restrict,
    )


def test_a_file_over_the_quota_ends_with_one_line(entry: Entry, publisher: Publisher) -> None:
    """What fitted stays, and is gone on with when there is room."""
    process = start(entry, limit=400_000)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no room" in errors and "Traceback" not in errors and errors.count("\n") == 1
    kept = cache.present(entry)
    assert 0 < kept <= 400_000
    fetch(entry)
    assert publisher.requests == ["", f"bytes={kept}-"]


def test_two_processes_fetch_once(entry: Entry, publisher: Publisher) -> None:
    """The second waits for the first and finds its file."""
    processes = [start(entry) for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert publisher.requests == [""]
    assert cache.verify(entry) == []


def test_the_catalogue_is_complete() -> None:
    """Every file has a full hash, an address by HTTPS and a name that is its own."""
    for name, item in CATALOGUE.items():
        assert item.name == name and item.licence in {"Apache-2.0", "MIT"}
        assert len({file.name for file in item.files}) == len(item.files)
        for file in item.files:
            assert len(bytes.fromhex(file.sha256)) == 32 and file.size > 0
            assert file.url.startswith("https://") and file.url.endswith(f"/{file.name}")
