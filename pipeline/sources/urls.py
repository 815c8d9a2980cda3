"""Photos whose URLs stand in a file."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources.categories import folder_name
from pipeline.sources.remote import Candidate, Candidates, Session, WebSource

_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def urls_source(params: ScrapeParams) -> WebSource:
    """The photos behind the URLs of the file ``params.path``.

    Raises:
        ColorpipeError: it is no file, or one that cannot be used.
    """
    if params.path.is_dir():
        raise ColorpipeError(
            f"The source 'urls' needs a file of URLs, and {params.path} is a folder; name the file"
            " with --path (scrape.path)."
        )
    lists = read_urls(params.path)
    return WebSource(
        {category: _given(candidates) for category, candidates in lists.items()},
        params.limit,
        params,
    )


def _given(candidates: Sequence[Candidate]) -> Candidates:
    async def each(_: Session) -> AsyncIterator[Candidate]:
        for candidate in candidates:
            yield candidate

    return each


def read_urls(path: Path) -> dict[str, list[Candidate]]:
    """Read candidates by category.

    A ``.csv`` or ``.tsv`` file has a header with a column ``url``, and may have ``category``,
    ``page``, ``query`` and ``license``: a manifest of an earlier scrape will do. Any other file has
    a URL a line, ``#`` starting a comment line. Without a category a photo belongs to one named
    like the file. Categories that differ in nothing but capitals are one, spelled as the first:
    Windows and macOS would make one folder of them.

    Raises:
        ColorpipeError: the file is missing, is no UTF-8 text, lacks the column or holds no URL, or
            a row is no CSV, runs into the next or has a category that cannot name a folder, or
            would share one with another category.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ColorpipeError(
            f"{path} is missing; --path (scrape.path) names a text or CSV file of URLs."
        ) from error
    except UnicodeDecodeError as error:
        raise ColorpipeError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    except OSError as error:
        raise ColorpipeError(f"{path} could not be read ({error.strerror}).") from error
    separator = _SEPARATORS.get(path.suffix.lower())
    rows = _lines(text) if separator is None else _table(path, text, separator)
    lists: dict[str, dict[str, Candidate]] = {}
    first: dict[str, tuple[str, str, int]] = {}
    for number, row in rows:
        given = (row.get("category") or path.stem).strip()
        name = folder_name(given, f"{path}, line {number}")
        category, known, line = first.setdefault(name.casefold(), (name, given, number))
        if given.casefold() != known.casefold():
            raise ColorpipeError(
                f"{path}, lines {line} and {number}: '{known}' and '{given}' would both become the"
                f" category '{category}'; rename one of them."
            )
        candidate = Candidate(
            row["url"], row.get("page") or "", row.get("query") or "", row.get("license") or ""
        )
        lists.setdefault(category, {}).setdefault(candidate.url, candidate)
    if not lists:
        raise ColorpipeError(f"{path} holds no URL; write one a line.")
    return {category: list(candidates.values()) for category, candidates in lists.items()}


def _lines(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each line's number and what stands in it."""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line and not line.startswith("#"):
            yield number, {"url": line}


def _table(path: Path, text: str, separator: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of each row's first line and what stands in its columns."""
    # A reader that is not strict takes all behind a quote that is never closed for one field.
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    number = 1
    try:
        columns = next(reader, [])
        if "url" not in columns:
            raise ColorpipeError(f"{path} has no column 'url' in its first line.")
        number = reader.line_num + 1
        for values in reader:
            row = dict(zip(columns, values, strict=False))
            url = row.get("url", "").strip()
            if "\n" in url or "\n" in row.get("category", ""):
                raise ColorpipeError(
                    f"{path}, line {number}: the row runs into the next line; close the quote that"
                    " is open there."
                )
            if url:
                yield number, {**row, "url": url}
            number = reader.line_num + 1
    except csv.Error as error:
        raise ColorpipeError(
            f"{path}, line {number}: the row that begins there is no CSV ({error}); look for a"
            " quote that is not closed."
        ) from error
