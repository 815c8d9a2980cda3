"""Photos whose URLs stand in a file."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources.categories import folder_name
from pipeline.sources.web import Candidate, Candidates, Session, WebSource

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
    ``page``, ``query`` and ``licence``: a manifest of an earlier scrape will do. Any other file has
    a URL a line, ``#`` starting a comment line. Without a category a photo belongs to one named
    like the file.

    Raises:
        ColorpipeError: the file is missing, is no UTF-8 text, lacks the column or holds no URL.
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
    for row in rows:
        category = folder_name(row.get("category") or path.stem)
        candidate = Candidate(
            row["url"], row.get("page") or "", row.get("query") or "", row.get("licence") or ""
        )
        lists.setdefault(category, {}).setdefault(candidate.url, candidate)
    if not lists:
        raise ColorpipeError(f"{path} holds no URL; write one a line.")
    return {category: list(candidates.values()) for category, candidates in lists.items()}


def _lines(text: str) -> Iterator[dict[str, str]]:
    for raw in text.splitlines():
        line = raw.strip()
        if line and not line.startswith("#"):
            yield {"url": line}


def _table(path: Path, text: str, separator: str) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text), delimiter=separator)
    if "url" not in (reader.fieldnames or ()):
        raise ColorpipeError(f"{path} has no column 'url' in its first line.")
    for row in reader:
        url = (row["url"] or "").strip()
        if url:
            yield {**row, "url": url}
