import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from bombs import BOMB, open_or_crash
from photos import pixels_of, real_photos, scene
from PIL import Image
from splits import fill, put

from pipeline.dataset.manifest import MANIFEST, RawPhoto
from pipeline.dataset.tiles import encode_tile
from pipeline.errors import ColorpipeError
from pipeline.files.csv_tables import write_table
from pipeline.imaging.decode import read_bytes
from pipeline.params import SplitParams
from stages.split import check_pairs, split


def names(split: Path, side: str) -> set[str]:
    return {path.name for path in (split / side).iterdir()}


@pytest.fixture
def resized(tmp_path: Path) -> Path:
    fill(tmp_path / "resized", "forest", range(25))
    fill(tmp_path / "resized", "low-sea", range(100, 118))
    return tmp_path / "resized"


def test_x_is_the_gray_of_y_under_the_same_name(tmp_path: Path) -> None:
    for n, path in enumerate(real_photos(16)):
        put(tmp_path / "resized", f"nature/{n:02}.png", pixels_of(path)[:100, :100])
    assert split(tmp_path / "resized", tmp_path / "out", SplitParams()) == []
    sides = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert sides == ["test_x", "test_y", "train_x", "train_y", "val_x", "val_y"]
    count = 0
    for side in ("train", "test", "val"):
        for path in (tmp_path / "out" / f"{side}_y").iterdir():
            with Image.open(path) as y, Image.open(path.parents[1] / f"{side}_x" / path.name) as x:
                assert (x.mode, y.mode, x.size) == ("L", "RGB", y.size)
                assert np.array_equal(np.asarray(x), np.asarray(y.convert("L")))
            source = tmp_path / "resized/nature" / path.name.removeprefix("nature-")
            assert path.read_bytes() == source.read_bytes()
            count += 1
    assert count == 16


def test_the_test_has_exactly_its_number_of_each_category(resized: Path, tmp_path: Path) -> None:
    split(resized, tmp_path / "out", SplitParams(test_per_category=7, val_fraction=0))
    categories = [name.rpartition("-")[0] for name in names(tmp_path / "out", "test_y")]
    assert sorted(categories) == ["forest"] * 7 + ["low-sea"] * 7
    assert len(names(tmp_path / "out", "train_y")) == 25 + 18 - 14


def test_adding_photos_moves_none_even_without_old_outputs(resized: Path, tmp_path: Path) -> None:
    out, lock = tmp_path / "out", tmp_path / "split.lock"
    split(resized, out, SplitParams(), lock=lock)
    test, train = names(out, "test_y"), names(out, "train_y")
    written = lock.read_bytes()
    fill(resized, "forest", range(200, 290))
    fill(resized, "town", range(300, 320))
    shutil.rmtree(out)
    split(resized, out, SplitParams(), lock=lock)
    after = names(out, "test_y")
    assert test <= after
    assert train <= names(out, "train_y")
    assert len(after) == 30
    assert set(written.splitlines()) < set(lock.read_bytes().splitlines())


def test_the_same_photos_give_the_same_bytes(resized: Path, tmp_path: Path) -> None:
    def digest(folder: Path) -> dict[str, str]:
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*.png")
        }

    split(resized, tmp_path / "one", SplitParams(), lock=tmp_path / "lock")
    split(resized, tmp_path / "two", SplitParams(), lock=tmp_path / "lock")
    split(resized, tmp_path / "three", SplitParams())
    assert digest(tmp_path / "one") == digest(tmp_path / "two") == digest(tmp_path / "three")
    split(resized, tmp_path / "four", SplitParams(seed=1), lock=tmp_path / "lock")
    assert names(tmp_path / "four", "test_y") != names(tmp_path / "one", "test_y")


def test_near_duplicates_never_face_each_other(resized: Path, tmp_path: Path) -> None:
    for seed in range(25):
        twin = scene(seed, 48, 48).astype(int) + 6
        put(resized, f"forest/twin{seed:04}.png", np.clip(twin, 0, 255).astype(np.uint8))
    for draw in range(5):
        split(resized, tmp_path / "out", SplitParams(seed=draw))
        test = {
            name.replace("twin", "")
            for name in names(tmp_path / "out", "test_y")
            if name.startswith("forest")
        }
        train = {name.replace("twin", "") for name in names(tmp_path / "out", "train_y")}
        assert test
        assert not test & train


