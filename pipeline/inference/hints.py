"""Hints: places of a photo whose color somebody knows.

A hint says hue and chroma; the tone is the photo's. The network, where it takes hints, colors by
them what belongs to the place; where it takes none, or does not follow, what is left of the
difference is spread to the edges around the place (:mod:`pipeline.inference.spreading`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from pipeline.errors import ColorpipeError
from pipeline.imaging import color
from pipeline.imaging.color import Float
from pipeline.imaging.decode import Gray
from pipeline.inference import spreading

SIDECAR = ".hints.json"
"""Behind a photo's whole name it makes the name of the file with its hints."""
MOST = 200
"""Hints of a photo: more would take long, and no person sets them."""

_LARGEST_FILE = 1_000_000
_PLACE = re.compile(r"^(?P<place>[^=]+)=(?P<color>.+)$")
_KEYS = {"x", "y", "color", "radius"}


@dataclass(frozen=True)
class Hint:
    """A place of a photo and its color.

    Args:
        x: pixels from the left edge of the photo as it is looked at, upright; at least 0.
        y: pixels from its upper edge; at least 0.
        color: sRGB as ``#3a6b35``, or a color's name in CSS. Of it hue and chroma are taken: the
            place keeps its tone, and chroma that sRGB does not have at that tone is reduced.
        radius: pixels around the place that have the color for certain, also across edges; 0 is
            the place alone.

    Raises:
        ValueError: a number is negative or none, or there is no such color.
    """

    x: float
    y: float
    color: str
    radius: float = 0.0

    def __post_init__(self) -> None:
        for name in ("x", "y", "radius"):
            value = getattr(self, name)
            is_number = isinstance(value, Real) and not isinstance(value, bool)
            if not (is_number and math.isfinite(value) and value >= 0):
                raise ValueError(
                    f"a hint's {name} is {value!r}, but must be a number of at least 0"
                )
            if not isinstance(value, int | float):  # NumPy's, which JSON does not know
                object.__setattr__(self, name, float(value))
        self.rgb()

    def rgb(self) -> tuple[int, int, int]:
        """Return the color as sRGB, 0 to 255."""
        try:
            red, green, blue, *_ = ImageColor.getrgb(self.color)
            # Pillow passes on what is beyond them, as in rgb(300,0,0).
            if not all(0 <= level <= 255 for level in (red, green, blue)):
                raise ValueError
        except (ValueError, AttributeError, TypeError):
            raise ValueError(
                f"a hint's color is {self.color!r}, but must be like #3a6b35 or a color's name"
            ) from None
        return red, green, blue

    def ab(self) -> Float:
        """Return a* and b* (2,) of the color."""
        lab = color.rgb_to_lab(np.array([[self.rgb()]], np.uint8))
        return np.asarray(lab[0, 0, 1:], np.float32)


def parse_hint(text: str) -> Hint:
    """Read a hint as the command line takes it: ``120,340=#3a6b35``, ``120,340,8=navy``.

    The numbers are x, y and, if there is a third, the radius.

    Raises:
        ColorpipeError: it is written otherwise.
    """
    found = _PLACE.match(text.strip())
    try:
        if found is None:
            raise ValueError("it has no '='")
        numbers = [float(number) for number in found["place"].split(",")]
        if len(numbers) not in {2, 3}:
            raise ValueError("two or three numbers stand before the '='")
        x, y, *radius = numbers
        return Hint(x, y, found["color"].strip(), *radius)
    except ValueError as error:
        raise ColorpipeError(
            f"The hint '{text}' is not of the form X,Y=COLOR, such as 120,340=#3a6b35: {error}."
        ) from error


