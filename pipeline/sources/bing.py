"""Photos that Bing's image search finds, asked through bing-image-downloader.

That library's ``Bing.run`` asks for a page of results and downloads what is on it, one file after
another. Its request form, filters and parsing of a page serve here; fetching is our own. The two
are cut apart by giving the library, while it runs, our stand-ins for the module ``urllib`` and for
its method ``download_image``: the first time it runs until it asks, which tells the request; the
second time it is given the page, which tells the links.
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

from pipeline.download.fetch import FetchError
from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources.categories import Category, read_categories
from pipeline.sources.remote import Candidate, Candidates, Session, UnavailableError, WebSource

LIMIT = 100
"""Photos of a category when no number is given."""
PAGE_SIZE = 100
"""Results asked for at a time, whatever the limit: a higher limit finds the same pages known."""
MAX_PAGES = 100
"""A server that goes on finding results is asked for no more pages than this."""
PAGE_BYTES = 20_000_000

# What the entries of Bing's menu "License" put into the form, as icrawler's Bing filter has them.
_LICENSES = {
    "any": "",
    "public": "+filterui:license-L1",
    "share": "+filterui:license-L2_L3_L4_L5_L6_L7",
    "share_commercially": "+filterui:license-L2_L3_L4",
    "modify": "+filterui:license-L2_L3_L5_L6",
    "modify_commercially": "+filterui:license-L2_L3",
}
_RESULT = "murl&quot;:&quot;"
"""Stands once in a page for each result, in front of the photo's URL."""
_WHOLE_RESULT = re.compile(re.escape(_RESULT) + ".*?&quot;")


def bing_source(params: ScrapeParams) -> WebSource:
    """The photos of the categories that ``params.categories`` names.

    Raises:
        ColorpipeError: the category file cannot be used.
    """
    categories = read_categories(params.categories)
    return WebSource(
        {category.name: _search(category, params) for category in categories},
        params.limit or LIMIT,
        params,
    )


def _search(category: Category, params: ScrapeParams) -> Candidates:
    """All results for a category, in Bing's order, each URL once."""
    host = urllib.parse.urlsplit(params.search_url).netloc

    async def candidates(session: Session) -> AsyncIterator[Candidate]:
        offset = 0
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            page = ResultPage(category.query, offset, params)
            try:
                body = await session.page(page.url, PAGE_BYTES, _has_results)
            except FetchError as error:
                why = f"{error.reason}, {error.detail}"
                raise UnavailableError(f"the search at {host} fails: {why}", lost=True) from error
            results = page.results(body.decode("utf-8", "replace"))
            fresh = [result for result in results.links if result not in seen]
            if not fresh:
                break
            seen.update(fresh)
            for link in fresh:
                shown_by = results.pages.get(link, "")
                filter_ = f"Bing's filter: {params.license}"
                yield Candidate(link, shown_by, category.query, filter_)
            # Bing's ``first`` counts results; the library would add 1, and get a page of which
            # all but one result was on the last.
            offset += results.count
        if not seen:
            raise UnavailableError(f"{host} shows no results for '{category.query}'")

    return candidates


def _has_results(body: bytes) -> bool:
    return _RESULT.encode() in body


@dataclass(frozen=True)
class Results:
    """What a page of results shows."""

    links: list[str]
    """URLs of photos, in order, each once."""
    pages: dict[str, str]
    """By the URL of the photo, the page that shows it."""
    count: int
    """Results on the page, repeated ones included."""


class ResultPage:
    """A page of results: the URL to ask for, and what an answer means.

    Args:
        query: what to look for.
        offset: results to leave out, because earlier pages had them.
        params: the search's address, filters and safe search.

    Raises:
        ColorpipeError: the installed bing-image-downloader works in another way.
    """

    def __init__(self, query: str, offset: int, params: ScrapeParams) -> None:
        self._query = query
        self._offset = offset
        self._params = params
        asked = self._run(self._bing(), _asked)
        if not isinstance(asked, urllib.request.Request):
            raise _unknown_library()
        form = urllib.parse.urlsplit(asked.full_url).query
        base = params.search_url
        self.url = f"{base}{'&' if '?' in base else '?'}{form}"
        """Our search address with the library's form."""

    def results(self, text: str) -> Results:
        """Read the text of a page.

        Raises:
            ColorpipeError: the installed bing-image-downloader works in another way.
        """
        count = text.count(_RESULT)
        links: list[str] = []
        if count:
            bing = self._bing()
            # Without this the library would stop in the middle of a page that is longer than
            # asked for.
            bing.limit = sys.maxsize

            def collect(link: str) -> None:
                links.append(link)
                bing.download_count += 1

            bing.download_image = collect
            self._run(bing, _answered(text))
            # A result that is cut off before its end is none, for us and the library alike.
            if not links and _WHOLE_RESULT.search(text):
                raise _unknown_library()
        return Results(links, _pages(text), count)

    def _bing(self) -> Any:
        """The library's search, set to this page."""
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
        kinds = bing.get_filter
        license = _LICENSES[self._params.license]
        bing.get_filter = lambda shorthand: kinds(shorthand) + license
        return bing

    def _run(self, bing: Any, urlopen: Callable[..., Any]) -> object:
        """Run the library until it asks for a page that it is not given; return that request."""
        with _urlopen(urlopen):
            try:
                bing.run()
            except _AskedError as stop:
                return stop.request
        return None


def _unknown_library() -> ColorpipeError:
    return ColorpipeError(
        "The installed bing-image-downloader works in a way that is not known; install the version"
        " that is with `pip install bing-image-downloader==1.1.3`."
    )


class _AskedError(Exception):
    """No error: the way out of the library's loop, which carries the request."""

    def __init__(self, request: object) -> None:
        super().__init__(request)
        self.request = request


def _asked(request: object, *_: object, **__: object) -> io.BytesIO:
    raise _AskedError(request)


def _answered(text: str) -> Callable[..., io.BytesIO]:
    """An ``urlopen`` that gives ``text`` to whoever asks first."""
    pages = iter([io.BytesIO(text.encode())])

    def urlopen(request: object, *_: object, **__: object) -> io.BytesIO:
        page = next(pages, None)
        return page if page is not None else _asked(request)

    return urlopen


@contextlib.contextmanager
def _urlopen(function: Callable[..., Any]) -> Iterator[None]:
    """Let ``urllib.request.urlopen`` be ``function``, inside the library's module alone."""
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
        # Brackets within brackets, thousands of them, are a RecursionError.
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        if isinstance(photo, str) and isinstance(page, str):
            # As the library writes links.
            self.pages[photo.replace(" ", "%20")] = page


def _pages(text: str) -> dict[str, str]:
    parser = _PageParser()
    # Python's parser has been seen to assert what "<![x[" in a page does not keep. A photo whose
    # page is not known is a photo all the same.
    with contextlib.suppress(AssertionError):
        parser.feed(text)
    return parser.pages
