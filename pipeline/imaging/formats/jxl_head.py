"""The head of a JPEG XL's codestream: its size and bits, before anything is decoded.

Source: ISO/IEC 18181-1:2024, annexes D (SizeHeader, ImageMetadata, BitDepth) and E (ColorEncoding).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.imaging.errors import ImageError

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class _Bits:
    """Bits of bytes, the lowest first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data[:128], "little")
        self.place = 0

    def take(self, count: int) -> int:
        value = self._number >> self.place & ((1 << count) - 1)
        self.place += count
        return value

    def choose(self, *lengths: int) -> int:
        """Read a number of one of four lengths."""
        return self.take(lengths[self.take(2)])


Tones = Literal["sRGB", "linear", "gamma", "other"]


@dataclass(frozen=True)
class Head:
    """What the head of a codestream says."""

    size: tuple[int, int]
    """Width and height, upright."""
    bits: int
    """Of a sample: 8 or 16."""
    is_animated: bool = False
    tones: Tones = "sRGB"
    """How light becomes samples, as far as it is known."""
    gamma: float = 1.0
    """Of linear tones and of ``gamma``: a sample is light to the power of it, both 0 to 1."""
    tones_at: int | None = None
    """The bit of the codestream at which the four bits are that say so, if there are some."""


def read(codestream: bytes) -> Head:
    """Read the head, as far as it matters here.

    Raises:
        ImageError: it is no codestream.
    """
    if codestream[:2] != b"\xff\x0a" or len(codestream) < 8:
        raise ImageError("damaged (it has no head of a JPEG XL)")
    bits = _Bits(codestream[2:])
    width, height = _size(bits)
    if bits.take(1):  # all defaults: 8 bits, upright, sRGB
        return Head((width, height), 8)
    size, is_animated = (width, height), False
    if bits.take(1):
        if bits.take(3) >= 4:
            size = height, width
        if bits.take(1):  # a size to show it at
            _size(bits)
        if bits.take(1):  # a preview, whose head is long and rare
            return Head(size, 16)
        is_animated = bool(bits.take(1))
        if is_animated:
            _skip_animation(bits)
    depth = _depth(bits)
    tones, gamma, place = _tones(bits)
    # Behind the signature of two bytes.
    at = None if place is None else 16 + place
    return Head(size, 16 if depth > 8 else 8, is_animated, tones, gamma, at)


def with_tones_of_srgb(codestream: bytes) -> bytes:
    """Let a codestream say that its samples are sRGB's, where libjxl wrote that they are linear.

    It does so for all samples of 16 bits, unless it is asked not to, which its callers here cannot.
    """
    head = read(codestream)
    if head.tones != "linear" or head.tones_at is None:
        return codestream
    start, length = head.tones_at, (head.tones_at + 4 + 7) // 8
    number = int.from_bytes(codestream[:length], "little")
    number ^= ((_LINEAR - 2) ^ (_SRGB - 2)) << start
    return number.to_bytes(length, "little") + codestream[length:]


def _skip_animation(bits: _Bits) -> None:
    """Skip ticks a second, as a fraction, loops, and whether there are time codes."""
    for lengths in ((0, 0, 10, 30), (0, 0, 8, 10), (0, 3, 16, 32)):
        bits.choose(*lengths)
    bits.take(1)


def _depth(bits: _Bits) -> int:
    """Read the bits of a sample; floating point counts as 16 or more."""
    if bits.take(1):
        depth = (32, 16, 24, 0)[choice := bits.take(2)]
        if choice == 3:
            depth = bits.take(6) + 1
        bits.take(4)
        return max(depth, 16)
    choice = bits.take(2)
    return bits.take(6) + 1 if choice == 3 else (8, 10, 12)[choice]


def _tones(bits: _Bits) -> tuple[Tones, float, int | None]:
    """Read on to the color encoding: its tones, their gamma, and the bit where they are named.

    Colors other than sRGB's are passed over: gray has the same tones in all of them. Further
    channels than alpha, which are rare and long to read, count as sRGB.
    """
    bits.take(1)  # whether 16 bits are enough to compute with
    channels = bits.take(2)
    if channels > 1 or (channels and not _is_alpha(bits)):
        return "sRGB", 1.0, None
    is_xyb = bits.take(1)
    if bits.take(1):  # all defaults
        return "sRGB", 1.0, None
    if bits.take(1):  # an ICC profile, compressed; XYB is then decoded to sRGB
        return "sRGB" if is_xyb else "other", 1.0, None
    space = _enumerated(bits)
    if space > _GRAY:
        return "sRGB", 1.0, None
    if _enumerated(bits) == _CUSTOM:
        _skip_points(bits, 1)
    if space != _GRAY and _enumerated(bits) == _CUSTOM:
        _skip_points(bits, 3)
    if bits.take(1):
        return "gamma", (bits.take(24) or _GAMMA_UNIT) / _GAMMA_UNIT, None
    return _TONES.get(_enumerated(bits), "other"), 1.0, bits.place - 4


def _skip_points(bits: _Bits, count: int) -> None:
    """Skip a white point or primaries that are written out, each as x and y."""
    for _ in range(2 * count):
        bits.choose(19, 19, 20, 21)


def _is_alpha(bits: _Bits) -> bool:
    """Read the head of a further channel (ExtraChannelInfo)."""
    if bits.take(1):  # all defaults: alpha of 8 bits
        return True
    if _enumerated(bits) != 0:
        return False
    _depth(bits)
    bits.choose(0, 0, 0, 3)  # how often it is halved
    has_name = bits.take(2)
    bits.take(1)  # whether colors are multiplied by it
    return not has_name


_GRAY = 1
_CUSTOM = 2
"""A white point or primaries that are written out."""
_GAMMA_UNIT = 10_000_000
"""What a gamma of 1 is written as."""
_UNKNOWN, _LINEAR, _SRGB = 2, 8, 13
"""Transfer functions."""
_TONES: dict[int, Tones] = {_UNKNOWN: "sRGB", _LINEAR: "linear", _SRGB: "sRGB"}


def _enumerated(bits: _Bits) -> int:
    choice = bits.take(2)
    return choice if choice < 2 else bits.take((4, 6)[choice - 2]) + (2, 18)[choice - 2]


def _size(bits: _Bits) -> tuple[int, int]:
    is_small = bits.take(1)

    def side() -> int:
        return 8 * (bits.take(5) + 1) if is_small else bits.choose(9, 13, 18, 30) + 1

    height = side()
    ratio = bits.take(3)
    if not ratio:
        return side(), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height
