from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bing_server import BingServer, wait_until

from pipeline.download import rejections
from pipeline.download.cache import DOWNLOADS
from pipeline.download.cached_fetch import CachedFetcher
from pipeline.download.fetch import Fetcher
from pipeline.errors import Failure
from pipeline.params import ScrapeParams
from pipeline.sources.base import FoundPhoto, Item, RejectedPhoto
from pipeline.sources.remote import FindLinks, Link, fetch_photos, listed

PHOTO = b"\xff\xd8\xff photo"


def links(*urls: str) -> FindLinks:
    return listed([Link(url) for url in urls])


@pytest.fixture(autouse=True)
def own_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of downloads lies in the working folder."""
    monkeypatch.chdir(tmp_path)


def test_an_unexpected_error_of_a_download_costs_one_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(Fetcher, "get_photo", fails)
    categories = {"sea": links("http://a/1.jpg", "http://a/\ud800.jpg"), "hills": links()}
    found = list(fetch_photos(categories, None, ScrapeParams()))
    assert found == [
        RejectedPhoto("sea", "http://a/1.jpg", rejections.UNEXPECTED, "ZeroDivisionError"),
        RejectedPhoto("sea", "http://a/\ud800.jpg", rejections.UNEXPECTED, "UnicodeEncodeError"),
    ]


def test_an_unexpected_error_of_a_search_costs_one_category() -> None:
    async def fails(_: CachedFetcher) -> AsyncIterator[Link]:
        raise ZeroDivisionError
        yield Link("")

    categories = {"sea": fails, "hills": links("file:///x.jpg")}
    found = list(fetch_photos(categories, None, ScrapeParams()))
    assert found == [
        Failure("sea", "unexpected error, ZeroDivisionError"),
        RejectedPhoto("hills", "file:///x.jpg", rejections.SCHEME, "file"),
    ]


def test_without_a_limit_a_slow_host_delays_nobody() -> None:
    with BingServer({"sea": [PHOTO]}) as fast, BingServer({}, robots=404) as slow:
        urls = [f"http://localhost:{slow.port}/bad/silent?{index}" for index in range(40)]
        params = ScrapeParams(
            workers=2, per_host=1, retries=0, allow_hosts=("localhost", "127.0.0.1")
        )
        source = fetch_photos({"sea": links(*urls, fast.url_of("sea", 0))}, None, params)
        found: list[Item] = []
        thread = threading.Thread(target=lambda: found.extend(source))
        thread.start()
        try:
            wait_until(lambda: fast.served["/photo/sea/0.jpg"])
            assert not any(path.startswith("/bad/") for path in slow.served)
        finally:
            slow.stopping.set()
            thread.join()
    assert [type(item) for item in found] == [RejectedPhoto] * 40 + [FoundPhoto]


def test_an_interruption_in_a_notebook_ends_the_downloads() -> None:
    with BingServer({"sea": [PHOTO] * 400}, delay=0.02) as server:
        urls = [server.url_of("sea", index) for index in range(400)]
        params = ScrapeParams(per_host=1, allow_hosts=(server.host,))

        async def cell() -> None:
            list(fetch_photos({"sea": links(*urls)}, None, params))

        def interrupt() -> None:
            wait_until(lambda: server.served["/photo/sea/1.jpg"])
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        threading.Thread(target=interrupt).start()
        # asyncio.run would handle the signal itself.
        loop = asyncio.new_event_loop()
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(cell())
        loop.close()
        assert sum(server.requests.values()) < 200


def test_urls_that_differ_in_the_fragment_are_fetched_once() -> None:
    with BingServer({"sea": [PHOTO]}) as server:
        url = server.url_of("sea", 0)
        source = fetch_photos(
            {"sea": links(f"{url}#a", url, f"{url}#b")},
            None,
            ScrapeParams(allow_hosts=(server.host,)),
        )
        assert [found.url for found in source if isinstance(found, FoundPhoto)] == [
            f"{url}#a",
            url,
            f"{url}#b",
        ]
        assert server.requests["/photo/sea/0.jpg"] == 1


def test_a_photo_that_the_disk_damaged_is_fetched_again() -> None:
    with BingServer({"sea": [PHOTO, PHOTO + b"2"]}) as server:
        urls = [server.url_of("sea", index) for index in range(2)]
        params = ScrapeParams(allow_hosts=(server.host,))
        found, other = fetch_photos({"sea": links(*urls)}, None, params)
        body = next(path for path in DOWNLOADS.glob("??/*") if path.read_bytes() == PHOTO)
        body.write_bytes(bytes(len(PHOTO)))
        again = list(fetch_photos({"sea": links(*urls)}, None, params))
        reason = f"{body} was damaged on the disk and is deleted; run again"
        assert again == [Failure("sea", reason), other]
        assert list(fetch_photos({"sea": links(*urls)}, None, params)) == [found, other]
        assert server.requests["/photo/sea/0.jpg"] == 2
