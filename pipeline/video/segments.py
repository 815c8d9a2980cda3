"""Encoded parts of a film, kept beside its target until it is whole.

The work on an hour of film takes hours: what is done must outlast a crash, a kill or a full disk.
Each part is a file that appears whole or not at all, begins with a key frame, and says how the
next one goes on, so that a film that was continued has the same frames as one that was not.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from pipeline.files.outputs import locked, new_file
from pipeline.video.errors import FilmError
from pipeline.video.steadiness import ColorState

FRAMES = 500
"""Frames in a part: what is lost at most when the work is cut off."""

_PACKET = struct.Struct(">qqqBI")
"""Times of showing and of decoding, duration, whether it is a key frame, bytes that follow."""
_TRAILER = struct.Struct(">II")
"""Bytes of what is known of the part, just before, and the checksum of all that is before."""
_MAGIC = b"colorpipe film 4\n"
_BLOCK = 1 << 20
"""Bytes of a part that are in memory at once while it is checked: parts may have gigabytes."""
_LONGEST = 255 - len("..parts")
"""Bytes of a film's name that fit into that of the folder of its parts: file systems take 255."""
_KEY = "key.json"
_PARTS = "*.part"
_UNFINISHED = (".writing-*", "joined.*")
"""What a process that was killed leaves: never continued, and as large as the film."""
_EVERYTHING = (_PARTS, *_UNFINISHED, _KEY)


@dataclass(frozen=True)
class Segment:
    """What is known of a part that is whole."""

    frames: int
    last: int
    """Time stamp of the last frame, in the film's ticks."""
    state: ColorState | None
    """What the colors after it depend on."""
    luma: int | None = None
    """The checksum of the last frame's luma; None where the film could not be read up to there."""


class SegmentCache:
    """The parts of one film; a context manager that keeps others away from them.

    Args:
        target: the film that is to be written; the parts lie in a hidden folder beside it.
        key: what the parts depend on. Those of another key are thrown away.

    Raises:
        FilmError: another process is at work on the same film.
        OSError: the folder cannot be written to.
    """

    def __init__(self, target: Path, key: dict[str, object]) -> None:
        self.folder = target.parent / f".{_short(target.name)}.parts"
        self._target = target
        self._key = json.dumps(key, sort_keys=True)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> SegmentCache:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._stack.enter_context(locked(self.folder)) and os.name != "nt":
            self._stack.close()
            raise FilmError("another process is colorizing it to the same place")
        try:
            self._throw_away_others()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # Still locked: what another process begins here is not to be removed.
        with self._stack:
            # A key alone is of no use to anybody.
            if not any(self.folder.glob(_PARTS)):
                self.remove()

    def _throw_away_others(self) -> None:
        key = self.folder / _KEY
        own = key.is_file() and key.read_text(encoding="utf-8") == self._key
        self._delete(*(_UNFINISHED if own else _EVERYTHING))
        if not own:
            with new_file(key) as temporary:
                temporary.write_text(self._key, encoding="utf-8")

    def whole(self) -> list[Segment]:
        """Return the parts that are whole, from the film's beginning on without a gap.

        One that is damaged counts as missing: it and those after it are made again. Only the last
        one has its state: work resumes from no other, and the states of all parts would fill the
        memory.
        """
        found: list[Segment] = []
        while (segment := _read_trailer(self._path(len(found)))) is not None:
            if found:
                found[-1] = replace(found[-1], state=None)
            found.append(segment)
        return found

    def packets(self) -> Iterator[av.Packet[av.VideoStream]]:
        """Yield the packets of all parts, as they were encoded."""
        number = 0
        while (path := self._path(number)).is_file():
            with path.open("rb") as stream:
                yield from _read_packets(stream)
            number += 1

    @contextlib.contextmanager
    def add(self, number: int) -> Iterator[SegmentWriter]:
        """Give what writes part ``number``, which is there when the block ends without error."""
        with new_file(self._path(number)) as temporary, temporary.open("wb") as stream:
            yield SegmentWriter(stream)
            stream.flush()
            os.fsync(stream.fileno())

    @contextlib.contextmanager
    def join(self) -> Iterator[Path]:
        """Give where to write the film, which takes its place when the block ends without error.

        It is written among the parts: what a kill leaves of it is found and deleted there.
        """
        joined = self.folder / f"joined{self._target.suffix}"
        with new_file(joined) as temporary:
            yield temporary
        joined.replace(self._target)

    def remove(self) -> None:
        """Delete all parts: the film is whole."""
        with contextlib.suppress(OSError):
            self._delete(*_EVERYTHING)
            self.folder.rmdir()

    def _delete(self, *patterns: str) -> None:
        """Delete what this class has written: a folder of this name may hold more than that."""
        for pattern in patterns:
            for file in self.folder.glob(pattern):
                file.unlink()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}.part"


