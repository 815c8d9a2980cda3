import csv
import errno
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from splits import make_split

from pipeline.errors import ColorpipeError, StoppedError
from pipeline.inference.colorizer import Colorizer
from pipeline.models.pretrained import pretrained_weights
from pipeline.models.weights import halve, load_generator, save_generator
from pipeline.params import TrainParams, read_params
from pipeline.recipes import get_recipe
from pipeline.training.checkpoints import run_key
from pipeline.training.trainer import Trainer
from stages.train import train

PROJECT = Path(__file__).parents[2]
FAST = {"epochs": 2, "batch_size": 4, "size": 32, "device": "cpu", "precision": "float32"}
SLIM = {"width": 8}
UNET = {"size": 32, "options": {"halvings": 5, "width": 4}}

# The smallest that each recipe's networks can take.
SMALL = {
    "dilated-unet": {"size": 128, "options": {"width": 4}},
    "heartbeat": {},
    "pix2pix": UNET,
    "cyclegan": UNET,
    "unet": UNET,
    "cgan": UNET,
    "cgan-pretrained": UNET,
    "dcgan": {"options": {"width": 4}},
    "landscape-rgb": {"size": 142, "batch_size": 4, "epochs": 1},
}


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(split, **params):
    slim = {"init": "scratch", "options": SLIM}
    train(split, *outs(split), TrainParams(**{**FAST, **slim, **params}))


def outs(split):
    return split.parent / "models" / "generator.safetensors", split.parent / "plots"


def table(path):
    with path.open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_it_writes_weights_curves_and_samples(tmp_path):
    split = make_split(tmp_path / "split")
    run(split, options={**SLIM, "adversarial_share": 0.5})
    model, curves = outs(split)
    assert load_generator(model).recipe.name == "colorpipe"
    rows = table(curves / "losses.tsv")
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [bool(row["adversarial"]) for row in rows] == [False, True]
    assert [row["epoch"] for row in table(curves / "discriminator.tsv")] == ["2"]
    assert len(table(curves / "validation.tsv")) == 2
    sheets = sorted((curves / "samples").iterdir())
    assert [path.name for path in sheets] == ["epoch-0001.png", "epoch-0002.png"]
    assert Image.open(sheets[0]).width > 2 * 32
    assert not list((tmp_path / ".colorpipe" / "training").glob("*"))


def test_twice_the_same_bytes(tmp_path):
    split = make_split(tmp_path / "split")
    seen = []
    for _ in range(2):
        run(split)
        seen.append(contents(tmp_path))
    assert len(seen[0]) == 7
    assert seen[0] == seen[1]


def test_the_record_beside_the_weights_trains_them_again(tmp_path):
    split = make_split(tmp_path / "split")
    run(split)
    model = outs(split)[0]
    record = model.with_suffix(".yaml")
    text = record.read_text()
    assert "\n# Weights kept: those of epoch " in text
    assert re.search(r"\n  epochs: 2 +# given\n", text)
    assert re.search(r"\n    hinted: 0.5 +# recipe colorpipe\n", text)
    params = read_params(record, required=True).train
    assert (params.keep, params.device, params.precision) == ("best", "cpu", "float32")
    train(split, tmp_path / "again.safetensors", tmp_path / "again", params)
    assert (tmp_path / "again.safetensors").read_bytes() == model.read_bytes()


def test_a_file_that_is_no_record_is_not_replaced_by_one(tmp_path):
    split = make_split(tmp_path / "split")
    mine = tmp_path / "models" / "generator.yaml"
    mine.parent.mkdir()
    mine.write_text("train: {}\n")
    with pytest.raises(ColorpipeError, match=r"generator\.yaml would be replaced .* --model\.$"):
        run(split)
    assert mine.read_text() == "train: {}\n"
    mine.unlink()
    for _ in range(2):
        run(split, epochs=1)


def test_weights_are_not_written_under_the_name_of_their_record(tmp_path):
    split = make_split(tmp_path / "split")
    with pytest.raises(ColorpipeError, match=r"such as .*generator\.safetensors, with --model"):
        train(split, tmp_path / "generator.yaml", tmp_path / "curves", TrainParams())


