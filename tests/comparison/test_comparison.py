"""The comparison of all systems, at a size that takes seconds."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from photos import real_photos
from PIL import Image
from splits import make_split

from comparison import training
from comparison.__main__ import main
from comparison.settings import read_comparison
from comparison.table import Table
from pipeline.files.interruptions import StopRequest
from pipeline.models.weights import load_generator
from pipeline.params import override
from pipeline.recipes import RECIPES, recipe_class
from pipeline.training.photo_set import read_photos
from pipeline.training.plan import recipe_of
from pipeline.training.trainer import Trainer

COMPARISON = Path(__file__).parents[2] / "comparison"
SPLIT = Path("comparison/data/split")
UNET = {"options": {"halvings": 5, "width": 4}}
SMALL: dict[str, Any] = {
    "scrape": {"source": "folder", "path": "../photos"},
    "clean": {},
    "photos_per_kind": None,
    "resize": {"size": 64},
    "split": {"test_per_category": 2, "val_fraction": 0.2},
    "budget": {"unit": "images", "amount": 16},
    "train": {"batch_size": 4, "size": 32, "device": "cpu", "precision": "float32"},
    "runs": {
        "heartbeat": {"recipe": "heartbeat"},
        "unet": {"recipe": "unet", **UNET},
        "slim": {"recipe": "pix2pix", **UNET},
    },
    "evaluate": {"gallery": 2, "resamples": 100, "recognition": False},
    "questions": [{"text": "Is one better?", "better": "heartbeat", "than": "unet"}],
}


def write_params(**changes: Any) -> None:
    text = yaml.safe_dump({**SMALL, **changes}, sort_keys=False)
    Path("comparison/params.yaml").write_text(text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "comparison").mkdir()
    write_params()
    return tmp_path / "comparison"


@pytest.fixture
def split(project: Path) -> Path:
    return make_split(project.parent / SPLIT, train=8, val=2, test=6)


def step(name: str, run: str = "") -> int:
    """Run a step as dvc.yaml does."""
    stage = yaml.safe_load((COMPARISON / "dvc.yaml").read_text())["stages"][name]
    command = stage["do"]["cmd"].replace("${key}", run) if run else stage["cmd"]
    return main(command.partition("python -m comparison ")[2].split())


def table(project: Path) -> Table:
    """What the step ``table`` writes down."""
    folders = {name: project / name for name in ("rows", "costs", "curves")}
    return Table(read_comparison(), **folders, speeds=project / "speeds.json")


def write_speeds(project: Path, **speeds: float) -> None:
    (project / "speeds.json").write_text(json.dumps(speeds))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Press Ctrl-C after so many steps of training."""
    loop = Trainer._loop

    def stopped(self: Trainer, stop: StopRequest, report: Any) -> None:
        step = self._train_step

        def counted(phase: Any, where: str) -> None:
            step(phase, where)
            stop.requested = self.step + 1 >= steps

        monkeypatch.setattr(self, "_train_step", counted)
        loop(self, stop, report)

    monkeypatch.setattr(Trainer, "_loop", stopped)


# The settings that stand in the repository


def test_every_recipe_is_compared_with_settings_that_it_takes() -> None:
    comparison = read_comparison(COMPARISON / "params.yaml")
    recipes = [recipe_of(comparison.params(run)) for run in comparison.runs]
    published = {name for name in RECIPES if recipe_class(name).origin != "this project"}
    assert {recipe.name for recipe in recipes} == published | {"colorpipe"}
    assert len({recipe.settings.batch_size for recipe in recipes}) == 1


def test_rows_are_of_this_budget_and_this_code() -> None:
    comparison = read_comparison(COMPARISON / "params.yaml")
    speeds = json.loads((COMPARISON / "speeds.json").read_text())
    assert speeds.keys() == comparison.runs.keys()
    costs = {run: json.loads((COMPARISON / f"costs/{run}.json").read_text()) for run in speeds}
    for run, cost in costs.items():
        budget = comparison.budget.amount * speeds[run]
        an_epoch = cost["images"] / cost["epochs"]
        assert cost["epochs"] == max(1, round(budget / an_epoch)), run
        assert cost["code"] == training.meaning_of(comparison.params(run).recipe), run
        given = comparison.params(run).model_copy(update={"epochs": cost["epochs"]})
        recipe, whole = recipe_of(given), recipe_of(comparison.params(run))
        assert [p.name for p in recipe.phases] == [p.name for p in whole.phases], run


