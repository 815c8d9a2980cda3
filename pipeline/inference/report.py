"""The report of ``colorpipe colorize``: what became of each file, as lines of JSON or as a page."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from pipeline.errors import ColorpipeError, StoppedError
from pipeline.files.outputs import new_file
from pipeline.imaging.kinds import SUFFIXES as PHOTOS
from pipeline.inference.outcomes import Outcome
from pipeline.inference.page import SUFFIXES as PAGES
from pipeline.inference.page import PhotosPage
from pipeline.inference.places import Places
from pipeline.pages.rendering import GENERATOR

_KINDS = ("photo", "film")
"""The first key of a line, whose value is the file's name."""
_HEAD = 4096
"""Bytes by which an earlier report is known."""


def require_report(report: Path, source: Path, films: Collection[str]) -> None:
    """Refuse a report in the place of anything but an earlier one, before any work is done.

    Args:
        report: where it is to be written.
        source: the photo, the film or the folder that is colored.
        films: the extensions of films, in lower case.

    Raises:
        ColorpipeError: there is a folder or another file, or the name is a photo's or a film's.
    """
    if report.is_dir():
        raise ColorpipeError(
            f"The report {report} is a folder; name a file, such as {report / 'report.jsonl'}."
        )
    # A link is followed when it is written to: what it leads to may be a photo.
    suffixes = {path.suffix.lower() for path in (report, report.resolve())}
    is_named_like_one = not suffixes.isdisjoint({*PHOTOS, *films})
    if is_named_like_one or (report.exists() and source.exists() and report.samefile(source)):
        raise ColorpipeError(
            f"The report {report} is named like a photo or a film, or is one; name another file,"
            f" such as {report.with_suffix('.jsonl')}."
        )
    if report.is_file() and not _is_report(report):
        raise ColorpipeError(
            f"The report {report} would take the place of a file that is no report; name another"
            " file, or delete that one."
        )


def _is_report(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise _not_written(path, error) from error
    if path.suffix.lower() in PAGES:
        return not head or GENERATOR.encode() in head
    return not head or head.startswith(tuple(f'{{"{kind}": '.encode() for kind in _KINDS))


def with_lines(
    outcomes: Iterator[Outcome],
    report: Path,
    places: Places,
    films: Collection[str],
    *,
    goes_on: bool,
) -> Iterator[Outcome]:
    """Write a line of JSON for each outcome as it comes: what is there after a crash holds.

    A name that is no Unicode has its odd bytes written as escapes, which JSON has for them.

    Args:
        outcomes: of photos and films.
        report: the file.
        places: name what was written.
        films: the extensions of films, in lower case.
        goes_on: whether lines of an earlier run stay. A photo that is skipped because that run
            colored it then gets no other line; the last line of a photo counts.
    """
    with ExitStack() as stack:
        try:
            goes_on = goes_on and report.is_file()
            known, is_whole = _earlier(report) if goes_on else (frozenset[str](), True)
            report.parent.mkdir(parents=True, exist_ok=True)
            mode = "a" if goes_on else "w"
            stream = report.open(mode, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise _not_written(report, error) from error
        stack.enter_context(stream)
        before = "" if is_whole else "\n"
        for outcome in outcomes:
            if outcome.status != "skipped" or outcome.name not in known:
                line = json.dumps(_row(outcome, places, films), ensure_ascii=False)
                try:
                    stream.write(f"{before}{line}\n")
                    stream.flush()
                except OSError as error:
                    with suppress(OSError):  # it writes once more what it holds
                        stream.close()
                    raise _not_written(report, error) from error
                before = ""
            yield outcome


def _row(outcome: Outcome, places: Places, films: Collection[str]) -> dict[str, object]:
    photo, film = _KINDS
    kind = film if Path(outcome.name).suffix.lower() in films else photo
    row: dict[str, object] = {kind: outcome.name, "status": outcome.status}
    outputs = [places.output(path) for path in outcome.outputs]
    if len(outputs) == 1:
        row["output"] = outputs[0]
    elif outputs:
        row["outputs"] = outputs
    row |= {"reason": outcome.reason} if outcome.reason else {}
    return row | ({"note": outcome.note} if outcome.note else {})


def _earlier(report: Path) -> tuple[frozenset[str], bool]:
    """Return what has a result by an earlier report, and whether its last line is whole."""
    names: set[str] = set()
    line = "\n"
    with report.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            # A line that was cut off says nothing.
            with suppress(ValueError):
                row = json.loads(line)
                found = {str(row[kind]) for kind in _KINDS if kind in row}
                if row.get("status") == "failed":
                    names -= found
                else:
                    names |= found
    return frozenset(names), line.endswith("\n")


def on_page(outcomes: Iterator[Outcome], report: Path, page: PhotosPage) -> Iterator[Outcome]:
    """Write a page of all outcomes once the last has come, also where the user stopped the work."""
    with ExitStack() as stack:
        # Begun before any work: a report that cannot be written is noticed at once.
        try:
            temporary = stack.enter_context(new_file(report))
        except OSError as error:
            raise _not_written(report, error) from error
        stopped: StoppedError | None = None
        try:
            for outcome in outcomes:
                page.add(outcome)
                yield outcome
        except StoppedError as error:  # in the middle of a film
            stopped = error
        try:
            temporary.write_text(page.render(), encoding="utf-8")
        except OSError as error:
            raise _not_written(report, error) from error
    if stopped is not None:
        raise stopped


def _not_written(report: Path, error: OSError) -> ColorpipeError:
    return ColorpipeError(
        f"The report {report} could not be written ({error.strerror}); name another file."
    )