def _short(name: str) -> str:
    """Return a film's name, or where it is too long for what is added to it, its checksum."""
    encoded = os.fsencode(name)
    if len(encoded) <= _LONGEST:
        return name
    return hashlib.sha256(encoded).hexdigest()


class SegmentWriter:
    """Writes the packets of a part, then what is known of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._checksum = 0
        self._write(_MAGIC)

    def write(self, packets: Iterable[av.Packet[av.VideoStream]]) -> None:
        """Add packets in the order in which they were encoded."""
        for packet in packets:
            data = bytes(packet)
            shown = packet.pts if packet.pts is not None else 0
            decoded = packet.dts if packet.dts is not None else shown
            head = (shown, decoded, packet.duration or 0, packet.is_keyframe, len(data))
            self._write(_PACKET.pack(*head) + data)

    def finish(self, segment: Segment) -> None:
        """Write what is known of the part."""
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "known": np.array([segment.frames, segment.last], np.int64)
        }
        if segment.luma is not None:
            arrays["luma"] = np.array(segment.luma)
        if segment.state is not None:
            state = segment.state
            arrays |= {
                "gray": state.gray,
                "predicted": state.predicted,
                "colors": state.colors,
            }
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        data = buffer.getvalue()
        # No packet is empty: bytes of length zero end them.
        self._write(_PACKET.pack(0, 0, 0, 0, 0) + data)
        self._stream.write(_TRAILER.pack(len(data), self._checksum))

    def _write(self, data: bytes) -> None:
        self._checksum = zlib.crc32(data, self._checksum)
        self._stream.write(data)


def _read_packets(stream: BinaryIO) -> Iterator[av.Packet[av.VideoStream]]:
    stream.seek(len(_MAGIC))
    while True:
        shown, decoded, duration, is_key, length = _PACKET.unpack(stream.read(_PACKET.size))
        if not length:
            return
        packet = av.Packet(stream.read(length))
        packet.pts, packet.dts, packet.duration = shown, decoded, duration
        packet.is_keyframe = bool(is_key)
        yield packet  # type: ignore[misc]


def _read_trailer(path: Path) -> Segment | None:
    """Read what is known of a part; None if it is not there, or damaged."""
    if not path.is_file():
        return None
    left = path.stat().st_size - _TRAILER.size
    if left < len(_MAGIC):
        return None
    with path.open("rb") as stream:
        magic, checksum = stream.read(len(_MAGIC)), zlib.crc32(_MAGIC)
        left -= len(magic)
        while left > 0 and (block := stream.read(min(left, _BLOCK))):
            checksum = zlib.crc32(block, checksum)
            left -= len(block)
        end = stream.tell()
        length, expected = _TRAILER.unpack(stream.read(_TRAILER.size))
        if magic != _MAGIC or checksum != expected:
            return None
        stream.seek(end - length)
        known = io.BytesIO(stream.read(length))
    with np.load(known, allow_pickle=False) as arrays:
        frames, last = (int(value) for value in arrays["known"])
        state = None
        if "gray" in arrays:
            state = ColorState(arrays["gray"], arrays["predicted"], arrays["colors"])
        luma = int(arrays["luma"]) if "luma" in arrays else None
    return Segment(frames, last, state, luma)


def in_order(
    packets: Iterable[av.Packet[av.VideoStream]], time_base: Fraction
) -> Iterator[av.Packet[av.VideoStream]]:
    """Let the times of decoding rise over the borders of parts, each of which began anew.

    An encoder whose frames change places tells the first to be decoded before it is shown. That is
    while the part before is still being shown, so at a variable rate the two may overlap.
    """
    last: int | None = None
    for packet in packets:
        decoded = packet.dts
        assert decoded is not None
        if last is not None and decoded <= last:
            decoded = last + 1
        last = packet.dts = decoded
        packet.time_base = time_base
        yield packet