def test_photos_of_one_page_stay_on_one_side(resized: Path, tmp_path: Path) -> None:
    rows = [
        RawPhoto(f"{n:04}.png", "forest", f"u{n}", f"page{n // 2}", "", "", "image/png", str(n), 1)
        for n in range(25)
    ]
    write_table(tmp_path / MANIFEST, rows, RawPhoto)
    for draw in range(5):
        params = SplitParams(seed=draw, group_distance=0)
        split(resized, tmp_path / "out", params, manifest=tmp_path / MANIFEST)
        pages = {
            side: {
                int(name[7:11]) // 2
                for name in names(tmp_path / "out", side)
                if name.startswith("forest")
            }
            for side in ("test_y", "train_y")
        }
        assert not pages["test_y"] & pages["train_y"]
        assert len(names(tmp_path / "out", "test_y")) == 20


def test_pages_of_one_document_stay_on_one_side(tmp_path: Path) -> None:
    resized = tmp_path / "resized"
    for n in range(12):
        for page in (1, 2):
            put(resized, f"forest/{n:04}-{page}.png", scene(2 * n + page, 48, 48))
        put(resized, f"forest/{n:04}b.png", scene(100 + n, 48, 48))
    rows = [
        RawPhoto(f"{n:04}{suffix}", "forest", f"u{n}", "", "", "", "image/tiff", str(n), 1)
        for n in range(12)
        for suffix in (".tif", "b.png")
    ]
    write_table(tmp_path / MANIFEST, rows, RawPhoto)
    for draw in range(5):
        out = tmp_path / "out"
        split(resized, out, SplitParams(seed=draw), manifest=tmp_path / MANIFEST)
        documents = {
            side: {name.partition("_")[0] for name in names(out, side) if "_" in name}
            for side in ("train_y", "test_y", "val_y")
        }
        assert documents["test_y"]
        assert not documents["test_y"] & (documents["train_y"] | documents["val_y"])


def test_validation_has_folders_of_its_own_when_asked_for(resized: Path, tmp_path: Path) -> None:
    split(resized, tmp_path / "out", SplitParams(val_fraction=0.3))
    val = names(tmp_path / "out", "val_y")
    assert val == names(tmp_path / "out", "val_x")
    assert val
    assert not val & (names(tmp_path / "out", "train_y") | names(tmp_path / "out", "test_y"))


def test_names_with_dashes_leave_the_category_readable(resized: Path, tmp_path: Path) -> None:
    put(resized, "low-sea/a-b.png", scene(400, 48, 48))
    put(resized, "low-sea/a_b.png", scene(401, 48, 48))
    split(resized, tmp_path / "out", SplitParams(val_fraction=0))
    everything = names(tmp_path / "out", "test_y") | names(tmp_path / "out", "train_y")
    assert len(everything) == 25 + 20
    assert {name.rpartition("-")[0] for name in everything} == {"forest", "low-sea"}


def test_names_that_are_too_long_with_their_category_are_cut(resized: Path, tmp_path: Path) -> None:
    long = "城" * 80
    put(resized, f"low-sea/{long}1.png", scene(400, 48, 48))
    put(resized, f"low-sea/{long}2.png", scene(401, 48, 48))
    lock = tmp_path / "lock"
    assert split(resized, tmp_path / "out", SplitParams(test_per_category=19), lock=lock) == []
    everything = set().union(*(names(tmp_path / "out", f"{s}_y") for s in ("test", "train", "val")))
    assert len(everything) == 25 + 20
    assert sum(f"{long[:70]}" in name for name in everything) == 2
    assert long in lock.read_text(encoding="utf-8")


