"""A film put together: the new pictures, and all other streams as they were."""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Disposition, Stream
from av.video.stream import VideoStream

from pipeline.video.encoding import Encoder, muxer
from pipeline.video.reading import Film

Window = tuple[Fraction, Fraction | None]
"""From when to when of a film, in seconds of its time stamps; None is to its end."""

_OF_THE_FILE = {"encoder", "major_brand", "minor_version", "compatible_brands"}
_OF_THE_STREAM = {"encoder", "duration", "number_of_frames", "number_of_bytes", "bps"}
"""Tags, in lower case, that describe how the old file was written: they would be wrong."""
_UNLABELED = {"mpeg", "mpegts"}
"""Containers, by FFmpeg's names, that hold no comment."""


def join(
    film: Film,
    pictures: Iterable[av.Packet[av.VideoStream]],
    encoder: Encoder,
    target: Path,
    suffix: str,
    *,
    rotation: int = 0,
    window: Window | None = None,
    label: str = "",
) -> str:
    """Write the film ``target`` of new pictures and of what else ``film`` has.

    Args:
        film: the old film.
        pictures: the new film's encoded frames, with the old one's time stamps.
        encoder: what they were encoded by.
        target: the file to write.
        suffix: the extension that the new film is to have, which chooses its container.
        rotation: degrees, counterclockwise, by which players turn the pictures.
        window: the part that is to be written; its beginning becomes the new film's.
        label: what to add to the film's comment.

    Returns:
        What the container does not hold of the old film, as a phrase; "" if it holds everything.

    Raises:
        OSError: the file could not be written.
    """
    # The index of an MP4 before its pictures: a player on the web starts at once.
    options = {"movflags": "+faststart"} if suffix in {".mp4", ".m4v", ".mov"} else {}
    with av.open(str(target), "w", format=muxer(suffix), container_options=options) as container:
        stream = encoder.add_stream(container)
        _describe(stream, film.stream)
        if rotation:
            stream.set_display_rotation(rotation)
        copies, lost = _add_copies(container, film)
        container.metadata.update(_kept(film.container.metadata, _OF_THE_FILE))
        if label and container.format.name in _UNLABELED:
            lost.append(f"without the label, which {container.format.long_name} does not hold")
        elif label:
            comment = _comment_of(film)
            container.metadata["comment"] = f"{comment}; {label}" if comment else label
        shift = window[0] if window else Fraction(0)
        if (chapters := film.container.chapters()) and not window:
            container.set_chapters(chapters)
        container.start_encoding()
        own = _of_pictures(pictures, stream, shift)
        others = _of_others(film.container, copies, window)
        for _, _, packet in heapq.merge(own, others, key=lambda entry: entry[:2]):
            container.mux_one(packet)
    return "; ".join(lost)


_Timed = tuple[Fraction, int, "av.Packet[Any]"]


def _of_pictures(
    pictures: Iterable[av.Packet[av.VideoStream]], stream: VideoStream, shift: Fraction
) -> Iterator[_Timed]:
    for packet in pictures:
        packet.stream = stream
        _shift(packet, shift)
        yield (packet.dts or 0) * packet.time_base, 0, packet


def _of_others(
    container: InputContainer, copies: dict[int, Stream], window: Window | None
) -> Iterator[_Timed]:
    """Yield the packets of the other streams in the order in which the old film has them."""
    if not copies:
        return
    start, end = window or (Fraction(0), None)
    time = Fraction(0)
    packets = container.demux([container.streams[index] for index in copies])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            # What is broken was noticed when the pictures were read.
            return
        if packet.dts is None or not packet.size:
            continue
        shown = (packet.pts if packet.pts is not None else packet.dts) * packet.time_base
        if window and (shown < start or (end is not None and shown >= end)):
            continue
        _shift(packet, start)
        time = max(time, packet.dts * packet.time_base)
        packet.stream = copies[packet.stream_index]
        yield time, 1, packet


def _shift(packet: av.Packet[Any], seconds: Fraction) -> None:
    ticks = round(seconds / packet.time_base)
    if ticks and packet.dts is not None:
        packet.dts -= ticks
        packet.pts = None if packet.pts is None else packet.pts - ticks


def _add_copies(container: OutputContainer, film: Film) -> tuple[dict[int, Stream], list[str]]:
    """Add the streams that are copied, by their numbers in the old film; say which cannot be."""
    copies: dict[int, Stream] = {}
    lost: list[str] = []
    for stream in film.container.streams:
        if stream.index == film.stream.index or stream.profile == "tmcd":
            continue
        if not _holds(container.format.name, stream):
            lost.append(_name(stream))
        elif (copy := _add_copy(container, stream)) is not None:
            copies[stream.index] = copy
    form = container.format.long_name
    return copies, [f"{form} does not hold: {', '.join(lost)}"] if lost else []


def _holds(form: str, stream: Stream) -> bool:
    """Whether a container takes a stream: many say so only when they write their head."""
    try:
        with av.open(io.BytesIO(), "w", format=form) as container:
            _add_copy(container, stream)
            container.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def _add_copy(container: OutputContainer, stream: Stream) -> Stream | None:
    """Add a stream to copy to; an attachment, which is in the head of a film, is added whole."""
    if isinstance(stream, AttachmentStream):
        name = stream.metadata.get("filename", f"attachment-{stream.index}")
        container.add_attachment(name, stream.mimetype or "application/octet-stream", stream.data)
        return None
    copy = container.add_stream_from_template(stream, opaque=True)
    _describe(copy, stream)
    return copy


def _name(stream: Stream) -> str:
    codec = "" if stream.codec_context is None else f" ({stream.codec_context.name})"
    return f"stream {stream.index}, {stream.type}{codec}"


def _describe(copy: Stream, stream: Stream) -> None:
    copy.metadata.update(_kept(stream.metadata, _OF_THE_STREAM))
    if not isinstance(copy, AttachmentStream):
        copy.disposition = Disposition(stream.disposition)


def _comment_of(film: Film) -> str:
    tags = {key.lower(): value for key, value in film.container.metadata.items()}
    return tags.get("comment", "")


def _kept(tags: dict[str, str], but: set[str]) -> dict[str, str]:
    return {
        key: value
        for key, value in tags.items()
        if key.lower() not in but and not key.startswith("_STATISTICS")
    }
