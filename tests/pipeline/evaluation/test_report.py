"""What scores come to: figures, intervals and verdicts, for people and for DVC."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import stand_ins
import torch
from skimage import data

from pipeline.evaluation import metrics
from pipeline.evaluation.inception import load_inception
from pipeline.evaluation.metric_table import PHOTO_METRICS
from pipeline.evaluation.report import EVERYTHING, Scorecard
from pipeline.evaluation.scores import GRAY, Scores
from pipeline.imaging.color import luma


def faded(truth, part):
    """The photo with a part of its color."""
    gray = luma(truth)[..., None].astype(float)
    return np.clip(np.rint(gray + part * (truth - gray)), 0, 255).astype(np.uint8)


def tiles(count):
    """Pieces of a colorful photo, half of them in each of two categories."""
    photo = data.coffee()
    for i in range(count):
        y, x = divmod(i, 8)
        yield f"{'ab'[i % 2]}-{i}.png", "ab"[i % 2], photo[y * 48 :, x * 48 :][:48, :48]


def scored(parts, count=16, inception=None):
    """Scores of results that keep so much of the color each, and of gray."""
    networks = {"inception": inception.features} if inception else {}
    scores = Scores([*parts, GRAY], networks)
    for name, category, truth in tiles(count):
        results = {result: faded(truth, part) for result, part in {**parts, GRAY: 0}.items()}
        scores.add(name, category, truth, results)
    return scores


@pytest.fixture(scope="module")
def card():
    return Scorecard(scored({"pale": 0.3, "vivid": 0.9}), resamples=300, seed=0)


def test_figures_are_means_over_photos_and_ratios_of_means(card):
    truths = [truth for _, _, truth in tiles(16)]
    pale = [faded(truth, 0.3) for truth in truths]
    found = card.metrics()
    assert found["photos"] == 16
    expected = np.mean([metrics.psnr(*pair) for pair in zip(pale, truths, strict=True)])
    assert found["psnr"]["pale"] == pytest.approx(expected, abs=0.005)
    made, true = (np.mean([metrics.colorfulness(p) for p in side]) for side in (pale, truths))
    assert found["colorfulness_ratio"]["pale"] == pytest.approx(made / true, abs=0.0005)
    assert found["colorfulness_ratio"]["gray"] == 0


def test_gray_stands_last_beside_every_model(card):
    for name, values in card.metrics().items():
        if name != "photos":
            assert list(values) == ["pale", "vivid", GRAY]


def test_the_layout_distance_falls_towards_the_ground_truth():
    found = Scorecard(scored({"original": 1.0, "pale": 0.3}), 100, 0).metrics()
    layout = found["layout_distance"]
    assert layout["original"] == pytest.approx(0, abs=0.1)
    assert layout["original"] < layout["pale"] < layout[GRAY]


def test_a_comparison_names_the_better_in_every_metric(card):
    verdicts = {(c.result, c.baseline): set() for c in card.comparisons}
    assert set(verdicts) == {("pale", GRAY), ("vivid", "pale"), ("vivid", GRAY)}
    for c in card.comparisons:
        verdicts[c.result, c.baseline].add(c.better)
    assert verdicts == {
        ("pale", GRAY): {"pale"},
        ("vivid", "pale"): {"vivid"},
        ("vivid", GRAY): {"vivid"},
    }


def test_too_much_color_is_as_far_off_as_too_little():
    card = Scorecard(scored({"a little too much": 1.1, "much too little": 0.3}), 300, 0)
    (found,) = [
        c
        for c in card.comparisons
        if c.metric.name == "colorfulness_ratio" and c.baseline == "a little too much"
    ]
    assert found.difference.high < 0
    assert found.better == "a little too much"


def test_results_that_are_alike_are_not_told_apart():
    card = Scorecard(scored({"one": 0.5, "other": 0.5}), 100, 0)
    alike = [c for c in card.comparisons if c.baseline == "one"]
    assert alike
    assert {c.better for c in alike} == {""}
    assert {c.difference.value for c in alike} == {0}


def test_results_that_take_turns_are_not_told_apart():
    scores = Scores(["one", "other", GRAY])
    for i, (name, category, truth) in enumerate(tiles(16)):
        near, far = faded(truth, 0.8), faded(truth, 0.4)
        pair = {"one": near, "other": far} if i // 2 % 2 else {"one": far, "other": near}
        scores.add(name, category, truth, {**pair, GRAY: faded(truth, 0)})
    for c in Scorecard(scores, 300, 0).comparisons:
        if c.baseline == "one":
            assert c.difference.low < 0 < c.difference.high
            assert c.better == ""


def test_a_few_photos_that_agree_show_nothing(capsys):
    few, enough = (Scorecard(scored({"vivid": 0.9}, count), 300, 0) for count in (5, 6))
    assert {c.better for c in few.comparisons} == {""}
    assert {c.better for c in enough.comparisons} == {"vivid"}
    enough.print()
    assert "fewer than 6 photos" not in capsys.readouterr().out
    Scorecard(scored({"vivid": 0.9, "pale": 0.4}, 5), 300, 0).print()
    # Once, not for each of three pairs.
    assert capsys.readouterr().out.count("fewer than 6 photos no result is called better") == 1


def test_a_single_photo_has_figures_without_intervals(tmp_path, capsys):
    card = Scorecard(scored({"vivid": 0.9}, 1), 300, 0)
    value = card.metrics()["ciede2000"]["vivid"]
    card.print()
    assert f"{value:.2f} (–)" in capsys.readouterr().out
    card.write(tmp_path)
    with (tmp_path / "categories.csv").open(newline="") as stream:
        row = next(csv.DictReader(stream))
    assert (float(row["ciede2000"]), row["ciede2000_low"], row["ciede2000_high"]) == (value, "", "")


def test_files_hold_every_category_comparison_and_photo(card, tmp_path):
    card.write(tmp_path)

    def rows(name):
        with (tmp_path / name).open(newline="") as stream:
            return list(csv.DictReader(stream))

    assert json.loads((tmp_path / "metrics.json").read_text()) == card.metrics()
    categories = rows("categories.csv")
    assert [(row["category"], row["photos"]) for row in categories[::3]] == [
        (EVERYTHING, "16"),
        ("a", "8"),
        ("b", "8"),
    ]
    assert len({row["label"] for row in categories}) == 9
    for row in categories:
        assert float(row["psnr_low"]) <= float(row["psnr"]) <= float(row["psnr_high"])
    assert len(rows("comparison.csv")) == 3 * len(PHOTO_METRICS)
    photos = rows("photos.csv")
    assert len(photos) == 16 * 3
    overall = np.mean([float(row["ssim"]) for row in photos if row["result"] == "vivid"])
    assert overall == pytest.approx(card.metrics()["ssim"]["vivid"], abs=1e-4)


def test_the_same_scores_give_the_same_files(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Scorecard(scored({"pale": 0.3}), 100, 0).write(tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_tables_show_figures_with_intervals_and_verdicts(card, capsys):
    card.print()
    printed = capsys.readouterr().out
    value = card.metrics()["ciede2000"]["vivid"]
    assert f"{value:.2f} (" in printed
    assert "vivid minus pale" in printed
    assert "Lab layout distance" in printed
    assert "FID" not in printed


def test_an_undefined_figure_is_empty_and_not_zero(tmp_path, capsys):
    scores = Scores(["made", GRAY])
    truth = faded(data.coffee()[:48, :48], 0)
    scores.add("a-1.png", "a", truth, {"made": truth, GRAY: truth})
    card = Scorecard(scores, 100, 0)
    assert card.metrics()["colorfulness_ratio"] == {"made": None, GRAY: None}
    assert card.metrics()["layout_distance"] == {"made": None, GRAY: None}
    card.write(tmp_path)
    assert ",,," in (tmp_path / "categories.csv").read_text()
    card.print()
    assert "–" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_fid_and_kid_come_with_the_network_and_name_its_file(tmp_path, capsys):
    network = load_inception(stand_ins.inception(tmp_path / "mine.pt"), torch.device("cpu"))
    card = Scorecard(scored({"original": 1.0}, inception=network), 100, 0, network.file)
    found = card.metrics()
    assert found["fid"]["original"] == pytest.approx(0, abs=0.01)
    assert found["fid"][GRAY] > 100
    assert found["kid"]["original"] < found["kid"][GRAY]
    assert found["inception"] == network.file
    card.print()
    printed = capsys.readouterr().out
    assert "FID" in printed
    assert "KID" in printed
