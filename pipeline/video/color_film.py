"""A film in color: every frame's luma as it is, with new chroma; needs PyAV."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
import av.logging
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from pipeline.errors import StoppedError
from pipeline.inference.colorizer import Colorizer
from pipeline.models.resolve import digest_of
from pipeline.video.deinterlacing import deinterlaced
from pipeline.video.encoding import Encoder, plan
from pipeline.video.errors import FilmError
from pipeline.video.frames import FrameColorist
from pipeline.video.joining import Window, join
from pipeline.video.losses import losses
from pipeline.video.planes import Layout, in_planes, layout_of, mark_colors, plane_of
from pipeline.video.reading import Film
from pipeline.video.segments import FRAMES, Segment, SegmentCache, in_order
from pipeline.video.settings import FilmSettings, Progress, Result, clock
from pipeline.video.side_data import matrix_of, rotation_of

EARLY = 50
"""Frames that are looked at before work begins: a recording may start in the middle of another."""


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
        early = _frames(film, settings)
        first = next(early, None)
        if first is None:
            raise FilmError("not one of its frames can be decoded: it is damaged or encrypted")
        interlaced = any(
            frame.interlaced_frame for frame in chain([first], islice(early, EARLY - 1))
        )
        window = _window(film, settings)
        encoder = plan(
            settings.encoding,
            suffix,
            film.stream,
            first,
            time_base=film.time_base,
            rate=film.rate,
            interlaced=interlaced,
        )
        layout = layout_of(first, encoder.pixels)
        encoder = _with_colors(encoder, first, layout)
        encoder.open()
        encoder.require_held(suffix)
        matrix = matrix_of(first)
        notes = losses(film.stream, first, encoder, interlaced=interlaced)
    with SegmentCache(target, _key(colorizer, source, settings, encoder)) as cache:
        with Film(source) as film:
            work = _Work(
                colorizer,
                film,
                encoder,
                rotation=rotation_of(matrix),
                settings=settings,
                window=window,
                cache=cache,
                stopped=stopped,
            )
            yield from work.run()
            if not work.frames:
                raise FilmError("no frame begins in the part that --start and --duration choose")
            if work.is_reshaped:
                notes.append(
                    "with pixels of one shape from beginning to end, though its own change"
                )
            if work.is_resized:
                notes.append(
                    "with pictures of one size from beginning to end, though its own change"
                )
        with Film(source) as other, cache.join() as temporary:
            notes += join(
                other,
                in_order(cache.packets(), encoder.time_base),
                encoder,
                temporary,
                suffix,
                matrix=matrix,
                window=window,
                label=settings.label,
            )
        cache.remove()
    damage = ""
    if film.gaps:
        parts = ", ".join(f"from {clock(gap.start)} to {clock(gap.end)}" for gap in film.gaps)
        damage = f"the film could not be read {parts}; the rest was written"
    yield Result(work.frames, damage, "; ".join(notes))


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
        self.is_reshaped = False
        """Whether pixels have changed their shape, which a new film has one of."""
        self.is_resized = False
        """Whether some of the pictures were brought to the size of the first one."""
        self._film = film
        self._settings = settings
        self._encoder = encoder
        self._window = window
        self._cache = cache
        self._stopped = stopped
        self._whole = cache.whole()
        self._last = last = self._whole[-1] if self._whole else None
        self._colorist = FrameColorist(
            colorizer, encoder.pixels, rotation, settings.steady, last.state if last else None
        )
        lengths = [] if settings.duration is None else [settings.duration]
        if film.length is not None:
            lengths.append(max(float(film.length) - settings.start, 0.0))
        self._total = round(min(lengths) * film.rate) if lengths else None
        if film.stream.frames and window is None:
            self._total = film.stream.frames

    def run(self) -> Iterator[Progress]:
        """Color and encode what is not there yet."""
        self.frames = sum(segment.frames for segment in self._whole)
        number = len(self._whole)
        kept = self._settings.start if self._last is None else self._seconds(self._last.last)
        frames = self._wanted()
        frame = next(frames, None)
        while frame is not None:
            with self._cache.add(number) as writer:
                context = self._encoder.open()
                durations: dict[int, int] = {}
                count, last = 0, _time_of(frame)
                while frame is not None and count < FRAMES:
                    if self._stopped():
                        raise StoppedError(
                            f"Stopped in {self._film.path.name} at {clock(self._seconds(last))};"
                            f" the same command continues it from {clock(kept)}; add"
                            " --skip-existing to pass over what is done."
                        )
                    last = _time_of(frame)
                    for colored in self._colorist.add(frame):
                        writer.write(_encoded(context, colored, durations))
                    count += 1
                    self.frames += 1
                    yield Progress(self.frames, self._total, self._seconds(last))
                    frame = next(frames, None)
                for colored in self._colorist.finish():
                    writer.write(_encoded(context, colored, durations))
                writer.write(_encoded(context, None, durations))
                luma = None if self._film.is_damaged else _luma_sum(colored)
                writer.finish(Segment(count, last, self._colorist.state, luma))
            kept = self._seconds(last)
            number += 1

    def _seconds(self, shown: int) -> float:
        return float(shown * self._film.time_base - self._film.start)

    def _wanted(self) -> Iterator[av.VideoFrame]:
        shapes = set()
        for frame in self._remaining():
            shapes.add(self._film.stream.codec_context.sample_aspect_ratio)
            self.is_reshaped = len(shapes) > 1
            if self._window is not None:
                start, end = self._window
                time = _time_of(frame) * self._film.time_base
                if time < start:
                    continue
                if end is not None:
                    if time >= end:
                        return
                    frame.duration = min(frame.duration, round((end - time) / self._film.time_base))
            if (frame.width, frame.height) != (self._encoder.width, self._encoder.height):
                # A film whose pictures change their size goes on at its first one's.
                self.is_resized = True
                yield frame.reformat(self._encoder.width, self._encoder.height)
            else:
                yield frame

    def _remaining(self) -> Iterator[av.VideoFrame]:
        """Yield the frames after the last part, or else at least all those of the window.

        Decoding begins at the key frame before them, unless the film comes out another way from
        there: the part's last frame has to be the same again, bit by bit, and a window's beginning
        has to be there. A film that is damaged is read once more, to say all that is.
        """
        film, last = self._film, self._last
        start = None if self._window is None else int(self._window[0] / film.time_base)
        if last is not None:
            start = None if last.luma is None else last.last
        if start is not None and film.seek(start):
            frames = _frames(film, self._settings)
            first = next(frames, None)
            while last is not None and first is not None and _time_of(first) < start:
                first = next(frames, None)
            if first is not None and self._is_as_before(first, start):
                # What could not be decoded belongs to frames before the key frame.
                film.gaps.clear()
                if last is None:
                    yield first
                yield from frames
                return
            film.rewind()
        for frame in _frames(film, self._settings):
            if last is None or _time_of(frame) > last.last:
                yield frame

    def _is_as_before(self, frame: av.VideoFrame, start: int) -> bool:
        """Whether ``frame`` is the last part's last one, or else not after the beginning."""
        if frame.is_corrupt:
            return False
        if self._last is None:
            return _time_of(frame) <= start
        luma = _luma_sum(in_planes(frame, self._encoder.pixels))
        return (_time_of(frame), luma) == (start, self._last.luma)


def _time_of(frame: av.VideoFrame) -> int:
    """Return when a frame is shown, in the film's ticks: all that a film yields have that."""
    return frame.pts or 0


def _encoded(
    context: VideoCodecContext, frame: av.VideoFrame | None, durations: dict[int, int]
) -> Iterator[av.Packet[VideoStream]]:
    """Encode a frame, or what is left; yield packets that are shown as long as their frames.

    Encoders say nothing of that, and the last frame may stand for any time. ``durations`` has those
    of the frames that the encoder still holds.
    """
    if frame is not None:
        durations[_time_of(frame)] = frame.duration
    for packet in context.encode(frame):
        packet.duration = durations.pop(packet.pts or 0, 0)
        yield packet


def _luma_sum(frame: av.VideoFrame) -> int:
    """Return the checksum of a frame's luma."""
    return zlib.crc32(plane_of(frame, 0).tobytes())


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
        "model": "" if weights is None else digest_of(weights),
        "colorizer": [colorizer.strength, colorizer.size, colorizer.tta, colorizer.upsampling],
        # The label is written when the parts are joined.
        "settings": asdict(replace(settings, label="")),
        "encoder": str(encoder),
        "ffmpeg": str(av.library_versions),
        "frames": FRAMES,
    }
