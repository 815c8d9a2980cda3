"""Find photos of each category and keep their bytes as found."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
from collections import Counter, defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.dataset.manifest import MANIFEST, REJECTED, RawPhoto, content_name
from pipeline.download import rejections
from pipeline.download.cache import DOWNLOADS
from pipeline.errors import ColorpipeError, Failure
from pipeline.files.csv_tables import cell, read_table, write_table
from pipeline.files.outputs import check_replaceable, new_folder
from pipeline.files.progress import track
from pipeline.imaging.kinds import sniff
from pipeline.location import Location
from pipeline.params import ScrapeParams
from pipeline.sources import find_photos
from pipeline.sources.base import OFFLINE_HINT, FoundPhoto, Item, RejectedPhoto, UnreadPhoto

_FAILURES_SHOWN = 5
"""Failures that the sentence names which says why no photo was kept."""


def scrape(raw: Path, params: ScrapeParams) -> list[Failure]:
    """Fill ``raw`` with a folder of photos for each category and tables of kept and rejected ones.

    ``raw`` is written whole or not at all: what was there before is replaced at the end.

    Args:
        raw: the folder to write.
        params: the source and its settings.

    Returns:
        A failure for each category that could not be searched to the end.

    Raises:
        ColorpipeError: no photo could be kept, or ``raw`` could not be written, holds files that no
            scrape wrote, or overlaps with the folder that photos come from.
    """
    _check_replaceable(raw, params.path)
    items = find_photos(params)
    # Sources download everything before their first photo: a kill during that time leaves no
    # half-written folder.
    first = list(itertools.islice(items, 1))
    with new_folder(raw) as folder:
        collector = Collector(folder, params.limit)
        for item in track(itertools.chain(first, items), "Collecting"):
            collector.take(item)
        collector.write_tables()
    _print_tables(collector)
    if any(
        photo.url.startswith(("http:", "https:")) and photo.reason != rejections.DUPLICATE
        for photo in collector.rejected
    ):
        print(
            "The next run asks hosts again that were busy or could not be reached. Other rejected"
            f" URLs are tried again after a day, or once {DOWNLOADS} is deleted."
        )
    return collector.failures


def _check_replaceable(raw: Path, path: Location) -> None:
    """Do not replace the folder that photos come from, nor photos that the manifest lacks."""
    listed = set[str]()
    # Without a manifest that can be read, no scrape wrote what is there.
    with contextlib.suppress(ColorpipeError, OSError):
        rows = read_table(raw / MANIFEST, RawPhoto)
        listed = {MANIFEST, REJECTED, *(f"{row.category}/{row.name}" for row in rows)}
    unknown = f"is not in a {MANIFEST} of scrape's there"
    near = [path] if isinstance(path, Path) else []
    check_replaceable(raw, "--raw", near=near, known=listed.__contains__, unknown=unknown)


class Collector:
    """Sorts what a source yields into kept photos, rejected photos and failures.

    Args:
        folder: an empty folder; photos are written to it as they come.
        limit: photos to keep in each category; None keeps all.
    """

    def __init__(self, folder: Path, limit: int | None) -> None:
        self.folder = folder
        self.limit = limit
        self.kept: dict[str, dict[str, RawPhoto]] = defaultdict(dict)
        """By category, then by SHA-256 of the bytes."""
        self.rejected: list[RejectedPhoto] = []
        self.beyond_limit: Counter[str] = Counter()
        """By category, the photos that came once it was full; they are not rejected."""
        self.failures: list[Failure] = []

    def take(self, item: Item) -> None:
        """Keep a photo, or note why it is not kept."""
        if isinstance(item, UnreadPhoto | FoundPhoto) and self._is_full(item.category):
            self.beyond_limit[item.category] += 1
            return
        if isinstance(item, UnreadPhoto):
            item = item.read()
        if isinstance(item, Failure):
            self.failures.append(item)
        elif isinstance(item, RejectedPhoto):
            self._reject(item)
        else:
            self._keep(item)

    def _is_full(self, category: str) -> bool:
        return self.limit is not None and len(self.kept[category]) >= self.limit

    def _keep(self, photo: FoundPhoto) -> None:
        kept = self.kept[photo.category]
        kind = sniff(photo.data)
        digest = hashlib.sha256(photo.data).hexdigest()
        origin = (photo.page, photo.query)
        if kind is None:
            reason, detail = rejections.NOT_AN_IMAGE, rejections.describe(photo.data)
            self._reject(RejectedPhoto(photo.category, photo.url, reason, detail, *origin))
        elif digest in kept:
            reason, detail = rejections.DUPLICATE, f"same bytes as {kept[digest].name}"
            self._reject(RejectedPhoto(photo.category, photo.url, reason, detail, *origin))
        else:
            name = content_name(digest, f".{kind.name}")
            target = self.folder / photo.category / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(photo.data)
            kept[digest] = RawPhoto(
                name=name,
                category=photo.category,
                url=cell(photo.url),
                page=cell(photo.page),
                query=cell(photo.query),
                license=cell(photo.license),
                media_type=kind.media_type,
                sha256=digest,
                bytes=len(photo.data),
            )

    def _reject(self, photo: RejectedPhoto) -> None:
        self.rejected.append(
            dataclasses.replace(
                photo,
                url=cell(photo.url),
                detail=cell(photo.detail),
                page=cell(photo.page),
                query=cell(photo.query),
            )
        )

    def write_tables(self) -> None:
        """Write the two tables, and note the categories of which no photo was kept.

        Raises:
            ColorpipeError: no photo was kept at all.
        """
        rows = [photo for photos in self.kept.values() for photo in photos.values()]
        if not rows:
            raise ColorpipeError(self._why_nothing())
        failed = {failure.what for failure in self.failures}
        tried = Counter(photo.category for photo in self.rejected)
        self.failures += [
            Failure(category, f"none of {count} photos could be kept; see {REJECTED}")
            for category, count in sorted(tried.items())
            if not self.kept[category] and category not in failed
        ]
        rows.sort(key=lambda row: (row.category, row.name))
        self.rejected.sort(key=lambda photo: (photo.category, photo.url, photo.reason))
        write_table(self.folder / MANIFEST, rows, RawPhoto)
        write_table(self.folder / REJECTED, self.rejected, RejectedPhoto)

    def _why_nothing(self) -> str:
        counts = Counter(photo.reason for photo in self.rejected)
        examples = {photo.reason: photo for photo in reversed(self.rejected)}
        why = [
            f"{count} × {reason} ({_shortened(examples[reason])})"
            for reason, count in counts.most_common()
        ]
        why += map(str, self.failures[:_FAILURES_SHOWN])
        if more := self.failures[_FAILURES_SHOWN:]:
            why.append(f"and so on, {len(more)} more")
        if not why:
            why = ["there were none"]
        hint = f"; {OFFLINE_HINT}" if set(counts) == {rejections.UNREACHABLE} else ""
        return f"No photos were kept: {'; '.join(why)}{hint}."


def _shortened(photo: RejectedPhoto) -> str:
    return ": ".join(part[:200] for part in (photo.url, photo.detail) if part)


def _print_tables(collector: Collector) -> None:
    """Print found, kept and rejected photos by category, and the rejected ones by reason."""
    kept = Counter({category: len(photos) for category, photos in collector.kept.items()})
    rejected = Counter(photo.category for photo in collector.rejected)
    found = kept + rejected + collector.beyond_limit
    columns = {"found": found, "kept": kept, "rejected": rejected}
    if collector.beyond_limit:
        columns["beyond limit"] = collector.beyond_limit
    table = Table("category", title="Scraped")
    for title in columns:
        table.add_column(title, justify="right")
    for category in sorted({*found, *(failure.what for failure in collector.failures)}):
        table.add_row(category, *(str(counts[category]) for counts in columns.values()))
    table.add_section()
    table.add_row("all", *(str(counts.total()) for counts in columns.values()))
    console = Console()
    console.print(table)
    if collector.rejected:
        reasons = Table("reason for rejection")
        reasons.add_column("photos", justify="right")
        for reason, count in Counter(photo.reason for photo in collector.rejected).most_common():
            reasons.add_row(reason, str(count))
        console.print(reasons)
