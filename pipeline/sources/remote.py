"""Photos that lie behind URLs: fetched in parallel, each remembered, the same set in any order.

A category has candidates in a fixed order. As many are under way as photos are missing, so what
was tried is always a beginning of that order, and what is kept are its first photos, however long
each of them took; the price is that a slow host's photos hold up those behind them. That, and the
cache, make a run that was killed end where it would have ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pipeline.download import rejections as reasons
from pipeline.download.cache import FOLDER, Answer, DamagedError, Downloads
from pipeline.download.fetch import Fetcher, FetchError, FetchSettings, cancel_all
from pipeline.download.media import describe, sniff
from pipeline.download.robots import product_token
from pipeline.errors import ColorpipeError
from pipeline.files.progress import ProgressReport
from pipeline.params import ScrapeParams
from pipeline.sources.base import OFFLINE_WAY, Found, Offer, Refusal, Shortfall

WINDOW = 4096
"""Candidates under way, in all categories, where no limit makes their order count: so many of one
slow host's, in a row, keep those behind them waiting. With a limit it is a few for each worker."""

T = TypeVar("T")


@dataclass(frozen=True)
class Candidate:
    """A photo that could be fetched."""

    url: str
    page: str = ""
    query: str = ""
    license: str = ""


class UnavailableError(Exception):
    """No (more) candidates of a category can be had; the message fits behind a colon."""

    def __init__(self, message: str, *, lost: bool = False) -> None:
        super().__init__(message)
        self.lost = lost
        """Whether it is the search that cannot be had, rather than its results."""


Candidates = Callable[["Session"], AsyncIterator[Candidate]]
"""Given a session, yields a category's candidates; may raise :class:`UnavailableError`."""


class Session:
    """Fetching through the cache, under one set of parameters; an async context manager."""

    def __init__(self, fetcher: Fetcher, downloads: Downloads, params: ScrapeParams) -> None:
        self._fetcher = fetcher
        self._downloads = downloads
        self._max_bytes = params.max_bytes
        self._robots = params.robots
        self._manners = f"robots as {product_token(params.user_agent)}" if self._robots else ""
        self._terms = f"{self._manners}, at most {self._max_bytes} bytes"
        self._under_way: dict[str, asyncio.Task[Answer]] = {}

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await cancel_all(self._under_way.values())

    async def photo(self, url: str) -> Answer:
        """Fetch a photo, or say why not; two categories that ask for one URL share the answer."""
        url = url.partition("#")[0]
        try:
            known = self._downloads.find(url)
            if known is not None and self._holds(known):
                return known
            if url not in self._under_way:
                self._under_way[url] = asyncio.create_task(self._fetch(url))
            return await asyncio.shield(self._under_way[url])
        except ColorpipeError:
            raise
        # What nobody thought of costs this photo, not those of a night's run.
        except Exception as error:  # noqa: BLE001
            return Answer(reason=reasons.UNEXPECTED, detail=type(error).__name__)

    def _holds(self, known: Answer) -> bool:
        """Whether an answer of an earlier run is what this run would get."""
        if not known.sha256:
            return known.fresh and known.terms == self._terms
        polite_enough = known.terms == self._manners or not self._robots
        return polite_enough and known.bytes <= self._max_bytes

    async def _fetch(self, url: str) -> Answer:
        try:
            body = await self._fetcher.get_photo(url, self._max_bytes)
        except FetchError as error:
            if error.lasting:
                return self._downloads.refuse(url, error.reason, error.detail, self._terms)
            return Answer(reason=error.reason, detail=error.detail)
        if sniff(body) is None:
            reason, detail = reasons.NOT_AN_IMAGE, describe(body)
            return self._downloads.refuse(url, reason, detail, self._terms)
        return self._downloads.keep(url, body, self._manners)

    async def page(self, url: str, max_bytes: int, worth_keeping: Callable[[bytes], bool]) -> bytes:
        """Fetch a page of results; a question keeps its answer for a day.

        So a run goes on where it was stopped, and another finds what is new. Where the search can
        no longer be had, its last answer will do.

        Args:
            url: the question.
            max_bytes: a larger page is refused.
            worth_keeping: says of a page whether it is an answer.

        Raises:
            FetchError: it cannot be had.
        """
        known = self._downloads.find(url)
        last = None
        if known is not None and known.sha256:
            with contextlib.suppress(DamagedError):
                last = self._downloads.read(known)
                if known.fresh:
                    return last
        try:
            body = await self._fetcher.get_page(url, max_bytes)
        except FetchError:
            if last is None:
                raise
            return last
        if worth_keeping(body):
            self._downloads.keep(url, body, "page")
        return body

    def read(self, answer: Answer) -> bytes:
        """The bytes of a photo that :meth:`photo` fetched."""
        return self._downloads.read(answer)


