"""Small films, as FFmpeg writes them, and what is in a film."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.video.planes import plane_of

SIZE = (64, 96)
"""Height and width."""


def picture(number: int, size: tuple[int, int] = SIZE, top: int = 255) -> NDArray[np.uint16]:
    """A smooth pattern, with grain that stays in its place, that moves a pixel a frame."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    wave = np.sin((columns + number) / 9) * np.cos(rows / 7)
    return ((0.5 + 0.3 * wave) * top).astype(np.uint16)


def write_film(
    path: Path,
    *,
    codec: str = "ffv1",
    pixels: str = "yuv420p",
    size: tuple[int, int] = SIZE,
    times: Sequence[int] = range(0, 12 * 40, 40),
    full_range: bool | None = None,
    colorspace: int = 2,
    sound: str | None = None,
    rotation: int = 0,
    matrix: Sequence[int] | None = None,
    tags: dict[str, str] | None = None,
    pictures: Sequence[NDArray[np.uint16]] | None = None,
    last: int = 0,
    **options: str,
) -> Path:
    """Write a film of gray pictures, whose time stamps ``times`` are milliseconds.

    ``sound`` is the codec of its sound, ``last`` the milliseconds for which the last picture is
    shown, if these are not by the rate.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = Fraction(1, 1000)
        if path.suffix == ".avi" or codec == "mpeg2video":
            stream.codec_context.time_base = Fraction(1, 25)
        if full_range is not None:
            stream.codec_context.color_range = 2 if full_range else 1
        stream.codec_context.colorspace = colorspace
        if rotation:
            stream.set_display_rotation(rotation)
        if matrix is not None:
            stream.set_display_matrix(matrix)
        container.metadata.update(tags or {})
        # Discs have PCM of this rate alone.
        rate = 48_000 if sound in {"pcm_dvd", "pcm_bluray"} else 8000
        heard_as: Any = {"rate": rate, "layout": "mono", "bit_rate": 32_000}
        audio: Any = container.add_stream(sound, **heard_as) if sound else None
        heard = 0
        for number, time in enumerate(times):
            frame = av.VideoFrame(size[1], size[0], pixels)
            parts = frame.format.components
            top = (1 << parts[0].bits) - 1
            if not frame.format.is_rgb:
                tones = picture(number, size, top) if pictures is None else pictures[number]
                plane_of(frame, 0)[...] = tones
                for chroma in range(1, len(frame.planes)):
                    plane_of(frame, chroma)[...] = (top + 1) // 2
            else:
                gray = picture(number, size).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(np.dstack([gray] * 3), "rgb24")
                frame = frame.reformat(format=pixels)
            if full_range is not None:
                frame.color_range = 2 if full_range else 1
            frame.colorspace = colorspace
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
            if audio is not None:
                # Side by side, as films have them.
                until = (time + 40) * rate // 1000
                wave = np.sin(np.arange(heard, until) / 9).astype(np.float32)[None]
                samples = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
                samples.rate, samples.pts, samples.time_base = rate, heard, Fraction(1, rate)
                container.mux(audio.encode(samples))
                heard = until
        for packet in stream.encode(None):
            packet.duration = last if packet.pts == times[-1] else 0
            container.mux(packet)
        if audio is not None:
            container.mux(audio.encode(None))
    return path


ENCRYPTED = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "01" * 16,
    "encryption_kid": "02" * 16,
}
"""Options of MP4 that encrypt what is copied."""


def copy(
    source: Path, target: Path, options: dict[str, str] | None = None, *, all_keys: bool = False
) -> Path:
    """Copy the pictures of a film into a container that is written by ``options``.

    ``all_keys`` says of each that it is a key frame, as broken films do.
    """
    with av.open(str(source)) as film, av.open(str(target), "w", container_options=options) as out:
        stream = out.add_stream_from_template(film.streams.video[0], opaque=True)
        for packet in film.demux():
            if packet.size:
                packet.stream = stream
                packet.is_keyframe |= all_keys
                out.mux(packet)
    return target


def with_captions(source: Path, target: Path) -> Path:
    """Put a closed caption (ATSC A/53) before each picture of a film of H.264."""
    caption = bytes([0xB5, 0, 0x31, *b"GA94", 3, 0x41, 0xFF, 0xFC, 0x94, 0x2C, 0xFF])
    message = bytes([6, 4, len(caption), *caption, 0x80])
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0], opaque=True)
        for packet in film.demux():
            if packet.size:
                captioned: Any = av.Packet(
                    len(message).to_bytes(4, "big") + message + bytes(packet)
                )
                captioned.pts, captioned.dts = packet.pts, packet.dts
                captioned.time_base, captioned.is_keyframe = packet.time_base, packet.is_keyframe
                captioned.stream = stream
                out.mux(captioned)
    return target


def copy_packets(source: Any, stream: Any, target: Any) -> None:
    """Copy what an open film has, all of it, to a ``stream`` of the open film ``target``."""
    for packet in source.demux():
        if packet.size:
            packet.stream = stream
            target.mux(packet)


def frames_of(path: Path) -> list[av.VideoFrame]:
    """All frames of a film."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def planes_of(frame: av.VideoFrame) -> list[NDArray[Any]]:
    return [plane_of(frame, number).copy() for number in range(len(frame.planes))]


def times_of(path: Path) -> list[float]:
    """When the frames of a film are shown, in seconds."""
    return [float(frame.pts * frame.time_base) for frame in frames_of(path)]  # type: ignore[operator]


def packets_of(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """The packets of all streams of a kind, each with its time in seconds."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        if not streams:
            return []
        return [
            (round(float((packet.pts or 0) * packet.time_base), 3), bytes(packet))
            for packet in container.demux(streams)
            if packet.size
        ]
