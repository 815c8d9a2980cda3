"""Clean: from photos as found to photos fit to learn colors from, each decision on record.

A photo is kept (its bytes are copied), converted (turned upright, to sRGB, to RGB, to one frame) or
dropped. ``reports/clean.csv`` has a row for every raw file; beside it a contact sheet shows what
was dropped, by reason, so that a person can disagree.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import functools
import itertools
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

from pipeline.dataset.clean_report import Tally, dropped_sheet
from pipeline.dataset.filters import (
    DROPPED,
    DUPLICATE,
    NEAR_DUPLICATE,
    UNREADABLE,
    CleanRow,
    RawFile,
    Screened,
    screen,
)
from pipeline.dataset.hashing import duplicates_of
from pipeline.dataset.manifest import MANIFEST, REJECTED
from pipeline.dataset.spool import Spool, spooling
from pipeline.dataset.squares import Ahead, making
from pipeline.errors import ColorpipeError, Failure
from pipeline.files.csv_tables import write_table
from pipeline.files.listing import (
    files_below,
    files_in,
    folders_in,
    leads_to_folder,
    visible_entries,
)
from pipeline.files.names import LONGEST, distinct_stems, printable
from pipeline.files.outputs import check_replaceable, new_file, new_folder, reason_of
from pipeline.files.parallel import KILLED, map_in_order
from pipeline.files.progress import track
from pipeline.imaging.decode import EXTENSIONS
from pipeline.imaging.formats import plain_png as png
from pipeline.params import CleanParams, ResizeParams

_Duplicates = dict[int, tuple[str, int | None]]
"""For the number of a row: the raw file that stays in its place, and the distance of their hashes,
None for an exact duplicate."""

_ROOM = LONGEST - max(map(len, EXTENSIONS.values()))
"""Bytes of a clean photo's name before its extension."""


def clean(
    raw: Path,
    out: Path,
    report: Path,
    params: CleanParams,
    *,
    square: ResizeParams | None = None,
    dry_run: bool = False,
) -> list[Failure]:
    """Judge every file of ``raw`` and write the photos that are fit to ``out``.

    Args:
        raw: a folder of photos a category; only read.
        out: written whole or not at all, a folder a category.
        report: the table of decisions, a row for every file; the contact sheet goes beside it, as
            ``<report>-dropped.png``.
        params: switches and thresholds.
        square: what ``resize`` will make of the photos: it is made ahead, since they are decoded
            here. None leaves all of it to ``resize``.
        dry_run: print the decision on every file that is not kept as it is; write nothing.

    Returns:
        A failure for each file that could not be read, whatever it holds.

    Raises:
        ColorpipeError: ``raw`` has no files in folders, none of them is fit, the report cannot be
            written, or ``out`` holds files that no clean wrote, or overlaps with ``raw``.
    """
    if not dry_run:
        check_replaceable(
            out,
            "--clean",
            near=[raw, report],
            known=_cleaned_before(report),
            unknown=f"is not in {report}, the report of the last run",
        )
    with contextlib.ExitStack() as stack:
        files = None if dry_run else stack.enter_context(_new_report(report))
        folder = None if dry_run else stack.enter_context(new_folder(out))
        ahead = stack.enter_context(making(square)) if square and not dry_run else None
        spool = stack.enter_context(spooling())
        duplicates, failures = _screen_all(raw, folder, params, spool, ahead)
        tally = Tally(_decide(spool, duplicates, folder))
        if files is None:
            for row in tally:
                _print_decision(row)
        else:
            table, sheet = files
            write_table(table, tally, CleanRow)
            sheet.write_bytes(png.encode(dropped_sheet(raw, tally)))
        if not tally.fit:
            where = "" if dry_run else f"; {report} says why"
            raise _NothingFitError(f"None of the {tally.total} files in {raw} is fit{where}.")
    tally.print()
    return failures


class _NothingFitError(ColorpipeError):
    """There will be no folder, but a report that says why."""


def _cleaned_before(report: Path) -> Callable[[str], bool]:
    """Return what tells whether the last run wrote a file, by its report.

    A folder of one's own photos, sorted into categories, is laid out as clean's is: only the report
    knows the names. A run in which no photo is fit leaves its report beside the folder of the run
    before, of which no more is known than what the raw files were called.
    """
    names, stems = set[str](), set[str]()
    with (
        contextlib.suppress(OSError, UnicodeDecodeError, csv.Error),
        report.open(encoding="utf-8", newline="") as stream,
    ):
        for row in csv.DictReader(stream):
            category, file, name = (row.get(key) or "" for key in ("category", "file", "name"))
            stems.add(f"{category}/{PurePath(file).stem}")
            if name:
                names.add(f"{category}/{name}")

    def known(file: str) -> bool:
        if names:
            return file in names
        path = PurePath(file)
        folder, stem, suffix = path.parent.as_posix(), path.stem, path.suffix
        # Of several files with one stem each has eight digits of its hash behind it.
        return suffix in EXTENSIONS.values() and bool(
            {f"{folder}/{stem}", f"{folder}/{stem[:-9]}"} & stems
        )

    return known


