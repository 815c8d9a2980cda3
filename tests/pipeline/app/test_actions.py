"""What clicks lead to, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio
import numpy as np
import pytest
import skimage.data
import stand_ins
from PIL import Image

from pipeline.app.actions import OnePhoto, forget
from pipeline.app.workshop import Desk, Look, Workshop, how_near
from pipeline.inference.hints import Hint

SETTINGS = (1.0, "auto", "small", None)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    model = stand_ins.generator(tmp_path_factory.mktemp("model") / "generator.safetensors")
    with Workshop({"small": model}) as shop:
        yield shop


@pytest.fixture
def desk(workshop: Workshop, tmp_path: Path) -> Desk:
    Image.fromarray(skimage.data.astronaut()[:200, :240]).convert("L").save(tmp_path / "photo.png")
    return workshop.open(tmp_path / "photo.png", Look("small"))


def test_another_color_for_a_place_replaces_the_one_before(workshop: Workshop, desk: Desk) -> None:
    does = OnePhoto(workshop)
    desk.place = (60, 90)
    does.hinted(desk, "#905050", *SETTINGS)
    first = desk.rgb
    does.hinted(desk, "#507090", *SETTINGS)
    assert desk.hints == (Hint(60, 90, "#507090"),)
    assert desk.error_of(desk.hints[0]) < 3
    does.undone(desk, *SETTINGS)
    assert desk.hints == (Hint(60, 90, "#905050"),)
    assert np.array_equal(desk.rgb, first)
    desk.place = (61, 90)
    does.hinted(desk, "#507090", *SETTINGS)
    assert len(desk.hints) == 2


def test_a_color_that_is_moved_replaces_the_one_that_was_there(
    workshop: Workshop, desk: Desk
) -> None:
    does = OnePhoto(workshop)
    for place, hint in (((60, 90), "#905050"), ((120, 40), "#507090")):
        desk.place = place
        does.hinted(desk, hint, *SETTINGS)
    does.moved(desk, 0, *SETTINGS)
    assert desk.hints == (Hint(120, 40, "#905050"),)


def test_where_a_photo_is_refused_the_one_before_goes_on(
    workshop: Workshop, desk: Desk, tmp_path: Path
) -> None:
    does = OnePhoto(workshop)
    (tmp_path / "broken.png").write_bytes(b"no photo")
    with pytest.raises(gradio.Error):
        does.opened(str(tmp_path / "broken.png"), desk, *SETTINGS)
    desk.place = (60, 90)
    does.hinted(desk, "#905050", *SETTINGS)
    assert desk.hints == (Hint(60, 90, "#905050"),)


def test_a_small_photo_is_enlarged_to_be_clicked(workshop: Workshop, desk: Desk) -> None:
    does = OnePhoto(workshop)
    event = gradio.SelectData(None, {"index": (241, 161), "value": None})
    _, _, picture, *_ = does.clicked(desk, event)
    assert picture.shape == (400, 480, 3)
    assert desk.place == (120, 80)
    # The ring is around the place, which stays to be seen.
    before = desk.rgb
    assert np.abs(picture[160:162, 240:242].astype(int) - before[80, 120]).max() < 40
    ring = np.abs(picture[155:167, 235:247].astype(int) - picture[161, 241]).max()
    assert ring > 60


def test_a_color_that_the_tone_has_not_is_named_with_the_nearest(
    workshop: Workshop, desk: Desk
) -> None:
    does = OnePhoto(workshop)
    row, column = np.unravel_index(desk.gray.argmax(), desk.gray.shape)
    desk.place = (float(column), float(row))
    does.hinted(desk, "#0000ff", *SETTINGS)
    found = f"#{bytes(desk.rgb[row, column]).hex()}"
    said = f"A place of this tone cannot be #0000ff: {found} is the nearest possible."
    assert how_near(desk) == said
    does.hinted(desk, found, *SETTINGS)
    assert how_near(desk) == ""


def test_colors_are_refused_before_they_are_given_to_a_document(
    workshop: Workshop, tmp_path: Path
) -> None:
    pages = [Image.new("L", (60, 40), tone) for tone in (90, 160)]
    pages[0].save(tmp_path / "album.tif", save_all=True, append_images=pages[1:])
    does = OnePhoto(workshop)
    own, *_, said = does.opened(str(tmp_path / "album.tif"), None, *SETTINGS)
    assert "the first of 2 pages is shown" in said
    event = gradio.SelectData(None, {"index": (10, 10), "value": None})
    saved = b'{"hints": [{"x": 10, "y": 10, "color": "#905050"}]}'
    with pytest.raises(gradio.Error, match=r"album\.tif has 2 pages"):
        does.clicked(own, event)
    with pytest.raises(gradio.Error, match=r"album\.tif has 2 pages"):
        does.loaded(own, saved, *SETTINGS)
    assert own.hints == ()


def test_a_file_that_is_out_of_date_when_it_is_done_is_not_given_out(
    workshop: Workshop, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    does = OnePhoto(workshop)
    finish = workshop.finish

    def interrupted(*arguments: Any) -> Path:
        path = finish(*arguments)
        does.settings_changed(desk, 0.5, *SETTINGS[1:])
        return path

    nothing_new = [gradio.skip(), gradio.skip()]
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(workshop, "finish", interrupted)
        assert does.finished(desk, *SETTINGS) == nothing_new
    assert does.finished(desk, *SETTINGS) != nothing_new


def test_a_photo_that_was_put_away_while_it_was_colored_does_not_come_back(
    workshop: Workshop, desk: Desk
) -> None:
    does = OnePhoto(workshop)
    desk.place = (60, 90)
    forget(desk)
    shown = does.hinted(desk, "#905050", *SETTINGS)
    assert all(each == gradio.skip() for each in shown)
    does.finished(desk, *SETTINGS)
    assert not desk.folder.exists()
