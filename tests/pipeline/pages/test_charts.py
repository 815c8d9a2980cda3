"""Charts: what they show stands in their SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from pipeline.pages.charts import histogram, line_chart, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0.45, 0.7, [0.45, 0.5, 0.55, 0.6, 0.65, 0.7]),
        (1, 12, [0, 5, 10, 15]),
        (3, 3, [3, 3.2, 3.4, 3.6, 3.8, 4]),
    ],
)
def test_ticks_are_round_and_reach_over_all_values(
    low: float, high: float, expected: list[float]
) -> None:
    assert ticks(low, high) == expected


def test_a_line_goes_through_its_points() -> None:
    chart = line_chart("Loss & more", {"a": [(0, 0), (10, 5)], "<b>": [(5, 5)]}, "epoch")
    figure = ElementTree.fromstring(chart)
    assert figure.findtext("figcaption") == "Loss & more"
    assert [each.text for each in figure.iter("li")] == ["a", "<b>"]
    (line,) = figure.iter("polyline")
    (left, bottom), (right, top) = (
        map(float, point.split(",")) for point in line.attrib["points"].split()
    )
    assert left < right
    assert bottom > top
    # A line of one point is a dot.
    (dot,) = figure.iter("circle")
    assert float(dot.attrib["cx"]) == pytest.approx((left + right) / 2)
    assert float(dot.attrib["cy"]) == pytest.approx(top)


def test_a_histogram_counts() -> None:
    chart = histogram("Errors", {"one": [0, 0, 0, 3], "other": [3]}, "error", "photos", bins=3)
    heights = [
        {float(y) for _, y in re.findall(r"([\d.]+),([\d.]+)", polygon.attrib["points"])}
        for polygon in ElementTree.fromstring(chart).iter("polygon")
    ]
    base, one = max(heights[0]), sorted(heights[0])
    assert [round((base - y) / (base - one[0]) * 3) for y in one] == [3, 1, 0]
    assert len(heights[1]) == 2
    assert {"error", "photos"} <= {each.text for each in ElementTree.fromstring(chart).iter("text")}


def test_what_is_counted_has_no_ticks_between() -> None:
    chart = line_chart("Loss", {"loss": [(11, 0.32), (12, 0.25)]}, "epoch")
    texts = [each.text for each in ElementTree.fromstring(chart).iter("text")]
    assert {"11", "12"} <= set(texts)
    assert "11.2" not in texts
    assert "0.26" in texts


def test_a_single_line_needs_no_legend() -> None:
    assert "<ul" not in line_chart("Loss", {"loss": [(0, 1), (1, 0)]}, "epoch")


@pytest.mark.parametrize("empty", [{}, {"a": []}])
def test_a_chart_of_nothing_is_refused(empty: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        histogram("Errors", empty, "error", "photos")
    with pytest.raises(ValueError, match="at least one"):
        line_chart("Loss", {name: [] for name in empty}, "epoch")
