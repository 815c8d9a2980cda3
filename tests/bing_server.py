"""A local HTTP server with Bing's result page and the photos on it, which can be hostile too.

``with BingServer(photos) as server:`` serves until the block ends; ``server.search_url`` and
``server.host`` go into ``scrape.search_url`` and ``scrape.allow_hosts``.
"""

from __future__ import annotations

import contextlib
import html
import json
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

HOSTILE = (
    "html",
    "missing",
    "forbidden",
    "endless",
    "claims-much",
    "drip",
    "silent",
    "hangs-up",
    "cut-off",
    "busy",
    "compressed",
    "noai",
    "noai-no-text",
    "encoding-no-text",
    "distant",
    "robots",
    "loop",
    "to-loopback",
    "to-metadata",
    "to-file",
    "to-nowhere",
    "garbage",
    "long-header",
    "bad-chunk",
    "empty",
)
"""Kinds of responses that are no photo; each is served at ``/bad/<kind>``."""

FOREIGN = (
    "file:///etc/passwd",
    "ftp://127.0.0.1/photo.jpg",
    "http://169.254.169.254/latest/meta-data/photo.jpg",
    "http://[::1]:{port}/photo/beach/0.jpg",
    "http://[::ffff:127.0.0.1]:{port}/photo/beach/0.jpg",
    "http://127.1:{port}/photo/beach/0.jpg",
    "http://2130706433:{port}/photo/beach/0.jpg",
    "http://0x7f000001:{port}/photo/beach/0.jpg",
    "http://user:word@127.0.0.1:{port}/photo/beach/0.jpg",
    "http://localhost.:{port}/photo/beach/0.jpg",
    "https://",
    "not a url",
)
"""URLs that must not even be requested; ``{port}`` is the server's own."""


