"""Gray photos and films to color: one or a folder of them, each at its own size and tones."""

from __future__ import annotations

import functools
import itertools
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

from pipeline import __version__
from pipeline.engines.base import KILLED, Engine
from pipeline.engines.local_engine import LOCAL
from pipeline.errors import ColorpipeError, Failure, StoppedError
from pipeline.files.interruptions import interruptions
from pipeline.files.outputs import check_place
from pipeline.files.progress import ProgressReport
from pipeline.imaging.formats.label import Label
from pipeline.imaging.kinds import WRITTEN, FormatName
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.hints import Hint
from pipeline.inference.isolated import IsolatedColorizer, Loaded
from pipeline.inference.jobs import READ, Job, find_jobs, format_to_write, listed_jobs
from pipeline.inference.outcomes import Item, Outcome
from pipeline.inference.page import SUFFIXES as PAGE_SUFFIXES
from pipeline.inference.page import PhotosPage
from pipeline.inference.places import Places, open_places
from pipeline.inference.report import on_page, require_report, with_lines
from pipeline.inference.streaming import Existing, Settings
from pipeline.location import Location
from pipeline.models.resolve import describe_model, digest_of, find_model, require_same
from pipeline.params import ColorizeParams
from pipeline.video.color_video import film_outcomes
from pipeline.video.kinds import READ as FILMS_READ
from pipeline.video.kinds import WRITTEN_AS
from pipeline.video.settings import FilmSettings, clock


def colorize(
    source: Location,
    out: Location,
    model: Path | None,
    params: ColorizeParams,
    *,
    overwrite: bool = False,
    skip_existing: bool = False,
    report: Path | None = None,
    format: FormatName | None = None,
    keep_names: bool = False,
    label: bool = False,
    films: FilmSettings | None = None,
    hints: Sequence[Hint] = (),
    reference: Path | None = None,
    engine: Engine = LOCAL,
) -> list[Failure]:
    """Colorize the photo or film ``source``, or every one below it, into ``out``.

    Args:
        source: a photo, a film or a folder; or the URL of one.
        out: a folder, in which the sub-folders of ``source`` are repeated; for a single photo or
            film also the name of a file, whose extension chooses the format. Or the URL of one.
        model: a file of weights, the name of a recipe that was trained in this folder, or
            "pretrained". None is what was trained in this folder, or else the pretrained weights.
            Standard error says which it is.
        params: how.
        overwrite: whether a file that is at a photo's place in ``out`` gives way.
        skip_existing: whether a photo whose place in ``out`` is taken is left out.
        report: where to write what became of each photo: a line of JSON each, or, where the name
            ends in ``.html``, a page with a gallery. With ``skip_existing``, lines that are there
            from an earlier run stay. Only an earlier report is written over.
        format: what to write, whatever the photos are; None keeps each photo's format.
        keep_names: whether a name whose extension lies about the photo's content stays.
        label: whether to write into XMP and EXIF, or a film's comment, that the colors are a guess,
            and whose.
        films: how films are colorized and encoded; None is by the defaults.
        hints: places of the one photo ``source`` with their colors, instead of those in the file
            ``photo.jpg.hints.json`` beside it, which is found for every photo but a single one that
            is named by its URL.
        reference: a color photo: what it shows gives its color to the like in photos; films are
            colorized without.
        engine: where photos are worked on; the result is the same. Films stay on this machine.

    Returns:
        The photos and films that failed, for which nothing was written, and those that were
        colorized but are damaged.

    Raises:
        StoppedError: the user stopped it; the photos under way were finished, and what is done of
            a film is kept.
        ColorpipeError: there is nothing to read, nowhere to write, or no usable model.
    """
    if overwrite and skip_existing:
        raise ColorpipeError("--overwrite and --skip-existing exclude each other; give one.")
    if format is not None and format not in WRITTEN:
        raise ColorpipeError(f"--format is '{format}', but must be one of {', '.join(WRITTEN)}.")
    existing: Existing = "overwrite" if overwrite else "skip" if skip_existing else "refuse"
    passed_over: Counter[str] = Counter()
    with open_places(source, out, existing) as places:
        _require_known_colors(places.source, hints, reference)
        if report is not None:
            require_report(report, places.source, WRITTEN_AS)
        format = format_to_write(places.source, places.out, format)

        def find(names: Sequence[str] | None) -> Iterator[Job | Failure]:
            where = (places.source, places.out, format, passed_over, WRITTEN_AS)
            for job in find_jobs(*where) if names is None else listed_jobs(*where, names=names):
                yield replace(job, hints=tuple(hints)) if hints and isinstance(job, Job) else job

        batches = places.batches(find)
        first = next(batches, None)
        if first is None:
            raise ColorpipeError(
                f"There are no photos in {source}, and no films: no name there ends in {READ}, or"
                f" in {FILMS_READ}."
            )
        if not skip_existing:
            _require_place(places, first[0])
        # Found here, because code that was sent to another machine has no weights beside it.
        weights = find_model(model, params.runtime)
        read = [*places.shared, *filter(os.path.exists, filter(None, (weights, reference)))]
        with (
            engine.sharing(read, places.shared_out),
            IsolatedColorizer(_loader(weights, params, engine), engine, params.device) as colorizer,
        ):
            loaded = colorizer.loaded
            print(f"Colorizing with {_described(loaded)}.", file=sys.stderr)
            own_label = _label_of(loaded) if label else None
            settings = Settings(existing, format, keep_names, own_label, reference)
            # What else a storage holds, and how much there is, is known at the end.
            total = sum(not _is_film_job(item) for item in first) if places.is_local else None
            known = passed_over if places.is_local else Counter[str]()
            _say_what_goes_elsewhere(known, first, engine)
            with interruptions() as stop:
                outcomes = _colorized(
                    colorizer,
                    places,
                    itertools.chain([first], batches),
                    total=total,
                    settings=settings,
                    films=films or FilmSettings(),
                    stopped=lambda: stop.requested,
                )
                if report is not None and report.suffix.lower() in PAGE_SUFFIXES:
                    page = PhotosPage(f"Colorized with {_described(loaded)}.", places.result)
                    outcomes = on_page(outcomes, report, page)
                elif report is not None:
                    outcomes = with_lines(
                        outcomes, report, places, WRITTEN_AS, goes_on=skip_existing
                    )
                failures, done = _failures(outcomes)
            if stop.requested and not (places.is_local and done == len(first)):
                raise _stopped(done, first, places)
        if not places.is_local:
            _say_what_goes_elsewhere(passed_over, (), engine)
    return failures


