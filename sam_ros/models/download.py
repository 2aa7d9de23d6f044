"""Getting an entry's files from their publishers, over connections that break."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pooch
import requests
from filelock import FileLock, Timeout
from tqdm import tqdm

from sam_ros.models import cache
from sam_ros.models.catalogue import Entry, File

TRIES = 3  # in a row without a byte
PAUSE = 0.5  # seconds before the second try
PATIENCE = (10, 60)  # seconds to connect, and between two packets
CHUNK = 1 << 14  # bytes: what of it has come when a connection breaks is lost
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

pooch.get_logger().setLevel("ERROR")  # what it tells, the command tells better


class FetchError(RuntimeError):
    """A file that could not be fetched; the text says why, and what is left of it."""


def fetch(entry: Entry) -> None:
    """Fetches the files of an entry that are not there yet, one process at a time.

    A file has its name only once its SHA-256 was right. One that is cut off is gone on with, in
    this call and in the next.

    Raises:
        FetchError: no network, an error of the server, another content, or no room.
    """
    place = cache.place(entry)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with _alone(entry, place / ".lock"):
            _check_room(entry, place)
            for file in entry.files:
                _fetch_file(entry, file)
    except requests.RequestException as error:
        raise FetchError(_network(error, entry)) from error
    except OSError as error:
        raise FetchError(_disk(error, entry, place)) from error


def _alone(entry: Entry, path: Path) -> AbstractContextManager[Any]:
    """The lock of an entry, taken; it is let go when its ``with`` block is left."""
    lock = FileLock(path)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        print(f"{entry.name} is being fetched by another process; waiting", file=sys.stderr)
        return lock.acquire()


def _check_room(entry: Entry, place: Path) -> None:
    needed, free = entry.size - cache.present(entry), shutil.disk_usage(place).free
    if needed > free:
        text = f"{entry.name} needs {_mb(needed)} more in {place}, and only {_mb(free)} are free"
        raise FetchError(text)


def _fetch_file(entry: Entry, file: File) -> None:
    """Pooch asks for the file unless it is there, and moves it into place if its hash is right."""
    try:
        pooch.retrieve(
            file.url,
            f"sha256:{file.sha256}",
            fname=file.name,
            path=cache.place(entry),
            downloader=_Resuming(file, cache.part_of(entry, file)),
        )
    except requests.RequestException:
        raise
    except ValueError as error:
        text = f"{file.url}: its SHA-256 is not {file.sha256}; what came was deleted"
        raise FetchError(text) from error


@dataclass(frozen=True)
class _Resuming:
    """A downloader as pooch takes it, which goes on where an earlier one was cut off."""

    file: File
    part: Path

    def __call__(self, url: str, output: str, _: Any) -> None:
        if cache.size(self.part) > self.file.size:
            self.part.unlink()
        with tqdm(
            total=self.file.size, desc=self.file.name, unit="B", unit_scale=True, disable=None
        ) as bar:
            self._complete(bar)
        os.replace(self.part, output)

    def _complete(self, bar: Any) -> None:
        """Asks for what is missing, again and again while something comes."""
        in_vain = 0
        while (had := cache.size(self.part)) < self.file.size or not self.part.exists():
            try:
                self._append(had, bar)
            except requests.HTTPError:
                raise
            except requests.RequestException:
                in_vain = in_vain + 1 if cache.size(self.part) <= had else 0
                if in_vain >= TRIES:
                    raise
                time.sleep(PAUSE * 2**in_vain)

    def _append(self, had: int, bar: Any) -> None:
        """Asks for the bytes from ``had`` on; a server that knows no ranges sends them all."""
        headers = {"Accept-Encoding": "identity"}
        if had:
            headers["Range"] = f"bytes={had}-"
        with requests.get(self.file.url, headers=headers, stream=True, timeout=PATIENCE) as reply:
            reply.raise_for_status()
            start = had if reply.status_code == requests.codes.partial_content else 0
            self._check_length(start, reply)
            bar.n = start
            with self.part.open("ab" if start else "wb") as stream:
                for chunk in reply.iter_content(CHUNK):
                    stream.write(chunk)
                    bar.update(len(chunk))
        if cache.size(self.part) < self.file.size:  # urllib3 before 2 does not tell
            raise requests.ConnectionError("the connection was cut")

    def _check_length(self, start: int, reply: requests.Response) -> None:
        """Stops at once when the server has something else, such as a page that asks to log in."""
        rest = reply.headers.get("Content-Length")
        if rest is not None and start + int(rest) != self.file.size:
            text = f"{start + int(rest)} bytes; expected {self.file.size}"
            raise FetchError(f"{self.file.url}: {text}. The file has changed, or is not this one")


def _network(error: requests.RequestException, entry: Entry) -> str:
    if error.response is not None:
        return f"{error.response.url}: {error.response.status_code} {error.response.reason}"
    host = urlsplit(str(error.request.url)).netloc if error.request else "the server"
    cause = "no answer in time" if isinstance(error, requests.Timeout) else "no connection"
    return (
        f"{entry.name}: {cause} with {host}; is this machine on the network? "
        f"{_mb(cache.present(entry))} of {_mb(entry.size)} are here, the same command goes on"
    )


def _disk(error: OSError, entry: Entry, place: Path) -> str:
    if error.errno in FULL:
        kept = _mb(cache.present(entry))
        return f"{place}: no room ({error.strerror}); {kept} of {_mb(entry.size)} are kept"
    return f"{place}: {error.strerror or error}"


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
