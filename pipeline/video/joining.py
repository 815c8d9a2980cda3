"""A film put together: the new pictures, and all other streams as they were."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import av.error
from av.container import OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.video.copies import Copy, add_copies, describe
from pipeline.video.encoding import Encoder, muxer, ordinary_priority
from pipeline.video.errors import FilmError
from pipeline.video.reading import Film
from pipeline.video.side_data import Matrix
from pipeline.video.tags import labeled, options_for, tags_of
from pipeline.video.timecode import later
from pipeline.video.timestamps import Clock, decodable, may_start_over

if TYPE_CHECKING:
    from av.container.core import Chapter

Window = tuple[Fraction, Fraction | None]
"""From when to when of a film, in seconds of its time stamps; None is to its end."""

_MPEG = {"mpeg", "mpegts"}
"""MPEG's own containers, by FFmpeg's names: they hold no comment, and their clocks start
anywhere."""
_APART = Fraction(10)
"""Seconds by which a film's streams may be apart where they lie side by side."""
_LATE = Fraction(60)
"""Seconds; a film that begins earlier keeps its times."""


def join(
    film: Film,
    pictures: Iterable[av.Packet[av.VideoStream]],
    encoder: Encoder,
    target: Path,
    suffix: str,
    *,
    matrix: Matrix | None = None,
    window: Window | None = None,
    label: str = "",
) -> list[str]:
    """Write the film ``target`` of new pictures and of what else ``film`` has.

    Args:
        film: the old film.
        pictures: the new film's encoded frames, with the old one's time stamps.
        encoder: what they were encoded by.
        target: the file to write.
        suffix: the extension that the new film is to have, which chooses its container.
        matrix: how players turn the pictures.
        window: the part that is to be written; its beginning becomes the new film's.
        label: what to add to the film's comment.

    Returns:
        What the container does not hold of the old film, as phrases.

    Raises:
        FilmError: FFmpeg does not put these streams together.
        OSError: the file could not be written.
    """
    form, tags = muxer(suffix), tags_of(film)
    with (
        _putting_together(suffix),
        # Absolute: what stands before a colon is a protocol otherwise.
        av.open(
            str(target.absolute()), "w", format=form, container_options=options_for(form, tags)
        ) as container,
    ):
        stream = encoder.add_stream(container)
        describe(stream, film.stream)
        # No encoder here has a plane of alpha.
        stream.metadata.pop("alpha_mode", None)
        stream.set_display_matrix(matrix)
        copies, notes = add_copies(container, film)
        if encoder.aspect not in {None, 1} and not _keeps_pixel_shape(container, encoder):
            shape = f"{encoder.aspect.numerator}:{encoder.aspect.denominator}"
            notes.append(f"without its pixel aspect ratio ({shape}), which an .mp4 or .mov holds")
        if matrix and container.format.name in _MPEG:
            notes.append("without how players turn or mirror it, which an .mp4 or .mkv holds")
        if label and container.format.name in _MPEG:
            notes.append(f"without the label, which {container.format.long_name} does not hold")
        elif label:
            tags = labeled(tags, label)
        container.metadata.update(tags)
        shift = window[0] if window else _late_beginning(film, container)
        if window:
            for written in (stream.metadata, container.metadata):
                _move_time_code(written, film, window[0])
        if chapters := _chapters(film, window, shift):
            container.set_chapters(chapters)
            if container.format.name in _MPEG:
                notes.append(f"without chapters, which {container.format.long_name} does not hold")
        with ordinary_priority():
            container.start_encoding()
        own = _of_pictures(pictures, stream, shift)
        others = _of_others(film, copies, window, shift)
        for _, _, packet in heapq.merge(own, others, key=lambda entry: entry[:2]):
            container.mux_one(packet)
    return notes


def _move_time_code(tags: dict[str, str], film: Film, start: Fraction) -> None:
    for key, value in tags.items():
        if key.lower() == "timecode":
            tags[key] = later(value, start - film.start, film.rate)


def _chapters(film: Film, window: Window | None, shift: Fraction) -> list[Chapter]:
    """Return the chapters of what is written, by the new film's times."""
    chapters = []
    for chapter in film.container.chapters():
        tick = chapter["time_base"] or Fraction(1)
        start, end = chapter["start"] * tick, chapter["end"] * tick
        if window is not None:
            start = max(start, window[0])
            end = end if window[1] is None else min(end, window[1])
        if start < end or window is None:
            times = {"start": round((start - shift) / tick), "end": round((end - shift) / tick)}
            chapters.append(cast("Chapter", {**chapter, **times}))
    return chapters


_Timed = tuple[Fraction, int, "av.Packet[Any]"]


