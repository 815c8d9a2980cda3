from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from bing_server import BingServer

from pipeline.download import rejections
from pipeline.download.fetch import Fetcher, FetchSettings
from pipeline.download.hosts import MAX_TIMEOUTS
from pipeline.download.rejections import FetchError

PHOTO = b"\xff\xd8\xff photo"
QUICK = FetchSettings(
    user_agent="colorpipe/test", timeout=20, connect_timeout=10, retries=1, backoff=0.01
)


@pytest.fixture
def server() -> Iterator[BingServer]:
    with BingServer({"sea": [PHOTO, PHOTO + b"2", PHOTO + b"3", PHOTO + b"4"]}) as running:
        yield running


def settings(server: BingServer, **changes: object) -> FetchSettings:
    return replace(QUICK, allow_hosts=(server.host,), **changes)  # type: ignore[arg-type]


def get(settings: FetchSettings, *urls: str, max_bytes: int = 100_000) -> list[bytes | FetchError]:
    """Fetch all URLs at once."""

    async def one(fetcher: Fetcher, url: str) -> bytes | FetchError:
        try:
            return await fetcher.get_photo(url, max_bytes)
        except FetchError as error:
            return error

    async def run() -> list[bytes | FetchError]:
        async with Fetcher(settings) as fetcher:
            return await asyncio.gather(*(one(fetcher, url) for url in urls))

    return asyncio.run(run())


def bad(server: BingServer, kind: str) -> str:
    return f"http://{server.host}/bad/{kind}"


def test_requests_carry_the_user_agent(server: BingServer) -> None:
    assert get(settings(server), server.url_of("sea", 0)) == [PHOTO]
    assert server.agents == {"colorpipe/test"}


def test_hosts_are_not_asked_for_smaller_copies(server: BingServer) -> None:
    get(settings(server), server.url_of("sea", 0))
    accepted = server.accepted["/photo/sea/0.jpg"]
    assert accepted.startswith("image/jpeg, image/png, ")
    for kind in ("avif", "heic", "jxl", "image/*"):
        assert kind not in accepted


@pytest.mark.parametrize(
    ("kind", "reason", "detail", "lasting"),
    [
        ("missing", rejections.HTTP_ERROR, "404", True),
        ("forbidden", rejections.HTTP_ERROR, "403", True),
        ("endless", rejections.TOO_LARGE, "more than 100000 bytes", True),
        ("claims-much", rejections.TOO_LARGE, "1000000000000 bytes", True),
        ("drip", rejections.TIMED_OUT, "0.4 s", False),
        ("silent", rejections.TIMED_OUT, "0.4 s", False),
        ("hangs-up", rejections.UNREACHABLE, "127.0.0.1 hangs up or refuses", False),
        ("cut-off", rejections.CUT_OFF, "the body ends early", False),
        ("busy", rejections.HTTP_ERROR, "503", False),
        ("compressed", rejections.HTTP_ERROR, "content encoding gzip", True),
        ("noai", rejections.NO_AI, "noindex, noai", True),
        ("noai-no-text", rejections.NO_AI, "noai, caf?", True),
        ("encoding-no-text", rejections.HTTP_ERROR, "content encoding ?", True),
        ("distant", rejections.HTTP_ERROR, "503", False),
        ("robots", rejections.ROBOTS, "127.0.0.1", True),
        ("loop", rejections.REDIRECTS, "more than 5", True),
        ("to-loopback", rejections.PRIVATE, "127.0.0.1", False),
        ("to-metadata", rejections.PRIVATE, "169.254.169.254", False),
        ("to-nowhere", rejections.MALFORMED, "the redirect's target", True),
        ("garbage", rejections.HTTP_ERROR, "not valid HTTP", False),
        ("long-header", rejections.HTTP_ERROR, "not valid HTTP", False),
        ("to-file", rejections.SCHEME, "file", False),
    ],
)
def test_hostile_responses_are_rejected_with_a_reason(
    server: BingServer, kind: str, reason: str, detail: str, lasting: bool
) -> None:
    timeout = 0.4 if reason == rejections.TIMED_OUT else 20
    [error] = get(settings(server, timeout=timeout), bad(server, kind))
    assert isinstance(error, FetchError)
    assert (error.reason, error.detail, error.lasting) == (reason, detail, lasting)


