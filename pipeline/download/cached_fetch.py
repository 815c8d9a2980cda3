"""Fetching through the cache of downloads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType

from pipeline.download import rejections
from pipeline.download.cache import DamagedError, Download, DownloadCache
from pipeline.download.fetch import Fetcher, cancel_all
from pipeline.download.rejections import FetchError
from pipeline.download.robots import product_token
from pipeline.errors import ColorpipeError
from pipeline.imaging.kinds import sniff


class CachedFetcher:
    """Fetches what the cache does not hold; an async context manager.

    Args:
        fetcher: makes the requests.
        cache: holds what earlier requests gave.
        max_bytes: a larger photo is rejected.
    """

    def __init__(self, fetcher: Fetcher, cache: DownloadCache, max_bytes: int) -> None:
        self._fetcher = fetcher
        self._cache = cache
        self._max_bytes = max_bytes
        self._polite = fetcher.settings.robots
        token = product_token(fetcher.settings.user_agent)
        self._politeness = f"robots as {token}" if self._polite else ""
        self._terms = f"{self._politeness}, at most {max_bytes} bytes"
        self._under_way: dict[str, asyncio.Task[Download]] = {}

    async def __aenter__(self) -> CachedFetcher:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await cancel_all(self._under_way.values())

    async def photo(self, url: str) -> Download:
        """Fetch a photo, or say why it is rejected; callers that name one URL share one request.

        Raises:
            ColorpipeError: the cache cannot be used.
        """
        url = url.partition("#")[0]
        try:
            known = self._cache.find(url)
            if known is not None and self._still_holds(known):
                return known
            if url not in self._under_way:
                self._under_way[url] = asyncio.create_task(self._fetch(url))
            return await asyncio.shield(self._under_way[url])
        except ColorpipeError:
            raise
        # An error that nobody foresaw costs this photo, not a whole night's run.
        except Exception as error:  # noqa: BLE001
            return Download(reason=rejections.UNEXPECTED, detail=type(error).__name__)

    def _still_holds(self, known: Download) -> bool:
        """Whether a request under today's terms would give what is in the cache."""
        if not known.sha256:
            return known.fresh and known.terms == self._terms
        polite_enough = known.terms == self._politeness or not self._polite
        return polite_enough and known.bytes <= self._max_bytes

    async def _fetch(self, url: str) -> Download:
        try:
            body = await self._fetcher.get_photo(url, self._max_bytes)
        except FetchError as error:
            if error.lasting:
                return self._cache.reject(url, error.reason, error.detail, self._terms)
            return Download(reason=error.reason, detail=error.detail)
        if sniff(body) is None:
            reason, detail = rejections.NOT_AN_IMAGE, rejections.describe(body)
            return self._cache.reject(url, reason, detail, self._terms)
        return self._cache.keep(url, body, self._politeness)

    async def page(self, url: str, max_bytes: int, has_results: Callable[[bytes], bool]) -> bytes:
        """Fetch a page of search results; one with results stays in the cache for a day.

        So an interrupted run resumes with the same results, and a run on another day finds new
        ones. While the search cannot be reached, the cached page is used whatever its age.

        Args:
            url: the search.
            max_bytes: a larger page is rejected.
            has_results: whether a page is worth keeping.

        Raises:
            FetchError: the page cannot be fetched, and the cache has none.
            ColorpipeError: the cache cannot be used.
        """
        known = self._cache.find(url)
        last = None
        if known is not None and known.sha256:
            with contextlib.suppress(DamagedError):
                last = self._cache.read(known)
                if known.fresh:
                    return last
        try:
            body = await self._fetcher.get_page(url, max_bytes)
        except FetchError:
            if last is None:
                raise
            return last
        if has_results(body):
            self._cache.keep(url, body, "page")
        return body