def test_a_run_s_options_come_on_top_of_those_for_every_run(project: Path) -> None:
    train = {**SMALL["train"], "options": {"clip": 1.0, "width": 8}}
    write_params(train=train)
    comparison = read_comparison()
    assert comparison.params("heartbeat").options == {"clip": 1.0, "width": 8}
    assert comparison.params("unet").options == {"clip": 1.0, "width": 4, "halvings": 5}
    assert comparison.params("unet").size == 32


# From photos to the table


def give_photos(project: Path) -> None:
    """Seven photos of each of two kinds."""
    for index, photo in enumerate(real_photos(14)):
        category = project.parent / "photos" / ("even" if index % 2 else "odd")
        category.mkdir(parents=True, exist_ok=True)
        (category / f"{index}{photo.suffix}").write_bytes(photo.read_bytes())


def names_in(project: Path, side: str) -> set[str]:
    return {path.name for path in (project / "data/split" / side).iterdir()}


def test_photos_are_split_by_the_chain_s_own_stages(project: Path) -> None:
    give_photos(project)
    assert step("split") == 0
    names = names_in(project, "test_y")
    assert len(names) == 4
    assert {name.partition("-")[0] for name in names} == {"even", "odd"}
    assert Image.open(project / "data/split/test_y" / min(names)).size == (64, 64)
    before = {path: path.read_bytes() for path in (project / "data").rglob("*.png")}
    assert step("split") == 0
    assert {path: path.read_bytes() for path in (project / "data").rglob("*.png")} == before


def test_of_many_photos_those_are_kept_that_are_tested_with_anyway(project: Path) -> None:
    give_photos(project)
    write_params(split={"test_per_category": 2, "val_fraction": 0})
    assert step("split") == 0
    tested, trained = names_in(project, "test_y"), names_in(project, "train_y")
    assert len(trained) == 10
    write_params(split={"test_per_category": 2, "val_fraction": 0}, photos_per_kind=4)
    assert step("split") == 0
    assert names_in(project, "test_y") == tested
    kept = names_in(project, "train_y")
    assert len(kept) == 4
    assert kept < trained
    assert {name.partition("-")[0] for name in kept} == {"even", "odd"}


def test_runs_are_trained_evaluated_and_put_in_one_table(project: Path, split: Path) -> None:
    for run in SMALL["runs"]:
        assert step("train", run) == 0
        assert step("evaluate", run) == 0
    assert load_generator(project / "models/slim.safetensors").recipe.name == "pix2pix"
    assert (project / "curves/unet/losses.tsv").is_file()
    write_params(given={"as it is": "models/slim.safetensors"})
    evaluated = ["evaluate", "as it is", "--split", str(SPLIT)]
    evaluated += ["--model", "comparison/models/slim.safetensors"]
    assert main([*evaluated, "--row", "comparison/rows/as it is"]) == 0
    assert step("table") == 0
    rows = read(project / "table.csv")
    assert [row["run"] for row in rows] == ["heartbeat", "unet", "slim", "as it is", "gray"]
    assert [row["images"] for row in rows] == ["16", "16", "16", "", ""]
    assert int(rows[0]["parameters"]) == 1_405_602
    for row in rows[:3]:
        assert float(row["images_per_second"]) > 0
        assert float(row["peak_memory_gb"]) > 0.1
        assert row["precision"] == "float32"
    for row in rows:
        low, value, high = (float(row[f"ciede2000{end}"]) for end in ("_low", "", "_high"))
        assert 0 < low <= value <= high
        assert float(row["layout_distance"]) > 0
    same = ("ciede2000", "colorfulness_ratio", "layout_distance")
    assert [rows[2][name] for name in same] == [rows[3][name] for name in same]
    text = (project / "results.md").read_text()
    assert "Each trained for 16 images, to whole epochs, on the same photos; 6 test photos" in text
    psnr = (float(rows[1][f"psnr{end}"]) for end in ("", "_low", "_high"))
    assert "| {:g} ({:g} to {:g}) |".format(*psnr) in text
    assert "## Is one better?" in text
    assert "| heartbeat minus unet |" in text
    # Gray, three runs, the weights as they are and the ground truth; two photos.
    sheet = Image.open(project / "pictures/sheet.jpg")
    assert sheet.width > 6 * 96
    assert sheet.height > 2 * 96
    assert Image.open(project / "pictures/curves.png").width > 1000


