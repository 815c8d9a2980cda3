import io
from pathlib import Path

import numpy as np
import pytest
from photos import scene
from PIL import Image

from pipeline.curation import previews
from pipeline.images import open_photo
from pipeline.params import CleanParams, ResizeParams
from stages.clean import clean
from stages.resize import resize


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "FOLDER", tmp_path / "previews")
    monkeypatch.setattr(previews, "LARGE", 10_000)


def large_jpeg(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(scene(seed, 800, 1200)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def test_what_is_found_is_what_would_be_decoded() -> None:
    data = large_jpeg(0)
    assert previews.find(data, 80) is None
    previews.keep(data, open_photo(data, at_least=100))
    found = previews.find(data, 80)
    assert found is not None
    assert np.array_equal(found, np.asarray(open_photo(data, at_least=80).image))


def test_another_scale_and_other_files_are_not_found(tmp_path: Path) -> None:
    data = large_jpeg(0)
    previews.keep(data, open_photo(data, at_least=100))
    assert previews.find(data, 101) is None
    assert previews.find(data[:-1], 80) is None
    assert previews.find(b"no image" * 10_000, 80) is None


def test_a_damaged_preview_is_passed_over(tmp_path: Path) -> None:
    data = large_jpeg(0)
    previews.keep(data, open_photo(data, at_least=100))
    [path] = previews.FOLDER.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    assert previews.find(data, 80) is None


def test_a_turned_small_or_whole_decode_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    data = large_jpeg(0)
    previews.keep(data, open_photo(data))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(scene(0, 800, 1200)).save(stream, "JPEG", exif=exif)
    previews.keep(stream.getvalue(), open_photo(stream.getvalue(), at_least=100))
    monkeypatch.setattr(previews, "LARGE", len(data) + 1)
    previews.keep(data, open_photo(data, at_least=100))
    assert not previews.FOLDER.exists()


def test_the_chain_comes_out_the_same_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raw/sea").mkdir(parents=True)
    for seed in range(3):
        (tmp_path / f"raw/sea/{seed}.jpg").write_bytes(large_jpeg(seed))
    results = []
    switches = {name: False for name in CleanParams.model_fields if name.startswith("drop_")}
    for large in (10_000, 10**9):
        monkeypatch.setattr(previews, "LARGE", large)
        clean(tmp_path / "raw", tmp_path / "clean", tmp_path / "c.csv", CleanParams(**switches))
        assert previews.FOLDER.exists() == (large == 10_000)
        resize(tmp_path / "clean", tmp_path / "resized", ResizeParams(size=256))
        assert not previews.FOLDER.exists()
        results.append([p.read_bytes() for p in sorted((tmp_path / "resized/sea").iterdir())])
    assert results[0] == results[1]
    assert len(results[0]) == 3
