"""Contact sheets, as a reader meets them."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from pipeline.imaging.contact_sheet import contact_sheet


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


def test_a_long_label_of_a_column_goes_on_in_a_second_line():
    def head(label):
        sheet = np.asarray(contact_sheet([[plain((255, 0, 0))] * 2], [], [label, "b"], cell=100))
        return sheet[: int((sheet == (255, 0, 0)).all(axis=2).any(axis=1).argmax()), :100]

    long, cut, short = map(head, ("colorpipe-imagenet-128", "colorpipeimagenetmore", "colorpipe"))
    assert len(long) > len(cut) == len(short)
    # Cut off, two labels that begin alike would look the same.
    assert (head("colorpipe-imagenet-64") != long).any()


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
