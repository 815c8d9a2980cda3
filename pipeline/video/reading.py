"""A film's frames, one after the other, and what is wrong with them."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.video.errors import FilmError
from pipeline.video.timestamps import Clock, Stamps

_RATE = Fraction(25)
"""Frames per second of a film that does not say how many."""
_SEEKABLE = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2")
"""Containers, by FFmpeg's names, with a time for each picture and an index of key frames."""
_REORDERED = Fraction(1)
"""Seconds that cover how far key frames are decoded before they are shown, which some indexes go
by: H.264 and HEVC let 16 frames change places."""
_THREADS = 2
"""Threads that decode. Each holds frames of its own, and they wait for the encoder anyway."""
_MISSING_END = Fraction(1)
"""Seconds by which a film may end before the time that its header says."""

_STILL = Disposition.attached_pic | Disposition.timed_thumbnails


@dataclass(frozen=True)
class Gap:
    """A part of a film that could not be read, in seconds of the film's time."""

    start: float
    end: float


class Film:
    """A film that is open for reading; a context manager.

    Raises:
        FilmError: it is no film, has no pictures, or is encrypted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        self._open()

    def _open(self) -> None:
        with _opening(self.path):
            self.container: InputContainer = self._stack.enter_context(
                # Absolute: what stands before a colon is a protocol otherwise.
                av.open(str(self.path.absolute()), "r", metadata_errors="replace")
            )
        try:
            self.stream = self._find_pictures()
        except BaseException:
            self._stack.close()
            raise
        self.gaps: list[Gap] = []
        """The parts that could not be read, once the frames after them were."""
        self._broken = False

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rewind(self) -> None:
        """Open the film anew, at its beginning."""
        self._stack.close()
        self._open()

    def seek(self, shown: int) -> bool:
        """Go to a key frame that is shown at ``shown``, in ticks, or a little before.

        What comes from there is for the caller to check: a container may be wrong, and some codecs
        need pictures from before what it calls a key frame.

        Returns:
            Whether the film is there; otherwise it is to be opened anew.
        """
        if self.container.format.name not in _SEEKABLE:
            return False
        try:
            self.container.seek(shown - round(_REORDERED / self.time_base), stream=self.stream)
        except (av.error.FFmpegError, OSError):
            return False
        return True

    def _find_pictures(self) -> VideoStream:
        films = [
            stream for stream in self.container.streams.video if not stream.disposition & _STILL
        ]
        if not films:
            kinds = sorted({stream.type for stream in self.container.streams})
            raise FilmError(f"it has no moving pictures, only {' and '.join(kinds) or 'nothing'}")
        stream = next(filter(has_pictures, films), films[0])
        names = self.container.format.name.split(",")
        if any(name == "image2" or name.endswith("_pipe") for name in names):
            raise FilmError("a photo under the name of a film; give it its own extension")
        if stream.codec_context is None:
            raise FilmError("its pictures are of a codec that FFmpeg does not know")
        if not stream.codec_context.width:
            raise FilmError("its pictures are damaged or encrypted: not even their size is known")
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = _THREADS
        return stream

    @property
    def is_damaged(self) -> bool:
        """Whether something could not be read so far."""
        return self._broken or bool(self.gaps)

    @property
    def time_base(self) -> Fraction:
        """Seconds that one tick of the time stamps lasts."""
        return self.stream.time_base or Fraction(1, 90_000)

    @property
    def rate(self) -> Fraction:
        """Frames per second, on average."""
        return self.stream.average_rate or self.stream.guessed_rate or _RATE

    @property
    def start(self) -> Fraction:
        """Seconds at which the first frame is shown."""
        return (self.stream.start_time or 0) * self.time_base

    @property
    def duration(self) -> Fraction | None:
        """Seconds that the pictures last, if the film says it."""
        if self.stream.duration:
            return self.stream.duration * self.time_base
        stated = self.stream.metadata.get("DURATION", "")
        try:
            hours, minutes, seconds = stated.split(":")
            end = int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds.rstrip("\0"))
            return max(end - self.start, Fraction(0))  # what FFmpeg writes there counts from zero
        except ValueError:
            return None

    @property
    def length(self) -> Fraction | None:
        """About how many seconds the film lasts, for those who wait."""
        if self.duration is not None:
            return self.duration
        whole = self.container.duration
        return None if whole is None else Fraction(whole, 1_000_000)

    def frames(self) -> Iterator[av.VideoFrame]:
        """Yield the frames in the order in which they are shown, each with its time stamp.

        Time stamps rise from frame to frame; one that is missing is made up from the rate, and a
        clock that starts over goes on. What cannot be decoded is passed over and noted in
        :attr:`gaps`.

        Raises:
            FilmError: the film is encrypted from its beginning on.
        """
        stamps, clock = Stamps(self.stream), Clock(self.stream)
        ends = self.start
        first_lost: Fraction | None = None
        step = max(round(1 / self.rate / self.time_base), 1)
        for frame in self._decoded():
            shown = clock.of(stamps.of(frame), step)
            if self._broken and first_lost is None:
                first_lost = ends
            if not frame.is_corrupt and first_lost is not None:
                self._note_gap(first_lost, shown * self.time_base)
                first_lost = None
            self._broken = frame.is_corrupt
            if frame.is_corrupt and first_lost is None:
                first_lost = shown * self.time_base
            ends = (shown + max(frame.duration, step)) * self.time_base
            frame.pts, frame.time_base = shown, self.time_base
            yield frame
        stated_end = ends
        # Beginning and end of two clocks do not tell how long a film is.
        if self.duration is not None and not clock.has_started_over:
            stated_end = self.start + self.duration
        if stated_end - ends > _MISSING_END or first_lost is not None or self._broken:
            self._note_gap(ends if first_lost is None else first_lost, max(ends, stated_end))

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Decode packet by packet; one that cannot be decoded sets ``_broken``."""
        packets = self.container.demux(self.stream)
        began = False
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError):
                self._broken = True
                return
            # Encrypted by ISO/IEC 23001-7. Decoders make garbage of it, not errors.
            if packet.has_sidedata("encryption_info"):
                if not began:
                    raise FilmError("its pictures are encrypted; take a copy without protection")
                self._broken = True
                continue
            began = True
            try:
                yield from packet.decode()
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, OSError):
                self._broken = True

    def _note_gap(self, start: Fraction, end: Fraction) -> None:
        start, end = start - self.start, end - self.start
        if self.gaps and float(start) - self.gaps[-1].end <= 1:
            start = Fraction(self.gaps.pop().start)
        self.gaps.append(Gap(float(start), float(end)))


