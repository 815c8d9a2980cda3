"""Photos behind links: fetched in parallel, with the same result however fast each host is.

The links of a category have a fixed order, and only as many are under way as photos are missing.
So the links that were tried are always the first ones, and the photos that are kept are the first
that could be fetched, whichever arrived first. Together with the cache of downloads, this lets a
run that was killed end as it would have ended. The price: a slow host delays the links behind its
own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.download import rejections
from pipeline.download.cache import DamagedError, Download, DownloadCache
from pipeline.download.cached_fetch import CachedFetcher
from pipeline.download.event_loop import run_to_end
from pipeline.download.fetch import Fetcher, FetchSettings, cancel_all
from pipeline.errors import ColorpipeError, Failure
from pipeline.files.progress import ProgressReport
from pipeline.params import ScrapeParams
from pipeline.sources.base import OFFLINE_HINT, FoundPhoto, Item, RejectedPhoto

MAX_PENDING = 4096
"""Links under way in all categories when there is no limit; more than so many links of one slow
host in a row delay those behind them. With a limit, a few for each worker are enough."""
MAX_CATEGORIES = 64
"""Categories under way; each keeps its links and waiting fetches in memory."""


@dataclass(frozen=True)
class Link:
    """A link to a photo, and where it was found."""

    url: str
    page: str = ""
    query: str = ""
    license: str = ""


class SearchError(Exception):
    """A category has no (more) links; the message fits behind a colon."""

    def __init__(self, message: str, *, unreachable: bool = False) -> None:
        super().__init__(message)
        self.unreachable = unreachable
        """Whether the search could not be asked, rather than found nothing."""


FindLinks = Callable[[CachedFetcher], AsyncIterator[Link]]
"""Yields the links of a category in a fixed order; may raise :class:`SearchError`."""


def listed(links: Iterable[Link]) -> FindLinks:
    """Links that are known without a search."""

    async def find_links(_: CachedFetcher) -> AsyncIterator[Link]:
        for link in links:
            yield link

    return find_links


def fetch_photos(
    categories: Mapping[str, FindLinks],
    limit: int | None,
    params: ScrapeParams,
) -> Iterator[Item]:
    """Fetch all links, then yield the photos category by category in the order of the links.

    Args:
        categories: by name, what finds the links.
        limit: photos of different content wanted in each category; None takes all.
        params: how to fetch.

    Raises:
        ColorpipeError: there is not a single link because the search cannot be reached, or the
            cache cannot be used.
    """
    with DownloadCache() as cache:
        finished = run_to_end(_fetch_all(categories, limit, params, cache))
        _check_reached(finished)
        for category in finished:
            for link, download in category.tried:
                yield _item(category.name, link, download, cache)
            if category.error is not None:
                yield Failure(category.name, str(category.error))


async def _fetch_all(
    categories: Mapping[str, FindLinks],
    limit: int | None,
    params: ScrapeParams,
    cache: DownloadCache,
) -> Sequence[_CategoryDownload]:
    settings = FetchSettings(
        user_agent=params.user_agent,
        timeout=params.timeout,
        connect_timeout=params.connect_timeout,
        retries=params.retries,
        workers=params.workers,
        per_host=params.per_host,
        robots=params.robots,
        allow_hosts=params.allow_hosts,
    )
    max_pending = 4 * params.workers
    if limit is None:
        max_pending = max(max_pending, MAX_PENDING // min(len(categories), MAX_CATEGORIES))
    turns = asyncio.Semaphore(MAX_CATEGORIES)

    async def run(download: _CategoryDownload) -> None:
        async with turns:
            await download.run()

    async with (
        Fetcher(settings) as fetcher,
        CachedFetcher(fetcher, cache, params.max_bytes) as cached,
    ):
        total = None if limit is None else limit * len(categories)
        with ProgressReport("Downloading", total) as progress:
            downloads = [
                _CategoryDownload(
                    name,
                    find_links(cached),
                    cached,
                    limit=limit,
                    max_pending=max_pending,
                    progress=progress,
                )
                for name, find_links in categories.items()
            ]
            tasks = [asyncio.create_task(run(download)) for download in downloads]
            try:
                await asyncio.gather(*tasks)
            finally:
                await cancel_all(tasks)
    return downloads


class _CategoryDownload:
    """Fetches the links of one category until its limit is met or no links are left."""

    def __init__(
        self,
        name: str,
        links: AsyncIterator[Link],
        fetcher: CachedFetcher,
        *,
        limit: int | None,
        max_pending: int,
        progress: ProgressReport,
    ) -> None:
        self.name = name
        self.tried: list[tuple[Link, Download]] = []
        self.error: SearchError | None = None
        self._links = links
        self._fetcher = fetcher
        self._limit = limit
        self._max_pending = max_pending
        self._progress = progress
        self._no_more = False
        self._contents: set[str] = set()
        self._pending: set[asyncio.Task[None]] = set()
        self._finished: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()

    async def run(self) -> None:
        try:
            await self._start_fetches()
            while self._pending:
                task = await self._finished.get()
                self._pending.remove(task)
                task.result()
                await self._start_fetches()
        finally:
            await cancel_all(self._pending)

    async def _start_fetches(self) -> None:
        while self._wanted() > 0 and (link := await self._next_link()) is not None:
            self.tried.append((link, Download()))
            task = asyncio.create_task(self._fetch(len(self.tried) - 1, link))
            task.add_done_callback(self._finished.put_nowait)
            self._pending.add(task)

    def _wanted(self) -> int:
        """How many more fetches may start now."""
        missing = self._max_pending if self._limit is None else self._limit - len(self._contents)
        return min(missing, self._max_pending) - len(self._pending)

    async def _next_link(self) -> Link | None:
        if self._no_more:
            return None
        try:
            return await anext(self._links)
        except StopAsyncIteration:
            pass
        except SearchError as error:
            self.error = error
        except ColorpipeError:
            raise
        # An error that nobody foresaw costs this category, not a whole night's run.
        except Exception as error:  # noqa: BLE001
            self.error = SearchError(f"{rejections.UNEXPECTED}, {type(error).__name__}")
        self._no_more = True
        return None

    async def _fetch(self, index: int, link: Link) -> None:
        download = await self._fetcher.photo(link.url)
        self.tried[index] = (link, download)
        if download.sha256 and download.sha256 not in self._contents:
            self._contents.add(download.sha256)
            self._progress.advance()


def _item(category: str, link: Link, download: Download, cache: DownloadCache) -> Item:
    if not download.sha256:
        return RejectedPhoto(
            category, link.url, download.reason, download.detail, link.page, link.query
        )
    try:
        data = cache.read(download)
    except DamagedError as error:
        return Failure(category, str(error).removesuffix("."))
    return FoundPhoto(category, link.url, data, link.page, link.query, link.license)


def _check_reached(categories: Sequence[_CategoryDownload]) -> None:
    """Raise the error of a search that could not be reached for any category."""
    if any(category.tried for category in categories):
        return
    for category in categories:
        if category.error is not None and category.error.unreachable:
            raise ColorpipeError(f"No photos were found: {category.error}; {OFFLINE_HINT}.")