def test_differences_are_of_the_first_minus_the_second(project: Path, split: Path) -> None:
    for run in ("heartbeat", "unet", "slim"):
        assert step("train", run) == 0
        assert step("evaluate", run) == 0
    ask = {"better": "unet", "than": "slim"}
    write_params(questions=[{"text": "One way?", **ask}, {"text": "gray?", **ask, "than": "gray"}])
    assert step("table") == 2
    write_params(
        questions=[
            {"text": "One way?", "better": "unet", "than": "slim"},
            {"text": "The other?", "better": "slim", "than": "unet"},
        ]
    )
    text = table(project).markdown()
    one, other = (
        re.search(r"\| CIEDE2000 \| (\S+) \((\S+) to (\S+)\) \| (.+) \|", answer)
        for answer in text.split("## ")[-2:]
    )
    assert one is not None
    assert other is not None
    first, second = ([float(x) for x in found.groups()[:3]] for found in (one, other))
    assert first == [-second[0], -second[2], -second[1]]
    assert one[4] == other[4]


def test_other_seeds_and_sizes_are_of_the_same_system(project: Path) -> None:
    unet = SMALL["runs"]["unet"]
    colorpipe = {"recipe": "colorpipe", "options": {"working_size": 32}}
    write_params(
        runs={
            **SMALL["runs"],
            "unet-seed-1": {**unet, "seed": 1},
            "unet-64": {**unet, "size": 64},
            "unet-seed-2": {**unet, "seed": 2},
            "unet-64-seed-1": {**unet, "size": 64, "seed": 1},
            "colorpipe": colorpipe,
            "colorpipe-64": {**colorpipe, "size": 64, "options": {"working_size": 64}},
            "slim-64": {**SMALL["runs"]["slim"], "size": 64},
        },
        questions=[
            {"text": "Is one better?", "better": "heartbeat", "than": "unet"},
            {"text": "At every size?", "better": "slim", "than": "unet"},
        ],
    )
    comparison = read_comparison()
    assert comparison.repeats == {
        "unet-seed-1": "unet",
        "unet-seed-2": "unet",
        "unet-64-seed-1": "unet-64",
    }
    assert comparison.seeds_of("unet") == ["unet", "unet-seed-1", "unet-seed-2"]
    assert comparison.seeds_of("slim") == ["slim"]
    assert comparison.resized == {
        "unet-64": "unet",
        "colorpipe-64": "colorpipe",
        "slim-64": "slim",
    }
    assert comparison.system("unet-64-seed-1") == "unet"
    assert comparison.system("gray") == "gray"
    one, every = comparison.questions
    assert comparison.pairs(one) == [
        ("heartbeat", "unet"),
        ("heartbeat", "unet-seed-1"),
        ("heartbeat", "unet-seed-2"),
    ]
    assert comparison.pairs(every) == [
        ("slim", "unet"),
        ("slim", "unet-seed-1"),
        ("slim", "unet-seed-2"),
        ("slim-64", "unet-64"),
        ("slim-64", "unet-64-seed-1"),
    ]