def test_a_body_that_is_not_http_is_rejected(server: BingServer) -> None:
    [error] = get(settings(server, timeout=1), bad(server, "bad-chunk"))
    assert isinstance(error, FetchError)
    # If the chunk arrives together with the headers, they are rejected. If it arrives later, some
    # versions of aiohttp do not notice, and the timeout ends the attempt.
    assert error.reason in {rejections.CUT_OFF, rejections.HTTP_ERROR, rejections.TIMED_OUT}


def test_an_empty_content_encoding_is_none(server: BingServer) -> None:
    assert get(settings(server), bad(server, "no-encoding")) == [PHOTO]


def test_a_redirect_to_a_photo_is_followed(server: BingServer) -> None:
    assert get(settings(server), bad(server, "to-photo")) == [PHOTO]


def test_signed_urls_are_requested_unchanged(server: BingServer) -> None:
    signed = "sig=a%2Cb,c%3D=&e=%41"
    listed = f"{server.url_of('sea', 1)}?{signed}"
    assert get(settings(server), listed, bad(server, "to-signed")) == [PHOTO + b"2", PHOTO]
    assert server.requests[f"/photo/sea/1.jpg?{signed}"] == 1
    assert server.requests[f"/photo/%73ea/0.jpg?{signed}"] == 1


def test_a_busy_server_is_retried_but_a_missing_photo_is_not(server: BingServer) -> None:
    assert get(settings(server), bad(server, "later")) == [PHOTO]
    get(settings(server, retries=3), bad(server, "busy"), bad(server, "missing"))
    assert server.requests["/bad/later"] == 2
    assert server.requests["/bad/busy"] == 4
    assert server.requests["/bad/missing"] == 1


def test_retry_after_sets_the_wait_before_a_retry(
    server: BingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await real(0)

    monkeypatch.setattr("asyncio.sleep", sleep)
    get(settings(server, retries=2, backoff=7), bad(server, "busy"))
    assert waits == [0, 0]
    waits.clear()
    get(settings(server, retries=2, backoff=7), bad(server, "hangs-up"))
    assert waits == [7, 14]
    waits.clear()
    # A day is too long to wait.
    [error] = get(settings(server, retries=2), bad(server, "much-later"))
    assert isinstance(error, FetchError)
    assert not error.lasting
    assert (waits, server.requests["/bad/much-later"]) == ([], 1)


def without_waiting(
    monkeypatch: pytest.MonkeyPatch, then: Callable[[], object] = lambda: None
) -> list[float]:
    """Skip all pauses, on the clock too, and call ``then``; return the seconds of each pause."""
    pauses: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        then()
        await real(0)

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(pauses), time=time.time)
    monkeypatch.setattr("asyncio.sleep", sleep)
    monkeypatch.setattr("pipeline.download.hosts.time", clock)
    return pauses


