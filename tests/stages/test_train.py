import csv

import pytest
from splits import make_split

from pipeline.errors import ColorpipeError
from pipeline.params import TrainParams
from pipeline.weights import load_generator
from stages.train import train

FAST = {"epochs": 2, "batch_size": 4, "size": 32, "device": "cpu", "precision": "float32"}


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(split, **params):
    train(split, *outs(split), TrainParams(**{**FAST, **params}))


def outs(split):
    return split.parent / "models" / "generator.safetensors", split.parent / "plots"


def test_it_writes_weights_and_curves_and_leaves_no_checkpoint(tmp_path):
    split = make_split(tmp_path / "split")
    run(split, options={"adversarial_share": 0.5})
    model, curves = outs(split)
    assert load_generator(model).recipe.name == "colorpipe"
    with (curves / "losses.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [bool(row["discriminator"]) for row in rows] == [False, True]
    assert (curves / "validation.tsv").is_file()
    assert not list((tmp_path / ".colorpipe" / "training").glob("*"))


def test_twice_the_same_bytes(tmp_path):
    split = make_split(tmp_path / "split")
    model, curves = outs(split)
    seen = []
    for _ in range(2):
        run(split)
        seen.append((model.read_bytes(), (curves / "losses.tsv").read_bytes()))
    assert seen[0] == seen[1]


def test_without_validation_photos_there_is_no_such_curve(tmp_path):
    split = make_split(tmp_path / "split", val=0)
    run(split)
    assert [path.name for path in outs(split)[1].iterdir()] == ["losses.tsv"]


def test_landscape_rgb_trains_too(tmp_path):
    split = make_split(tmp_path / "split", train=2, size=150)
    run(split, recipe="landscape-rgb", epochs=1, batch_size=2, size=150)
    assert load_generator(outs(split)[0]).recipe.name == "landscape-rgb"


def test_mistakes_are_said_before_anything_is_written(tmp_path):
    split = make_split(tmp_path / "split", train=3)
    with pytest.raises(ColorpipeError, match="batch of 4 cannot be drawn from 3"):
        run(split)
    with pytest.raises(ColorpipeError, match="no recipe 'pix3pix'"):
        run(split, recipe="pix3pix")
    assert not (tmp_path / "models").exists()
    assert not (tmp_path / "plots").exists()