def test_curves_are_at_the_measured_pace_whichever_machine_trained(
    project: Path, split: Path
) -> None:
    runs = {name: SMALL["runs"][name] for name in ("heartbeat", "unet")}
    write_params(runs=runs, budget={"unit": "seconds", "amount": 10}, questions=[])
    write_speeds(project, heartbeat=1.6, unet=3.2)
    for run in runs:
        assert step("train", run) == 0
        assert step("evaluate", run) == 0
    # As on a machine that is ten times as slow.
    costs = project / "costs/unet.json"
    taken = {**json.loads(costs.read_text()), "images_per_second": 0.32}
    costs.write_text(json.dumps({**taken, "epoch_seconds": [25.0, 50.0, 75.0, 100.0]}))
    heartbeat, unet, _ = (row.curve for row in table(project).rows)
    assert len(heartbeat) == 2
    assert [epoch["seconds"] for epoch in unet] == pytest.approx([2.5, 5, 7.5, 10])


def test_what_another_size_changes_is_said(project: Path, split: Path) -> None:
    runs = {name: SMALL["runs"][name] for name in ("unet", "slim")}
    for run in ("unet", "slim"):
        runs[f"{run}-64"] = {**runs[run], "size": 64}
    write_params(runs=runs, questions=[{"text": "Which one?", "better": "slim", "than": "unet"}])
    for run in runs:
        assert step("train", run) == 0
        assert step("evaluate", run) == 0
    assert step("table") == 0
    text = (project / "results.md").read_text()
    assert "| slim minus unet | slim-64 minus unet-64 | better, by all of them |" in text
    rows = {row["run"]: float(row["psnr"]) for row in read(project / "table.csv")}
    for run in ("unet", "slim"):
        changed = re.search(rf"\| {run}-64 minus {run} \| (\S+) ", text.replace("(", ""))
        assert changed is not None
        assert float(changed[1]) == pytest.approx(rows[f"{run}-64"] - rows[run], abs=0.02)
    # Gray, two systems and the ground truth; and both sizes of both between these.
    sheets = [
        Image.open(project / f"pictures/{name}.jpg").width for name in ("sheet", "sheet-by-size")
    ]
    assert sheets[0] < 5 * 96 + 100
    assert sheets[1] - sheets[0] >= 2 * 96
    pictures = [path.name for path in (project / "pictures").iterdir()]
    assert sorted(name for name in pictures if name not in text) == []


def test_only_what_all_seeds_show_is_an_answer(project: Path, split: Path) -> None:
    runs = {name: SMALL["runs"][name] for name in ("heartbeat", "unet")}
    runs["unet-seed-1"] = {**runs["unet"], "seed": 1}
    write_params(
        runs=runs, questions=[{"text": "Which one?", "better": "unet", "than": "heartbeat"}]
    )
    for run in runs:
        assert step("train", run) == 0
        assert step("evaluate", run) == 0
    assert step("table") == 0
    text = (project / "results.md").read_text()
    assert "| unet minus heartbeat | unet-seed-1 minus heartbeat | better, by all of them |" in text
    changed = re.search(r"\| unet-seed-1 minus unet \| (\S+) ", text.replace("(", ""))
    first, second = (float(row["psnr"]) for row in read(project / "table.csv")[1:3])
    assert changed is not None
    assert float(changed[1]) == pytest.approx(second - first, abs=0.02)
    # The sheet has no column for a repeat: gray, two runs and the ground truth.
    assert Image.open(project / "pictures/sheet.jpg").width < 5 * 96 + 100
    # What the first seed shows and the second does not.
    photos = project / "rows/unet-seed-1/photos.csv"
    scores = list(csv.reader(photos.open(newline="")))
    column = scores[0].index("psnr")
    theirs = {
        row["photo"]: float(row["psnr"])
        for row in read(project / "rows/heartbeat/photos.csv")
        if row["result"] == "heartbeat"
    }
    for apart, answer in ((1.0, "unet"), (-1.0, "heartbeat"), (0.0, "not shown")):
        for run, change in (("unet", apart or 1.0), ("unet-seed-1", apart or -1.0)):
            table = [list(row) for row in scores]
            for row in table[1:]:
                row[2] = run if row[2] == "unet-seed-1" else row[2]
                row[column] = str(theirs[row[0]] + change)
            with (project / f"rows/{run}/photos.csv").open("w", newline="") as stream:
                csv.writer(stream).writerows(table)
        assert step("table") == 0
        text = (project / "results.md").read_text().partition("## Which one?")[2]
        row = re.search(r"^\| PSNR \|.*\| (.+) \|$", text, re.MULTILINE)
        assert row is not None
        assert row[1] == answer


