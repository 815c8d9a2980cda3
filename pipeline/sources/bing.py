"""Photos that Bing's image search finds, through bing-image-downloader.

That library's ``Bing.run`` requests a page of results and downloads what is on it, one file after
another. Its request form, its filters and its parsing of a page are used here, but not its
downloads. To take them apart, the library runs with stand-ins for the module ``urllib`` and for its
method ``download_image``. In a first run it stops when it requests a page, which gives the request;
in a second run it is handed that page, which gives the links.
"""

from __future__ import annotations

import contextlib
import html.parser
import io
import json
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bing_image_downloader import bing as library

from pipeline.download import rejections
from pipeline.download.cached_fetch import CachedFetcher
from pipeline.download.rejections import FetchError
from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources.base import Item
from pipeline.sources.categories import Category, read_categories
from pipeline.sources.remote import FindLinks, Link, SearchError, fetch_photos

LIMIT = 100
"""Photos of a category if no limit is given."""
PAGE_SIZE = 100
"""Results requested at a time, whatever the limit: a run with a higher limit then finds the first
pages in the cache."""
MAX_PAGES = 100
"""Pages of a category; some servers never stop finding results."""
PAGE_BYTES = 20_000_000

# What the entries of Bing's menu "License" put into the form, as in icrawler's Bing filter.
_LICENSES = {
    "any": "",
    "public": "+filterui:license-L1",
    "share": "+filterui:license-L2_L3_L4_L5_L6_L7",
    "share_commercially": "+filterui:license-L2_L3_L4",
    "modify": "+filterui:license-L2_L3_L5_L6",
    "modify_commercially": "+filterui:license-L2_L3",
}
_RESULT = "murl&quot;:&quot;"
"""What precedes the photo's URL in a page, once for each result."""
_WHOLE_RESULT = re.compile(re.escape(_RESULT) + ".*?&quot;")


def photos(params: ScrapeParams) -> Iterator[Item]:
    """Yield the photos found for the categories in the file ``params.categories``.

    Raises:
        ColorpipeError: the file cannot be used, or the search cannot be reached.
    """
    categories = read_categories(params.categories)
    searches = {category.name: _search(category, params) for category in categories}
    return fetch_photos(searches, params.limit or LIMIT, params)


def _search(category: Category, params: ScrapeParams) -> FindLinks:
    """All results for a category in Bing's order, each URL once."""
    host = urllib.parse.urlsplit(params.search_url).netloc

    async def find_links(fetcher: CachedFetcher) -> AsyncIterator[Link]:
        offset = 0
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            page = ResultPage(category.query, offset, params)
            try:
                body = await fetcher.page(page.url, PAGE_BYTES, _has_results)
            except FetchError as error:
                why = f"{error.reason}, {error.detail}"
                if error.reason == rejections.PRIVATE:
                    why += " (a mirror or test server of your own belongs in scrape.allow_hosts)"
                raise SearchError(f"the search at {host} fails: {why}", unreachable=True) from error
            results = page.results(body.decode("utf-8", "replace"))
            new = [url for url in results.urls if url not in seen]
            if not new:
                break
            seen.update(new)
            for url in new:
                page_url = results.pages.get(url, "")
                yield Link(url, page_url, category.query, f"Bing's filter: {params.license}")
            # Bing's ``first`` counts results. The library would add 1 to it for the next page, and
            # get almost the same page again.
            offset += results.count
        if not seen:
            raise SearchError(f"{host} shows no results for '{category.query}'")

    return find_links


def _has_results(body: bytes) -> bool:
    return _RESULT.encode() in body


@dataclass(frozen=True)
class Results:
    """What a page of results shows."""

    urls: list[str]
    """The URLs of photos in order, each once."""
    pages: dict[str, str]
    """The page that shows a photo, by the photo's URL."""
    count: int
    """Results on the page, with repetitions."""