def contents(folder):
    """Everything that training wrote, by path."""
    return {
        path.relative_to(folder): path.read_bytes()
        for part in ("models", "plots")
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }


def test_without_validation_photos_the_last_weights_are_kept(tmp_path, capsys):
    split = make_split(tmp_path / "split", val=0)
    run(split)
    assert table(outs(split)[1] / "validation.tsv") == []
    assert not (outs(split)[1] / "samples").exists()
    assert "The best" not in capsys.readouterr().out
    with pytest.raises(ColorpipeError, match="no validation photos"):
        run(split, keep="best")


def test_an_empty_set_of_validation_photos_is_none(tmp_path):
    split = make_split(tmp_path / "split", val=0)
    for side in "xy":
        (split / f"val_{side}").mkdir()
        # Which a desktop leaves there.
        (split / f"val_{side}/.DS_Store").touch()
    run(split)
    assert table(outs(split)[1] / "validation.tsv") == []


def test_the_best_weights_are_named(tmp_path, capsys):
    split = make_split(tmp_path / "split")
    run(split, samples=0)
    assert "The best weights by balanced are those of epoch" in capsys.readouterr().out
    assert not (outs(split)[1] / "samples").exists()
    run(split, keep="best", metric="ciede2000")
    assert "The best weights by ciede2000 are those of epoch" in capsys.readouterr().out
    run(split, keep="last")
    assert "The best" not in capsys.readouterr().out


def test_where_no_weights_can_be_the_best_it_is_said_which_are_kept(tmp_path, capsys):
    split = make_split(tmp_path / "split")
    for photo in (split / "val_y").iterdir():
        Image.open(photo).convert("L").convert("RGB").save(photo)
    run(split, keep="best", epochs=1)
    assert "The weights of epoch 1, the last, are kept:" in capsys.readouterr().out
    assert "those of epoch 1, the last" in outs(split)[0].with_suffix(".yaml").read_text()
    run(split, keep="best", epochs=1, metric="ciede2000")
    assert "The best weights by ciede2000 are those of epoch 1" in capsys.readouterr().out


def trained(path):
    """Weights of a network as slim as the tests'."""
    torch.manual_seed(3)
    recipe = get_recipe("colorpipe", {**SLIM, "size": 32})
    save_generator(path, recipe.generator(), recipe)
    return path


def test_a_start_is_kept_if_training_makes_it_worse(tmp_path, capsys):
    split = make_split(tmp_path / "split")
    start = trained(tmp_path / "start.safetensors")
    # At this rate nothing is learned.
    run(split, init=str(start), learning_rate=0.3, epochs=1)
    model, curves = outs(split)
    printed = capsys.readouterr().out
    assert f"Training colorpipe from {start} (preset fine-tune) on 8 photos" in printed
    assert "No epoch was better by balanced than the weights that training started" in printed
    assert [row["epoch"] for row in table(curves / "validation.tsv")] == ["0", "1"]
    names = [path.name for path in sorted((curves / "samples").iterdir())]
    assert names == ["epoch-0000.png", "epoch-0001.png"]
    kept, before = (load_generator(path).module.state_dict() for path in (model, start))
    assert all(torch.equal(value, before[name]) for name, value in kept.items())


def test_another_start_is_another_run(tmp_path, monkeypatch):
    split = make_split(tmp_path / "split")
    keys = []
    monkeypatch.setattr("stages.train.run_key", lambda facts: keys.append(run_key(facts)) or "run")
    start = trained(tmp_path / "start.safetensors")
    halve(start, tmp_path / "halved.safetensors")
    for init in (start, tmp_path / "halved.safetensors", start):
        run(split, init=str(init), epochs=1)
    assert keys[0] != keys[1]
    assert keys[0] == keys[2]