class BingServer:
    """The server.

    Args:
        photos: by query, the bytes of the photos that the search finds, in order.
        bad: URLs, or kinds of :data:`HOSTILE`, that the search finds before the photos.
        page_size: results on a page, whatever ``count`` is requested.
        robots: the content of robots.txt, or the status of an error.
        delay: seconds before each photo is served.
    """

    def __init__(
        self,
        photos: Mapping[str, Sequence[bytes]],
        *,
        bad: Sequence[str] = (),
        page_size: int = 7,
        robots: str | int = "User-agent: *\nDisallow: /bad/robots\n",
        delay: float = 0.0,
    ) -> None:
        self.photos = photos
        self.bad = bad
        self.page_size = page_size
        self.robots = robots
        self.delay = delay
        self.forgiven = False
        """Whether ``/bad/forbidden`` serves a photo by now."""
        self.requests: Counter[str] = Counter()
        """How often each path was requested, with the query string."""
        self.served: Counter[str] = Counter()
        """How often each path was served to its last byte."""
        self.searches: list[dict[str, str]] = []
        """The form fields of each search."""
        self.agents: set[str] = set()
        self.accepted: dict[str, str] = {}
        """The header Accept of the last request for each path."""
        self.most_at_once = 0
        """The largest number of photos served at one time."""
        self.at_once = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.rested = threading.Event()
        """Set once ``/bad/not-yet`` is no longer busy."""

    def __enter__(self) -> BingServer:
        owner = self

        class Handler(_Handler):
            server_of = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
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
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def search_url(self) -> str:
        return f"http://{self.host}/images/async"

    def url_of(self, query: str, index: int) -> str:
        return f"http://{self.host}/photo/{urllib.parse.quote(query)}/{index}.jpg"

    def results(self, query: str) -> list[str]:
        """The URLs that the search finds, in order."""
        bad = [
            entry.replace("{port}", str(self.port))
            if entry not in HOSTILE
            else f"http://{self.host}/bad/{entry}"
            for entry in self.bad
        ]
        return bad + [self.url_of(query, index) for index in range(len(self.photos.get(query, ())))]

    def page(self, query: str, first: int) -> str:
        """The parts of Bing's result page that are read."""
        links = []
        for rank, url in enumerate(self.results(query)[first : first + self.page_size], first):
            shown_by = f"http://{self.host}/page/{rank}?a=1&b=2"
            about = {"cid": "x", "purl": shown_by, "murl": url, "t": 'A "title" & more'}
            described = html.escape(json.dumps(about, separators=(",", ":"), ensure_ascii=False))
            links.append(f'<li><a class="iusc" m="{described}" href="/images/search"></a></li>')
        return f"<ul>{''.join(links)}</ul>" if links else ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise the body waits for the headers, 40 ms a photo
    server_of: BingServer

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        owner = self.server_of
        path, _, query = self.path.partition("?")
        with owner.lock:
            owner.requests[self.path] += 1
            owner.agents.add(self.headers["User-Agent"])
            owner.accepted[self.path] = self.headers["Accept"]
        try:
            if path == "/images/async":
                self._search(dict(urllib.parse.parse_qsl(query, keep_blank_values=True)))
            elif path == "/robots.txt":
                self._robots()
            elif path.startswith("/photo/"):
                self._photo(path)
            elif path.startswith("/bad/"):
                getattr(self, "_bad_" + path[5:].replace("-", "_"))()
            else:
                self._send(404, b"nothing here")
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        else:
            with owner.lock:
                owner.served[self.path] += 1

    def _search(self, form: dict[str, str]) -> None:
        owner = self.server_of
        with owner.lock:
            owner.searches.append(form)
        self._send(200, owner.page(form["q"], int(form["first"])).encode(), "text/html")

    def _robots(self) -> None:
        robots = self.server_of.robots
        if isinstance(robots, int):
            self._send(robots, b"")
        else:
            self._send(200, robots.encode())

    def _photo(self, path: str) -> None:
        owner = self.server_of
        _, _, query, name = path.split("/")
        data = owner.photos[urllib.parse.unquote(query)][int(name.split(".")[0])]
        with owner.lock:
            owner.at_once += 1
            owner.most_at_once = max(owner.most_at_once, owner.at_once)
        try:
            owner.stopping.wait(owner.delay)
            # The type and the name are wrong on purpose: nothing may depend on them.
            self._send(
                200, data, "text/plain", **{"Content-Disposition": "filename=../../evil.exe"}
            )
        finally:
            with owner.lock:
                owner.at_once -= 1

    def _send(self, status: int, body: bytes, kind: str = "text/plain", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _start(self, length: int | None = None) -> None:
        """Send the headers of a response that ends with the connection."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _redirect(self, target: str) -> None:
        self._send(302, b"", Location=target)

    def _any_photo(self) -> bytes:
        return next(photo for photos in self.server_of.photos.values() for photo in photos)

    def _bad_html(self) -> None:
        self._send(200, b"<!DOCTYPE html><title>Sorry</title>", "image/jpeg")

    def _bad_empty(self) -> None:
        self._send(200, b"", "image/jpeg")

    def _bad_missing(self) -> None:
        self._send(404, b"gone", "text/html")

    def _bad_forbidden(self) -> None:
        if self.server_of.forgiven:
            self._send(200, self._any_photo(), "image/jpeg")
        else:
            self._send(403, b"no", "text/html")

    def _bad_endless(self) -> None:
        self._start()
        while not self.server_of.stopping.is_set():
            self.wfile.write(b"\xff\xd8\xff" + bytes(100_000))

    def _bad_claims_much(self) -> None:
        self._start(10**12)
        self.wfile.write(b"\xff\xd8\xff")

    def _bad_drip(self) -> None:
        self._start()
        while not self.server_of.stopping.wait(0.05):
            self.wfile.write(b"\xff")

    def _bad_silent(self) -> None:
        self.close_connection = True
        self.server_of.stopping.wait(60)

    def _bad_hangs_up(self) -> None:
        self.close_connection = True

    def _bad_cut_off(self) -> None:
        photo = self._any_photo()
        self._start(len(photo))
        self.wfile.write(photo[: len(photo) // 2])

    def _bad_busy(self) -> None:
        self._send(503, b"", **{"Retry-After": "0"})

    def _bad_later(self) -> None:
        """Busy the first time, then a photo."""
        if self.server_of.requests[self.path] == 1:
            self._send(429, b"", **{"Retry-After": "0"})
        else:
            self._send(200, self._any_photo(), "image/jpeg")

    def _bad_not_yet(self) -> None:
        """Busy until :attr:`BingServer.rested` is set."""
        if self.server_of.rested.is_set():
            self._send(200, self._any_photo(), "image/jpeg")
        else:
            self._send(429, b"", **{"Retry-After": "20"})

    def _bad_much_later(self) -> None:
        self._send(503, b"", **{"Retry-After": "86400"})

    def _bad_compressed(self) -> None:
        self._send(200, b"\x1f\x8b", "image/jpeg", **{"Content-Encoding": "gzip"})

    def _bad_no_encoding(self) -> None:
        """A photo, with a header that says nothing."""
        self._send(200, self._any_photo(), "image/jpeg", **{"Content-Encoding": ""})

    def _bad_noai(self) -> None:
        self._send(200, self._any_photo(), "image/jpeg", **{"X-Robots-Tag": "noindex, noai"})

    def _bad_noai_no_text(self) -> None:
        """A header that is not UTF-8."""
        self._send(200, self._any_photo(), "image/jpeg", **{"X-Robots-Tag": "noai, caf\xe9"})

    def _bad_encoding_no_text(self) -> None:
        self._send(200, self._any_photo(), "image/jpeg", **{"Content-Encoding": "\xe9"})

    def _bad_distant(self) -> None:
        """Busy until a year that no date can hold."""
        self._send(503, b"", **{"Retry-After": "Mon, 01 Jan 99999999999 00:00:00 GMT"})

    def _bad_robots(self) -> None:
        self._send(200, self._any_photo(), "image/jpeg")

    def _bad_loop(self) -> None:
        self._redirect("/bad/loop")

    def _bad_to_photo(self) -> None:
        query = urllib.parse.quote(next(iter(self.server_of.photos)))
        self._redirect(f"/photo/{query}/0.jpg")

    def _bad_to_signed(self) -> None:
        self._redirect("/photo/x/../%73ea/0.jpg?sig=a%2Cb,c%3D=&e=%41")

    def _bad_to_loopback(self) -> None:
        self._redirect("http://127.0.0.1:1/photo.jpg")

    def _bad_to_metadata(self) -> None:
        self._redirect("http://169.254.169.254/latest/meta-data/")

    def _bad_to_file(self) -> None:
        self._redirect("file:///etc/passwd")

    def _bad_to_nowhere(self) -> None:
        self._redirect("http://[nowhere/")

    def _bad_garbage(self) -> None:
        self.close_connection = True
        self.wfile.write(bytes(range(256)) * 8 + b"\r\n\r\n")

    def _bad_long_header(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("X-Long", "x" * 1_000_000)
        self.end_headers()

    def _bad_bad_chunk(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"-5\r\nphoto\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


def wait_until(condition: Any, seconds: float = 20.0) -> None:
    """Wait until ``condition()`` holds; fail if it does not within ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so within {seconds:g} s"
        time.sleep(0.01)
