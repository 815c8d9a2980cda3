"""A film in color: every frame's luma as it is, with new chroma; needs PyAV."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import av
import av.logging

from pipeline.errors import StoppedError
from pipeline.files.outputs import new_file
from pipeline.inference.colorizer import Colorizer
from pipeline.video.deinterlacing import deinterlaced
from pipeline.video.encoding import Encoder, bits_note, plan
from pipeline.video.errors import FilmError
from pipeline.video.frames import FrameColorist
from pipeline.video.joining import Window, join
from pipeline.video.planes import Layout, layout_of, mark_colors
from pipeline.video.reading import Film
from pipeline.video.segments import FRAMES, Segment, SegmentCache, in_order
from pipeline.video.settings import FilmSettings, Progress, Result, clock


def color_film(
    colorizer: Colorizer,
    source: Path,
    target: Path,
    settings: FilmSettings,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Progress | Result]:
    """Colorize the film ``source`` to ``target``; yield how far it is, and at last the result.

    What is at ``target`` is replaced when the new film is whole, and not before. Work that was cut
    off is continued.

    Raises:
        FilmError: the film cannot be read, or not be encoded as asked.
        StoppedError: ``stopped`` said so; the parts that are whole stay for the next time.
        OSError: the disk is full, or the folder cannot be written to.
    """
    # What FFmpeg says of damaged films would stand between the lines of the progress.
    av.logging.set_level(None)
    suffix = target.suffix.lower()
    with Film(source) as film:
        first = next(_frames(film, settings), None)
        if first is None:
            raise FilmError("not one of its frames can be decoded")
        window = _window(film, settings)
        encoder = plan(
            settings.encoding,
            suffix,
            film.stream,
            first,
            time_base=film.time_base,
            rate=film.rate,
        )
        layout = layout_of(first, encoder.pixels)
        encoder = _with_colors(encoder, first, layout)
        encoder.open()
        rotation = first.rotation
        notes = [bits_note(layout, first.format)]
    with SegmentCache(target, _key(colorizer, source, settings, encoder)) as cache:
        with Film(source) as film:
            work = _Work(
                colorizer,
                film,
                encoder,
                rotation=rotation,
                settings=settings,
                window=window,
                cache=cache,
                stopped=stopped,
            )
            yield from work.run()
            if not work.frames:
                raise FilmError("it has no frames from --start on")
        with Film(source) as other, new_file(target) as temporary:
            notes.append(
                join(
                    other,
                    in_order(cache.packets(), encoder.time_base),
                    encoder,
                    temporary,
                    suffix,
                    rotation=rotation,
                    window=window,
                    label=settings.label,
                )
            )
        cache.remove()
    damage = ""
    if film.gaps:
        parts = ", ".join(f"from {clock(gap.start)} to {clock(gap.end)}" for gap in film.gaps)
        damage = f"the film could not be read {parts}; the rest was written"
    yield Result(work.frames, damage, "; ".join(filter(None, notes)))


class _Work:
    """The coloring of one film, part by part."""

    def __init__(
        self,
        colorizer: Colorizer,
        film: Film,
        encoder: Encoder,
        *,
        rotation: int,
        settings: FilmSettings,
        window: Window | None,
        cache: SegmentCache,
        stopped: Callable[[], bool],
    ) -> None:
        self.frames = 0
        self._film = film
        self._settings = settings
        self._encoder = encoder
        self._window = window
        self._cache = cache
        self._stopped = stopped
        self._whole = cache.whole()
        last = self._whole[-1] if self._whole else None
        self._after = None if last is None else last.last
        self._colorist = FrameColorist(
            colorizer, encoder.pixels, rotation, settings.steady, last.state if last else None
        )
        length = settings.duration or film.length
        self._total = None if length is None else round(length * film.rate)
        if film.stream.frames and window is None:
            self._total = film.stream.frames

    def run(self) -> Iterator[Progress]:
        """Color and encode what is not there yet."""
        self.frames = sum(segment.frames for segment in self._whole)
        number = len(self._whole)
        frames = self._wanted()
        frame = next(frames, None)
        while frame is not None:
            with self._cache.add(number) as writer:
                context = self._encoder.open()
                count, last = 0, frame.pts or 0
                while frame is not None and count < FRAMES:
                    if self._stopped():
                        raise StoppedError(
                            f"Stopped in {self._film.path.name} at {clock(self._seconds(last))};"
                            " the same command with --skip-existing continues it."
                        )
                    last = frame.pts or 0
                    writer.write(context.encode(self._colorist.color(frame)))
                    count += 1
                    self.frames += 1
                    yield Progress(self.frames, self._total, self._seconds(last))
                    frame = next(frames, None)
                writer.write(context.encode(None))
                writer.finish(Segment(count, last, self._colorist.state))
            number += 1

    def _seconds(self, shown: int) -> float:
        return float(shown * self._film.time_base - self._film.start)

    def _wanted(self) -> Iterator[av.VideoFrame]:
        for frame in _frames(self._film, self._settings):
            if self._after is not None and (frame.pts or 0) <= self._after:
                continue
            if self._window is not None:
                start, end = self._window
                time = (frame.pts or 0) * self._film.time_base
                if time < start:
                    continue
                if end is not None and time >= end:
                    return
            if (frame.width, frame.height) != (self._encoder.width, self._encoder.height):
                # A film whose pictures change their size goes on at its first one's.
                yield frame.reformat(self._encoder.width, self._encoder.height)
            else:
                yield frame


def _frames(film: Film, settings: FilmSettings) -> Iterator[av.VideoFrame]:
    return deinterlaced(film.frames()) if settings.deinterlace else film.frames()


def _window(film: Film, settings: FilmSettings) -> Window | None:
    if not settings.start and settings.duration is None:
        return None
    start = film.start + Fraction(settings.start).limit_denominator(1000)
    if settings.duration is None:
        return start, None
    return start, start + Fraction(settings.duration).limit_denominator(1000)


def _with_colors(encoder: Encoder, first: av.VideoFrame, layout: Layout) -> Encoder:
    """Say in the new film's head what its frames say."""
    probe = av.VideoFrame(2, 2, layout.pixels)
    mark_colors(probe, layout, first)
    colors = (probe.color_range, probe.colorspace, probe.color_primaries, probe.color_trc)
    return replace(encoder, colors=colors)


def _key(
    colorizer: Colorizer, source: Path, settings: FilmSettings, encoder: Encoder
) -> dict[str, object]:
    """Return what the encoded parts depend on, for JSON."""
    status = source.stat()
    weights = colorizer.weights
    return {
        "source": [str(source.resolve()), status.st_size, status.st_mtime_ns],
        "model": "" if weights is None else hashlib.sha256(weights.read_bytes()).hexdigest(),
        "colorizer": [colorizer.strength, colorizer.size, colorizer.tta, colorizer.upsampling],
        "settings": asdict(settings),
        "encoder": str(encoder),
        "ffmpeg": str(av.library_versions),
        "frames": FRAMES,
    }