def test_runs_on_different_photos_are_not_compared(
    project: Path, split: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in ("heartbeat", "unet", "slim"):
        assert step("train", run) == 0
        assert step("evaluate", run) == 0
    photos = project / "rows/unet/photos.csv"
    content = photos.read_text()
    first = content.splitlines()[1].partition(",")[0]
    for other in (content.replace(first, f"other-{first}"), content.rsplit("\n", 3)[0] + "\n"):
        photos.write_text(other)
        assert step("table") == 2
        assert "were evaluated on different photos" in capsys.readouterr().err


# Budgets and interruptions


def test_a_budget_in_images_is_rounded_to_epochs(project: Path, split: Path) -> None:
    params, photos = read_comparison().params("unet"), read_photos(split, "train")
    for images, epochs in ((1, 1), (16, 2), (21, 3), (80, 10)):
        assert training.epochs_for(images, params, photos) == epochs


def test_a_budget_in_seconds_goes_by_the_measured_speeds(
    project: Path, split: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params(budget={"unit": "seconds", "amount": 10})
    assert step("train", "unet") == 2
    assert "run `python -m comparison speeds --split" in capsys.readouterr().err
    write_speeds(project, unet=2.4)
    assert step("train", "unet") == 0
    costs = json.loads((project / "costs/unet.json").read_text())
    assert (costs["epochs"], costs["images"]) == (3, 24)
    assert sorted(costs["epoch_seconds"]) == costs["epoch_seconds"]
    assert costs["epoch_seconds"][-1] == pytest.approx(costs["seconds"], abs=0.2)


def test_the_speed_of_every_run_is_measured(
    project: Path, split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_TIMED", 0.01)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    write_params(runs={**SMALL["runs"], "again": {**SMALL["runs"]["unet"], "seed": 1}})
    command = ["speeds", "--split", str(SPLIT), "--speeds", "comparison/speeds.json"]
    assert main(command) == 0
    speeds = json.loads((project / "speeds.json").read_text())
    assert speeds.keys() == SMALL["runs"].keys() | {"again"}
    assert all(speed > 0 for speed in speeds.values())
    # Another seed gets as many images.
    assert speeds["again"] == speeds["unet"]


def test_the_speed_is_that_of_all_phases_together(
    project: Path, split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = override(
        read_comparison().params("unet"),
        {"recipe": "cgan-pretrained", "epochs": 4, "batch_size": 4},
    )
    photos = read_photos(split, "train")
    seen = []

    def seconds_a_step(trainer: Trainer, last: int) -> float:
        seen.append((trainer.step, last))
        return 1.0 if len(seen) == 1 else 3.0

    monkeypatch.setattr(training, "_seconds_a_step", seconds_a_step)
    half = 2 * (len(photos) // 4)
    assert training.speed(params, photos) == pytest.approx(4 / 2)
    assert seen == [(0, half), (half, 2 * half)]


def test_the_speed_of_compiled_networks_is_measured_compiled(
    project: Path, split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[torch.nn.Module] = []

    def compile_(self: torch.nn.Module) -> None:
        compiled.append(self)

    monkeypatch.setattr(torch.nn.Module, "compile", compile_)
    monkeypatch.setattr(training, "_seconds_a_step", lambda *_: 1.0)
    params, photos = read_comparison().params("unet"), read_photos(split, "train")
    training.speed(params, photos)
    assert compiled == []
    training.speed(override(params, {"compile": True}), photos)
    assert len(compiled) == 1


def test_the_memory_is_that_of_the_device_that_trains(
    project: Path, split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine with a GPU of which nothing is in use, as training is on the CPU.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 0)
    assert step("train", "unet") == 0
    costs = json.loads((project / "costs/unet.json").read_text())
    assert costs["peak_memory_gb"] > 0.1
    assert training._peak_memory("cuda") == 0


def test_a_stopped_run_resumes_to_the_same_weights(
    project: Path, split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_params(budget={"unit": "images", "amount": 24})
    assert step("train", "slim") == 0
    whole = (project / "models/slim.safetensors").read_bytes()
    with monkeypatch.context() as interrupted:
        stop_after(interrupted, 4)
        assert step("train", "slim") == 130
    assert step("train", "slim") == 0
    assert (project / "models/slim.safetensors").read_bytes() == whole
    costs = json.loads((project / "costs/slim.json").read_text())
    assert (costs["epochs"], costs["images"]) == (3, 24)
    assert len(costs["epoch_seconds"]) == 3


def test_what_a_run_took_is_counted_over_all_its_parts(
    project: Path, split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as interrupted:
        stop_after(interrupted, 3)
        assert step("train", "unet") == 130
    (checkpoint,) = Path(".colorpipe/training").glob("*/last.pt")
    state = torch.load(checkpoint, weights_only=True)
    assert state["seconds"] > 0
    # A millisecond more, and it is rounded up to 1000.1.
    torch.save({**state, "seconds": 1000.0499}, checkpoint)
    assert step("train", "unet") == 0
    costs = json.loads((project / "costs/unet.json").read_text())
    assert costs["seconds"] > 1000
    assert costs["images_per_second"] == pytest.approx(16 / costs["seconds"], abs=0.01)


# Answers and mistakes


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"runs": {**SMALL["runs"], "slim": UNET}}, "the run 'slim' names no recipe; add the key"),
        ({"questions": [{"text": "?", "better": "unet", "than": "x"}]}, "about 'x', which is no"),
        ({"budget": {"unit": "hours", "amount": 1}}, "'budget.unit' is 'hours', but must be"),
        ({"given": {"unet": "w"}}, "'unet' is both in runs and in given"),
        ({"resize": {"sise": 3}}, "'resize.sise' is not a known key"),
        (
            {"runs": {**SMALL["runs"], "unet": {"recipe": "unet", "sise": 3}}},
            "run unet: 'sise' is not a known key",
        ),
        ({"train": {"batch_size": 9, "size": 32}}, "A batch of 9 cannot be drawn from 8"),
    ],
)
def test_mistakes_in_the_settings_are_said(
    project: Path, split: Path, capsys: pytest.CaptureFixture[str], changes: Any, sentence: str
) -> None:
    write_params(**changes)
    assert step("train", "unet") == 2
    assert sentence in capsys.readouterr().err
    assert not (project / "models").exists()


def test_what_is_missing_is_named_with_what_makes_it(
    project: Path, split: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 2
    assert "put a folder of category folders there" in capsys.readouterr().err
    (project.parent / "photos").mkdir()
    assert main(["check"]) == 0
    assert step("train", "pix3pix") == 2
    assert "no run 'pix3pix'; there are heartbeat, unet, slim" in capsys.readouterr().err
    assert step("evaluate", "heartbeat") == 2
    assert "comparison/models/heartbeat.safetensors" in capsys.readouterr().err
    assert step("table") == 2
    assert "run `dvc repro evaluate@heartbeat`" in capsys.readouterr().err
    (project / "params.yaml").unlink()
    assert step("table") == 2
    assert "run this in the project's folder" in capsys.readouterr().err


def test_the_findings_intervals_are_those_of_the_table() -> None:
    number = r"-?\d+(?:\.\d+)?"
    interval = re.compile(rf"({number})\s+\(({number})\s+to\s+({number})\)")
    found, computed = (
        [tuple(map(float, each)) for each in interval.findall((COMPARISON / name).read_text())]
        for name in ("findings.md", "results.md")
    )
    # "Worse by 0.5" is the other side of a difference of -0.5.
    known = computed + [(-value, -high, -low) for value, low, high in computed]
    assert found
    for each in found:
        # To two digits; a half may be rounded either way.
        assert any(np.allclose(each, other, rtol=0, atol=0.0051) for other in known), each