def test_a_host_that_asks_for_a_pause_gets_one(
    server: BingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = without_waiting(monkeypatch, server.rested.set)
    urls = [bad(server, f"not-yet?{index}") for index in range(8)]
    first, *others = get(settings(server, retries=0, per_host=1), *urls)
    assert isinstance(first, FetchError)
    assert (first.reason, first.detail) == (rejections.HTTP_ERROR, "429")
    assert others == [PHOTO] * 7
    [pause] = pauses
    assert 0 < pause <= 20


def test_a_host_that_stays_busy_is_given_up(
    server: BingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = without_waiting(monkeypatch)
    for kind, requests in {"much-later": 1, "not-yet": 2}.items():
        urls = [bad(server, f"{kind}?{index}") for index in range(8)]
        answers = get(settings(server, retries=0, per_host=1), *urls)
        assert [getattr(answer, "reason", "") for answer in answers] == [
            *[rejections.HTTP_ERROR] * requests,
            *[rejections.GIVEN_UP] * (8 - requests),
        ]
        assert not any(getattr(answer, "lasting", True) for answer in answers)
        assert sum(server.requests[f"/bad/{kind}?{index}"] for index in range(8)) == requests
    assert all(pause <= 20 for pause in pauses)


def test_private_hosts_are_rejected_unless_allowed(server: BingServer) -> None:
    url = server.url_of("sea", 0)
    for host in (f"localhost:{server.port}", f"127.0.0.1:{server.port}"):
        [error] = get(QUICK, url.replace(server.host, host))
        assert isinstance(error, FetchError)
        assert error.reason == rejections.PRIVATE
    assert not server.requests
    allowed = replace(QUICK, allow_hosts=("localhost",))
    assert get(allowed, url.replace("127.0.0.1", "localhost")) == [PHOTO]


def test_robots_and_tags_are_ignored_on_request(server: BingServer) -> None:
    settings_ = settings(server, robots=False)
    assert get(settings_, bad(server, "robots"), bad(server, "noai")) == [PHOTO, PHOTO]
    assert "/robots.txt" not in server.requests


def test_robots_txt_is_fetched_once(server: BingServer) -> None:
    urls = [server.url_of("sea", index) for index in range(4)]
    assert all(isinstance(answer, bytes) for answer in get(settings(server), *urls))
    assert server.requests["/robots.txt"] == 1


def test_while_robots_txt_fails_a_host_is_left_alone() -> None:
    with BingServer({"sea": [PHOTO]}) as server:
        # Without a robots.txt everything is allowed.
        server.robots = 404
        assert get(settings(server), server.url_of("sea", 0)) == [PHOTO]
        server.robots = 500
        [error] = get(settings(server), server.url_of("sea", 0))
    assert isinstance(error, FetchError)
    assert (error.reason, error.detail) == (rejections.HTTP_ERROR, "robots.txt: 500")
    assert not error.lasting
    assert server.requests["/photo/sea/0.jpg"] == 1


def test_a_byte_order_mark_does_not_hide_the_rules() -> None:
    with BingServer({"sea": [PHOTO]}, robots="\ufeffUser-agent: *\nDisallow: /") as server:
        [error] = get(settings(server), server.url_of("sea", 0))
    assert isinstance(error, FetchError)
    assert error.reason == rejections.ROBOTS


def test_requests_at_the_same_time_are_limited() -> None:
    with BingServer({"sea": [PHOTO] * 12}, delay=0.05) as server:
        urls = [server.url_of("sea", index) for index in range(12)]
        get(settings(server, workers=8, per_host=3, timeout=5), *urls)
        assert server.most_at_once == 3
        server.most_at_once = 0
        get(settings(server, workers=2, per_host=8, timeout=5), *urls)
        assert server.most_at_once == 2


def test_a_slow_host_does_not_delay_others(server: BingServer) -> None:
    with BingServer({}, robots=404) as slow:
        config = replace(QUICK, allow_hosts=("127.0.0.1", "localhost"), timeout=3, workers=3)
        done: dict[str, float] = {}

        async def one(fetcher: Fetcher, url: str) -> None:
            with contextlib.suppress(FetchError):
                await fetcher.get_photo(url, 1000)
            done[url] = time.monotonic()

        async def run() -> None:
            async with Fetcher(config) as fetcher:
                stuck = [
                    asyncio.create_task(
                        one(fetcher, f"http://localhost:{slow.port}/bad/silent?{index}")
                    )
                    for index in range(20)
                ]
                await asyncio.sleep(0.2)
                quick = [server.url_of("sea", index) for index in range(4)]
                await asyncio.gather(*(one(fetcher, url) for url in quick))
                assert not any(task.done() for task in stuck)
                for task in stuck:
                    task.cancel()

        asyncio.run(run())
        assert len(done) == 4


def test_slow_name_lookups_do_not_delay_other_hosts(
    server: BingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    under_way: list[str] = []
    enough = threading.Event()

    def getaddrinfo(host: str, *given: Any, **named: Any) -> list[Any]:
        if host.endswith(".slow.example"):
            under_way.append(host)
            enough.wait(60)
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return real(host, *given, **named)

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    config = replace(QUICK, allow_hosts=("localhost",), robots=False, workers=60, retries=0)

    async def run() -> bytes:
        async with Fetcher(config) as fetcher:
            # More names than asyncio has threads for lookups.
            names = [f"http://{index}.slow.example/a.jpg" for index in range(50)]
            slow = [asyncio.create_task(fetcher.get_photo(name, 1000)) for name in names]
            while len(under_way) < len(names):
                await asyncio.sleep(0.01)
            url = server.url_of("sea", 0).replace("127.0.0.1", "localhost")
            photo = await fetcher.get_photo(url, 1000)
            assert not any(task.done() for task in slow)
            enough.set()
            errors = await asyncio.gather(*slow, return_exceptions=True)
            assert {getattr(error, "reason", "") for error in errors} == {rejections.UNREACHABLE}
            return photo

    assert asyncio.run(asyncio.wait_for(run(), 60)) == PHOTO


def test_a_host_whose_name_resolves_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: over.wait(60))
    config = replace(QUICK, robots=False, connect_timeout=0.05, per_host=1)
    answers = get(config, *(f"http://slow.example/{index}.jpg" for index in range(9)))
    over.set()
    expected = [(rejections.UNREACHABLE, "slow.example does not resolve")] * MAX_TIMEOUTS
    expected += [(rejections.GIVEN_UP, "slow.example")] * (9 - MAX_TIMEOUTS)
    assert [
        (error.reason, error.detail) for error in answers if isinstance(error, FetchError)
    ] == expected


def test_a_host_that_never_answers_is_given_up(server: BingServer) -> None:
    urls = [bad(server, f"silent?{index}") for index in range(12)]
    urls += [bad(server, f"drip?{index}") for index in range(12)]
    answers = get(settings(server, timeout=0.2, per_host=1), *urls)
    given_up = [
        answer for answer in answers if getattr(answer, "reason", "") == rejections.GIVEN_UP
    ]
    assert len(given_up) == len(urls) - MAX_TIMEOUTS


@pytest.mark.parametrize("kind", ["missing", "forbidden", "noai", "claims-much", "cut-off"])
def test_a_host_that_answers_between_timeouts_is_not_given_up(
    server: BingServer, kind: str
) -> None:
    kinds = ["silent", kind] * MAX_TIMEOUTS
    urls = [bad(server, f"{kind}?{index}") for index, kind in enumerate(kinds)]
    urls.append(server.url_of("sea", 0))
    config = settings(server, timeout=0.5, per_host=1, retries=0)
    *errors, photo = get(config, *urls)
    assert photo == PHOTO
    reasons = [getattr(error, "reason", "") for error in errors[::2]]
    assert reasons == [rejections.TIMED_OUT] * MAX_TIMEOUTS


def test_a_connection_that_nobody_uses_is_closed_soon() -> None:
    """A system lets a process have a few hundred files and connections."""
    open_now = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        open_now += 1
        while (await reader.read(10_000)).startswith(b"GET"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PHOTO) + PHOTO)
        open_now -= 1
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            config = replace(QUICK, allow_hosts=("127.0.0.1",))
            async with Fetcher(config) as fetcher:
                assert await fetcher.get_photo(f"http://127.0.0.1:{port}/a.jpg", 1000) == PHOTO
                assert open_now == 1
                end = time.monotonic() + 8
                while open_now:
                    assert time.monotonic() < end
                    await asyncio.sleep(0.05)

    asyncio.run(run())


def test_a_host_that_does_not_exist_is_unreachable() -> None:
    [error] = get(QUICK, "http://no-such-host.invalid/a.jpg")
    assert isinstance(error, FetchError)
    assert error.reason == rejections.UNREACHABLE
    assert error.detail == "no-such-host.invalid does not resolve"


@pytest.mark.parametrize("host", ["x" * 70 + ".example", "a..b.example", "xn--a.example", "é" * 70])
def test_an_invalid_host_name_is_rejected(host: str) -> None:
    [error] = get(replace(QUICK, robots=False), f"http://{host}/a.jpg")
    assert isinstance(error, FetchError)
    assert error.reason in {rejections.MALFORMED, rejections.UNREACHABLE}


def test_the_checked_address_is_the_one_connected_to(
    server: BingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The name resolves to a public address first, and to this machine afterward.
    answers = iter([[("93.184.215.14", server.port)], [("127.0.0.1", server.port)]])

    def getaddrinfo(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", address) for address in next(answers)]

    connected: list[object] = []

    async def connect(_: object, __: object, address: object) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", connect)
    url = f"http://rebinds.example:{server.port}/photo/sea/0.jpg"
    get(replace(QUICK, robots=False, retries=1), url)
    assert connected[0] == ("93.184.215.14", server.port)
    assert all(address != ("127.0.0.1", server.port) for address in connected)