class ResultPage:
    """A page of results: its URL, and how to read it.

    Args:
        query: what to search for.
        offset: the number of results on earlier pages.
        params: the search's address, license filter and safe search.

    Raises:
        ColorpipeError: this version of bing-image-downloader is not supported.
    """

    def __init__(self, query: str, offset: int, params: ScrapeParams) -> None:
        self._query = query
        self._offset = offset
        self._params = params
        request = self._run(self._bing(), _stop)
        if not isinstance(request, urllib.request.Request):
            raise _unsupported_library()
        form = urllib.parse.urlsplit(request.full_url).query
        base = params.search_url
        self.url = f"{base}{'&' if '?' in base else '?'}{form}"
        """The search's address with the library's form."""

    def results(self, text: str) -> Results:
        """Read the text of a page.

        Raises:
            ColorpipeError: this version of bing-image-downloader is not supported.
        """
        count = text.count(_RESULT)
        urls: list[str] = []
        if count:
            bing = self._bing()
            # Otherwise the library would stop within a page that is longer than requested.
            bing.limit = sys.maxsize

            def collect(url: str) -> None:
                urls.append(url)
                bing.download_count += 1

            bing.download_image = collect
            self._run(bing, _respond_once(text))
            # Neither the library nor this check counts a result that is cut off.
            if not urls and _WHOLE_RESULT.search(text):
                raise _unsupported_library()
        return Results(urls, _pages(text), count)

    def _bing(self) -> Any:
        """The library's search, set up for this page."""
        bing = library.Bing(
            query=self._query,
            limit=PAGE_SIZE,
            output_dir=Path(),
            adult="on" if self._params.safe_search else "off",
            timeout=1,
            filter="photo",
            verbose=False,
        )
        bing.page_counter = self._offset
        get_filter = bing.get_filter
        license = _LICENSES[self._params.license]
        bing.get_filter = lambda shorthand: get_filter(shorthand) + license
        return bing

    def _run(self, bing: Any, urlopen: Callable[..., Any]) -> object:
        """Run the library until ``urlopen`` stops it; return the request that it made then."""
        with _replaced_urlopen(urlopen):
            try:
                bing.run()
            except _Stop as stop:
                return stop.request
        return None


def _unsupported_library() -> ColorpipeError:
    return ColorpipeError(
        "This version of bing-image-downloader is not supported; run"
        " `pip install bing-image-downloader==1.1.3`."
    )


class _Stop(Exception):  # noqa: N818
    """Not an error, but the way out of the library's loop; it carries the request."""

    def __init__(self, request: object) -> None:
        super().__init__(request)
        self.request = request


def _stop(request: object, *_: object, **__: object) -> io.BytesIO:
    """Stand in for ``urlopen`` and stop the library."""
    raise _Stop(request)


def _respond_once(text: str) -> Callable[..., io.BytesIO]:
    """A stand-in for ``urlopen`` that responds with ``text``, then stops the library."""
    pages = iter([io.BytesIO(text.encode())])

    def urlopen(request: object, *_: object, **__: object) -> io.BytesIO:
        page = next(pages, None)
        return page if page is not None else _stop(request)

    return urlopen


@contextlib.contextmanager
def _replaced_urlopen(function: Callable[..., Any]) -> Iterator[None]:
    """Replace ``urllib.request.urlopen`` by ``function``, only inside the library's module."""
    real = library.urllib
    request = SimpleNamespace(Request=urllib.request.Request, urlopen=function)
    library.urllib = SimpleNamespace(parse=urllib.parse, request=request)
    try:
        yield
    finally:
        library.urllib = real


class _PageParser(html.parser.HTMLParser):
    """Collects the JSON that describes each result: the attribute ``m`` of its link."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        for name, value in attrs:
            if name == "m" and value:
                self._read(value)

    def _read(self, text: str) -> None:
        try:
            result = json.loads(text)
            photo, page = result["murl"], result.get("purl", "")
        # Thousands of nested brackets raise RecursionError.
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        if isinstance(photo, str) and isinstance(page, str):
            # The library quotes blanks in the same way.
            self.pages[photo.replace(" ", "%20")] = page


def _pages(text: str) -> dict[str, str]:
    parser = _PageParser()
    # Python's parser fails an assertion of its own at "<![x[". The pages are not essential.
    with contextlib.suppress(AssertionError):
        parser.feed(text)
    return parser.pages
