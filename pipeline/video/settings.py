"""What may be asked of the coloring of films, and what comes of it; PyAV is not needed here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

CodecName = Literal["libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks", "source"]
CODECS: tuple[CodecName, ...] = get_args(CodecName)

STEADY = 0.7
"""By default, how much what the network sees before and after counts, beside what it sees now."""


@dataclass(frozen=True)
class Encoding:
    """How films are to be encoded."""

    codec: CodecName | None = None
    """None is what the container is best known for; ``source`` is the film's own."""
    crf: float | None = None
    """The encoder's constant rate factor, lower is better; None is its default here."""
    preset: str | None = None
    """The encoder's trade-off of speed for size, by its own names; None is its default."""


@dataclass(frozen=True)
class FilmSettings:
    """How films are colorized and encoded.

    Raises:
        ValueError: a number is outside its range.
    """

    encoding: Encoding = field(default_factory=Encoding)
    steady: float = STEADY
    """0, each frame by itself, to 1: see :class:`pipeline.video.steadiness.SteadyColors`."""
    start: float = 0.0
    """Seconds from the film's beginning that are left out."""
    duration: float | None = None
    """Seconds that are colorized; None is to the end."""
    deinterlace: bool = False
    """Whether frames of two moments become frames of one."""
    label: str = ""
    """What to add to the film's comment."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.steady <= 1:
            raise ValueError(f"steady is {self.steady}, but must be from 0 to 1.")
        if not (math.isfinite(self.start) and self.start >= 0):
            raise ValueError(f"start is {self.start}, but must be at least 0 seconds.")
        if self.duration is not None and not (math.isfinite(self.duration) and self.duration > 0):
            raise ValueError(f"duration is {self.duration}, but must be more than 0 seconds.")


@dataclass(frozen=True)
class Progress:
    """How far the work on a film is."""

    frames: int
    total: int | None
    """About how many there will be, if the film says it."""
    seconds: float
    """The film's time."""


@dataclass(frozen=True)
class Result:
    """What became of a film that was written."""

    frames: int
    damage: str
    """From when to when it could not be read, as a phrase; "" if all is well."""
    note: str
    """What the new film does not hold of the old one; "" if it holds everything."""


def clock(seconds: float) -> str:
    """Write a time of a film as hours, minutes and seconds: "0:01:23.4"."""
    tenths = max(round(seconds * 10), 0)
    minutes, rest = divmod(tenths, 600)
    return f"{minutes // 60}:{minutes % 60:02}:{rest / 10:04.1f}"
