"""Fetches untrusted URLs politely, in parallel, and within limits of time and size."""

from __future__ import annotations

import asyncio
import time
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp
from yarl import URL

from pipeline.download import rejections
from pipeline.download.addresses import AddressGuard, GuardedResolver
from pipeline.download.hosts import MAX_PAUSE, HostQueue, retry_after
from pipeline.download.rejections import FetchError
from pipeline.download.robots import ROBOTS_BYTES, RobotsRules, forbids_ai

MAX_REDIRECTS = 5
_KEEP_ALIVE = 0.5
"""Seconds that a connection stays open for the next request to its host, or twice as many. Photos
come from hundreds of hosts, and some systems let a process have no more than 256 connections."""

# What every installation can open. To "image/*", or if they are named too, many hosts respond with
# smaller and poorer copies as AVIF or JPEG XL.
_PHOTOS = "image/jpeg, image/png, image/webp, image/gif, image/bmp, image/tiff, */*;q=0.1"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_BUSY_HOST = frozenset({429, 503})
"""With a Retry-After header these hold for every URL of the host."""
_ABOUT_HOST = frozenset({rejections.PRIVATE, rejections.UNREACHABLE, rejections.GIVEN_UP})


class _BusyError(FetchError):
    """Worth another attempt, after ``wait`` seconds if the server names them."""

    def __init__(
        self, reason: str, detail: str, *, wait: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(reason, detail, lasting=False, status=status)
        self.wait = wait


@dataclass(frozen=True)
class _Wanted:
    """What is asked for, besides the URL."""

    accept: str
    max_bytes: int
    polite: bool = False
    """Whether robots.txt and X-Robots-Tag are honored."""
    truncate: bool = False
    """Whether a longer body is cut at ``max_bytes`` rather than rejected."""


@dataclass(frozen=True)
class FetchSettings:
    """How :class:`Fetcher` behaves; :class:`pipeline.params.ScrapeParams` describes the ranges."""

    user_agent: str
    timeout: float = 30.0
    """Seconds of one attempt, with name resolution and redirects but without waiting in line."""
    connect_timeout: float = 10.0
    retries: int = 2
    backoff: float = 0.5
    """Seconds before the first retry; each further retry waits twice as long as the one before,
    unless the server names the time."""
    workers: int = 8
    per_host: int = 2
    robots: bool = True
    allow_hosts: tuple[str, ...] = ()


class Fetcher:
    """Fetches URLs; an async context manager.

    Every URL is checked by :class:`~pipeline.download.addresses.AddressGuard`, redirects included,
    and every request waits in a :class:`~pipeline.download.hosts.HostQueue`.
    """

    def __init__(self, settings: FetchSettings) -> None:
        self.settings = settings
        self._guard = AddressGuard(settings.allow_hosts)
        self._hosts = HostQueue(settings.workers, settings.per_host)
        self._robots: dict[URL, asyncio.Task[RobotsRules]] = {}

    async def __aenter__(self) -> Fetcher:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=GuardedResolver(self._guard, self.settings.connect_timeout),
                limit=0,
                keepalive_timeout=_KEEP_ALIVE,
            ),
            # aiohttp's total timeout would include waiting in line; _attempt has its own.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.settings.connect_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.settings.user_agent, "Accept-Encoding": "identity"},
            auto_decompress=False,
            # A proxy named by the environment would connect to addresses that nobody checked.
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await cancel_all(self._robots.values())
        await self._session.close()

    async def get_photo(self, url: str, max_bytes: int) -> bytes:
        """Return the body at ``url``, if its host's owner allows it.

        Raises:
            FetchError: it cannot be fetched, may not be taken, or is larger than ``max_bytes``.
        """
        return await self._get(url, _Wanted(_PHOTOS, max_bytes, polite=self.settings.robots))

    async def get_page(self, url: str, max_bytes: int) -> bytes:
        """Return the page at ``url``, of a service that the user chose; robots.txt is not read.

        Raises:
            FetchError: it cannot be fetched, or is larger than ``max_bytes``.
        """
        return await self._get(url, _Wanted("text/html", max_bytes))

    async def _get(self, url: str, wanted: _Wanted) -> bytes:
        """Make attempts until one succeeds, fails for good, or is the last."""
        wait = self.settings.backoff
        for retries_left in reversed(range(self.settings.retries + 1)):
            try:
                return await self._attempt(url, wanted)
            except _BusyError as error:
                pause = wait if error.wait is None else error.wait
                if not retries_left or pause > MAX_PAUSE:
                    raise
                await asyncio.sleep(pause)
                wait *= 2
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, text: str, wanted: _Wanted) -> bytes:
        """Follow redirects to a body; each is checked as the first URL is."""
        url = self._guard.check_url(text)
        left = self.settings.timeout
        for _ in range(MAX_REDIRECTS + 1):
            if wanted.polite and not (await self._rules(url)).allow(
                str(url), self.settings.user_agent
            ):
                raise FetchError(rejections.ROBOTS, str(url.raw_host))
            host = str(url.raw_host)
            async with self._hosts.turn(host):
                started = time.monotonic()
                try:
                    # Python 3.10 has no asyncio.timeout, and its asyncio has a TimeoutError of
                    # its own.
                    answer = await asyncio.wait_for(self._request(url, wanted), left)
                except asyncio.TimeoutError as error:
                    self._hosts.timed_out(host)
                    raise FetchError(
                        rejections.TIMED_OUT, f"{self.settings.timeout:g} s", lasting=False
                    ) from error
                except FetchError as error:
                    if error.reason != rejections.UNREACHABLE:
                        self._hosts.answered(host)
                    raise
                self._hosts.answered(host)
                left -= time.monotonic() - started
            if isinstance(answer, bytes):
                return answer
            url = self._guard.check_url(answer)
        raise FetchError(rejections.REDIRECTS, f"more than {MAX_REDIRECTS}")

    async def _rules(self, url: URL) -> RobotsRules:
        """The rules of a URL's origin, fetched once in a run."""
        origin = url.origin()
        if origin not in self._robots:
            self._robots[origin] = asyncio.create_task(self._read_rules(origin))
        return await asyncio.shield(self._robots[origin])

    async def _read_rules(self, origin: URL) -> RobotsRules:
        wanted = _Wanted("text/plain", ROBOTS_BYTES, truncate=True)
        try:
            return RobotsRules(await self._get(str(origin / "robots.txt"), wanted))
        except FetchError as error:
            # RFC 9309, section 2.3.1.3: 4xx means that there are no rules.
            if error.status is not None and 400 <= error.status < 500:
                return RobotsRules(b"")
            # Section 2.3.1.4: while a host's rules cannot be read, everything is forbidden.
            about_host = error.reason in _ABOUT_HOST
            detail = error.detail if about_host else f"robots.txt: {error.detail}"
            raise FetchError(error.reason, detail, lasting=error.lasting) from error

    async def _request(self, url: URL, wanted: _Wanted) -> bytes | str:
        """Make one request; return the body, or the target of a redirect."""
        host = str(url.raw_host)
        try:
            async with self._session.get(
                url, allow_redirects=False, headers={"Accept": wanted.accept}
            ) as response:
                if response.status in _REDIRECTS and "Location" in response.headers:
                    return _redirect_target(url, response.headers["Location"])
                self._check_headers(response, wanted)
                return await _read_body(response, wanted)
        except aiohttp.ServerTimeoutError as error:
            self._hosts.timed_out(host)
            limit = f"no connection in {self.settings.connect_timeout:g} s"
            raise _BusyError(rejections.UNREACHABLE, limit) from error
        except aiohttp.ClientConnectorDNSError as error:
            if isinstance(error.os_error, TimeoutError):
                self._hosts.timed_out(host)
            detail = f"{host} does not resolve"
            raise FetchError(rejections.UNREACHABLE, detail, lasting=False) from error
        except aiohttp.ClientSSLError as error:
            detail = "no valid TLS certificate"
            raise FetchError(rejections.UNREACHABLE, detail, lasting=False) from error
        except (aiohttp.ClientConnectionError, ConnectionError) as error:
            raise _BusyError(rejections.UNREACHABLE, f"{host} hangs up or refuses") from error
        # A label of more than 63 characters, for example, gives getaddrinfo's UnicodeError.
        except (aiohttp.InvalidURL, ValueError) as error:
            raise FetchError(rejections.MALFORMED, "not accepted by the HTTP client") from error
        except aiohttp.ClientPayloadError as error:
            raise _BusyError(rejections.CUT_OFF, "the body ends early") from error
        except aiohttp.ClientError as error:
            raise FetchError(rejections.HTTP_ERROR, "not valid HTTP", lasting=False) from error

    def _check_headers(self, response: aiohttp.ClientResponse, wanted: _Wanted) -> None:
        """Reject a response whose body is not worth reading."""
        status = response.status
        host = str(response.url.raw_host)
        if status in _BUSY:
            wait = retry_after(response.headers.get("Retry-After", ""))
            if wait is not None and status in _BUSY_HOST:
                self._hosts.pause(host, wait)
            raise _BusyError(rejections.HTTP_ERROR, str(status), wait=wait, status=status)
        self._hosts.served(host)
        if status != 200:
            lasting = 400 <= status < 500
            raise FetchError(rejections.HTTP_ERROR, str(status), lasting=lasting, status=status)
        tags = response.headers.getall("X-Robots-Tag", [])
        if wanted.polite and forbids_ai(tags, self.settings.user_agent):
            raise FetchError(rejections.NO_AI, ", ".join(tags))
        encoding = response.headers.get("Content-Encoding", "").lower()
        if encoding not in {"", "identity"}:
            # Not decoded: it was not asked for, and could unpack to any size.
            raise FetchError(rejections.HTTP_ERROR, f"content encoding {encoding}")
        length = response.content_length
        if length is not None and length > wanted.max_bytes and not wanted.truncate:
            raise FetchError(rejections.TOO_LARGE, f"{length} bytes")


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended, so that none outlives what it works with."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _redirect_target(base: URL, location: str) -> str:
    """The URL that a redirect points to, with its quoting unchanged."""
    try:
        return urllib.parse.urljoin(str(base), location)
    except ValueError as error:
        raise FetchError(rejections.MALFORMED, "the redirect's target") from error


async def _read_body(response: aiohttp.ClientResponse, wanted: _Wanted) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > wanted.max_bytes:
            if wanted.truncate:
                return bytes(body[: wanted.max_bytes])
            raise FetchError(rejections.TOO_LARGE, f"more than {wanted.max_bytes} bytes")
    return bytes(body)
