"""The evaluate stage on a small split: what it writes, and what it says of bad input."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import stand_ins
from PIL import Image
from skimage import data

from pipeline.errors import ColorpipeError
from pipeline.params import EvaluateParams
from stages.evaluate import evaluate, name_models

FILES = {
    "categories.csv",
    "comparison.csv",
    "gallery.png",
    "metrics.json",
    "photos.csv",
    "report.html",
}
PARAMS = EvaluateParams(gallery=4, resamples=100, device="cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return stand_ins.generator(tmp_path_factory.mktemp("model") / "generator.safetensors")


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """Three photos in each of two categories, one of which has a dash in its name."""
    split = tmp_path_factory.mktemp("split")
    (split / "test_x").mkdir()
    (split / "test_y").mkdir()
    for category, pixels in (("still-life", data.coffee()), ("cat", data.chelsea())):
        for i in range(3):
            photo = Image.fromarray(pixels[100:164, i * 64 : i * 64 + 64])
            photo.save(split / "test_y" / f"{category}-{i}.png")
            photo.convert("L").save(split / "test_x" / f"{category}-{i}.png")
    return split


@pytest.fixture
def own_split(split, tmp_path):
    """A copy of the split that a test may damage."""
    return Path(shutil.copytree(split, tmp_path / "split"))


def test_it_writes_every_report_and_prints_the_figures(split, model, tmp_path, capsys):
    reports = tmp_path / "reports"
    evaluate(split, model, reports, PARAMS)
    assert {path.name for path in reports.iterdir()} == FILES
    found = json.loads((reports / "metrics.json").read_text())
    assert found["photos"] == 6
    assert set(found["psnr"]) == {"colorized", "gray"}
    categories = (reports / "categories.csv").read_text()
    assert "\nstill-life colorized,still-life,colorized,3," in categories
    assert "\ncat gray,cat,gray,3," in categories
    with Image.open(reports / "gallery.png") as sheet:
        assert sheet.mode == "RGB"
        assert sheet.width > 6 * 200  # gray, colorized and truth, twice
    printed = capsys.readouterr().out
    assert "CIEDE2000" in printed
    assert "FID and KID are left out" in printed
    assert "Recognition is the share" in printed


def test_without_the_classifier_recognition_is_left_out(
    split, model, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("stages.evaluate.find_classifier", lambda device: None)
    evaluate(split, model, tmp_path / "reports", PARAMS)
    assert "recognition" not in json.loads((tmp_path / "reports/metrics.json").read_text())
    assert "pip install 'colorpipe[evaluate]'" in capsys.readouterr().out


def test_recognition_is_left_out_without_a_word_if_not_wanted(split, model, tmp_path, capsys):
    params = PARAMS.model_copy(update={"recognition": False})
    evaluate(split, model, tmp_path / "reports", params)
    assert "recognition" not in json.loads((tmp_path / "reports/metrics.json").read_text())
    assert "Recognition" not in capsys.readouterr().out


def test_the_same_photos_give_the_same_bytes(split, model, tmp_path):
    evaluate(split, model, tmp_path / "a", PARAMS)
    evaluate(split, model, tmp_path / "b", PARAMS)
    evaluate(split, model, tmp_path / "b", PARAMS)
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_was_trained_here_is_compared_with_pretrained(
    split, model, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    evaluate(split, None, tmp_path / "reports", PARAMS)
    pretrained = json.loads((tmp_path / "reports/metrics.json").read_text())["ciede2000"][
        "colorized"
    ]
    assert "Evaluating the pretrained weights " in capsys.readouterr().err
    Path("models").mkdir()
    shutil.copy(model, "models/generator.safetensors")
    both = [Path("pretrained"), Path("models/generator.safetensors")]
    evaluate(split, both, tmp_path / "reports", PARAMS)
    found = json.loads((tmp_path / "reports/metrics.json").read_text())["ciede2000"]
    assert list(found) == ["colorpipe", "generator", "gray"]
    assert found["colorpipe"] == pretrained
    assert "Evaluating models/generator.safetensors (recipe colorpipe)." in capsys.readouterr().err


def test_several_models_are_compared_on_the_same_photos(split, model, tmp_path):
    other = stand_ins.generator(tmp_path / "other.safetensors", seed=1)
    evaluate(split, [model, other], tmp_path / "reports", PARAMS)
    found = json.loads((tmp_path / "reports/metrics.json").read_text())
    assert list(found["ciede2000"]) == ["generator", "other", "gray"]
    comparison = (tmp_path / "reports/comparison.csv").read_text()
    assert "\nciede2000,other,generator," in comparison


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_inception_adds_fid_and_kid_and_its_name(split, model, tmp_path, capsys):
    path = stand_ins.inception(tmp_path / "mine.pt")
    params = PARAMS.model_copy(update={"inception": str(path)})
    evaluate(split, model, tmp_path / "reports", params)
    found = json.loads((tmp_path / "reports/metrics.json").read_text())
    assert found["fid"]["gray"] > 0
    assert found["kid"]["gray"] > 0
    assert "mine.pt" in found["inception"]
    assert "Of fewer than 1000 photos" in capsys.readouterr().out


def test_a_missing_inception_file_is_reported_before_any_work(split, tmp_path):
    params = PARAMS.model_copy(update={"inception": str(tmp_path / "none.pt")})
    with pytest.raises(ColorpipeError, match="FID and KID"):
        evaluate(split, tmp_path / "no model either", tmp_path / "reports", params)


@pytest.mark.parametrize("damage", ["truncated", "other size", "unpaired", "too small", "no model"])
def test_bad_input_is_a_sentence_and_leaves_earlier_reports(own_split, model, tmp_path, damage):
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "metrics.json").write_text("from before")
    x, y = own_split / "test_x/cat-1.png", own_split / "test_y/cat-1.png"
    if damage == "truncated":
        y.write_bytes(y.read_bytes()[:500])
    elif damage == "other size":
        Image.new("RGB", (64, 32)).save(y)
    elif damage == "unpaired":
        y.unlink()
    elif damage == "too small":
        Image.new("RGB", (10, 64)).save(y)
        Image.new("L", (10, 64)).save(x)
    else:
        model = tmp_path / "none.safetensors"
    where = "none.safetensors" if damage == "no model" else "cat-1.png"
    with pytest.raises(ColorpipeError, match=rf"{where}.*\.$"):
        evaluate(own_split, model, reports, PARAMS)
    assert [path.name for path in reports.iterdir()] == ["metrics.json"]
    assert {path.name for path in tmp_path.iterdir()} == {"reports", "split"}


def test_a_folder_with_anything_else_in_it_is_not_replaced(own_split, model):
    with pytest.raises(ColorpipeError, match=r"overlap; name another folder with --reports\."):
        evaluate(own_split, model, own_split, PARAMS)
    assert len(list((own_split / "test_x").iterdir())) == 6
    diary = own_split.parent / "mine/diary.txt"
    diary.parent.mkdir()
    diary.write_text("mine")
    with pytest.raises(ColorpipeError, match=r"holds diary\.txt, which was not written"):
        evaluate(own_split, model, diary.parent, PARAMS)
    assert diary.exists()


def test_models_are_named_by_what_tells_them_apart():
    assert name_models([Path("m/a.safetensors")]) == {"colorized": Path("m/a.safetensors")}
    paths = [Path("m/a.safetensors"), Path("m/b.v2.safetensors")]
    assert list(name_models(paths)) == ["a", "b.v2"]
    paths = [Path("x/m.safetensors"), Path("y/m.safetensors"), Path("n.safetensors")]
    assert list(name_models(paths)) == ["x/m", "y/m", "n"]
    assert list(name_models([Path("a/gray.safetensors"), Path("b")])) == ["a/gray", "b"]
    odd, plain = name_models([Path(os.fsdecode(b"caf\xe9.onnx")), Path("b")])
    assert (odd, plain) == ("caf?", "b")


@pytest.mark.parametrize(
    "paths",
    [[], [Path("a"), Path("a")], [Path("a"), Path("a").absolute()], [Path("a"), Path("b/../a")]],
)
def test_no_model_or_one_twice_is_refused(paths):
    with pytest.raises(ColorpipeError, match="--model"):
        name_models(paths)


def test_a_folder_among_several_models_is_a_sentence(split, model, tmp_path):
    with pytest.raises(ColorpipeError, match="is a folder, but a model is a file"):
        evaluate(split, [Path(), model], tmp_path / "reports", EvaluateParams())
