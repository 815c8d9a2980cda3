from __future__ import annotations

import asyncio
from pathlib import Path

from bing_server import BingServer

from pipeline.download import rejections
from pipeline.download.cache import Download, DownloadCache
from pipeline.download.cached_fetch import CachedFetcher
from pipeline.download.fetch import Fetcher, FetchSettings

PHOTO = b"\xff\xd8\xff photo"


def photos(
    server: BingServer, folder: Path, *urls: str, robots: bool = True, max_bytes: int = 1000
) -> list[Download]:
    """Fetch the photos all at once, in a run of their own."""

    async def run() -> list[Download]:
        settings = FetchSettings("colorpipe", robots=robots, allow_hosts=(server.host,))
        with DownloadCache(folder) as cache:
            async with (
                Fetcher(settings) as fetcher,
                CachedFetcher(fetcher, cache, max_bytes) as cached,
            ):
                return await asyncio.gather(*(cached.photo(url) for url in urls))

    return asyncio.run(run())


def page(server: BingServer, folder: Path, url: str) -> bytes:
    async def run() -> bytes:
        settings = FetchSettings("colorpipe", allow_hosts=(server.host,))
        with DownloadCache(folder) as cache:
            async with Fetcher(settings) as fetcher, CachedFetcher(fetcher, cache, 1000) as cached:
                return await cached.page(url, 1000, bool)

    return asyncio.run(run())


def test_a_photo_is_fetched_once(tmp_path: Path) -> None:
    with BingServer({"sea": [PHOTO]}) as server:
        url = server.url_of("sea", 0)
        first, second = photos(server, tmp_path, url, f"{url}#fragment")
        assert first == second == photos(server, tmp_path, url)[0]
        assert first.bytes == len(PHOTO)
        assert server.requests["/photo/sea/0.jpg"] == 1


def test_a_rejection_is_remembered_if_it_would_last(tmp_path: Path) -> None:
    with BingServer({"sea": [PHOTO]}) as server:
        kinds = {"html": rejections.NOT_AN_IMAGE, "missing": rejections.HTTP_ERROR}
        for kind, reason in kinds.items():
            for _ in range(2):
                [rejected] = photos(server, tmp_path, f"http://{server.host}/bad/{kind}")
                assert rejected.reason == reason
            assert server.requests[f"/bad/{kind}"] == 1
        for _ in range(2):
            [rejected] = photos(server, tmp_path, f"http://{server.host}/bad/garbage")
            assert rejected.reason == rejections.HTTP_ERROR
        assert server.requests["/bad/garbage"] == 2


def test_other_terms_do_not_use_the_cache(tmp_path: Path) -> None:
    with BingServer({"sea": [PHOTO]}) as server:
        urls = [f"http://{server.host}/bad/robots?{n}" for n in range(2)]
        assert all(kept.sha256 for kept in photos(server, tmp_path, *urls, robots=False))
        [rejected] = photos(server, tmp_path, urls[0])
        assert rejected.reason == rejections.ROBOTS
        [rejected] = photos(server, tmp_path, urls[1], robots=False, max_bytes=5)
        assert rejected.reason == rejections.TOO_LARGE


def test_a_cached_page_that_the_disk_damaged_is_fetched_again(tmp_path: Path) -> None:
    with BingServer({"sea": [PHOTO]}) as server:
        url = server.url_of("sea", 0)
        assert page(server, tmp_path, url) == page(server, tmp_path, url) == PHOTO
        assert server.requests["/photo/sea/0.jpg"] == 1
        [body] = tmp_path.glob("??/*")
        body.write_bytes(bytes(len(PHOTO)))
        assert page(server, tmp_path, url) == PHOTO
        assert server.requests["/photo/sea/0.jpg"] == 2
