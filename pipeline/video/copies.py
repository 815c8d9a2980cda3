"""The streams of a film besides its pictures, as the new film takes them: copied, or as PCM."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, cast

import av
import av.error
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.stream import AttachmentStream, Discard, Disposition, Stream
from av.video.stream import VideoStream

from pipeline.video.encoding import is_held
from pipeline.video.reading import Film, has_pictures
from pipeline.video.tags import tags_of_stream

_PCM = {"u8": "pcm_u8", "s16": "pcm_s16le", "s32": "pcm_s24le", "flt": "pcm_f32le"}
"""For each format of decoded samples the PCM that has the same ones: FFmpeg decodes 20 and 24 bits
to 32."""


@dataclass(frozen=True)
class Copy:
    """A stream of the new film that holds what one of the old film does."""

    stream: Stream
    is_decoded: bool = False

    def packets(self, packet: av.Packet[Any]) -> list[av.Packet[Any]]:
        """Return what to write for a packet of the old film; nothing if it is broken."""
        if not self.is_decoded:
            packet.stream = self.stream
            return [packet]
        sound: Any = self.stream
        try:
            return [encoded for frame in packet.decode() for encoded in sound.encode(frame)]
        except av.error.FFmpegError:
            return []


def add_copies(container: OutputContainer, film: Film) -> tuple[dict[int, Copy], list[str]]:
    """Add the streams besides the pictures, by their numbers in the old film.

    Returns:
        Also what is to be said of them: which are changed, and which cannot be held.
    """
    copies: dict[int, Copy] = {}
    lost: list[str] = []
    notes: list[str] = []
    for stream in film.container.streams:
        if stream.index == film.stream.index or _is_made_anew(stream):
            continue
        if stream.disposition & Disposition.attached_pic and container.format.name != "mp4":
            if not _attach_picture(container, film, stream):
                lost.append(_name(stream))
        elif _holds(container, stream):
            if (copy := _add_copy(container, stream)) is not None:
                copies[stream.index] = Copy(copy)
                if isinstance(stream, VideoStream) and has_pictures(stream):
                    notes.append(f"{_name(stream)}, is copied without color")
        elif stream.type == "audio" and (sound := _add_pcm(container, stream)) is not None:
            copies[stream.index] = Copy(sound, is_decoded=True)
            notes.append(f"{_name(stream)}, became PCM of the same samples")
        else:
            lost.append(_name(stream))
    if lost:
        notes.append(f"{container.format.long_name} does not hold: {', '.join(lost)}")
    return copies, notes


def describe(copy: Stream, stream: Stream) -> None:
    """Say of ``copy`` what the old film says of ``stream``."""
    copy.metadata.update(tags_of_stream(stream))
    if not isinstance(copy, AttachmentStream):
        copy.disposition = Disposition(stream.disposition)


def _is_made_anew(stream: Stream) -> bool:
    """Whether FFmpeg makes a track of MP4 or MOV itself, and gives nothing of it to copy.

    It makes that of time codes from their tag, and that of chapters from these.
    """
    is_of_chapters = stream.discard == Discard.all
    return stream.type == "data" and (is_of_chapters or "timecode" in stream.metadata)


def _attach_picture(container: OutputContainer, film: Film, stream: Stream) -> bool:
    """Add a cover, which FFmpeg shows as a stream of one picture, as the file that it is."""
    suffix = {"mjpeg": "jpg", "png": "png"}.get(stream.codec_context.name)
    if container.format.name != "matroska" or suffix is None:
        return False
    with Film(film.path) as again:
        picture = next(again.container.demux(again.container.streams[stream.index]))
        mime = "image/jpeg" if suffix == "jpg" else "image/png"
        name = stream.metadata.get("filename", f"cover.{suffix}")
        container.add_attachment(name, mime, bytes(picture))
    return True


def _holds(container: OutputContainer, stream: Stream) -> bool:
    """Whether a container takes a stream: many say so only when they write their head."""
    if stream.codec_context is not None and not is_held(container, stream.codec_context.codec):
        return False
    try:
        with av.open(io.BytesIO(), "w", format=container.format.name) as tried:
            _add_copy(tried, stream)
            tried.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def _add_copy(container: OutputContainer, stream: Stream) -> Stream | None:
    """Add a stream to copy to; an attachment, which is in the head of a film, is added whole."""
    if isinstance(stream, AttachmentStream):
        name = stream.metadata.get("filename", f"attachment-{stream.index}")
        container.add_attachment(name, stream.mimetype or "application/octet-stream", stream.data)
        return None
    try:
        copy = container.add_stream_from_template(stream, opaque=True)
    except ValueError:
        copy = _add_unlisted(container, stream)
    describe(copy, stream)
    return copy


def _add_unlisted(container: OutputContainer, stream: Stream) -> Stream:
    """Add a stream that PyAV refuses, because FFmpeg does not list its codec for the container.

    Matroska takes whatever AVI does all the same, such as WMA. So it gets a stream that PyAV knows,
    which a filter that changes nothing then gives what it says of itself.
    """
    with av.open(io.BytesIO(), "w", format="wav") as listed:
        known = listed.add_stream("pcm_s16le")
        copy: Stream = container.add_stream_from_template(known, opaque=True)
    BitStreamFilterContext("null", stream, copy)
    # What the old container calls the codec.
    copy.codec_context.codec_tag = "\0\0\0\0"
    copy.time_base = stream.time_base
    return copy


def _add_pcm(container: OutputContainer, stream: Any) -> Stream | None:
    """Add a stream for the samples of a sound whose own codec the container does not hold."""
    codec = _PCM.get("" if stream.codec_context is None else stream.format.packed.name)
    if codec is None or not is_held(container, av.Codec(codec, "w")):
        return None
    try:
        sound: Any = container.add_stream(codec, rate=stream.rate, layout=stream.layout)
    except ValueError:
        return None
    describe(sound, stream)
    return cast(Stream, sound)


def _name(stream: Stream) -> str:
    codec = "" if stream.codec_context is None else f" ({stream.codec_context.name})"
    return f"stream {stream.index}, {stream.type}{codec}"
