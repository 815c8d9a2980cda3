"""How a film is encoded: what is asked for, and what codec, container and film make of it."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.codec.context import Flags
from av.container import OutputContainer
from av.format import ContainerFormat
from av.format import Flags as FormatFlags
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from pipeline.video.errors import FilmError
from pipeline.video.kinds import default_codec
from pipeline.video.planes import is_full_range, pixels_for
from pipeline.video.settings import CodecName, Encoding

_OF_SOURCE: dict[str, CodecName] = {
    "h264": "libx264",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "libdav1d": "libsvtav1",
    "vp9": "libvpx-vp9",
    "libvpx-vp9": "libvpx-vp9",
    "ffv1": "ffv1",
    "prores": "prores_ks",
}
"""What encodes again what a decoder of FFmpeg's reads."""

_QUALITY: dict[str, tuple[int, int] | None] = {
    "libx264": (20, 51),
    "libx265": (22, 51),
    "libsvtav1": (28, 63),
    "libvpx-vp9": (28, 63),
    "ffv1": None,
    "prores_ks": None,
}
"""For each codec the default of ``crf`` and its worst value; None has no such scale."""

_PRESETS: dict[str, tuple[str, ...]] = {
    "libx264": (
        "ultrafast",
        "superfast",
        "veryfast",
        "faster",
        "fast",
        "medium",
        "slow",
        "slower",
        "veryslow",
    ),
    "libsvtav1": tuple(str(number) for number in range(14)),
    "libvpx-vp9": ("good", "best", "realtime"),
    "prores_ks": ("proxy", "lt", "standard", "hq", "4444", "4444xq"),
}
_PRESETS["libx265"] = _PRESETS["libx264"]
_PRESET_OPTION = {"libvpx-vp9": "deadline", "prores_ks": "profile"}

_FASTEST = {"libsvtav1": Fraction(240)}
"""Frames per second above which an encoder refuses a film. Only its guesses go by them: the times
are those of the frames."""