@dataclass
class _Category:
    """A category's candidates so far, and what each of them gave."""

    name: str
    tried: list[tuple[Candidate, Answer]]
    trouble: UnavailableError | None = None


class WebSource:
    """Yields the photos of candidates.

    Args:
        categories: by name, in order.
        limit: photos of different content wanted in each category; None for all there are.
        params: how to fetch.
        cache: the folder of :class:`pipeline.download.cache.Downloads`.
    """

    def __init__(
        self,
        categories: dict[str, Candidates],
        limit: int | None,
        params: ScrapeParams,
        cache: Path = FOLDER,
    ) -> None:
        self._categories = categories
        self._limit = limit
        self._params = params
        self._cache = cache

    def __iter__(self) -> Iterator[Found]:
        """Fetch everything, then yield category by category in the order of the candidates.

        Raises:
            ColorpipeError: no category has a candidate, because a host cannot be reached.
        """
        with Downloads(self._cache) as downloads:
            fetched = _run(self._fetch(downloads))
            _refuse_nothing(fetched)
            for category in fetched:
                for candidate, answer in category.tried:
                    yield _found(category.name, candidate, answer, downloads)
                if category.trouble is not None:
                    yield Shortfall(category.name, str(category.trouble))

    async def _fetch(self, downloads: Downloads) -> Sequence[_Category]:
        params = self._params
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
        total = None if self._limit is None else self._limit * len(self._categories)
        async with (
            Fetcher(settings) as fetcher,
            Session(fetcher, downloads, params) as session,
        ):
            with ProgressReport("Downloading", total) as progress:
                tasks = [
                    asyncio.create_task(self._fill(name, candidates(session), session, progress))
                    for name, candidates in self._categories.items()
                ]
                try:
                    return await asyncio.gather(*tasks)
                finally:
                    await cancel_all(tasks)

    async def _fill(
        self,
        name: str,
        candidates: AsyncIterator[Candidate],
        session: Session,
        progress: ProgressReport,
    ) -> _Category:
        """Try candidates until the limit is met or there are no more."""
        category = _Category(name, [])
        contents: set[str] = set()
        pending: set[asyncio.Task[None]] = set()
        finished: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()
        most = 4 * self._params.workers
        if self._limit is None:
            most = max(most, WINDOW // len(self._categories))

        async def fetch(index: int, candidate: Candidate) -> None:
            answer = await session.photo(candidate.url)
            category.tried[index] = (candidate, answer)
            if answer.sha256 and answer.sha256 not in contents:
                contents.add(answer.sha256)
                progress.advance()

        def wanted() -> int:
            missing = most if self._limit is None else self._limit - len(contents)
            return min(missing, most) - len(pending)

        more = True
        try:
            while more or pending:
                while more and wanted() > 0:
                    try:
                        candidate = await anext(candidates)
                    except StopAsyncIteration:
                        more = False
                    except UnavailableError as error:
                        category.trouble = error
                        more = False
                    except ColorpipeError:
                        raise
                    except Exception as error:  # noqa: BLE001
                        kind = type(error).__name__
                        category.trouble = UnavailableError(f"{reasons.UNEXPECTED}, {kind}")
                        more = False
                    else:
                        category.tried.append((candidate, Answer()))
                        index = len(category.tried) - 1
                        task = asyncio.create_task(fetch(index, candidate))
                        task.add_done_callback(finished.put_nowait)
                        pending.add(task)
                if not pending:
                    break
                task = await finished.get()
                pending.remove(task)
                task.result()
        finally:
            await cancel_all(pending)
        return category


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end, also where an event loop runs already: in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    started: Future[tuple[asyncio.AbstractEventLoop, Callable[[], object]]] = Future()

    async def cancelable() -> T:
        task = asyncio.ensure_future(work)
        started.set_result((asyncio.get_running_loop(), task.cancel))
        return await task

    with ThreadPoolExecutor(1) as aside:
        result = aside.submit(asyncio.run, cancelable())
        try:
            return result.result()
        except BaseException:
            # An interruption reaches this thread alone, and would wait for every download.
            if not result.done():
                loop, cancel = started.result()
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(cancel)
            raise


def _found(name: str, candidate: Candidate, answer: Answer, downloads: Downloads) -> Found:
    if answer.sha256:
        try:
            data = downloads.read(answer)
        except DamagedError as error:
            return Shortfall(name, str(error).removesuffix("."))
        about = (candidate.page, candidate.query, candidate.license)
        return Offer(name, candidate.url, data, *about)
    return Refusal(
        name, candidate.url, answer.reason, answer.detail, candidate.page, candidate.query
    )


def _refuse_nothing(fetched: Sequence[_Category]) -> None:
    """Tell a search that could not be used from one that found nothing."""
    if any(category.tried for category in fetched):
        return
    for category in fetched:
        if category.trouble is not None and category.trouble.lost:
            raise ColorpipeError(f"No photo could be had: {category.trouble}; {OFFLINE_WAY}.")
