"""Films from Python, and as a piece of work for a process of its own; PyAV is imported late."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ColorpipeError, StoppedError, needs_extra
from pipeline.files.outputs import reason_of
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.jobs import Job
from pipeline.inference.outcomes import Outcome
from pipeline.inference.streaming import Existing
from pipeline.models.device import is_out_of_memory
from pipeline.video.errors import FilmError
from pipeline.video.kinds import WRITTEN, WRITTEN_AS
from pipeline.video.settings import STEADY, CodecName, Encoding, FilmSettings, Progress, Result

if TYPE_CHECKING:
    from pipeline.video.frames import ColoredFrame


def color_video(
    source: str | Path,
    target: str | Path,
    colorizer: Colorizer | None = None,
    *,
    steady: float = STEADY,
    codec: CodecName | None = None,
    crf: float | None = None,
    preset: str | None = None,
    start: float = 0.0,
    duration: float | None = None,
    deinterlace: bool = False,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Color a film; luma, time stamps, sound, subtitles and tags stay as they are.

    Work that was cut off is continued from the last part that is whole: the parts lie in a hidden
    folder beside ``target`` until the film is.

    Args:
        source: any film that FFmpeg reads.
        target: the file to write; its extension chooses the container.
        colorizer: the network; None loads the default (:meth:`Colorizer.load`).
        steady: 0, each frame by itself, to 1: how much what the network sees a few frames before
            and after counts, beside what it sees now.
        codec: the encoder; None is what the container is best known for, and ``source`` the film's
            own codec.
        crf: the encoder's constant rate factor, lower is better; None is its default here.
        preset: the encoder's trade-off of speed for size, by its own names.
        start: seconds from the film's beginning that are left out.
        duration: seconds that are colored; None is to the end.
        deinterlace: whether interlaced frames become progressive ones; their luma then differs from
            the film's.
        overwrite: whether a file that is at ``target`` gives way.
        progress: called after each frame.

    Returns:
        How many frames there are, what could not be read, and what the container does not hold.

    Raises:
        ColorpipeError: the film cannot be read, or the target not be written; PyAV is missing.
        ValueError: ``steady``, ``start`` or ``duration`` is outside its range.
    """
    source, target = Path(source), Path(target)
    settings = FilmSettings(Encoding(codec, crf, preset), steady, start, duration, deinterlace)
    if target.suffix.lower() not in WRITTEN_AS.values():
        raise ColorpipeError(f"{target} is not named like a film; name one that ends in {WRITTEN}.")
    if target.exists() and source.exists() and target.samefile(source):
        raise ColorpipeError(f"{target} is the film itself; name another file.")
    if os.path.lexists(target) and not overwrite:
        raise ColorpipeError(f"{target} is there already; name another file, or overwrite it.")
    with needs_extra("video", "Coloring films"):
        from pipeline.video.color_film import color_film  # noqa: PLC0415 - imports PyAV
    try:
        for step in color_film(colorizer or Colorizer.load(), source, target, settings):
            if isinstance(step, Result):
                return step
            if progress is not None:
                progress(step)
    except FilmError as error:
        raise ColorpipeError(f"{source} could not be colored: {error}.") from error
    except OSError as error:
        raise ColorpipeError(f"{target} could not be written: {reason_of(error)}.") from error
    raise AssertionError("a film ends with its result")


def colored_frames(
    source: str | Path, colorizer: Colorizer | None = None, *, steady: float = STEADY
) -> Iterator[ColoredFrame]:
    """Yield the frames of a film in color, as they are shown, and write nothing.

    Unless ``steady`` is 0, up to 8 of the film's frames are held until their colors are known.

    Args:
        source: any film that FFmpeg reads.
        colorizer: the network; None loads the default (:meth:`Colorizer.load`).
        steady: see :func:`color_video`.

    Yields:
        Frames with ``seconds``, the time from the film's beginning; ``rgb()``, sRGB (H, W, 3) of
        uint8, 0 to 255; and ``planes()``, luma (H, W) as the film has it, and Cb and Cr at the
        film's chroma size: uint8, or uint16 where the film has more than 8 bits.

    Raises:
        ColorpipeError: the film cannot be read; PyAV is missing.
        ValueError: ``steady`` is outside its range.
    """
    FilmSettings(steady=steady)
    with needs_extra("video", "Coloring films"):
        from pipeline.video.frames import colored_frames as frames  # noqa: PLC0415 - imports PyAV
    try:
        yield from frames(Path(source), colorizer or Colorizer.load(), steady)
    except FilmError as error:
        raise ColorpipeError(f"{source} could not be colored: {error}.") from error


def film_outcomes(
    job: Job,
    settings: FilmSettings,
    existing: Existing,
    colorizer: Colorizer,
    stopped: Callable[[], bool],
) -> Iterator[Progress | Outcome]:
    """Color a film in a process of its own; yield how far it is, and at last what became of it.

    Raises:
        StoppedError: ``stopped`` said so.
    """
    name, target = job.name, job.target
    if os.path.lexists(target) and existing != "overwrite":
        if existing == "skip":
            yield Outcome(name, "skipped", (target,))
        else:
            reason = f"{target} is there already; use --overwrite or --skip-existing"
            yield Outcome(name, "failed", reason=reason)
        return
    try:
        with needs_extra("video", "a film"):
            from pipeline.video.color_film import color_film  # noqa: PLC0415 - imports PyAV
        for step in color_film(colorizer, job.source, target, settings, stopped):
            if isinstance(step, Progress):
                yield step
            elif step.damage:
                yield Outcome(name, "damaged", (target,), step.damage, step.note)
            else:
                yield Outcome(name, "colorized", (target,), note=step.note)
    except StoppedError:
        raise
    except Exception as error:  # noqa: BLE001 - the other films go on
        yield Outcome(name, "failed", reason=_reason(error))


def _reason(error: Exception) -> str:
    """Say why a film was not colorized, as a phrase that fits behind a colon."""
    if isinstance(error, ColorpipeError):
        return str(error).rstrip(".")
    if isinstance(error, FilmError):
        return str(error)
    if is_out_of_memory(error):
        return "memory ran out; lower --size"
    if isinstance(error, OSError):
        return f"could not be written ({reason_of(error)}); the same command continues it"
    what = str(error).partition("\n")[0]
    return f"could not be colorized ({type(error).__name__}: {what})"