@contextlib.contextmanager
def _new_report(report: Path) -> Iterator[tuple[Path, Path]]:
    """Give temporary files that become the report and its contact sheet when the block ends.

    By then the new folder is in its place: next time the report says what may be replaced, and one
    that a killed run left would tell of other photos than are there.
    """
    nothing_fit: _NothingFitError | None = None
    sheet = report.with_name(report.stem + "-dropped.png")
    try:
        with new_file(report) as table, new_file(sheet) as picture:
            try:
                yield table, picture
            except _NothingFitError as error:
                nothing_fit = error
    except OSError as error:
        raise ColorpipeError(
            f"The report {report} and its contact sheet could not be written:"
            f" {reason_of(error)}; free some space, or name another file with --report."
        ) from error
    if nothing_fit is not None:
        raise nothing_fit


def list_raw(raw: Path) -> Iterator[RawFile]:
    """Yield every file of ``raw``, sorted.

    The tables that ``scrape`` writes are not among them, nor are hidden files.
    """
    numbers = itertools.count()
    for entry in visible_entries(raw):
        if not leads_to_folder(entry):
            if entry.name not in {MANIFEST, REJECTED}:
                yield RawFile(entry.path, "", entry.name, "", next(numbers), misplaced=True)
            continue
        folder = entry.path
        files = list(files_below(folder))
        own = (file for file in files if "/" not in file)
        stems = distinct_stems(own, ".jpg", _ROOM, _plain)
        for file in files:
            yield RawFile(
                f"{folder}/{file}",
                entry.name,
                file,
                stems.get(file, ""),
                next(numbers),
                misplaced="/" in file,
            )


def _plain(stem: str) -> str:
    return printable(stem, "_")


def _count_raw(raw: Path) -> tuple[int, list[str]]:
    """Count what :func:`list_raw` yields, and name the categories."""
    if not raw.is_dir():
        raise ColorpipeError(f"{raw} is not a folder; run scrape first, or name another one.")
    counts = {folder: sum(1 for _ in files_below(folder)) for folder in folders_in(raw)}
    stray = set(files_in(raw)) - {MANIFEST, REJECTED}
    return len(stray) + sum(counts.values()), [folder.name for folder in counts if counts[folder]]


def _screen_all(
    raw: Path,
    folder: Path | None,
    params: CleanParams,
    spool: Spool,
    ahead: Ahead | None,
) -> tuple[_Duplicates, list[Failure]]:
    """Screen every file and add its row to ``spool``; say which are duplicates and which failed.

    Only the hashes wait in memory, some 40 bytes for each photo.
    """
    total, categories = _count_raw(raw)
    if not categories:
        raise ColorpipeError(
            f"{raw} has no photos in folders; it must hold a folder for each category."
        )
    if folder is not None:
        for category in categories:
            (folder / category).mkdir()
    failures: list[Failure] = []
    numbers, sizes, hashes, digests = array("L"), array("Q"), array("Q"), array("Q")
    work = functools.partial(screen, folder=folder, params=params, ahead=ahead)
    lost = functools.partial(_lose, folder=folder)
    results: Iterator[Screened] = map_in_order(work, list_raw(raw), failed=lost)
    for number, result in enumerate(track(results, "Cleaning", total)):
        spool.append(result.row)
        if result.failed:
            file = f"{raw / result.row.category / result.row.file}"
            failures.append(Failure(file, result.row.detail))
        if result.row.decision != DROPPED:
            numbers.append(number)
            sizes.append(result.row.width * result.row.height)
            hashes.append(result.perceptual)
            digests.append(result.pixels)
    if not params.drop_duplicates and not params.drop_near_duplicates:
        return {}, failures
    # The larger photo stays; of equally large ones the first by category and name.
    order = sorted(range(len(numbers)), key=lambda place: (-sizes[place], numbers[place]))
    ranks = array("L", bytes(array("L").itemsize * len(order)))
    for rank, place in enumerate(order):
        ranks[place] = rank
    most = params.duplicate_distance if params.drop_near_duplicates else None
    found = duplicates_of(hashes, digests, ranks, most)
    staying = {numbers[stays] for stays, _ in found.values()}
    labels = {
        number: f"{row.category}/{row.file}"
        for number, row in enumerate(spool if staying else ())
        if number in staying
    }
    return {
        numbers[place]: (labels[numbers[stays]], apart) for place, (stays, apart) in found.items()
    }, failures


def _lose(raw: RawFile, folder: Path | None) -> Screened:
    """Drop a file that kills the process which screens it, with what that may have written."""
    for extension in EXTENSIONS.values() if folder is not None and not raw.misplaced else ():
        Path(f"{folder}/{raw.category}/{raw.stem}{extension}").unlink(missing_ok=True)
    return Screened(CleanRow(raw.category, raw.file, DROPPED, UNREADABLE, KILLED))


def _decide(spool: Spool, duplicates: _Duplicates, folder: Path | None) -> Iterator[CleanRow]:
    """Yield the final rows, taking photos back that turned out to be duplicates."""
    for number, row in enumerate(spool):
        if number not in duplicates:
            yield row
            continue
        stays, apart = duplicates[number]
        if folder is not None:
            (folder / row.category / row.name).unlink()
        yield dataclasses.replace(
            row,
            decision=DROPPED,
            reason=DUPLICATE if apart is None else NEAR_DUPLICATE,
            detail="same pixels" if apart is None else f"hashes differ in {apart} bits",
            duplicate_of=stays,
            name="",
        )


def _print_decision(row: CleanRow) -> None:
    why = ": ".join(part for part in (row.reason, row.detail) if part)
    if why:
        stays = f" ({row.duplicate_of} stays)" if row.duplicate_of else ""
        print(printable(f"{row.decision}  {row.category}/{row.file}  {why}{stays}"))
