"""Fetching URLs that strangers wrote: politely, in parallel, within limits of time and size."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import time
import urllib.parse
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp
from yarl import URL

from pipeline.download import rejections as reasons
from pipeline.download.addresses import AddressGuard, GuardedResolver, RefusedError
from pipeline.download.media import MEDIA_TYPES
from pipeline.download.robots import ROBOTS_BYTES, RobotsRules, forbids_ai

MAX_REDIRECTS = 5
MAX_WAIT = 30.0
"""Seconds; a host that asks to wait longer, since it last served, is left alone for this run."""
HOST_PATIENCE = 3
"""Failures to answer in time, one after another, after which a host is asked no more."""

# By name, and nothing else gladly: to "image/*" many hosts answer with AVIF.
_PHOTOS = ", ".join([*MEDIA_TYPES, "*/*;q=0.1"])
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_BUSY_HOST = frozenset({429, 503})
"""With a Retry-After they speak for all URLs of the host."""
_ABOUT_HOST = frozenset({reasons.PRIVATE, reasons.UNREACHABLE, reasons.GIVEN_UP})


class FetchError(Exception):
    """Why a URL could not be had."""

    def __init__(
        self, reason: str, detail: str = "", *, lasting: bool = True, status: int | None = None
    ) -> None:
        # A header's bytes that are no text come from aiohttp as surrogates, which no table takes.
        detail = detail.encode("utf-8", "replace").decode("utf-8")
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
        """One of :mod:`pipeline.download.rejections`."""
        self.detail = detail
        self.lasting = lasting
        """Whether another run would meet the same."""
        self.status = status
        """The HTTP status, where it is the reason."""


class _BusyError(FetchError):
    """Worth another try, after ``wait`` seconds if the server says so."""

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
    """Whether what is beyond ``max_bytes`` is left, in place of refusing the whole."""


@dataclass(frozen=True)
class FetchSettings:
    """How :class:`Fetcher` behaves; :class:`pipeline.params.ScrapeParams` tells the ranges."""

    user_agent: str
    timeout: float = 30.0
    """Seconds of one try, name resolution and redirects included; waiting for a turn is not."""
    connect_timeout: float = 10.0
    retries: int = 2
    backoff: float = 0.5
    """Seconds before the first retry; doubled for each one after, unless the server names them."""
    workers: int = 8
    per_host: int = 2
    robots: bool = True
    allow_hosts: tuple[str, ...] = ()


class Fetcher:
    """Fetches URLs; an async context manager.

    At most ``workers`` requests are under way, at most ``per_host`` at one host. A request waits
    for its host's turn before it takes a worker, so a slow host holds up nobody but itself.
    """

    def __init__(self, settings: FetchSettings) -> None:
        self.settings = settings
        self._guard = AddressGuard(settings.allow_hosts)
        self._workers = asyncio.Semaphore(settings.workers)
        self._hosts: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(settings.per_host)
        )
        self._silent: dict[str, int] = defaultdict(int)
        self._busy_since: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._given_up: set[str] = set()
        self._robots: dict[URL, asyncio.Task[RobotsRules]] = {}

    async def __aenter__(self) -> Fetcher:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=GuardedResolver(self._guard, self.settings.connect_timeout), limit=0
            ),
            # A total timeout of aiohttp's would count the turns; _try counts what is to be counted.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.settings.connect_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.settings.user_agent, "Accept-Encoding": "identity"},
            auto_decompress=False,
            # A proxy of the environment's would connect for us, to addresses nobody checked.
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
        """Return what ``url`` serves, if its host's owner does not mind.

        Raises:
            FetchError: it cannot be had, may not be taken, or is larger than ``max_bytes``.
        """
        return await self._get(url, _Wanted(_PHOTOS, max_bytes, polite=self.settings.robots))

    async def get_page(self, url: str, max_bytes: int) -> bytes:
        """Return what a service that the user chose serves at ``url``.

        Raises:
            FetchError: it cannot be had, or is larger than ``max_bytes``.
        """
        return await self._get(url, _Wanted("text/html", max_bytes))

    async def _get(self, url: str, wanted: _Wanted) -> bytes:
        """Try, and try again as long as it is worth it."""
        wait = self.settings.backoff
        for tries_left in reversed(range(self.settings.retries + 1)):
            try:
                return await self._try(url, wanted)
            except _BusyError as error:
                pause = wait if error.wait is None else error.wait
                if not tries_left or pause > MAX_WAIT:
                    raise
                await asyncio.sleep(pause)
                wait *= 2
            except RefusedError as error:
                # Judged anew by every run: it costs nothing, and exceptions may be made meanwhile.
                raise FetchError(error.reason, error.detail, lasting=False) from error
        raise AssertionError("the last try returns or raises")

    async def _try(self, text: str, wanted: _Wanted) -> bytes:
        """Follow redirects, each checked as the first URL is, to an answer."""
        url = self._guard.check_url(text)
        left = self.settings.timeout
        for _ in range(MAX_REDIRECTS + 1):
            if wanted.polite and not (await self._rules(url)).allow(
                str(url), self.settings.user_agent
            ):
                raise FetchError(reasons.ROBOTS, str(url.raw_host))
            host = str(url.raw_host)
            async with self._turn(host):
                started = time.monotonic()
                try:
                    # Python 3.10 has no asyncio.timeout, and TimeoutError is not yet asyncio's.
                    answer = await asyncio.wait_for(self._ask(url, wanted), left)
                except asyncio.TimeoutError as error:
                    self._silent[host] += 1
                    raise FetchError(
                        reasons.TIMED_OUT, f"{self.settings.timeout:g} s", lasting=False
                    ) from error
                self._silent[host] = 0
                left -= time.monotonic() - started
            if isinstance(answer, bytes):
                return answer
            url = self._guard.check_url(answer)
        raise FetchError(reasons.REDIRECTS, f"more than {MAX_REDIRECTS}")

    @contextlib.asynccontextmanager
    async def _turn(self, host: str) -> AsyncIterator[None]:
        """Wait until a request may be made to ``host``.

        Raises:
            FetchError: the host is given up.
        """
        async with self._hosts[host]:
            self._check_patience(host)
            # A request that is still under way may be told to wait longer.
            while (pause := self._not_before.get(host, 0) - time.monotonic()) > 0:
                await asyncio.sleep(pause)
                self._check_patience(host)
            async with self._workers:
                self._check_patience(host)
                yield

    def _check_patience(self, host: str) -> None:
        if self._silent[host] >= HOST_PATIENCE or host in self._given_up:
            raise FetchError(reasons.GIVEN_UP, host, lasting=False)

    def _hold_off(self, host: str, wait: float) -> None:
        """Ask ``host`` for nothing before ``wait`` seconds have passed, or never again."""
        now = time.monotonic()
        until = max(self._not_before.get(host, 0), now + wait)
        self._not_before[host] = until
        if until - self._busy_since.setdefault(host, now) > MAX_WAIT:
            self._given_up.add(host)

    async def _rules(self, url: URL) -> RobotsRules:
        """The rules of a URL's origin, asked for once in a run."""
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
            # Section 2.3.1.4: a host that cannot tell its rules forbids everything, for now.
            about_host = error.reason in _ABOUT_HOST
            detail = error.detail if about_host else f"robots.txt: {error.detail}"
            raise FetchError(error.reason, detail, lasting=error.lasting) from error

    async def _ask(self, url: URL, wanted: _Wanted) -> bytes | str:
        """Ask once; return the body, or where a redirect points."""
        try:
            async with self._session.get(
                url, allow_redirects=False, headers={"Accept": wanted.accept}
            ) as response:
                if response.status in _REDIRECTS and "Location" in response.headers:
                    return _join(url, response.headers["Location"])
                self._check(response, wanted)
                return await _read(response, wanted)
        except aiohttp.ServerTimeoutError as error:
            self._silent[str(url.raw_host)] += 1
            limit = f"no connection in {self.settings.connect_timeout:g} s"
            raise _BusyError(reasons.UNREACHABLE, limit) from error
        except aiohttp.ClientConnectorDNSError as error:
            if isinstance(error.os_error, TimeoutError):
                self._silent[str(url.raw_host)] += 1
            detail = f"{url.raw_host} does not resolve"
            raise FetchError(reasons.UNREACHABLE, detail, lasting=False) from error
        except aiohttp.ClientSSLError as error:
            detail = "no valid TLS certificate"
            raise FetchError(reasons.UNREACHABLE, detail, lasting=False) from error
        except (aiohttp.ClientConnectionError, ConnectionError) as error:
            raise _BusyError(reasons.UNREACHABLE, f"{url.raw_host} hangs up or refuses") from error
        # A label of more than 63 characters, for example, is a UnicodeError of getaddrinfo's.
        except (aiohttp.InvalidURL, ValueError) as error:
            raise FetchError(reasons.MALFORMED, "not accepted by the HTTP client") from error
        except aiohttp.ClientPayloadError as error:
            raise _BusyError(reasons.CUT_OFF, "the body ends early") from error
        except aiohttp.ClientError as error:
            raise FetchError(reasons.HTTP_ERROR, "not valid HTTP", lasting=False) from error

    def _check(self, response: aiohttp.ClientResponse, wanted: _Wanted) -> None:
        """Judge an answer by its headers."""
        status = response.status
        host = str(response.url.raw_host)
        if status in _BUSY:
            wait = _retry_after(response.headers.get("Retry-After", ""))
            if wait is not None and status in _BUSY_HOST:
                self._hold_off(host, wait)
            raise _BusyError(reasons.HTTP_ERROR, str(status), wait=wait, status=status)
        self._busy_since.pop(host, None)
        if status != 200:
            lasting = 400 <= status < 500
            raise FetchError(reasons.HTTP_ERROR, str(status), lasting=lasting, status=status)
        tags = response.headers.getall("X-Robots-Tag", [])
        if wanted.polite and forbids_ai(tags, self.settings.user_agent):
            raise FetchError(reasons.NO_AI, ", ".join(tags))
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity":
            # Refused rather than decoded: it was not asked for, and could unpack to any size.
            raise FetchError(reasons.HTTP_ERROR, f"content encoding {encoding}")
        length = response.content_length
        if length is not None and length > wanted.max_bytes and not wanted.truncate:
            raise FetchError(reasons.TOO_LARGE, f"{length} bytes")


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end, whatever it is: none outlives what it works with."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _join(base: URL, location: str) -> str:
    """Where a redirect points, quoted as it was."""
    try:
        return urllib.parse.urljoin(str(base), location)
    except ValueError as error:
        raise FetchError(reasons.MALFORMED, "the redirect's target") from error


async def _read(response: aiohttp.ClientResponse, wanted: _Wanted) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > wanted.max_bytes:
            if wanted.truncate:
                return bytes(body[: wanted.max_bytes])
            raise FetchError(reasons.TOO_LARGE, f"more than {wanted.max_bytes} bytes")
    return bytes(body)


def _retry_after(header: str) -> float | None:
    """Seconds that a Retry-After header (RFC 9110, section 10.2.3) asks for; None without one."""
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    # A year of eleven digits is an OverflowError.
    except (ValueError, TypeError, LookupError, ArithmeticError, OSError):
        return None