def has_pictures(stream: VideoStream) -> bool:
    """Whether there are moving pictures in a stream: what a broadcast announces may be empty."""
    known = stream.codec_context is not None and stream.codec_context.width > 0
    return known and not stream.disposition & _STILL


@contextlib.contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Turn every error while a film is opened into a :class:`FilmError`."""
    try:
        yield
    except FilmError:
        raise
    except PermissionError as error:
        raise FilmError("the file may not be read") from error
    except FileNotFoundError as error:
        raise FilmError("the file is not there") from error
    except (av.error.DecoderNotFoundError, av.error.PatchWelcomeError) as error:
        raise FilmError("its pictures are of a codec that FFmpeg does not know") from error
    # Demuxers raise whatever untrusted bytes drive them to.
    except Exception as error:
        raise FilmError(_CUT_OFF if _lacks_index(path) else _NO_FILM) from error


_NO_FILM = "not a film that FFmpeg can read"
_CUT_OFF = (
    f"{_NO_FILM}; its index is missing, as in an MP4 or MOV whose recording or copy was cut off:"
    " copy it again, or repair it"
)


def _lacks_index(path: Path) -> bool:
    """Whether a file is an MP4 or MOV without the box that says where its pictures are.

    Source: ISO/IEC 14496-12, sections 4.2 (boxes), 4.3 ("ftyp") and 8.2.1 ("moov").
    """
    at = 0
    with contextlib.suppress(OSError, OverflowError, struct.error), path.open("rb") as stream:
        while head := stream.read(8):
            length, name = struct.unpack(">I4s", head)
            if name == b"moov" or (at == 0 and name != b"ftyp"):
                return False
            if length == 1:
                (length,) = struct.unpack(">Q", stream.read(8))
            if length < 8:  # to the end of the file, or no box
                break
            at += length
            stream.seek(at)
    return at > 0
