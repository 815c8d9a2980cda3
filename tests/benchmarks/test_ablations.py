"""The ablations, at a size that takes seconds."""

from __future__ import annotations

import csv
import itertools
import signal
from collections import defaultdict
from pathlib import Path
from typing import Any

import ablation_variants
import ablations
import pytest
import torch
from ablation_variants import COMMON, VARIANTS
from PIL import Image
from splits import make_split

from pipeline.recipes.colorpipe import Colorpipe
from pipeline.training.trainer import Trainer

SMALL = ("--images", "40", "--size", "32", "--batch", "4", "--photos", "3")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a split of unequal categories, one with more photos, and held-out photos;
    networks are small."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ablations, "COMMON", {**COMMON, "width": 4})
    make_split(tmp_path / "split", train=20, val=0, test=1)
    for side in "xy":
        for category in ("chelsea", "coffee"):
            for path in sorted((tmp_path / f"split/train_{side}").glob(f"{category}-*"))[1:4]:
                path.unlink()
    make_split(tmp_path / "gray", train=24, val=0, test=1)
    make_split(tmp_path / "held-out", train=24, val=0, test=4)
    return tmp_path


def ablate(*arguments: str) -> int:
    own = ("--split", "split", "--test", "held-out", "--out", "out")
    return ablations.main([*own, *SMALL, *arguments])


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / "out/table.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def watch_training(monkeypatch: pytest.MonkeyPatch) -> dict[str, Trainer]:
    """Collect the trainer of each variant."""
    found: dict[str, Trainer] = {}
    train = ablations.train

    def watched(variant: Any, photos: Any, options: Any) -> Any:
        run = Trainer.run

        def noted(self: Trainer) -> Any:
            found[variant.name] = self
            return run(self)

        with monkeypatch.context() as patched:
            patched.setattr(Trainer, "run", noted)
            return train(variant, photos, options)

    monkeypatch.setattr(ablations, "train", watched)
    return found


def test_every_variant_sees_as_many_images_and_differs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablations, "EPOCHS", 12)
    trainers = watch_training(monkeypatch)
    assert ablate("--gray-split", "gray") == 0
    assert list(trainers) == [variant.name for variant in VARIANTS]
    learned: dict[bytes, list[str]] = defaultdict(list)
    for name, trainer in trainers.items():
        assert trainer.step == trainer.steps == 12, name
        weights = torch.cat([each.detach().flatten() for each in trainer.average.parameters()])
        assert weights.isfinite().all(), name
        learned[weights.numpy().tobytes()].append(name)
    # Fading happens only in prediction.
    alike = [names for names in learned.values() if len(names) > 1]
    assert alike == [["recipe", "faint colors fade"]]
    assert len(trainers["near-gray photos"].sampler.photos) == 24
    phases = [phase.name for phase in trainers["adversarial"].recipe.phases]
    assert phases == ["regression", "adversarial"]
    assert not list(Path(".colorpipe/training").glob("*/last.pt"))

    rows = read(folder)
    assert {row["images"] for row in rows if row["variant"] != "gray"} == {"48"}
    assert {row["photos"] for row in rows} == {"3", "1"}
    for variant in VARIANTS:
        own = [row for row in rows if row["variant"] == variant.name]
        assert [row["set"] for row in own if row["colors"] == "own"] == ["held-out", "old prints"]
        assert {row["seed"] for row in own} == {str(variant.seed)}
        assert all(float(row["ciede2000"]) > 0 and float(row["psnr"]) > 5 for row in own)
        assert float(own[0]["images_per_second"]) > 0


def test_a_variant_is_evaluated_at_two_levels_of_vividness(folder: Path) -> None:
    assert ablate("recipe", "no average", "--ratio", "0.3") == 0
    rows = read(folder)
    gray, *others = [row for row in rows if row["set"] == "held-out"]
    assert (gray["variant"], float(gray["colorfulness_ratio"])) == ("gray", 0)
    for own, equal in (others[:2], others[2:]):
        assert own["variant"] == equal["variant"]
        assert (own["vividness"], own["colors"], equal["colors"]) == ("1.300", "own", "equal")
        assert float(equal["colorfulness_ratio"]) == pytest.approx(0.3, abs=0.005)
        stronger = float(equal["vividness"]) > 1.3
        assert stronger == (float(own["colorfulness_ratio"]) < 0.3)
    text = (folder / "out/table.md").read_text()
    cell = " / ".join(
        f"{float(others[0][name]):.{digits}f}"
        for name, digits in (("ciede2000", 2), ("psnr", 2), ("colorfulness_ratio", 2))
    )
    first, second = text.split("colorfulness ratio of 0.3 over all photos")
    assert f"| recipe | {others[0]['images_per_second']} | 1.30 | {cell} / " in first
    assert "| gray |" in first
    assert "| gray |" not in second
    assert "| no average |" in second
    assert "- no average: The last weights instead of averaged ones." in second