def _loader(weights: Path, params: ColorizeParams, engine: Engine) -> Callable[[], Colorizer]:
    """Return what makes the colorizer in the processes of an engine."""
    load = functools.partial(
        Colorizer.load,
        weights,
        params.device,
        strength=params.strength,
        size=params.size,
        tta=params.tta,
        runtime=params.runtime,
    )
    if not engine.is_remote or not weights.is_file():
        return load
    return functools.partial(_load_same, load, weights, digest_of(weights))


def _load_same(load: Callable[[], Colorizer], weights: Path, digest: str) -> Colorizer:
    """Load the weights on another machine, where colorpipe may be of another version."""
    require_same(weights, digest)
    return load()


def _described(loaded: Loaded) -> str:
    """Say what colors the photos: the file of the weights and the recipe."""
    if loaded.weights is None:
        return f"the recipe {loaded.recipe}"
    return describe_model(loaded.weights, loaded.recipe)


def _failures(outcomes: Iterator[Outcome]) -> tuple[list[Failure], int]:
    """Take all outcomes; return those that somebody has to look after, and the number of all."""
    failures = []
    done = 0
    for outcome in outcomes:
        done += 1
        if outcome.status == "failed":
            failures.append(Failure(outcome.name, outcome.reason))
        elif outcome.status == "damaged":
            failures.append(Failure(outcome.name, f"colorized, but {outcome.reason}"))
    return failures, done


def _stopped(done: int, first: Sequence[Item], places: Places) -> StoppedError:
    """Say how far the work came; how many photos a storage holds was not known yet."""
    kind = "files" if _has_films(first) else "photos"
    total = f" of {len(first)}" if places.is_local else ""
    return StoppedError(
        f"Stopped after {done}{total} {kind}; the same command with --skip-existing goes on from"
        " there."
    )