def test_a_file_that_vanishes_once_it_was_read_is_written(
    resized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = resized / "forest/0003.png"
    data = gone.read_bytes()

    def read(path: str) -> bytes:
        found = read_bytes(path)
        if Path(path) == gone:
            gone.unlink()
        return found

    monkeypatch.setattr("stages.split.read_bytes", read)
    assert split(resized, tmp_path / "out", SplitParams()) == []
    (written,) = (tmp_path / "out").glob("*_y/forest-0003.png")
    assert written.read_bytes() == data


def test_files_of_other_kinds_are_converted(resized: Path, tmp_path: Path) -> None:
    Image.fromarray(scene(500, 48, 48)).save(resized / "forest/photo.jpg")
    Image.fromarray(scene(501, 48, 48)).convert("RGBA").save(resized / "forest/alpha.png")
    split(resized, tmp_path / "out", SplitParams())
    check_pairs(tmp_path / "out")
    for path in (tmp_path / "out").glob("*_y/*"):
        with Image.open(path) as image:
            assert (image.format, image.mode) == ("PNG", "RGB")


def test_a_photo_that_cannot_be_read_is_named_and_the_rest_done(
    resized: Path, tmp_path: Path
) -> None:
    (resized / "forest/bad.png").write_bytes(b"no photo")
    failures = split(resized, tmp_path / "out", SplitParams())
    assert [failure.what for failure in failures] == [str(resized / "forest/bad.png")]
    assert len(names(tmp_path / "out", "test_y")) == 20


def test_a_photo_that_crashes_its_decoder_is_named(
    resized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.split.open_photo", open_or_crash)
    monkeypatch.setattr("pipeline.engines.pool.cores", lambda: 2)
    fill(resized, "town", range(300, 320))
    (resized / "forest/0020.png").write_bytes(BOMB)
    [failure] = split(resized, tmp_path / "out", SplitParams())
    assert failure.what == str(resized / "forest/0020.png")
    assert "crashes a decoder" in failure.reason
    assert sum(len(names(tmp_path / "out", f"{s}_y")) for s in ("test", "train", "val")) == 62
    check_pairs(tmp_path / "out")


def test_a_category_with_too_few_photos_is_a_sentence_before_the_work(
    resized: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, lock = tmp_path / "out", tmp_path / "split.lock"
    split(resized, out, SplitParams(), lock=lock)
    before = lock.read_bytes()
    fill(resized, "town", range(600, 604))
    capsys.readouterr()
    with pytest.raises(ColorpipeError, match="'town' has 4"):
        split(resized, out, SplitParams(), lock=lock)
    assert "Splitting" not in capsys.readouterr().err
    assert len(names(out, "test_y")) == 20
    assert lock.read_bytes() == before
    fill(resized, "town", range(604, 611))
    (resized / "town/bad.png").write_bytes(b"no photo")
    split(resized, out, SplitParams(), lock=lock)
    next((resized / "town").glob("06*.png")).unlink()
    with pytest.raises(ColorpipeError, match="'town' has 10"):
        split(resized, out, SplitParams(), lock=lock)


def test_photos_that_links_lead_to_are_not_links_in_the_split(
    resized: Path, tmp_path: Path
) -> None:
    photo = resized / "forest/0003.png"
    photo.rename(tmp_path / "cached.png")
    photo.symlink_to(tmp_path / "cached.png")
    assert split(resized, tmp_path / "out", SplitParams()) == []
    (written,) = (tmp_path / "out").glob("*_y/forest-0003.png")
    assert not written.is_symlink()
    assert written.samefile(tmp_path / "cached.png")


def test_broken_pairs_are_found(resized: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    split(resized, out, SplitParams())
    check_pairs(out)
    one, other = sorted((out / "train_x").iterdir())[:2]
    kept = one.read_bytes()
    shutil.copyfile(other, one)
    with pytest.raises(ColorpipeError, match="is not the gray version of"):
        check_pairs(out)
    one.write_bytes(encode_tile(scene(0, 48, 48)))
    with pytest.raises(ColorpipeError, match="is not gray"):
        check_pairs(out)
    one.write_bytes(kept)
    other.unlink()
    with pytest.raises(ColorpipeError, match="do not hold the same names"):
        check_pairs(out)


def test_a_folder_that_no_split_made_is_not_replaced(resized: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine/train_x/notes.txt"
    own.parent.mkdir(parents=True)
    own.touch()
    with pytest.raises(ColorpipeError, match=r"holds train_x/notes\.txt, which was not .*--split"):
        split(resized, tmp_path / "mine", SplitParams(test_per_category=1))
    assert own.exists()
    with pytest.raises(ColorpipeError, match="overlap"):
        split(resized, resized / "split", SplitParams(test_per_category=1))
    for seed in (0, 1):
        split(resized, tmp_path / "out", SplitParams(test_per_category=1, seed=seed))


def test_a_manifest_that_cannot_be_read_is_noticed_before_the_work(
    resized: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ColorpipeError, match=r"could not be read \(Is a directory\)"):
        split(resized, tmp_path / "out", SplitParams(), manifest=tmp_path / "folder")
    assert "Splitting" not in capsys.readouterr().err
