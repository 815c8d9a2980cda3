"""What the page does, without the page."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import films
import numpy as np
import pytest
import skimage.data
import stand_ins
from PIL import Image

from pipeline.app.server import models_to_choose
from pipeline.app.workshop import PREVIEW, Look, Workshop
from pipeline.errors import ColorpipeError
from pipeline.imaging import color
from pipeline.inference.hints import Hint
from pipeline.inference.outcomes import Outcome
from pipeline.models.pretrained import PRETRAINED, pretrained_weights
from pipeline.params import ColorizeParams
from stages.colorize import colorize

LOOK = Look("small")
CAMERA = skimage.data.camera()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_ins.generator(tmp_path_factory.mktemp("model") / "generator.safetensors")


@pytest.fixture(scope="module")
def workshop(model: Path) -> Iterator[Workshop]:
    with Workshop({"small": model}) as shop:
        yield shop
    assert not shop.folder.exists()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    Image.fromarray(np.tile(CAMERA, (1, 3))).save(path, exif=exif)
    return path


def test_a_preview_does_not_wait_for_many_files(workshop: Workshop, photo: Path) -> None:
    desk = workshop.open(photo, LOOK)
    with ThreadPoolExecutor(1) as apart, contextlib.closing(workshop.many([photo], LOOK)) as files:
        next(files)
        apart.submit(workshop.preview, desk, LOOK, None).result(timeout=60)
        assert [type(each) for each in files] == [type(photo)]


def test_a_preview_is_upright_and_small_and_its_places_are_the_photos(
    workshop: Workshop, photo: Path
) -> None:
    desk = workshop.open(photo, LOOK)
    assert desk.shape == (1536, 512)
    assert desk.gray.shape == (PREVIEW, round(512 * PREVIEW / 1536))
    for place in ((0, 0), (300, 1000), (511, 1535)):
        shown = desk.in_preview(*place)
        assert np.abs(np.subtract(desk.in_photo(*shown), place)).max() < 2


def test_the_file_is_what_the_command_line_writes(
    workshop: Workshop, photo: Path, model: Path, tmp_path: Path
) -> None:
    look = Look("small", 1.2, 96)
    desk = workshop.open(photo, look)
    params = ColorizeParams(strength=1.2, size=96)
    colorize(photo, tmp_path / "plain", model, params)
    assert desk.result.read_bytes() == (tmp_path / "plain/photo.jpg").read_bytes()
    desk.change([Hint(100, 900, "#804040")])
    finished = workshop.finish(desk, look, None)
    colorize(photo, tmp_path / "hinted", model, params, hints=desk.hints)
    assert finished.read_bytes() == (tmp_path / "hinted/photo.jpg").read_bytes()
    assert finished.read_bytes() != (tmp_path / "plain/photo.jpg").read_bytes()


def test_a_preview_follows_the_hints_and_undoing_leads_back(
    workshop: Workshop, photo: Path
) -> None:
    desk = workshop.open(photo, LOOK)
    workshop.preview(desk, LOOK, None)
    before = desk.rgb
    desk.change([Hint(100, 900, "#804040")])
    workshop.preview(desk, LOOK, None)
    column, row = desk.in_preview(100, 900)
    assert color.rgb_to_lab(desk.rgb)[row, column, 1] > 10
    desk.undo()
    workshop.preview(desk, LOOK, None)
    assert np.array_equal(desk.rgb, before)


def test_what_is_no_photo_is_refused_by_name(workshop: Workshop, tmp_path: Path) -> None:
    for name in ("bad.jpg", "notes.txt"):
        (tmp_path / name).write_text("no photo")
    with pytest.raises(ColorpipeError, match=r"bad\.jpg could not be colored: "):
        workshop.open(tmp_path / "bad.jpg", LOOK)
    with pytest.raises(ColorpipeError, match=r"notes\.txt is not named like a photo"):
        workshop.open(tmp_path / "notes.txt", LOOK)


def test_many_files_come_as_a_zip_and_the_bad_ones_by_name(
    workshop: Workshop, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    again = tmp_path / "other/photo.jpg"
    Image.fromarray(CAMERA).save(again)
    (tmp_path / "bad.png").write_text("no photo")
    (tmp_path / "notes.txt").write_text("no photo")
    sources = [photo, again, tmp_path / "bad.png", tmp_path / "notes.txt"]
    *results, archive = workshop.many(sources, LOOK)
    outcomes = [outcome for _, outcome in results if isinstance(outcome, Outcome)]
    assert [(each.name, each.status) for each in outcomes] == [
        ("photo.jpg", "colorized"),
        ("photo-2.jpg", "colorized"),
        ("bad.png", "failed"),
        ("notes.txt", "failed"),
    ]
    assert isinstance(archive, Path)
    with zipfile.ZipFile(archive) as packed:
        assert packed.namelist() == ["photo-2.jpg", "photo.jpg"]
        assert packed.testzip() is None


def test_work_that_is_given_up_leaves_nothing_behind(
    workshop: Workshop, photo: Path, tmp_path: Path
) -> None:
    film = films.write_film(tmp_path / "film.mkv", times=range(0, 500 * 40, 40))
    before = set(workshop.folder.iterdir())
    for work in (workshop.film(film, LOOK, 0.7), workshop.many([photo] * 40, LOOK)):
        next(work)
        assert set(workshop.folder.iterdir()) != before
        work.close()
        assert set(workshop.folder.iterdir()) == before
    # The next one gets its own results.
    [(_, outcome), archive] = workshop.many([photo], LOOK)
    assert (outcome.name, outcome.status) == ("photo.jpg", "colorized")
    assert archive.is_file()


def test_a_workshop_closes_in_the_middle_of_a_film(model: Path, tmp_path: Path) -> None:
    film = films.write_film(tmp_path / "film.mkv", times=range(0, 500 * 40, 40))
    with Workshop({"small": model}) as shop:
        work = shop.film(film, LOOK, 0.7)
        next(work)
    assert not shop.folder.exists()
    with pytest.raises(ColorpipeError, match=r"film\.mkv could not be colored"):
        list(work)


def test_a_film_becomes_the_film_that_its_kind_is_written_as(
    workshop: Workshop, tmp_path: Path
) -> None:
    film = films.write_film(tmp_path / "film.avi", codec="mpeg4")
    *steps, outcome = workshop.film(film, LOOK, 0.7)
    assert steps[-1].frames == 12
    assert (outcome.status, outcome.outputs[0].name) == ("colorized", "film.mkv")
    assert len(films.frames_of(outcome.outputs[0])) == 12


def test_what_is_no_film_is_refused_by_name(workshop: Workshop, tmp_path: Path) -> None:
    before = set(workshop.folder.iterdir())
    for name in ("bad.mp4", "photo.jpg"):
        (tmp_path / name).write_text("no film")
    with pytest.raises(ColorpipeError, match=r"bad\.mp4 could not be colored: "):
        next(workshop.film(tmp_path / "bad.mp4", LOOK, 0.7))
    with pytest.raises(ColorpipeError, match=r"photo\.jpg is not named like a film"):
        next(workshop.film(tmp_path / "photo.jpg", LOOK, 0.7))
    assert set(workshop.folder.iterdir()) == before


def test_the_models_to_choose_from_begin_with_the_one_asked_for(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert models_to_choose(None) == {PRETRAINED: pretrained_weights()}
    Path("models").mkdir()
    Path("models/generator.safetensors").symlink_to(model)
    assert list(models_to_choose(None)) == ["models/generator.safetensors", PRETRAINED]
    assert list(models_to_choose(Path("pretrained"))) == [
        PRETRAINED,
        "models/generator.safetensors",
    ]
    with pytest.raises(ColorpipeError, match="There is no model at missing"):
        models_to_choose(Path("missing.safetensors"))