def test_a_stopped_run_resumes_unless_the_code_has_changed(tmp_path, monkeypatch, capsys):
    split = make_split(tmp_path / "split")
    step = Trainer._train_step

    def stopping(self, phase, where):
        if self.step == 2:
            signal.raise_signal(signal.SIGINT)
        step(self, phase, where)

    with monkeypatch.context() as interrupted:
        interrupted.setattr(Trainer, "_train_step", stopping)
        with pytest.raises(StoppedError):
            run(split, epochs=3)
    assert "Resuming" not in capsys.readouterr().out
    with monkeypatch.context() as edited:
        edited.setattr("stages.train.code_digest", lambda *files: f"another {files}")
        run(split, epochs=3)
    assert "Resuming" not in capsys.readouterr().out
    run(split, epochs=3)
    printed = capsys.readouterr().out
    assert "Resuming in epoch 2 of 3." in printed


def test_a_start_that_does_not_fit_is_reported_first(tmp_path):
    start = trained(tmp_path / "start.safetensors")
    with pytest.raises(ColorpipeError, match="width 8 there, 4 here"):
        run(tmp_path / "no split", init=str(start), options={"width": 4})


@pytest.mark.parametrize("recipe", SMALL)
def test_every_recipe_trains_and_colorizes_any_size(tmp_path, recipe):
    size = SMALL[recipe].get("size", 32)
    split = make_split(tmp_path / "split", train=4, val=0, test=0, size=size)
    given = {"options": {}, "batch_size": 2, "epochs": 2, **SMALL[recipe]}
    run(split, recipe=recipe, **given)
    model, curves = outs(split)
    rows = table(curves / "losses.tsv")
    assert all(float(row["generator"]) > 0 for row in rows)
    epochs = [row["epoch"] for row in table(curves / "discriminator.tsv")]
    adversarial = {"unet": [], "cgan-pretrained": ["2"], "landscape-rgb": ["1"]}
    assert epochs == adversarial.get(recipe, ["1", "2"])
    colorizer = Colorizer.load(model, "cpu")
    for height, width in ((45, 70), (90, 33)):
        gray = np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)
        made = colorizer(gray)
        assert made.shape == (height, width, 3)
        assert np.array_equal(np.asarray(Image.fromarray(made).convert("L")), gray)


def test_mistakes_are_reported_before_anything_is_written(tmp_path):
    split = make_split(tmp_path / "split", train=3)
    with pytest.raises(ColorpipeError, match="batch of 4 cannot be drawn from 3"):
        run(split)
    with pytest.raises(ColorpipeError, match="a multiple of 256"):
        run(split, recipe="pix2pix", options={})
    assert not (tmp_path / "models").exists()
    assert not (tmp_path / "plots").exists()


TRAIN = """
from pathlib import Path
from pipeline.training import trainer as training
from pipeline.params import TrainParams, read_params
from stages.train import train

training.CHECKPOINT_INTERVAL = 0.0
train(Path("split"), Path("models/generator.safetensors"), Path("plots"), TrainParams(
    recipe="cgan", epochs=12, batch_size=4, size=32, device="cpu", precision="float32",
    options={"halvings": 5, "width": 4}))
"""


def test_killed_at_any_moment_it_resumes_to_the_same_bytes(tmp_path):
    make_split(tmp_path / "whole" / "split")
    make_split(tmp_path / "killed" / "split")
    assert start(tmp_path / "whole").wait() == 0
    draw = random.Random(0)
    kills = 0
    for _ in range(2):
        process = start(tmp_path / "killed")
        before = steps(tmp_path / "killed")
        # Once it has gone on for a few steps, any moment will do: writing a checkpoint included.
        while process.poll() is None and steps(tmp_path / "killed") < before + 3:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.2))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills == 2
    assert not (tmp_path / "killed" / "models").exists()
    assert start(tmp_path / "killed").wait() == 0
    assert len(contents(tmp_path / "whole")) == 17
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_the_same_run_at_the_same_time_is_refused(tmp_path):
    make_split(tmp_path / "split")
    first = start(tmp_path)
    while not steps(tmp_path):
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    second = subprocess.run(
        [sys.executable, "-c", TRAIN],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        check=False,
        text=True,
    )
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 1
    assert "Another process is running the same training" in second.stderr
    assert first.wait() == 0
    assert (tmp_path / "models/generator.safetensors").exists()


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def steps(folder):
    """How far the checkpoint in ``folder`` is."""
    for path in (folder / ".colorpipe/training").glob("*/last.pt"):
        return int(torch.load(path, weights_only=True)["step"])
    return 0