def read_hints(path: Path) -> tuple[Hint, ...]:
    """Read a file that :func:`as_json` has written.

    Raises:
        ColorpipeError: it is missing, or holds something else.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ColorpipeError(
            f"The hints {path} could not be read ({error.strerror}); name another file."
        ) from error
    return hints_of(data, str(path))


def hints_of(data: bytes, name: str) -> tuple[Hint, ...]:
    """Read the content of a file of hints that is called ``name``.

    Raises:
        ColorpipeError: it holds something else.
    """
    try:
        if len(data) > _LARGEST_FILE:
            raise ValueError(f"it has more than {_LARGEST_FILE // 1_000_000} MB")
        content = json.loads(data)
        listed = content.get("hints") if isinstance(content, dict) else None
        if not isinstance(listed, list):
            raise ValueError("it has no list 'hints'")  # noqa: TRY004 - of the content
        if len(listed) > MOST:
            raise ValueError(f"it has {len(listed)} hints, and {MOST} are the most")
        return tuple(_hint_of(each) for each in listed)
    # The last two: a number of hundreds of digits, and deep nesting.
    except (ValueError, OverflowError, RecursionError) as error:
        reason = "it is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        raise ColorpipeError(
            f"{name} is not a file of hints: {reason}. It looks like"
            ' {"hints": [{"x": 120, "y": 340, "color": "#3a6b35"}]}.'
        ) from error


def _hint_of(content: Any) -> Hint:
    if not isinstance(content, dict) or not {"x", "y", "color"} <= content.keys() <= _KEYS:
        raise ValueError("a hint has the keys x, y and color, and may have radius")
    return Hint(**content)


def as_json(hints: Sequence[Hint]) -> str:
    """Return the content of a file of hints."""
    rows = [
        {"x": hint.x, "y": hint.y, "color": hint.color}
        | ({"radius": hint.radius} if hint.radius else {})
        for hint in hints
    ]
    return json.dumps({"hints": rows}, indent=1) + "\n"


def require_inside(hints: Sequence[Hint], shape: tuple[int, int]) -> None:
    """Refuse hints that are beside a photo of an upright ``shape`` (height, width), or too many.

    Raises:
        ValueError: it says which.
    """
    height, width = shape
    if len(hints) > MOST:
        raise ValueError(f"there are {len(hints)} hints, and {MOST} are the most")
    for hint in hints:
        if hint.x >= width or hint.y >= height:
            raise ValueError(
                f"the hint at {hint.x:g},{hint.y:g} is outside of the photo, which has {width} x"
                f" {height} pixels"
            )


def for_network(
    hints: Sequence[Hint], shape: tuple[int, int], gray: Gray, soft: Float | None = None
) -> Float:
    """Return hints as a network takes them.

    Args:
        hints: places in a photo of the upright ``shape`` (height, width).
        shape: see ``hints``.
        gray: (h, w), the photo as the network sees it.
        soft: what is known besides, (h/2, w/2, 3); hints stand above it.

    Returns:
        (h/2, w/2, 3): a*, b* and the confidence in them, 0 to 1.
    """
    half = (gray.shape[0] // 2, gray.shape[1] // 2)
    known = np.zeros((*half, 3), np.float32) if soft is None else soft.copy()
    for hint, place in zip(hints, seeds(hints, shape, half), strict=True):
        known[place] = (*hint.ab(), 1.0)
    return known


def seeds(
    hints: Sequence[Hint], shape: tuple[int, int], small: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return the pixels (n, h, w) that hints in a photo of ``shape`` name at the size ``small``.

    Each names the one that its place lies in at least; what several name is the last one's.
    """
    down, across = small[0] / shape[0], small[1] / shape[1]
    rows = (np.arange(small[0]) + 0.5)[:, None] / down
    columns = (np.arange(small[1]) + 0.5)[None] / across
    result = np.zeros((len(hints), *small), np.bool_)
    for number, hint in enumerate(hints):
        mask = result[number]
        x, y = hint.x + 0.5, hint.y + 0.5
        radius = min(hint.radius, sum(shape))  # a larger one has no square
        mask[:] = np.square(columns - x) + np.square(rows - y) <= radius**2
        mask[min(int(y * down), small[0] - 1), min(int(x * across), small[1] - 1)] = True
        result[:number] &= ~mask
    return result