def _colorized(
    colorizer: IsolatedColorizer,
    places: Places,
    batches: Iterable[Sequence[Item]],
    *,
    total: int | None,
    settings: Settings,
    films: FilmSettings,
    stopped: Callable[[], bool],
) -> Iterator[Outcome]:
    """Colorize photos and films, and show how far it is; ``total`` counts the photos."""
    done = failed = 0
    for photos, film_jobs in _stretches(batches):
        if photos:
            # Photos under way are finished: what is written stands in the report.
            outcomes = colorizer.colorize_files(
                photos, settings, stopped, places.files, places.was_free
            )
            with ProgressReport("Colorizing", total, done=done) as progress:
                for outcome in places.checked(outcomes):
                    yield outcome
                    done += 1
                    failed += outcome.status in {"failed", "damaged"}
                    progress.advance(detail=f"{failed} failed" if failed else None)
        for job in film_jobs:
            if stopped():
                return
            outcome = _colorized_film(
                colorizer, places, job, settings=settings, films=films, stopped=stopped
            )
            yield from places.checked([outcome])
        if stopped():
            return


def _stretches(batches: Iterable[Sequence[Item]]) -> Iterator[tuple[Iterable[Item], list[Job]]]:
    """Yield photos, and the films that come after them.

    Batches without a film are one stretch: no core waits for the last photo of each.
    """
    for has_films, alike in itertools.groupby(batches, _has_films):
        if not has_films:
            yield itertools.chain.from_iterable(alike), []
            continue
        for items in alike:
            photos = [item for item in items if not _is_film_job(item)]
            yield photos, [item for item in items if _is_film_job(item)]


def _colorized_film(
    colorizer: IsolatedColorizer,
    places: Places,
    job: Job,
    *,
    settings: Settings,
    films: FilmSettings,
    stopped: Callable[[], bool],
) -> Outcome:
    if settings.label is not None:
        films = replace(films, label=settings.label.comment)
    work = places.on_files(film_outcomes, job, films, settings.existing)
    outcome = Outcome(job.name, "failed", reason=KILLED)
    done = 0
    with ExitStack() as stack:
        progress: ProgressReport | None = None
        for message in colorizer.run(work, stopped):
            if isinstance(message, Outcome):
                outcome = message
                continue
            if progress is None:
                # What another run has done says nothing about the speed of this one.
                done = message.frames - 1
                report = ProgressReport(f"Colorizing {job.name}", message.total, "frames", done)
                progress = stack.enter_context(report)
            progress.advance(message.frames - done, clock(message.seconds))
            done = message.frames
    if outcome.note:
        # Sound that is missing is noticed too late in a report.
        print(f"{job.name}: {outcome.note}.", file=sys.stderr)
    return outcome


def _say_what_goes_elsewhere(
    passed_over: Counter[str], items: Sequence[Item], engine: Engine
) -> None:
    if passed_over:
        count, kinds = passed_over.total(), ", ".join(sorted(passed_over))
        print(f"Files of other kinds that are left out: {count} ({kinds}).", file=sys.stderr)
    if engine.is_remote and _has_films(items):
        print("Films are colorized on this machine, one after the other.", file=sys.stderr)


def _has_films(items: Sequence[Item]) -> bool:
    return any(map(_is_film_job, items))


def _is_film_job(item: Item) -> TypeGuard[Job]:
    return isinstance(item, Job) and _is_film(item.source)


def _is_film(path: Path) -> bool:
    return path.suffix.lower() in WRITTEN_AS


def _require_known_colors(source: Path, hints: Sequence[Hint], reference: Path | None) -> None:
    """Refuse hints for a folder, and a reference photo that is not there, before anything is."""
    if hints and source.is_dir():
        raise ColorpipeError(
            f"--hint and --hints are for one photo, and {source} is a folder; put a file such as"
            " photo.jpg.hints.json beside each photo that has hints."
        )
    if (hints or reference is not None) and _is_film(source):
        raise ColorpipeError(
            f"--hint, --hints and --reference are for photos, and {source} is a film; leave them"
            " out."
        )
    if reference is not None and reference.is_dir():
        raise ColorpipeError(f"The reference {reference} is a folder; name one color photo.")
    if reference is not None and not reference.is_file():
        raise ColorpipeError(f"There is no reference photo {reference}; name a color photo.")


def _require_place(places: Places, first: Item) -> None:
    """Refuse a folder that no result can be written to, before the first photo is colored."""
    if places.source.is_dir():
        check_place(places.out, _OUT, is_kept=True)
    elif isinstance(first, Job):
        check_place(first.target.parent, _OUT, is_kept=True)


_OUT = "the argument OUT"


def _label_of(loaded: Loaded) -> Label | None:
    if loaded.weights is None:
        return None
    return Label("colorpipe", __version__, digest_of(loaded.weights))
