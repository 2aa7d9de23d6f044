"""A publisher on this machine, whose connections break on request."""

from __future__ import annotations

import hashlib
import random
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sam_ros.models.catalogue import Entry, File

CONTENT = random.Random(5).randbytes(600_000)


class Publisher(ThreadingHTTPServer):
    """Serves CONTENT under any name.

    Attributes:
        cut_after: bytes after which a connection breaks; 0: none does.
        ranges: whether it knows the header Range.
        status: what it answers.
        requests: the header Range of each request, "" without one.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cut_after, self.ranges, self.status = 0, True, 200
        self.content = CONTENT
        self.requests: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Publisher

    def do_GET(self) -> None:
        publisher, wanted = self.server, self.headers.get("Range", "")
        publisher.requests.append(wanted)
        if publisher.status != 200:
            self.send_error(publisher.status)
            return
        start = 0
        if wanted and publisher.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        body = publisher.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            whole = len(publisher.content)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.end_headers()
        self.wfile.write(body[: publisher.cut_after or None])

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def toy(address: str, content: bytes = CONTENT) -> Entry:
    """An entry of one file that the publisher has."""
    digest = hashlib.sha256(content).hexdigest()
    file = File("toy.pt", f"{address}/toy.pt", digest, len(content))
    return Entry("toy", "MIT", "made by the test", (file,))
