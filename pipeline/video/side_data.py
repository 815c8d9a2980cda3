"""What frames carry besides their samples: how they are turned, captions, and figures for HDR."""

from __future__ import annotations

import math
import struct
from typing import Any

import av

Matrix = tuple[int, ...]
"""How players turn, mirror and move a picture: nine numbers, as libavutil/display.h has them."""
_UPRIGHT = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def carried(frame: av.VideoFrame) -> dict[str, bytes]:
    """Return what a frame carries, by FFmpeg's names; nothing if PyAV does not know one of them."""
    try:
        every: Any = frame.side_data
    except ValueError:
        return {}
    return {data.type.name: bytes(data) for data in every}


def matrix_of(frame: av.VideoFrame) -> Matrix | None:
    """Return how players are to turn a frame; None if they are not to."""
    data = carried(frame).get("DISPLAYMATRIX")
    # PyAV tells how a frame is turned, though not mirrored, also where it cannot list the rest.
    matrix = _turning(frame.rotation) if data is None else struct.unpack("=9i", data)
    return None if matrix == _UPRIGHT else matrix


def _turning(degrees: int) -> Matrix:
    """Return the matrix that turns a picture counterclockwise."""
    angle = math.radians(degrees)
    cosine, sine = round(math.cos(angle) * (1 << 16)), round(math.sin(angle) * (1 << 16))
    return (cosine, -sine, 0, sine, cosine, 0, 0, 0, 1 << 30)


def rotation_of(matrix: Matrix | None) -> int:
    """Return the degrees, counterclockwise, by which players turn what they may have mirrored.

    Left and right are all that a mirror exchanges: what is upright stays so.
    """
    if matrix is None:
        return 0
    right, down = matrix[0], matrix[1]
    if right * matrix[4] < down * matrix[3]:
        right, down = -right, -down
    return -round(math.degrees(math.atan2(down, right)))
