"""Photos whose URLs stand in a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources.base import Item
from pipeline.sources.categories import folder_name, read_text
from pipeline.sources.remote import Link, fetch_photos, listed

_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def photos(params: ScrapeParams) -> Iterator[Item]:
    """Yield the photos behind the URLs in the file ``params.path``.

    Raises:
        ColorpipeError: it is not a file, or not one that can be used.
    """
    path = params.local_path
    if path.is_dir():
        raise ColorpipeError(
            f"The source 'urls' needs a file of URLs, but {path} is a folder; name the file with"
            " --path (scrape.path)."
        )
    categories = {name: listed(links) for name, links in read_links(path).items()}
    return fetch_photos(categories, params.limit, params)


def read_links(path: Path) -> dict[str, list[Link]]:
    """Read the links of each category.

    A ``.csv`` or ``.tsv`` file has a header with a column ``url`` and optional columns
    ``category``, ``page``, ``query`` and ``license``, as the manifest of an earlier scrape has. Any
    other file has a URL on each line; lines that start with ``#`` are comments. A photo without a
    category gets one named like the file. Categories that differ only in upper and lower case are
    one, spelled like the first, since Windows and macOS would make one folder of them.

    Raises:
        ColorpipeError: the file is missing, is not UTF-8 text, lacks the column or holds no URL; or
            a row is not CSV, runs into the next one, or has a category that cannot name a folder
            or would share one with another category.
    """
    text = read_text(path, "name a text or CSV file of URLs with --path (scrape.path)")
    separator = _SEPARATORS.get(path.suffix.lower())
    rows = _lines(text) if separator is None else _table(path, text, separator)
    links: dict[str, dict[str, Link]] = {}
    first: dict[str, tuple[str, str, int]] = {}
    for number, row in rows:
        given = (row.get("category") or path.stem).strip()
        name = folder_name(given, f"{path}, line {number}")
        category, earlier, line = first.setdefault(name.casefold(), (name, given, number))
        if given.casefold() != earlier.casefold():
            raise ColorpipeError(
                f"{path}, lines {line} and {number}: '{earlier}' and '{given}' would both become"
                f" the category '{category}'; rename one of them."
            )
        link = Link(
            row["url"], row.get("page") or "", row.get("query") or "", row.get("license") or ""
        )
        links.setdefault(category, {}).setdefault(link.url, link)
    if not links:
        raise ColorpipeError(f"{path} holds no URL; write one on each line.")
    return {category: list(by_url.values()) for category, by_url in links.items()}


def _lines(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the columns of each line that is not blank or a comment."""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line and not line.startswith("#"):
            yield number, {"url": line}


def _table(path: Path, text: str, separator: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the first line's number and the columns of each row that has a URL."""
    # Unless it is strict, csv takes everything behind an unclosed quote for one field.
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
            f"{path}, line {number}: the row that begins there is not CSV ({error}); look for an"
            " unclosed quote."
        ) from error
