from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bing_server import BingServer, wait_until

from pipeline.download import rejections as reasons
from pipeline.download.cache import Downloads
from pipeline.download.fetch import Fetcher, FetchSettings
from pipeline.params import ScrapeParams
from pipeline.sources import Found, Offer, Refusal, Shortfall
from pipeline.sources.remote import Candidate, Candidates, Session, WebSource

PHOTO = b"\xff\xd8\xff photo"


def given(*urls: str, error: Exception | None = None) -> Candidates:
    async def candidates(_: Session) -> AsyncIterator[Candidate]:
        for url in urls:
            yield Candidate(url)
        if error is not None:
            raise error

    return candidates


def test_an_error_that_nobody_thought_of_costs_one_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(Fetcher, "get_photo", fails)
    categories = {"sea": given("http://a/1.jpg", "http://a/\ud800.jpg"), "hills": given()}
    found = list(WebSource(categories, None, ScrapeParams(), tmp_path))
    assert found == [
        Refusal("sea", "http://a/1.jpg", reasons.UNEXPECTED, "ZeroDivisionError"),
        Refusal("sea", "http://a/\ud800.jpg", reasons.UNEXPECTED, "UnicodeEncodeError"),
    ]


def test_a_search_that_fails_in_a_way_that_nobody_thought_of_costs_one_category(
    tmp_path: Path,
) -> None:
    categories = {"sea": given(error=ZeroDivisionError()), "hills": given("file:///x.jpg")}
    found = list(WebSource(categories, None, ScrapeParams(), tmp_path))
    assert found == [
        Shortfall("sea", "unexpected error, ZeroDivisionError"),
        Refusal("hills", "file:///x.jpg", reasons.SCHEME, "file"),
    ]


def test_a_slow_host_at_the_head_of_a_list_holds_up_nobody_without_a_limit(tmp_path: Path) -> None:
    with BingServer({"sea": [PHOTO]}) as fast, BingServer({}, robots=None) as slow:
        urls = [f"http://localhost:{slow.port}/bad/silent?{index}" for index in range(40)]
        params = ScrapeParams(
            workers=2, per_host=1, retries=0, allow_hosts=("localhost", "127.0.0.1")
        )
        source = WebSource({"sea": given(*urls, fast.url_of("sea", 0))}, None, params, tmp_path)
        found: list[Found] = []
        thread = threading.Thread(target=lambda: found.extend(source))
        thread.start()
        try:
            wait_until(lambda: fast.served["/photo/sea/0.jpg"])
            assert not any(path.startswith("/bad/") for path in slow.served)
        finally:
            slow.stopping.set()
            thread.join()
    assert [type(item) for item in found] == [Refusal] * 40 + [Offer]


def test_an_interruption_in_a_notebook_ends_the_downloads(tmp_path: Path) -> None:
    with BingServer({"sea": [PHOTO] * 400}, delay=0.02) as server:
        urls = [server.url_of("sea", index) for index in range(400)]
        params = ScrapeParams(per_host=1, allow_hosts=(server.host,))

        async def cell() -> None:
            list(WebSource({"sea": given(*urls)}, None, params, tmp_path))

        def interrupt() -> None:
            wait_until(lambda: server.served["/photo/sea/1.jpg"])
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        threading.Thread(target=interrupt).start()
        # Not asyncio.run, which takes the signal for itself.
        loop = asyncio.new_event_loop()
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(cell())
        loop.close()
        assert sum(server.asked.values()) < 200


def test_a_fragment_makes_no_other_url(tmp_path: Path) -> None:
    with BingServer({"sea": [PHOTO]}) as server:
        url = server.url_of("sea", 0)
        source = WebSource(
            {"sea": given(f"{url}#a", url, f"{url}#b")},
            None,
            ScrapeParams(allow_hosts=(server.host,)),
            tmp_path,
        )
        assert [found.url for found in source if isinstance(found, Offer)] == [
            f"{url}#a",
            url,
            f"{url}#b",
        ]
        assert server.asked["/photo/sea/0.jpg"] == 1


def test_a_photo_that_the_disk_damaged_is_told_and_fetched_again(tmp_path: Path) -> None:
    with BingServer({"sea": [PHOTO, PHOTO + b"2"]}) as server:
        urls = [server.url_of("sea", index) for index in range(2)]
        params = ScrapeParams(allow_hosts=(server.host,))
        source = WebSource({"sea": given(*urls)}, None, params, tmp_path)
        whole = list(source)
        body = next(path for path in tmp_path.glob("??/*") if path.read_bytes() == PHOTO)
        body.write_bytes(bytes(len(PHOTO)))
        damaged, other = source
        assert damaged == Shortfall(
            "sea", f"{body} was damaged on the disk and is deleted; run again"
        )
        assert other == whole[1]
        assert list(source) == whole
        assert server.asked["/photo/sea/0.jpg"] == 2


def test_a_page_of_results_that_the_disk_damaged_is_asked_for_again(tmp_path: Path) -> None:
    async def ask(url: str) -> bytes:
        settings = FetchSettings("colorpipe/test", allow_hosts=(server.host,))
        async with Fetcher(settings) as fetcher, Session(fetcher, downloads, params) as session:
            return await session.page(url, 1000, bool)

    params = ScrapeParams()
    with BingServer({"sea": [PHOTO]}) as server, Downloads(tmp_path) as downloads:
        url = server.url_of("sea", 0)
        assert asyncio.run(ask(url)) == asyncio.run(ask(url)) == PHOTO
        assert server.asked["/photo/sea/0.jpg"] == 1
        [body] = tmp_path.glob("??/*")
        body.write_bytes(bytes(len(PHOTO)))
        assert asyncio.run(ask(url)) == PHOTO
        assert server.asked["/photo/sea/0.jpg"] == 2
