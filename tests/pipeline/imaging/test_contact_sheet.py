"""Contact sheets, tables and series, as a reader meets them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from skimage import data

from pipeline.imaging.contact_sheet import contact_sheet, print_table, write_metrics, write_series


def plain(color, height=100, width=100):
    return np.full((height, width, 3), color, np.uint8)


def colors(sheet):
    return {color for _, color in sheet.getcolors(sheet.width * sheet.height)}


def test_pictures_stand_in_their_rows_and_columns():
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    sheet = contact_sheet([[plain(red), plain(green)], [plain(blue)]], cell=100)
    where = {
        color: np.argwhere((np.asarray(sheet) == color).all(axis=2)).mean(axis=0)
        for color in (red, green, blue)
    }
    assert where[red][0] == where[green][0] < where[blue][0]
    assert where[red][1] == where[blue][1] < where[green][1]
    assert colors(sheet) == {red, green, blue, (255, 255, 255)}


def test_a_large_picture_is_shown_whole_and_a_small_one_enlarged_evenly():
    tall = plain((255, 0, 0), 400, 200)
    tall[:20] = tall[-20:] = (0, 0, 255)
    sheet = np.asarray(contact_sheet([[tall, plain((0, 255, 0), 30, 20)]], cell=100))
    red = (sheet == (255, 0, 0)).all(axis=2)
    blue = (sheet == (0, 0, 255)).all(axis=2)
    green = (sheet == (0, 255, 0)).all(axis=2)
    assert red.sum() == 90 * 50
    assert blue.sum() == 10 * 50
    assert green.sum() == 90 * 60


def test_labels_are_drawn_beside_the_pictures_and_long_ones_kept_out_of_them():
    picture = plain((255, 0, 0))
    bare = contact_sheet([[picture]], cell=100)
    labeled = contact_sheet([[picture]], ["a label" * 20], ["another label" * 20], cell=100)
    assert labeled.width > bare.width
    assert labeled.height > bare.height
    red = (np.asarray(labeled) == (255, 0, 0)).all(axis=2)
    assert red.sum() == 100 * 100
    assert min(map(sum, colors(labeled))) < 255


def test_the_same_pictures_give_the_same_sheet():
    rows = [[data.astronaut(), data.coffee()]]
    first, again = (contact_sheet(rows, ["row"], ["a", "b"]).tobytes() for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("rows", "labels"), [([], []), ([[]], []), ([[plain((0, 0, 0))]], ["one", "two"])]
)
def test_a_sheet_without_pictures_or_with_labels_for_none_is_refused(rows, labels):
    with pytest.raises(ValueError, match="contact sheet"):
        contact_sheet(rows, labels)


def test_series_and_metrics_are_written_in_the_order_given(tmp_path):
    write_series(tmp_path / "s.csv", ["label", "x"], [["sea, calm", 1.5], ["forest", ""]])
    assert (tmp_path / "s.csv").read_bytes() == b'label,x\n"sea, calm",1.5\nforest,\n'
    write_metrics(tmp_path / "m.json", {"z": 1, "a": {"b": None}})
    text = (tmp_path / "m.json").read_text()
    assert json.loads(text) == {"z": 1, "a": {"b": None}}
    assert text.index('"z"') < text.index('"a"')


def test_metrics_that_are_no_numbers_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_metrics(tmp_path / "m.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_table_prints_every_cell_as_it_is(capsys):
    print_table("A [title]", ["", "a[1]"], [["x" * 70, "[red]1[/red]"], ["y", "2" * 70]], "note")
    printed = capsys.readouterr().out
    for cell in ("A [title]", "a[1]", "x" * 70, "[red]1[/red]", "2" * 70, "note"):
        assert cell in printed
