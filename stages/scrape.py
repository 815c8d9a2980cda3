"""Find photos of each category and keep their bytes as found."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections import Counter, defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.dataset.manifest import (
    MANIFEST,
    REFUSED,
    RawPhoto,
    RefusedPhoto,
    cell,
    content_name,
    read_table,
    write_table,
)
from pipeline.download import rejections as reasons
from pipeline.download.cache import FOLDER
from pipeline.download.media import describe, sniff
from pipeline.errors import ColorpipeError, Failure
from pipeline.files.outputs import check_replaceable, new_folder
from pipeline.files.progress import track
from pipeline.params import ScrapeParams
from pipeline.sources import Found, Later, Offer, Refusal, Shortfall, open_source
from pipeline.sources.base import OFFLINE_WAY

_ON_SERVERS = frozenset({"bing", "urls"})
"""Sources whose refusals are kept for a while (:class:`pipeline.download.cache.Downloads`)."""


def scrape(raw: Path, params: ScrapeParams) -> list[Failure]:
    """Fill ``raw`` with a folder of photos a category, a manifest and a table of refusals.

    ``raw`` is written whole or not at all: what lay there before is replaced at the end.

    Args:
        raw: the folder to write.
        params: the source and its settings.

    Returns:
        A failure for each category that could not be looked for to the end.

    Raises:
        ColorpipeError: no photo could be had, or ``raw`` could not be written, or holds files that
            no scrape wrote, or overlaps with the folder that photos come from.
    """
    _check_replaceable(raw, params.path)
    photos = iter(open_source(params))
    # All downloads are made for the first photo: a kill among them leaves no half-made folder.
    first = list(itertools.islice(photos, 1))
    with new_folder(raw) as folder:
        harvest = Harvest(folder, params.limit)
        for found in track(itertools.chain(first, photos), "Collecting"):
            harvest.take(found)
        harvest.close()
    _print_table(harvest)
    if harvest.refused and params.source in _ON_SERVERS:
        print(f"What servers refused is asked for again in a day, or once {FOLDER} is deleted.")
    return harvest.failures


def _check_replaceable(raw: Path, path: Path) -> None:
    """Refuse to replace the folder that photos come from, or photos that its manifest lacks."""
    listed = set[str]()
    # Without a manifest of ours, nothing that is there is ours.
    with contextlib.suppress(ColorpipeError, OSError):
        rows = read_table(raw / MANIFEST, RawPhoto)
        listed = {MANIFEST, REFUSED, *(f"{row.category}/{row.name}" for row in rows)}
    unknown = f"is not in a {MANIFEST} of scrape's there"
    check_replaceable(raw, "--raw", near=[path], known=listed.__contains__, unknown=unknown)


class Harvest:
    """What a source yielded, sorted into photos kept and photos refused.

    Args:
        folder: an empty folder, to which photos are written as they come.
        limit: photos to keep in each category; None keeps all.
    """

    def __init__(self, folder: Path, limit: int | None) -> None:
        self.folder = folder
        self.limit = limit
        self.kept: dict[str, dict[str, RawPhoto]] = defaultdict(dict)
        """By category, then by SHA-256 of the bytes."""
        self.refused: list[RefusedPhoto] = []
        self.beyond: Counter[str] = Counter()
        """By category, photos that came when the limit was met: neither kept nor refused."""
        self.failures: list[Failure] = []

    def take(self, found: Found) -> None:
        """Keep the photo, or note why not."""
        if isinstance(found, Later | Offer) and self._is_full(found.category):
            self.beyond[found.category] += 1
            return
        if isinstance(found, Later):
            found = found.read()
        if isinstance(found, Shortfall):
            self.failures.append(Failure(found.category, found.reason))
        elif isinstance(found, Refusal):
            self._refuse(found, found.reason, found.detail)
        else:
            self._keep(found)

    def _is_full(self, category: str) -> bool:
        return self.limit is not None and len(self.kept[category]) >= self.limit

    def _keep(self, offer: Offer) -> None:
        photos = self.kept[offer.category]
        media = sniff(offer.data)
        digest = hashlib.sha256(offer.data).hexdigest()
        if media is None:
            self._refuse(offer, reasons.NOT_AN_IMAGE, describe(offer.data))
        elif digest in photos:
            self._refuse(offer, reasons.DUPLICATE, f"same bytes as {photos[digest].name}")
        else:
            name = content_name(offer.data, media.extension)
            target = self.folder / offer.category / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(offer.data)
            photos[digest] = RawPhoto(
                name=name,
                category=offer.category,
                url=cell(offer.url),
                page=cell(offer.page),
                query=cell(offer.query),
                license=cell(offer.license),
                media_type=media.type,
                sha256=digest,
                bytes=len(offer.data),
            )

    def _refuse(self, found: Offer | Refusal, reason: str, detail: str) -> None:
        row = (found.category, cell(found.url), reason)
        about = (cell(detail), cell(found.page), cell(found.query))
        self.refused.append(RefusedPhoto(*row, *about))

    def close(self) -> None:
        """Write the two tables, and note the categories of which nothing was kept.

        Raises:
            ColorpipeError: no photo was kept.
        """
        reported = {failure.what for failure in self.failures}
        tried = Counter(row.category for row in self.refused)
        self.failures += [
            Failure(category, f"none of {count} photos could be kept; {REFUSED} tells why")
            for category, count in sorted(tried.items())
            if not self.kept[category] and category not in reported
        ]
        rows = [photo for photos in self.kept.values() for photo in photos.values()]
        if not rows:
            raise ColorpipeError(self._nothing())
        rows.sort(key=lambda row: (row.category, row.name))
        self.refused.sort(key=lambda row: (row.category, row.url, row.reason))
        write_table(self.folder / MANIFEST, rows, RawPhoto)
        write_table(self.folder / REFUSED, self.refused, RefusedPhoto)

    def _nothing(self) -> str:
        counts = Counter(row.reason for row in self.refused)
        examples = {row.reason: row for row in reversed(self.refused)}
        why = [
            f"{count} × {reason} ({_shortened(examples[reason])})"
            for reason, count in counts.most_common()
        ]
        troubles = [str(failure) for failure in self.failures if not self.refused]
        way = f"; {OFFLINE_WAY}" if set(counts) == {reasons.UNREACHABLE} else ""
        return f"No photo could be had: {'; '.join(why or troubles or ['none was found'])}{way}."


def _shortened(row: RefusedPhoto) -> str:
    return ": ".join(part[:200] for part in (row.url, row.detail) if part)


def _print_table(harvest: Harvest) -> None:
    """Print found, kept and refused by category, and the refusals by reason."""
    kept = Counter({category: len(photos) for category, photos in harvest.kept.items()})
    refused = Counter(row.category for row in harvest.refused)
    found = kept + refused + harvest.beyond
    columns = {"found": found, "kept": kept, "refused": refused, "beyond limit": harvest.beyond}
    shown = {title: counts for title, counts in columns.items() if counts or title == "refused"}
    table = Table("category", title="Scraped")
    for title in shown:
        table.add_column(title, justify="right")
    for category in sorted({*found, *(failure.what for failure in harvest.failures)}):
        table.add_row(category, *(str(counts[category]) for counts in shown.values()))
    table.add_section()
    table.add_row("all", *(str(counts.total()) for counts in shown.values()))
    console = Console()
    console.print(table)
    if harvest.refused:
        reasons_table = Table("refused because")
        reasons_table.add_column("photos", justify="right")
        for reason, count in Counter(row.reason for row in harvest.refused).most_common():
            reasons_table.add_row(reason, str(count))
        console.print(reasons_table)
