"""Clean: from photos as found to photos fit to learn colors from, each decision on record.

A photo is kept (its bytes are copied), converted (turned upright, to sRGB, to RGB, to one frame) or
dropped; each page of a document is a photo. ``reports/clean.csv`` has a row for every raw photo;
beside it a contact sheet shows what was dropped, by reason, so that a person can disagree.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath

from pipeline.dataset.clean_report import dropped_sheet, print_decisions, print_summary
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
from pipeline.dataset.manifest import MANIFEST, REJECTED
from pipeline.dataset.near_duplicates import find_duplicates
from pipeline.engines.base import KILLED, Engine
from pipeline.engines.local_engine import LOCAL
from pipeline.errors import ColorpipeError, Failure
from pipeline.files.csv_tables import require_table, write_table
from pipeline.files.listing import files_below, leads_to_folder, visible_entries
from pipeline.files.names import (
    LONGEST,
    distinct_stems,
    printable,
    stems_for_pages,
    without_number,
)
from pipeline.files.outputs import check_replaceable, new_file, new_folder, reason_of
from pipeline.files.progress import track
from pipeline.imaging.decode import EXTENSIONS
from pipeline.params import CleanParams

_LONGEST_STEM = LONGEST - max(map(len, EXTENSIONS.values()))


def clean(
    raw: Path,
    out: Path,
    report: Path,
    params: CleanParams,
    *,
    dry_run: bool = False,
    engine: Engine = LOCAL,
) -> list[Failure]:
    """Decide on every file of ``raw`` and write the photos that are fit to ``out``.

    Args:
        raw: a folder of photos a category; only read.
        out: written whole or not at all, a folder a category.
        report: the table of decisions, a row for every photo; the contact sheet goes beside it, as
            ``<report>-dropped.png``.
        params: the thresholds.
        dry_run: print the decision on every photo that is not kept as it is; write nothing.
        engine: where photos are worked on; the result is the same.

    Returns:
        A failure for each file that could not be read, whatever it holds.

    Raises:
        ColorpipeError: ``raw`` has no files in folders, none of them is fit, the report cannot be
            written, or ``out`` holds files that no clean wrote, or overlaps with ``raw``.
    """
    if dry_run:
        files = list_raw(raw)
        with engine.sharing([raw], None):
            screened = _screen_all(files, None, params, engine)
        rows = _without_duplicates(screened, params)
        print_decisions(rows)
        _check_any_fit(rows, f"None of the {len(files)} files in {raw} is fit.")
    else:
        require_table(report, CleanRow)
        check_replaceable(
            out,
            "--clean",
            near=[raw, report],
            known=_cleaned_before(report),
            unknown=f"is not in {report}, the report of the last run",
        )
        files = list_raw(raw)
        with _new_report(report) as (table, sheet), new_folder(out) as folder:
            for category in sorted({file.category for file in files if file.category}):
                (folder / category).mkdir()
            with engine.sharing([raw], folder):
                screened = _screen_all(files, folder, params, engine)
            rows = _without_duplicates(screened, params)
            _delete_duplicates(folder, screened, rows)
            write_table(table, map(_without_control_characters, rows), CleanRow)
            dropped_sheet(raw, rows).save(sheet, compress_level=1)
            _check_any_fit(
                rows, f"None of the {len(files)} files in {raw} is fit; {report} says why."
            )
    print_summary(rows)
    return [
        Failure(f"{raw / result.row.category / result.row.file}", result.row.detail)
        for result in screened
        if result.failed
    ]


class _NothingFitError(ColorpipeError):
    """There will be no folder, but a report that says why."""


def _check_any_fit(rows: Sequence[CleanRow], sentence: str) -> None:
    if all(row.decision == DROPPED for row in rows):
        raise _NothingFitError(sentence)


def _without_control_characters(row: CleanRow) -> CleanRow:
    """Return a row that a table can hold, whatever the names of its files have in them."""
    texts = (row.category, row.file, row.detail, row.duplicate_of)
    category, file, detail, duplicate_of = map(printable, texts)
    if (category, file, detail, duplicate_of) == texts:
        return row
    return dataclasses.replace(
        row, category=category, file=file, detail=detail, duplicate_of=duplicate_of
    )


def _cleaned_before(report: Path) -> Callable[[str], bool]:
    """Return a function that says whether the last run wrote a file, by its report.

    A folder of the user's own photos, sorted into categories, is laid out like clean's; only the
    report knows the names. A run in which no photo is fit leaves its report beside the folder of
    the run before, of which then no more is known than the names of the raw files.
    """
    names, stems = set[str](), set[str]()
    with (
        contextlib.suppress(OSError, UnicodeDecodeError, csv.Error),
        report.open(encoding="utf-8-sig", newline="") as stream,
    ):
        for row in csv.DictReader(stream):
            category, file, name = (row.get(key) or "" for key in ("category", "file", "name"))
            stems.add(_comparable(f"{category}/{PurePath(file).stem}"))
            if name:
                names.add(_comparable(f"{category}/{name}"))

    def known(file: str) -> bool:
        if names:
            return _comparable(file) in names
        path = PurePath(_comparable(file))
        own = {path.stem, without_number(path.stem)} - {""}
        # Of several files with one stem each has a mark of nine characters behind it.
        known = {f"{path.parent.as_posix()}/{stem[:end]}" for stem in own for end in (None, -9)}
        return path.suffix in EXTENSIONS.values() and bool(known & stems)

    return known


def _comparable(path: str) -> str:
    """Make the same of a path in a folder, of its copy in a table, and of the clean photo's name.

    Bytes that are not text are "?" in a table and "_" in the name of a clean photo.
    """
    return printable(path, "_").replace("?", "_")


@contextlib.contextmanager
def _new_report(report: Path) -> Iterator[tuple[Path, Path]]:
    """Give temporary files that become the report and its contact sheet when the block ends.

    They do so after the new folder is in its place. The next run asks the report what it may
    replace, and the report of a run that was killed would describe other photos than are there.
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
            f"The report {report} and its contact sheet could not be written: {reason_of(error)};"
            " free some space, or name another file with --report."
        ) from error
    if nothing_fit is not None:
        raise nothing_fit


