"""Gray photos to color: a photo or a folder of them, each at its own size with its own tones."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path

from pipeline.errors import ColorpipeError, Failure, StoppedError
from pipeline.files.interruptions import interruptions
from pipeline.files.progress import ProgressReport
from pipeline.imaging.decode import SUFFIXES
from pipeline.imaging.formats.photo_file import FORMATS, FormatName
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.jobs import READ, find_jobs, format_to_write
from pipeline.inference.streaming import Existing, Outcome, colorize_files
from pipeline.models.resolve import described, find_model
from pipeline.params import ColorizeParams


def colorize(
    source: Path,
    out: Path,
    model: Path | None,
    params: ColorizeParams,
    *,
    overwrite: bool = False,
    skip_existing: bool = False,
    report: Path | None = None,
    format: FormatName | None = None,
) -> list[Failure]:
    """Colorize the photo ``source``, or every photo below it, into ``out``.

    Args:
        source: a photo or a folder.
        out: a folder, in which the sub-folders of ``source`` are repeated; for a single photo also
            the name of a file, whose extension chooses the format.
        model: weights that `colorpipe train` wrote; or the name of a recipe, for those that it
            trained in this folder; or "pretrained", for those that ship. None is what was trained
            in this folder, or else what ships. Which it is, is said on standard error.
        params: how.
        overwrite: whether a file that is at a photo's place in ``out`` gives way.
        skip_existing: whether a photo whose place in ``out`` is taken is left out.
        report: where to write a line of JSON for each photo: what became of it.
        format: what to write, whatever the photos are; None keeps each photo's format.

    Returns:
        The photos that failed, for which nothing was written.

    Raises:
        StoppedError: the user stopped it; the photos under way were finished.
        ColorpipeError: there is nothing to read, nowhere to write, or no usable model.
    """
    if overwrite and skip_existing:
        raise ColorpipeError("--overwrite and --skip-existing exclude each other; give one.")
    if format is not None and format not in FORMATS:
        raise ColorpipeError(f"--format is '{format}', but must be one of {', '.join(FORMATS)}.")
    if report is not None:
        _require_report(report, source)
    format = format_to_write(source, out, format)
    existing: Existing = "overwrite" if overwrite else "skip" if skip_existing else "refuse"
    passed_over: Counter[str] = Counter()
    total = sum(1 for _ in find_jobs(source, out, format, passed_over))
    if not total:
        raise ColorpipeError(f"There are no photos in {source}: no name there ends in {READ}.")
    weights = find_model(model, params.runtime)
    colorizer = Colorizer.load(
        weights,
        params.device,
        strength=params.strength,
        size=params.size,
        tta=params.tta,
        runtime=params.runtime,
    )
    print(f"Colorizing with {described(weights, colorizer.predictor.recipe)}.", file=sys.stderr)
    if passed_over:
        count, kinds = passed_over.total(), ", ".join(sorted(passed_over))
        print(f"Files of other kinds that are left out: {count} ({kinds}).", file=sys.stderr)
    failures = []
    done = 0
    with interruptions() as stop, ProgressReport("Colorizing", total) as progress:
        # What is under way is finished and told: what is written stands in the report.
        jobs = takewhile(lambda _: not stop.requested, find_jobs(source, out, format))
        outcomes = colorize_files(colorizer, jobs, existing=existing, extension=format)
        if report is not None:
            outcomes = _reported(outcomes, report, out)
        for outcome in outcomes:
            done += 1
            if outcome.status == "failed":
                failures.append(Failure(outcome.name, outcome.reason))
            progress.advance(detail=f"{len(failures)} failed" if failures else None)
    if done < total and stop.requested:
        raise StoppedError(
            f"Stopped after {done} of {total} photos; the same command with --skip-existing goes on"
            " from there."
        )
    return failures


def _require_report(report: Path, source: Path) -> None:
    """Refuse a report that would be written over a photo, before anything is."""
    if report.is_dir():
        raise ColorpipeError(
            f"The report {report} is a folder; name a file, such as {report / 'report.jsonl'}."
        )
    # A link is followed when it is written to: what it leads to may be a photo.
    is_photo = any(path.suffix.lower() in SUFFIXES for path in (report, report.resolve()))
    if is_photo or (report.exists() and source.exists() and report.samefile(source)):
        raise ColorpipeError(
            f"The report {report} is named like a photo, or is one; name another file, such as"
            f" {report.with_suffix('.jsonl')}."
        )


def _reported(outcomes: Iterator[Outcome], report: Path, out: Path) -> Iterator[Outcome]:
    """Write a line of JSON for each outcome as it comes: what is there after a crash holds.

    A name that is no Unicode has its odd bytes written as escapes, which JSON has for them.
    """
    with ExitStack() as stack:
        try:
            report.parent.mkdir(parents=True, exist_ok=True)
            stream = report.open("w", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise ColorpipeError(
                f"The report {report} could not be written ({error.strerror}); name another file."
            ) from error
        stack.enter_context(stream)
        for outcome in outcomes:
            row = {"photo": outcome.name, "status": outcome.status}
            if outcome.output is not None:
                named = outcome.output == out
                row["output"] = out.name if named else outcome.output.relative_to(out).as_posix()
            if outcome.reason:
                row["reason"] = outcome.reason
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            stream.flush()
            yield outcome
