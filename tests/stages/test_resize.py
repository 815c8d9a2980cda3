from pathlib import Path

import numpy as np
import pytest
from bombs import BOMB, open_or_crash
from photos import pixels_of, real_photos, scene
from PIL import Image

from pipeline.dataset.tiles import make_tile
from pipeline.errors import ColorpipeError
from pipeline.params import ResizeParams
from stages.resize import resize


def put(folder: Path, name: str, pixels: np.ndarray) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("mode", ["crop", "stretch", "pad"])
def test_every_photo_becomes_a_square_png_of_its_name(tmp_path: Path, mode: str) -> None:
    photos = real_photos(6)
    for path in photos:
        put(tmp_path / "clean", f"sea/{path.name}", pixels_of(path))
    assert resize(tmp_path / "clean", tmp_path / "out", ResizeParams(size=96, mode=mode)) == []
    names = sorted(path.name for path in (tmp_path / "out/sea").iterdir())
    assert names == sorted(f"{path.stem}.png" for path in photos)
    for path in (tmp_path / "out/sea").iterdir():
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (96, 96))


def test_large_photos_come_out_close_to_a_full_decode(tmp_path: Path) -> None:
    photo = Image.fromarray(pixels_of(real_photos(1)[0])).resize((2000, 1500))
    (tmp_path / "clean/sea").mkdir(parents=True)
    photo.save(tmp_path / "clean/sea/a.jpg", quality=95)
    resize(tmp_path / "clean", tmp_path / "out", ResizeParams(size=128, mode="stretch"))
    whole = photo.resize((128, 128), Image.Resampling.BOX)
    got = pixels_of(tmp_path / "out/sea/a.png").astype(int)
    # Two good resampling filters differ by as much.
    assert np.abs(got - np.asarray(whole)).mean() < 4


def test_a_photo_that_cannot_be_read_is_named_and_the_rest_done(tmp_path: Path) -> None:
    sea = tmp_path / "clean/sea"
    put(tmp_path / "clean", "sea/good.png", scene(1))
    put(tmp_path / "clean", "sea/cut.jpg", scene(2))
    whole = (sea / "cut.jpg").read_bytes()
    (sea / "cut.jpg").write_bytes(whole[: len(whole) * 2 // 3] + b"\xff\xd9")
    (sea / "bad.png").write_bytes(b"no photo")
    failures = resize(tmp_path / "clean", tmp_path / "out", ResizeParams())
    assert [failure.what for failure in failures] == [str(sea / "bad.png"), str(sea / "cut.jpg")]
    assert [path.name for path in (tmp_path / "out/sea").iterdir()] == ["good.png"]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_files_come_out_on_any_number_of_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr("pipeline.engines.pool.cores", lambda: workers)
    for n in range(40):
        put(tmp_path / "clean", f"sea/{n:02}.png", scene(n, 48, 60))
    resize(tmp_path / "clean", tmp_path / "out", ResizeParams(size=32))
    for n in range(40):
        expected = make_tile(scene(n, 48, 60), ResizeParams(size=32))
        assert np.array_equal(pixels_of(tmp_path / f"out/sea/{n:02}.png"), expected)


def test_hidden_files_are_skipped(tmp_path: Path) -> None:
    for name in ("sea/a.png", "sea/@eaDir/a.png", "@eaDir/b.png", "sea/.c.png"):
        put(tmp_path / "clean", name, scene(1))
    (tmp_path / "clean/sea/Thumbs.db").touch()
    assert resize(tmp_path / "clean", tmp_path / "out", ResizeParams()) == []
    assert [path.name for path in (tmp_path / "out").rglob("*.png")] == ["a.png"]


def test_a_photo_that_crashes_its_decoder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.resize.open_photo", open_or_crash)
    monkeypatch.setattr("pipeline.engines.pool.cores", lambda: 2)
    for n in range(60):
        put(tmp_path / "clean", f"sea/{n:02}.png", scene(n, 48, 48))
    (tmp_path / "clean/sea/30.png").write_bytes(BOMB)
    [failure] = resize(tmp_path / "clean", tmp_path / "out", ResizeParams())
    assert failure.what == str(tmp_path / "clean/sea/30.png")
    assert "crashes a decoder" in failure.reason
    assert len(list((tmp_path / "out/sea").iterdir())) == 59


def test_when_none_can_be_read_the_last_result_stays(tmp_path: Path) -> None:
    put(tmp_path / "clean", "sea/a.png", scene(1))
    resize(tmp_path / "clean", tmp_path / "out", ResizeParams())
    (tmp_path / "clean/sea/a.png").write_bytes(b"no photo")
    with pytest.raises(ColorpipeError, match=r"No photo in .* could be read"):
        resize(tmp_path / "clean", tmp_path / "out", ResizeParams())
    assert (tmp_path / "out/sea/a.png").exists()


def test_two_photos_of_one_name_are_a_sentence(tmp_path: Path) -> None:
    put(tmp_path / "clean", "sea/a.png", scene(1))
    put(tmp_path / "clean", "sea/a.jpg", scene(2))
    with pytest.raises(ColorpipeError, match="same name as another photo"):
        resize(tmp_path / "clean", tmp_path / "out", ResizeParams())


def test_no_photos_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match="run clean first"):
        resize(tmp_path / "none", tmp_path / "out", ResizeParams())
    (tmp_path / "clean").mkdir()
    with pytest.raises(ColorpipeError, match="folder for each category"):
        resize(tmp_path / "clean", tmp_path / "out", ResizeParams())


def test_a_folder_that_no_resize_made_is_not_replaced(tmp_path: Path) -> None:
    put(tmp_path / "clean", "sea/a.png", scene(1))
    for name in ("diary.txt", "sea/photo.jpg"):
        own = tmp_path / name.replace("/", "-") / name
        own.parent.mkdir(parents=True)
        own.write_bytes(b"mine")
        with pytest.raises(ColorpipeError, match=rf"holds {name}, which .*--resized"):
            resize(tmp_path / "clean", tmp_path / name.replace("/", "-"), ResizeParams())
        assert own.read_bytes() == b"mine"
    put(tmp_path / "icons", "sea/icon.png", scene(1, 64, 64))
    with pytest.raises(ColorpipeError, match=r"holds sea/icon\.png"):
        resize(tmp_path / "clean", tmp_path / "icons", ResizeParams())
    for out in (tmp_path / "clean", tmp_path / "clean/sea/out", tmp_path):
        with pytest.raises(ColorpipeError, match="overlap"):
            resize(tmp_path / "clean", out, ResizeParams())


def test_what_was_resized_before_is_replaced(tmp_path: Path) -> None:
    put(tmp_path / "clean", "sea/a.png", scene(1))
    for size in (16, 96):
        resize(tmp_path / "clean", tmp_path / "out", ResizeParams(size=size))
        (tmp_path / "out/sea/.DS_Store").write_bytes(b"a desktop's")
    assert pixels_of(tmp_path / "out/sea/a.png").shape == (96, 96, 3)


def test_a_photo_that_clean_let_pass_is_not_too_large(tmp_path: Path) -> None:
    (tmp_path / "clean/sea").mkdir(parents=True)
    # More pixels than any limit that is not given by hand.
    Image.new("RGB", (16_384, 16_384), "red").save(tmp_path / "clean/sea/a.jpg")
    assert resize(tmp_path / "clean", tmp_path / "out", ResizeParams(size=16)) == []
    assert pixels_of(tmp_path / "out/sea/a.png").shape == (16, 16, 3)
