"""Charts as SVG inside a page: they follow its light or dark colors and need no script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

WIDTH, HEIGHT = 480, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 14, 40
_TICKS = 5

Points = Sequence[tuple[float, float]]


def line_chart(title: str, lines: Mapping[str, Points], x_title: str) -> Markup:
    """Draw lines through points (x, y), a color and, of several, a row in the legend each.

    What is counted by whole numbers, x, has ticks at whole numbers.

    Raises:
        ValueError: no line has a point.
    """
    points = [point for line in lines.values() for point in line]
    if not points:
        raise ValueError("A chart needs at least one point.")
    whole = all(float(x).is_integer() for x, _ in points)
    frame = _Frame([x for x, _ in points], [y for _, y in points], least_step=1 if whole else 0)
    shapes = [
        Markup('<polyline class="line s{}" points="{}"/>').format(
            i, " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in line)
        )
        # A single point has no line.
        if len(line) > 1
        else Markup('<circle class="dot s{}" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(
            i, frame.x(line[0][0]), frame.y(line[0][1])
        )
        for i, line in enumerate(lines.values())
        if line
    ]
    return _chart(title, frame, shapes, list(lines), x_title)


def histogram(
    title: str, values: Mapping[str, Sequence[float]], x_title: str, y_title: str, bins: int = 24
) -> Markup:
    """Draw how many of each list of values lie in each of ``bins`` intervals, as outlines.

    All lists have the same intervals, from the least of all values to the largest.

    Raises:
        ValueError: no list has a value.
    """
    everything = [value for each in values.values() for value in each]
    if not everything:
        raise ValueError("A chart needs at least one value.")
    edges = np.histogram_bin_edges(everything, bins)
    counts = {name: np.histogram(each, edges)[0] for name, each in values.items()}
    most = max(int(each.max()) for each in counts.values())
    frame = _Frame(list(edges), [0, most])
    shapes = []
    for i, each in enumerate(counts.values()):
        corners = [(edges[0], 0.0)]
        for left, right, count in zip(edges[:-1], edges[1:], each, strict=True):
            corners += [(left, count), (right, count)]
        corners.append((edges[-1], 0.0))
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in corners)
        shapes.append(Markup('<polygon class="area s{}" points="{}"/>').format(i, path))
    return _chart(title, frame, shapes, list(values), x_title, y_title=y_title)


class _Frame:
    """Where values lie on the chart."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float], least_step: float = 0) -> None:
        self.x_ticks = ticks(min(xs), max(xs), least_step)
        self.y_ticks = ticks(min(ys), max(ys))
        self._x = min(*xs, self.x_ticks[0]), max(*xs, self.x_ticks[-1])
        self._y = min(*ys, self.y_ticks[0]), max(*ys, self.y_ticks[-1])

    def x(self, value: float) -> float:
        low, high = self._x
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self._y
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)


def ticks(low: float, high: float, least_step: float = 0) -> list[float]:
    """Return round numbers that reach from at most ``low`` to at least ``high``.

    Their distance is 1, 2 or 5 times a power of ten, and at least ``least_step``.
    """
    if high <= low:
        high = low + 1
    power = 10.0 ** math.floor(math.log10((high - low) / _TICKS))
    step = next(f * power for f in (1, 2, 5, 10) if (high - low) / (f * power) <= _TICKS)
    step = max(step, least_step)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _chart(
    title: str,
    frame: _Frame,
    shapes: Sequence[Markup],
    names: Sequence[str],
    x_title: str,
    *,
    y_title: str = "",
) -> Markup:
    parts = [
        Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, title)
    ]
    for value in frame.y_ticks:
        parts.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>'
                '<text class="tick end" x="{}" y="{:.1f}">{:g}</text>'
            ).format(
                _LEFT,
                WIDTH - _RIGHT,
                _LEFT - 6,
                frame.y(value) + 4,
                value,
                y=frame.y(value),
            )
        )
    for value in frame.x_ticks:
        parts.append(
            Markup('<text class="tick middle" x="{:.1f}" y="{}">{:g}</text>').format(
                frame.x(value), HEIGHT - _BOTTOM + 16, value
            )
        )
    parts += shapes
    parts.append(
        Markup(
            '<text class="tick middle" x="{x}" y="{}">{}</text>'
            '<text class="tick middle" transform="translate(14 {y}) rotate(-90)">{}</text></svg>'
        ).format(
            HEIGHT - 6,
            x_title,
            y_title,
            x=(_LEFT + WIDTH - _RIGHT) / 2,
            y=(_TOP + HEIGHT - _BOTTOM) / 2,
        )
    )
    rows = Markup("").join(
        Markup('<li class="s{}">{}</li>').format(i, name) for i, name in enumerate(names)
    )
    # A single line is what the title says.
    legend = Markup("<ul>{}</ul>").format(rows) if len(names) > 1 else ""
    return Markup('<figure class="chart"><figcaption>{}</figcaption>{}{}</figure>').format(
        title, Markup("").join(parts), legend
    )