def test_an_unreachable_ratio_has_no_row(
    folder: Path,
) -> None:
    assert ablate("recipe", "--ratio", "50") == 0
    assert {row["colors"] for row in read(folder)} == {"own"}


def test_variants_in_the_table_are_not_trained_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ablate("recipe") == 0
    before = read(folder)
    trainers = watch_training(monkeypatch)
    assert ablate("no average", "recipe", "seed 1") == 0
    assert list(trainers) == ["no average", "seed 1"]
    after = read(folder)
    assert after[: len(before)] == before
    # Rows are in the order of VARIANTS.
    assert list(dict.fromkeys(row["variant"] for row in after[len(before) :])) == [
        "seed 1",
        "no average",
    ]


def test_a_stopped_variant_resumes_to_the_same_figures(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def figures() -> list[dict[str, str]]:
        return [{**row, "images_per_second": ""} for row in read(folder)]

    assert ablate("recipe") == 0
    whole = figures()
    (folder / "out/table.csv").unlink()
    stop_in_the_middle(monkeypatch)
    assert not (folder / "out/table.csv").exists()
    assert ablate("recipe") == 0
    assert "Resuming in epoch 14 of 20" in capsys.readouterr().out
    assert figures() == whole


def test_a_stopped_variant_starts_over_if_its_code_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_in_the_middle(monkeypatch)
    edited = folder / "ablation_variants.py"
    edited.write_text(Path(ablation_variants.__file__).read_text() + "# Another.\n")
    monkeypatch.setattr(ablation_variants, "__file__", str(edited))
    assert ablate("recipe") == 0
    assert "Resuming" not in capsys.readouterr().out


def stop_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the variant "recipe" in its 13th of 20 steps, as Ctrl-C does."""
    updates = Colorpipe.updates
    calls = itertools.count(1)

    def interrupted(self: Colorpipe, *given: Any) -> Any:
        if next(calls) == 13:
            signal.raise_signal(signal.SIGINT)
        return updates(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(Colorpipe, "updates", interrupted)
        assert ablate("recipe") == 130


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("smooth L2",), "no variant 'smooth L2'; there are recipe, seed 1,"),
        (("near-gray photos",), "needs a split that was cleaned without the check"),
        (("--test", "nowhere"), "The folder nowhere/test_x is missing"),
        (("--test", "gray/../held-out"), "Two sets of held-out photos are called held-out"),
        (("--test", "seen"), "seen/astronaut-000.png is also a training photo"),
        (("--batch", "50"), "A batch of 50 cannot be drawn from 14 training photos"),
    ],
)
def test_mistakes_are_errors(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    (folder / "seen").mkdir()
    for side in "xy":
        (folder / f"seen/test_{side}").symlink_to(folder / f"split/train_{side}")
    assert ablate(*arguments) == 2
    assert sentence in capsys.readouterr().err
    assert not (folder / "out").exists()


@pytest.mark.parametrize("option", ["--images", "--size", "--batch", "--photos"])
def test_numbers_are_at_least_one(
    folder: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        ablate("recipe", option, "0")
    assert f"argument {option}: 0 is less than 1" in capsys.readouterr().err


def test_a_table_does_not_mix_settings(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ablate("recipe") == 0
    before = read(folder)
    assert ablate("no average", "--ratio", "0.7") == 2
    assert (
        "out/settings.json is from a run with other settings or photos" in capsys.readouterr().err
    )
    monkeypatch.setattr(ablations, "COMMON", {**ablations.COMMON, "lambda_regression": 4.0})
    assert ablate("no average") == 2
    assert (
        "out/settings.json is from a run with other settings or photos" in capsys.readouterr().err
    )
    assert read(folder) == before


def test_a_table_does_not_mix_photos_of_the_same_names(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ablate("recipe") == 0
    before = read(folder)
    for path in (folder / "held-out").rglob("*.png"):
        Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
    assert ablate("no average") == 2
    assert (
        "out/settings.json is from a run with other settings or photos" in capsys.readouterr().err
    )
    assert read(folder) == before


def test_there_are_enough_epochs_for_the_parts_of_a_schedule() -> None:
    assert ablations.schedule(30_000, 32, 14_711) == (20, 47)
    assert ablations.schedule(1_000_000, 32, 14_711) == (69, 453)
    assert ablations.schedule(40, 4, 14) == (20, 1)
    epochs, steps = ablations.schedule(2_000, 4, 14)
    assert steps <= 14 // 4
    assert 2_000 <= epochs * steps * 4 < 2_000 + epochs * 4


def test_the_evaluation_does_not_change_the_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = ablations.score

    def compared(variant: Any, trained: Any, *others: Any) -> Any:
        before = {name: value.clone() for name, value in trained.generator.state_dict().items()}
        rows = score(variant, trained, *others)
        after = trained.generator.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(value, after[name]) for name, value in before.items())
        return rows

    monkeypatch.setattr(ablations, "score", compared)
    assert ablate("recipe") == 0