def fine_shape(number: int, shape: tuple[int, int]) -> tuple[int, int]:
    """Return height and width at which ``number`` hints are spread: at most the photo's own."""
    longest = min(_FINE, int(math.sqrt(_FINE_PIXELS / number)))
    scale = min(longest / max(shape), 1.0)
    height, width = (max(round(side * scale), 1) for side in shape)
    return height, width


_FINE = 512
"""Longer side in pixels of the picture that hints are spread in: some tenths of a second's work."""
_FINE_PIXELS = 6_000_000
"""That picture's, times the number of hints, is at most this."""


def settle(
    hints: Sequence[Hint],
    shape: tuple[int, int],
    gray: Gray,
    plain: Float,
    hinted: Float | None = None,
) -> Float:
    """Bring the colors of a picture to those that hints want, up to the edges around them.

    Args:
        hints: places in a photo of the upright ``shape`` (height, width).
        shape: see ``hints``.
        gray: (h, w), the photo at the size that :func:`fine_shape` says.
        plain: (h, w, 2), R - Y and B - Y as predicted without hints.
        hinted: (h, w, 2), the same with them, from a network that takes them.

    Returns:
        (h, w, 2): at each hint's place its color. What no hint reaches is as in ``plain``.
    """
    named = seeds(hints, shape, gray.shape)
    far = spreading.distances(gray, named)
    places = [_place(hint, shape, gray.shape) for hint in hints]
    tones = np.array([gray[place] for place in places], np.uint8)
    possible = color.nearest_of_luma(tones, np.array([hint.ab() for hint in hints]))
    wanted = _at_tones(possible, tones)
    now = plain
    if hinted is not None:
        # A network changes something everywhere; behind edges that is left out.
        near = np.clip(spreading.END - far.min(axis=0), 0, 1)[..., None]
        now = plain + near * (hinted - plain)
    predicted = color.merge(gray, now)
    before = _at_tones(np.array([_ab_at(predicted, place) for place in places]), tones)
    result: Float = now.copy()
    for share, want, had in zip(spreading.shares(far), wanted, before, strict=True):
        touched = share > 0
        part, tone = share[touched][:, None], gray[touched]
        moved = want[tone] - had[tone]
        # Close by everything is what the hint says; farther away each place keeps what it has of
        # its own.
        exact = want[tone] - now[touched]
        result[touched] += part * (moved + np.square(part) * (exact - moved))
    return result


def _place(hint: Hint, shape: tuple[int, int], small: tuple[int, ...]) -> tuple[int, int]:
    row = int((hint.y + 0.5) * small[0] / shape[0])
    column = int((hint.x + 0.5) * small[1] / shape[1])
    return min(row, small[0] - 1), min(column, small[1] - 1)


def _ab_at(rgb: NDArray[np.uint8], place: tuple[int, int]) -> Float:
    row, column = place
    pixel = np.ascontiguousarray(rgb[row : row + 1, column : column + 1])
    return np.asarray(color.rgb_to_lab(pixel)[0, 0, 1:], np.float32)


def _at_tones(ab: Float, tones: Gray) -> Float:
    """Return R - Y and B - Y (n, 256, 2) that colors (n, 2), seen at ``tones`` (n,), have at all.

    In the shadow a thing keeps its saturation, which is chroma by lightness; in the light it keeps
    its chroma, as far as sRGB has it there.
    """
    levels = np.arange(256, dtype=np.uint8)
    lightness = color.lightness_of_luma(levels)
    own = np.maximum(color.lightness_of_luma(tones), 1)
    shade = np.minimum(lightness[None] / own[:, None], 1)
    shaded = (ab[:, None] * shade[..., None]).astype(np.float32)
    count = len(ab)
    flat = color.differences_at(np.tile(levels, count), shaded.reshape(-1, 2))
    return np.asarray(flat.reshape(count, 256, 2), np.float32)