def test_outputs_that_cannot_be_written_are_reported_first(tmp_path, monkeypatch):
    split = make_split(tmp_path / "split")
    monkeypatch.setattr("stages.train.Trainer", None)
    model, curves = outs(split)
    params = TrainParams(**{**FAST, "init": "scratch", "options": SLIM})
    model.mkdir(parents=True)
    with pytest.raises(ColorpipeError, match=r"is a folder, but the weights .*--model"):
        train(split, model, curves, params)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ColorpipeError, match=r"photo\.jpg would be replaced by the weights, but"):
        train(split, photo, curves, params)
    assert photo.read_bytes() == b"\xff\xd8\xff"
    with pytest.raises(ColorpipeError, match=r"photo\.jpg is a file; .*--split\."):
        train(photo, tmp_path / "weights.safetensors", curves, params)
    with pytest.raises(ColorpipeError, match=r"because .*photo\.jpg is no folder; .*--model\.$"):
        train(split, photo / "weights.safetensors", curves, params)
    with pytest.raises(ColorpipeError, match=r"because .*photo\.jpg is no folder; .*--curves\.$"):
        train(split, tmp_path / "weights.safetensors", photo / "curves", params)
    curves.touch()
    with pytest.raises(ColorpipeError, match=r"is a file, but a folder .*--curves"):
        train(split, tmp_path / "weights.safetensors", curves, params)
    diary = tmp_path / "mine/diary.txt"
    diary.parent.mkdir()
    diary.touch()
    with pytest.raises(ColorpipeError, match=r"holds diary\.txt, which"):
        train(split, tmp_path / "weights.safetensors", diary.parent, params)
    with pytest.raises(ColorpipeError, match="overlap"):
        train(split, tmp_path / "plots2/weights.safetensors", tmp_path / "plots2", params)
    assert diary.exists()


def test_the_pretrained_weights_are_not_written_over(tmp_path, monkeypatch):
    split = make_split(tmp_path / "split")
    monkeypatch.setattr("stages.train.Trainer", None)
    params = TrainParams(**{**FAST, "init": "scratch", "options": SLIM})
    (tmp_path / "models").symlink_to(pretrained_weights().parent)
    for model in (pretrained_weights(), Path("models", pretrained_weights().name)):
        with pytest.raises(ColorpipeError, match=r"has the pretrained weights, .*--model"):
            train(split, model, tmp_path / "plots", params)


def test_training_does_not_replace_what_it_starts_from(tmp_path, monkeypatch):
    # `dvc repro` has deleted it by then, so that it need not be there.
    split = make_split(tmp_path / "split")
    monkeypatch.setattr("stages.train.Trainer", None)
    model, curves = outs(split)
    params = TrainParams(init=str(model.relative_to(tmp_path)), **FAST)
    with pytest.raises(ColorpipeError, match=r"would replace; copy it to another name"):
        train(split, model, curves, params)


def test_the_curves_of_the_run_before_are_replaced(tmp_path):
    split = make_split(tmp_path / "split")
    for seed in (0, 1):
        run(split, epochs=1, samples=1, seed=seed)
    assert (outs(split)[1] / "losses.tsv").exists()


def test_weights_that_cannot_be_written_do_not_cost_the_run(tmp_path, monkeypatch):
    split = make_split(tmp_path / "split")
    model, curves = outs(split)
    params = TrainParams(**{**FAST, "init": "scratch", "options": SLIM})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as writing:
        writing.setattr("stages.train.save_generator", full)
        with pytest.raises(ColorpipeError, match=r"w\.safetensors could not be written: No .*kept"):
            train(split, tmp_path / "w.safetensors", curves, params)
    with monkeypatch.context() as trained:
        trained.setattr("pipeline.training.trainer.Trainer._train_step", None)
        train(split, model, curves, params)
    first = contents(tmp_path)
    run(split)
    assert contents(tmp_path) == first != {}