def _of_pictures(
    pictures: Iterable[av.Packet[av.VideoStream]], stream: VideoStream, shift: Fraction
) -> Iterator[_Timed]:
    for packet in _to_the_end(pictures):
        packet.stream = stream
        _shift(packet, shift)
        yield (packet.dts or 0) * packet.time_base, 0, packet


def _to_the_end(
    pictures: Iterable[av.Packet[av.VideoStream]],
) -> Iterator[av.Packet[av.VideoStream]]:
    """Let the last packet last as long as the picture that is shown last, where that stands long.

    MP4 ends with the packet that is decoded last, which may be another one.
    """
    last: av.Packet[av.VideoStream] | None = None
    end = stands = 0
    for packet in pictures:
        if last is not None:
            yield last
        last, shown, length = packet, packet.pts or 0, packet.duration or 0
        if shown + length >= end:
            end, stands = shown + length, length
    if last is not None:
        if stands > (last.duration or 0):
            last.duration = end - (last.pts or 0)
        yield last


def _of_others(
    film: Film, copies: dict[int, Copy], window: Window | None, shift: Fraction
) -> Iterator[_Timed]:
    """Yield the packets of the other streams in the order in which the old film has them."""
    if not copies:
        return
    start, end = window or (Fraction(0), None)
    before = start - _APART
    if before > film.start and not film.seek(int(before / film.time_base)):
        film.rewind()
    container = film.container
    clocks = {
        index: Clock(stream)
        for index in copies
        if (stream := container.streams[index]).type == "audio" and may_start_over(stream)
    }
    moved = time = Fraction(0)
    near = _demuxed(film, set(copies), None if may_start_over(film.stream) else end)
    for packet in decodable(near):
        index = packet.stream_index
        if container.streams[index].disposition & Disposition.attached_pic:
            packet.pts = packet.dts = 0
            for ready in copies[index].packets(packet):
                yield Fraction(0), 1, ready
            continue
        if packet.dts is None:
            continue
        if (clock := clocks.get(index)) is not None:
            moved = (clock.of(packet.dts, packet.duration or 1) - packet.dts) * packet.time_base
        # Subtitles, too far apart to tell, go where the sound goes.
        _move(packet, round(moved / packet.time_base))
        shown = (packet.pts if packet.pts is not None else packet.dts) * packet.time_base
        if window and (shown < start or (end is not None and shown >= end)):
            continue
        _shift(packet, shift)
        time = max(time, packet.dts * packet.time_base)
        for ready in copies[index].packets(packet):
            yield time, 1, ready


def _demuxed(film: Film, wanted: set[int], end: Fraction | None) -> Iterator[av.Packet[Any]]:
    """Yield packets of the streams ``wanted`` until pictures and sound are past ``end``.

    Subtitles may be minutes apart.
    """
    read = wanted if end is None else {film.stream.index, *wanted}
    streams = [film.container.streams[index] for index in read]
    expected = {
        stream.index
        for stream in streams
        if stream.type in {"video", "audio"} and not stream.disposition & Disposition.attached_pic
    }
    packets = film.container.demux(streams)
    while end is None or expected:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            # What is broken was noticed when the pictures were read.
            return
        if not packet.size:  # what PyAV ends with, and says is of the first stream
            continue
        if end is not None and (packet.dts or 0) * packet.time_base > end + _APART:
            expected.discard(packet.stream_index)
        if packet.stream_index in wanted:
            yield packet


def _shift(packet: av.Packet[Any], seconds: Fraction) -> None:
    _move(packet, -round(seconds / packet.time_base))


def _move(packet: av.Packet[Any], ticks: int) -> None:
    if ticks and packet.dts is not None:
        packet.dts += ticks
        packet.pts = None if packet.pts is None else packet.pts + ticks


def _late_beginning(film: Film, container: OutputContainer) -> Fraction:
    """Return the seconds to take off all times: a broadcast's clock may have run for hours.

    A player would show these as part of the film. MPEG containers keep the clock.
    """
    begins = Fraction(film.container.start_time or 0, 1_000_000)
    keeps = container.format.name in _MPEG or film.container.format.name not in _MPEG
    return Fraction(0) if keeps or begins < _LATE else begins


def _keeps_pixel_shape(container: OutputContainer, encoder: Encoder) -> bool:
    """Whether the shape of pixels is stored: by the codec, or by the container.

    Matroska has a field for it, which PyAV does not set.
    """
    is_in_pictures = encoder.codec in {"libx264", "libx265"}
    return is_in_pictures or container.format.name not in {"matroska", "webm"}


@contextlib.contextmanager
def _putting_together(suffix: str) -> Iterator[None]:
    """Turn what FFmpeg refuses into a :class:`FilmError`."""
    try:
        yield
    except OSError:
        raise
    except av.error.FFmpegError as error:
        raise FilmError(
            f"FFmpeg does not put its streams together as {suffix} ({error.strerror}); name another"
            " kind of film, such as an .mkv"
        ) from error
