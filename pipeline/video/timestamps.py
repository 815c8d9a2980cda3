"""When what a film holds is shown: what its container says, made to rise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
from av.format import Flags as FormatFlags
from av.stream import Stream
from av.video.stream import VideoStream

_LATE = 600
"""Seconds by which times may be later than expected: so long a recording may have had no signal. A
clock that starts over comes out later where FFmpeg takes it for one that has reached its end."""


def may_start_over(stream: Stream) -> bool:
    """Whether the container lets time stamps start over in the middle."""
    return FormatFlags.ts_discont in FormatFlags(stream.container.format.flags)


class Clock:
    """Times of a stream that rise.

    The clock of a broadcast or a DVD may start over in the middle, as it does where recordings were
    put one behind the other: the times after that go on from those before.
    """

    def __init__(self, stream: Stream) -> None:
        second = round(1 / (stream.time_base or Fraction(1, 90_000)))
        self._second = second if may_start_over(stream) else None
        self._next = stream.start_time or 0
        self._least: int | None = None
        self._offset = 0

    def of(self, time: int | None, step: int) -> int:
        """Return the time of what lasts ``step`` ticks, by what the stream says, if it does."""
        if time is None:
            time = self._next
        else:
            time += self._offset
            off = time - self._next
            if self._least is not None and self._starts_over(off):
                self._offset -= off
                time = self._next
        if self._least is not None:
            time = max(time, self._least)
        self._next, self._least = time + step, time + 1
        return time

    @property
    def has_started_over(self) -> bool:
        """Whether times differ from what the stream says because its clock started over."""
        return self._offset != 0

    def _starts_over(self, off: int) -> bool:
        """Whether the clock has started over, by the ticks that a time is later than expected.

        A second earlier is no surprise yet: frames and sounds take turns, and may be late.
        """
        if self._second is None:
            return False
        return off < -self._second or off > _LATE * self._second


def decodable(packets: Iterable[av.Packet[Any]]) -> Iterator[av.Packet[Any]]:
    """Give those packets a time of decoding that have one of showing alone.

    FFmpeg knows none of the first pictures of Matroska where they change places.
    """
    waiting: dict[int, list[av.Packet[Any]]] = {}
    for packet in packets:
        if packet.dts is None and packet.pts is not None:
            waiting.setdefault(packet.stream_index, []).append(packet)
            continue
        held = waiting.pop(packet.stream_index, [])
        for number, early in enumerate(reversed(held), 1):
            early.dts = min((packet.dts or 0) - number, early.pts or 0)
        yield from (*held, packet)


class Stamps:
    """When frames are shown.

    AVI has no times but the order of its packets. What FFmpeg makes of that for H.264, whose frames
    change places, is out of order; the order in which frames come is right.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._in_order = stream.container.format.name == "avi"
        self._start = stream.start_time or 0
        self._first: int | None = None

    def of(self, frame: av.VideoFrame) -> int | None:
        """Return the time stamp of the next frame, if it is known."""
        if not self._in_order:
            return frame.pts if frame.pts is not None else frame.dts
        if frame.dts is None:
            return None
        if self._first is None:
            self._first = frame.dts
        return frame.dts - self._first + self._start