_TRANSPORTED = {
    *("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "cavs", "dirac"),
    *("aac", "aac_latm", "ac3", "dts", "eac3", "mp2", "mp3", "opus", "s302m", "truehd"),
    *("dvb_subtitle", "hdmv_pgs_subtitle"),
}
"""FFmpeg's names of the codecs that transport streams have a number or a descriptor for."""

_KEY_FRAMES = 10
"""Seconds from one key frame to the next at the most, so that players can jump."""


@dataclass(frozen=True)
class Encoder:
    """Everything that an encoder is opened with, so that all parts of a film are encoded alike."""

    codec: str
    pixels: str
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    aspect: Fraction | None
    colors: tuple[int, int, int, int]
    """FFmpeg's numbers of range, matrix, primaries and transfer."""
    flags: int
    options: tuple[tuple[str, str], ...]

    def open(self) -> VideoCodecContext:
        """Open an encoder.

        Raises:
            FilmError: the codec refuses the picture.
        """
        context = av.CodecContext.create(self.codec, "w")
        assert isinstance(context, VideoCodecContext)
        self._set(context)
        try:
            with ordinary_priority():
                context.open()
        except av.error.FFmpegError as error:
            raise FilmError(
                f"{self.codec} does not encode pictures of {self.width} x {self.height}"
                f" ({self.pixels}); choose another --codec"
            ) from error
        return context

    def require_held(self, suffix: str) -> None:
        """Refuse a container that does not hold the codec: many say so when they write their head.

        Raises:
            FilmError: it does not.
        """
        try:
            with av.open(io.BytesIO(), "w", format=muxer(suffix)) as container:
                self.add_stream(container)
                with ordinary_priority():
                    container.start_encoding()
                if is_held(container, av.Codec(self.codec, "w")):
                    return
        except (ValueError, av.error.FFmpegError):
            pass
        raise FilmError(
            f"{suffix} does not hold {self.codec}; choose another --codec, or name an .mkv"
        )

    def add_stream(self, container: OutputContainer) -> VideoStream:
        """Add the stream to a container, which then takes packets of :meth:`open`'s encoders."""
        stream: Any = container.add_stream(self.codec)
        self._set(stream.codec_context)
        stream.time_base = self.time_base
        return stream  # type: ignore[no-any-return]

    def _set(self, context: VideoCodecContext) -> None:
        context.width, context.height, context.pix_fmt = self.width, self.height, self.pixels
        context.time_base, context.framerate = self.time_base, self.rate
        if self.aspect:
            context.sample_aspect_ratio = self.aspect
        context.color_range, context.colorspace = self.colors[:2]
        context.color_primaries, context.color_trc = self.colors[2:]
        context.flags = self.flags
        context.gop_size = max(round(self.rate * _KEY_FRAMES), 1)
        context.thread_type = "AUTO"
        context.options = dict(self.options)


def plan(
    asked: Encoding,
    suffix: str,
    source: VideoStream,
    first: av.VideoFrame,
    *,
    time_base: Fraction,
    rate: Fraction,
    interlaced: bool = False,
) -> Encoder:
    """Decide how a film is encoded.

    Args:
        asked: what the user wants.
        suffix: the extension of the film that is written.
        source: the film's pictures.
        first: their first frame.
        time_base: of the film's time stamps.
        rate: frames per second.
        interlaced: whether some of its frames are of two moments.

    Raises:
        FilmError: the codec, the container and the film do not go together.
    """
    codec = _codec(asked.codec or default_codec(suffix), source)
    if codec == "prores_ks" and is_full_range(first):
        # Neither it nor QuickTime can say so: players would show another contrast.
        raise FilmError(
            "prores_ks has only luma of the limited range, and the film's is of the full one;"
            " choose another --codec, such as ffv1"
        )
    written = [each.name for each in av.Codec(codec, "w").video_formats or ()]
    needs_even = codec in {"libx264", "libx265"}
    even = (first.height, first.width) if needs_even else None
    pixels = pixels_for(first.format, written, even)
    in_fields = interlaced and codec in {"libx264", "prores_ks"}
    flags = int(Flags.interlaced_dct | Flags.interlaced_me) if in_fields else 0
    if FormatFlags.global_header in FormatFlags(ContainerFormat(muxer(suffix), "w").flags):
        flags |= int(Flags.global_header)
    return Encoder(
        codec,
        pixels,
        first.width,
        first.height,
        time_base,
        min(rate, _FASTEST.get(codec, rate)),
        source.sample_aspect_ratio or None,
        (first.color_range, first.colorspace, first.color_primaries, first.color_trc),
        flags,
        tuple(_options(codec, asked, pixels).items()),
    )


@contextlib.contextmanager
def ordinary_priority() -> Iterator[None]:
    """Give threads back the priority that encoders opened in the block have taken from them.

    Where root runs it, as in containers, SVT-AV1 makes its threads, and the one that opens it, more
    urgent than all others of the machine.
    """
    if not hasattr(os, "sched_setscheduler"):  # macOS and Windows
        yield
        return
    policy, own = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                if os.sched_getscheduler(int(thread.name)) != policy:
                    os.sched_setscheduler(int(thread.name), policy, own)


def is_held(container: OutputContainer, codec: av.Codec) -> bool:
    """Whether what a container takes can be read again.

    FFmpeg writes everything into transport streams, as private data that nobody else knows.
    """
    if container.format.name != "mpegts" or codec.canonical_name in _TRANSPORTED:
        return True
    return codec.canonical_name == "pcm_bluray" and container.name.endswith(".m2ts")


def muxer(suffix: str) -> str:
    """Return FFmpeg's name of the container that an extension stands for."""
    names = {".mkv": "matroska", ".ts": "mpegts", ".m2ts": "mpegts", ".m4v": "mp4"}
    return names.get(suffix, suffix[1:])


def _codec(asked: str, source: VideoStream) -> str:
    if asked != "source":
        return asked
    own = source.codec_context.name
    if own not in _OF_SOURCE:
        known = ", ".join(sorted(set(_OF_SOURCE.values())))
        raise FilmError(
            f"--codec source cannot encode {own}, the film's codec; choose one of {known}"
        )
    return _OF_SOURCE[own]


def _options(codec: str, asked: Encoding, pixels: str) -> dict[str, str]:
    options = {}
    scale = _QUALITY[codec]
    if scale is None:
        if asked.crf is not None:
            raise FilmError(f"{codec} has no --crf; leave it out")
    else:
        crf = scale[0] if asked.crf is None else asked.crf
        if not 0 <= crf <= scale[1]:
            raise FilmError(f"--crf is {crf:g}, but for {codec} must be from 0 to {scale[1]}")
        options["crf"] = f"{crf:g}"
        if codec == "libvpx-vp9":
            options |= {"b": "0", "row-mt": "1", "cpu-used": "4"}
    if codec == "libx265":
        options["x265-params"] = "log-level=none"
    if asked.preset is not None:
        known = _PRESETS.get(codec, ())
        if asked.preset not in known:
            what = f"must be one of {', '.join(known)}" if known else "that codec has none"
            raise FilmError(f"--preset is '{asked.preset}', but for {codec} {what}")
        options[_PRESET_OPTION.get(codec, "preset")] = asked.preset
    elif codec == "prores_ks":
        options["profile"] = "4444" if "444" in pixels else "hq"
    return options
