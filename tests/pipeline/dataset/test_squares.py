import io
import os
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from photos import scene
from PIL import Image

from pipeline.dataset import squares
from pipeline.dataset.squares import Ahead, making, take, to_square
from pipeline.imaging.decode import open_photo
from pipeline.params import CleanParams, ResizeParams
from stages import resize as resize_stage
from stages.clean import clean
from stages.resize import resize

PARAMS = ResizeParams(size=80)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(squares, "FOLDER", tmp_path / "scratch/squares")


def photo_file(seed: int, height: int = 120, width: int = 180, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(scene(seed, height, width)).save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


def make(path: Path, data: bytes, at_least: int = 100, params: ResizeParams = PARAMS) -> str:
    """Write ``data`` to ``path`` and make its square, decoded as `clean` does."""
    path.write_bytes(data)
    with making(params) as ahead:
        assert ahead is not None
        ahead.keep(str(path), data, open_photo(data, at_least=at_least))
    return str(path)


def made() -> list[Path]:
    return sorted(squares.FOLDER.iterdir())


def test_modes_crop_stretch_and_pad() -> None:
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, :100], wide[:, 100:200], wide[:, 200:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    crop = to_square(wide, ResizeParams(size=50, mode="crop"))
    assert (crop == (0, 255, 0)).all()
    stretch = to_square(wide, ResizeParams(size=60, mode="stretch"))
    assert (stretch[:, 2:18] == (255, 0, 0)).all()
    assert (stretch[:, 42:58] == (0, 0, 255)).all()
    pad = to_square(wide, ResizeParams(size=60, mode="pad"))
    assert not pad[:20].any()
    assert not pad[40:].any()
    assert (pad[21:39, 22:38] == (0, 255, 0)).all()


def test_shrinking_averages_and_enlarging_does_not_go_blocky() -> None:
    checks = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = to_square(np.dstack([checks] * 3), ResizeParams(size=100))
    assert np.abs(small.astype(int) - 127).max() <= 1
    tiny = scene(0, 64, 64)
    large = to_square(tiny, ResizeParams(size=256))
    assert len(np.unique(large[..., 0])) > len(np.unique(tiny[..., 0])) // 2
    assert not np.array_equal(large[::4, ::4], large[1::4, 1::4])


@pytest.mark.parametrize("size", [(120, 180), (800, 1200)])
def test_what_is_taken_is_what_would_be_made(tmp_path: Path, size: tuple[int, int]) -> None:
    target = tmp_path / "square.png"
    photo = make(tmp_path / "photo.jpg", photo_file(0, *size))
    assert take(photo, PARAMS, str(target))
    expected = to_square(open_photo(Path(photo), at_least=80).pixels, PARAMS)
    assert np.array_equal(open_photo(target).pixels, expected)
    assert not take(photo, PARAMS, str(target))


def test_other_files_and_other_squares_are_not_taken(tmp_path: Path) -> None:
    data, target = photo_file(0), str(tmp_path / "square.png")
    photo = make(tmp_path / "photo.jpg", data)
    (tmp_path / "other.jpg").write_bytes(data)
    assert not take(str(tmp_path / "other.jpg"), PARAMS, target)
    assert not take(str(tmp_path / "missing.jpg"), PARAMS, target)
    assert not take(str(tmp_path / ("long" * 100)), PARAMS, target)
    assert not take(photo, ResizeParams(size=81), target)
    assert not take(photo, ResizeParams(size=80, mode="pad"), target)
    assert not Path(target).exists()


def test_of_a_file_that_was_written_again_no_square_is_taken(tmp_path: Path) -> None:
    photo, target = tmp_path / "photo.jpg", tmp_path / "square.png"
    make(photo, photo_file(0))
    time.sleep(0.02)
    photo.write_bytes(photo.read_bytes())
    assert not take(str(photo), PARAMS, str(target))
    make(photo, photo_file(0))
    written = photo.stat()
    photo.write_bytes(photo_file(1))
    os.utime(photo, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert not take(str(photo), PARAMS, str(target))


def test_of_a_file_whose_folder_was_renamed_it_is(tmp_path: Path) -> None:
    (tmp_path / "being written/sea").mkdir(parents=True)
    make(tmp_path / "being written/sea/photo.jpg", photo_file(0))
    (tmp_path / "being written").rename(tmp_path / "clean")
    assert take(str(tmp_path / "clean/sea/photo.jpg"), PARAMS, str(tmp_path / "square.png"))


def test_where_files_cannot_be_told_apart_no_photo_gets_the_square_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for category in ("sea", "hills"):
        (tmp_path / category).mkdir()
    photo = make(tmp_path / "sea/photo.jpg", photo_file(0))
    same = Path(photo).stat()
    monkeypatch.setattr(squares.os, "stat", lambda _: same)
    for other in ("sea/other.jpg", "hills/photo.jpg"):
        (tmp_path / other).write_bytes(photo_file(1))
        assert not take(str(tmp_path / other), PARAMS, str(tmp_path / "square.png"))
    assert take(photo, PARAMS, str(tmp_path / "square.png"))


def test_what_resize_would_decode_in_another_way_is_left_to_it(tmp_path: Path) -> None:
    # At a quarter for 100 px, but at an eighth for 80.
    make(tmp_path / "photo.jpg", photo_file(0, 700, 900), at_least=100)
    assert not made()
    exif = Image.Exif()
    exif[0x0112] = 6
    make(tmp_path / "photo.jpg", photo_file(0, exif=exif))
    assert not made()
    make(tmp_path / "photo.jpg", photo_file(0, 700, 900), at_least=80)
    assert len(made()) == 1


def test_squares_appear_all_at_once_and_replace_older_ones(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    make(photo, photo_file(0))
    before = made()
    with pytest.raises(KeyError), making(PARAMS) as ahead:
        assert ahead is not None
        ahead.keep(str(photo), photo.read_bytes(), open_photo(photo))
        assert not squares.FOLDER.exists()
        raise KeyError
    assert not squares.FOLDER.exists()
    make(photo, photo_file(1))
    assert made() != before
    assert list(squares.FOLDER.parent.iterdir()) == [squares.FOLDER]


def test_what_a_killed_run_left_is_cleared() -> None:
    (squares.FOLDER.parent / ".squares-killed").mkdir(parents=True)
    squares.clear()
    assert not list(squares.FOLDER.parent.iterdir())


def test_there_are_no_more_than_the_disk_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with making(PARAMS) as ahead:
        assert ahead is not None
        assert 0 < ahead.room <= squares.MOST / (3 * 80**2)
    usage = SimpleNamespace(free=10**6)
    monkeypatch.setattr(squares.shutil, "disk_usage", lambda _: usage)
    with making(PARAMS) as ahead:
        assert ahead is not None
        assert ahead.room == 13


def test_where_nothing_can_be_made_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file where the folder would be")
    with making(PARAMS) as ahead:
        assert ahead is None
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(photo_file(0))
    assert not take(str(photo), PARAMS, str(tmp_path / "square.png"))
    squares.clear()


def test_a_square_that_cannot_be_written_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(path: str, data: bytes) -> None:
        Path(path).write_bytes(data[:100])
        raise OSError(28, "No space left on device")

    folder, photo = tmp_path / "squares", tmp_path / "photo.jpg"
    photo.write_bytes(photo_file(0))
    data, opened = photo.read_bytes(), open_photo(photo)
    Ahead(folder, PARAMS, 1).keep(str(photo), data, opened)
    folder.mkdir()
    # The photo has vanished meanwhile.
    Ahead(folder, PARAMS, 1).keep(str(tmp_path / "gone.jpg"), data, opened)
    monkeypatch.setattr(squares, "write_bytes", fill_the_disk)
    Ahead(folder, PARAMS, 1).keep(str(photo), data, opened)
    assert not list(folder.iterdir())


def test_a_square_comes_over_from_another_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    target = tmp_path / "square.png"
    photo = make(tmp_path / "photo.jpg", photo_file(0))
    monkeypatch.setattr(squares.os, "rename", refuse)
    assert take(photo, PARAMS, str(target))
    assert open_photo(target).size == (80, 80)
    assert not made()


def test_the_chain_comes_out_the_same_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raw/sea").mkdir(parents=True)
    for seed in range(2):
        (tmp_path / f"raw/sea/{seed}.jpg").write_bytes(photo_file(seed, 800, 1200))
        (tmp_path / f"raw/sea/small{seed}.jpg").write_bytes(photo_file(seed + 2))
    Image.fromarray(scene(7, 120, 180)).save(tmp_path / "raw/sea/png.png")
    Image.fromarray(scene(8, 120, 180)).convert("RGBA").save(tmp_path / "raw/sea/converted.png")
    switches = {name: False for name in CleanParams.model_fields if name.startswith("drop_")}
    decoded = Mock(wraps=open_photo)
    monkeypatch.setattr(resize_stage, "open_photo", decoded)
    results = []
    asked = ResizeParams(size=256)
    for square, decodes in ((asked, 1), (None, 6), (PARAMS, 6)):
        decoded.reset_mock()
        params, report = CleanParams(**switches), tmp_path / "c.csv"
        clean(tmp_path / "raw", tmp_path / "clean", report, params, square=square)
        resize(tmp_path / "clean", tmp_path / "resized", asked)
        assert decoded.call_count == decodes
        assert not squares.FOLDER.exists()
        results.append([p.read_bytes() for p in sorted((tmp_path / "resized/sea").iterdir())])
    assert results[0] == results[1] == results[2]
    assert len(results[0]) == 6
    assert capsys.readouterr().err.count("Resizing: 6 of 6 photos") == 3


def test_a_dry_run_makes_none(tmp_path: Path) -> None:
    (tmp_path / "raw/sea").mkdir(parents=True)
    (tmp_path / "raw/sea/0.jpg").write_bytes(photo_file(0))
    raw, out, report = tmp_path / "raw", tmp_path / "clean", tmp_path / "c.csv"
    clean(raw, out, report, CleanParams(), square=PARAMS, dry_run=True)
    assert not squares.FOLDER.parent.exists()
