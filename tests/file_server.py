"""A local HTTP server that serves one file, can hang up in the middle of it, and resumes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


class FileServer:
    """Serves ``body`` at every path; a context manager.

    Args:
        body: the file.
        headers: for each request in turn, the headers that identify the file; the last ones hold
            for all further requests.
        hang_up: whether the first request gets only half of the file.
        until: what the first request waits for in the middle of the file.
    """

    def __init__(
        self,
        body: bytes,
        headers: Sequence[Mapping[str, str]] = ({},),
        *,
        hang_up: bool = False,
        until: threading.Event | None = None,
    ) -> None:
        self.body = body
        self.headers = headers
        self.hang_up = hang_up
        self.until = until
        self.ranges: list[tuple[str | None, str | None]] = []
        """The headers Range and If-Range of each request."""

    def __enter__(self) -> FileServer:
        owner = self

        class Handler(_Handler):
            server_of = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}"


class _Handler(BaseHTTPRequestHandler):
    server_of: FileServer

    def do_GET(self) -> None:
        owner = self.server_of
        is_first = not owner.ranges
        headers = owner.headers[min(len(owner.ranges), len(owner.headers) - 1)]
        range_, if_range = self.headers["Range"], self.headers["If-Range"]
        owner.ranges.append((range_, if_range))
        start = 0
        if range_ is not None and if_range in headers.values():
            start = int(range_.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            last = len(owner.body) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(owner.body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(owner.body) - start))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        middle = len(owner.body) // 2
        if is_first and owner.until is not None:
            self.wfile.write(owner.body[start:middle])
            owner.until.wait(60)
            start = middle
        end = middle if is_first and owner.hang_up else len(owner.body)
        self.wfile.write(owner.body[start:end])

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""