def list_raw(raw: Path) -> list[RawFile]:
    """List every file of ``raw``, sorted, but for hidden ones and the tables of ``scrape``.

    Raises:
        ColorpipeError: ``raw`` is not a folder, or has no files in folders.
    """
    if not raw.is_dir():
        raise ColorpipeError(f"{raw} is not a folder; run scrape first, or name another one.")
    files: list[RawFile] = []
    for entry in visible_entries(raw):
        if leads_to_folder(entry):
            files += _list_category(entry.name, entry.path)
        elif entry.name not in {MANIFEST, REJECTED}:
            files.append(RawFile(entry.path, "", entry.name, stem="", misplaced=True))
    if not any(file.category for file in files):
        raise ColorpipeError(
            f"{raw} has no photos in folders; it must hold a folder for each category."
        )
    return files


def _list_category(category: str, folder: str) -> list[RawFile]:
    files = list(files_below(folder))
    own = [file for file in files if "/" not in file]
    stems = distinct_stems(own, ".jpg", _LONGEST_STEM, lambda stem: printable(stem, "_"))
    page_stems = stems_for_pages(stems, _LONGEST_STEM)
    return [
        RawFile(
            f"{folder}/{file}",
            category,
            file,
            stems.get(file, ""),
            page_stems.get(file, ""),
            misplaced="/" in file,
        )
        for file in files
    ]


def _screen_all(
    files: Sequence[RawFile], folder: Path | None, params: CleanParams, engine: Engine
) -> list[Screened]:
    work = functools.partial(screen, folder=folder, params=params)
    failed = functools.partial(_give_up, folder=folder)
    results = track(engine.map_in_order(work, files, failed=failed), "Cleaning", len(files))
    return list(itertools.chain.from_iterable(results))


def _give_up(raw: RawFile, folder: Path | None) -> list[Screened]:
    """Drop a file that kills the process which screens it, with what that may have written."""
    if folder is not None:
        for path in (folder / raw.category).iterdir():
            if path.stem == raw.stem or without_number(path.stem) == raw.page_stem:
                path.unlink()
    return [Screened(CleanRow(raw.category, raw.file, DROPPED, UNREADABLE, KILLED))]


def _without_duplicates(screened: Sequence[Screened], params: CleanParams) -> list[CleanRow]:
    """Return the final rows: duplicates are dropped, and the larger photo is kept.

    Of equally large photos the first by category and name is kept.
    """
    rows = [result.row for result in screened]
    if not params.drop_duplicates:
        return rows
    fit = [number for number, row in enumerate(rows) if row.decision != DROPPED]
    photos = [screened[number] for number in fit]
    found = find_duplicates(
        [photo.hash for photo in photos],
        [(photo.hash, photo.checksum, photo.row.width, photo.row.height) for photo in photos],
        sorted(range(len(fit)), key=lambda i: (-photos[i].row.width * photos[i].row.height, i)),
        params.duplicate_distance,
    )
    for duplicate, (kept, distance) in found.items():
        original = photos[kept].row
        rows[fit[duplicate]] = dataclasses.replace(
            photos[duplicate].row,
            decision=DROPPED,
            reason=DUPLICATE if distance is None else NEAR_DUPLICATE,
            detail="same pixels" if distance is None else f"hashes differ in {distance} bits",
            duplicate_of=original.label,
            name="",
        )
    return rows


def _delete_duplicates(
    folder: Path, screened: Sequence[Screened], rows: Sequence[CleanRow]
) -> None:
    """Delete the photos that were written before they turned out to be duplicates."""
    for result, row in zip(screened, rows, strict=True):
        if result.row.name and not row.name:
            (folder / row.category / result.row.name).unlink()
