"""The head of a JPEG XL's codestream: its size and bits, before anything is decoded.

Source: ISO/IEC 18181-1:2024, annex D (SizeHeader, ImageMetadata, BitDepth).
"""

from __future__ import annotations

from pipeline.imaging.errors import ImageError

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class _Bits:
    """Bits of bytes, the lowest first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data[:128], "little")

    def take(self, count: int) -> int:
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        return value

    def choose(self, *lengths: int) -> int:
        """Read a number of one of four lengths."""
        return self.take(lengths[self.take(2)])


def read(codestream: bytes) -> tuple[tuple[int, int], int]:
    """Return width and height, upright, and the bits of a sample (8 or 16).

    Raises:
        ImageError: it is no codestream.
    """
    if codestream[:2] != b"\xff\x0a" or len(codestream) < 8:
        raise ImageError("damaged (it has no head of a JPEG XL)")
    bits = _Bits(codestream[2:])
    width, height = _size(bits)
    if bits.take(1):  # all defaults: 8 bits, upright
        return (width, height), 8
    turned = False
    if bits.take(1):
        turned = bits.take(3) >= 4
        if bits.take(1) or bits.take(1) or bits.take(1):
            # A size to show it at, a preview or an animation, whose heads are long.
            return ((height, width) if turned else (width, height)), 16
    is_deep = bool(bits.take(1))  # floating point
    if not is_deep:
        depth = (8, 10, 12, None)[bits.take(2)]
        is_deep = (bits.take(6) + 1 if depth is None else depth) > 8
    return ((height, width) if turned else (width, height)), 16 if is_deep else 8


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
