"""The page of an evaluation: what it says, which photos it shows, and that it opens."""

from __future__ import annotations

import re
from pathlib import Path

import browser
import numpy as np
import pytest
from playwright.sync_api import expect
from skimage import data

from pipeline.dataset.filters import CleanRow
from pipeline.errors import ColorpipeError
from pipeline.evaluation import page as page_module
from pipeline.evaluation.page import Background, ShownPhotos, verdict, write_evaluation
from pipeline.evaluation.report import Scorecard
from pipeline.evaluation.scores import GRAY, Scores
from pipeline.files.csv_tables import write_table
from pipeline.imaging.color import luma
from pipeline.imaging.decode import RGB

VIVID = "vivid <b>"


def faded(truth: RGB, part: float) -> RGB:
    """The photo with a part of its color."""
    gray = luma(truth)[..., None].astype(float)
    return np.clip(np.rint(gray + part * (truth - gray)), 0, 255).astype(np.uint8)


def evaluated(parts: dict[str, float], count: int) -> tuple[Scorecard, ShownPhotos]:
    """One photo many times, in two categories; each keeps more color than the one before."""
    truth = data.coffee()[:48, :48]
    names = [f"{'ab'[i % 2]}-{i:02}.png" for i in range(count)]
    scores, shown = Scores([*parts, GRAY]), ShownPhotos(names, list(parts))
    for i, name in enumerate(names):
        results = {key: faded(truth, part * (i + 1) / count) for key, part in parts.items()}
        results[GRAY] = faded(truth, 0)
        shown.add(scores.add(name, name[0], truth, results), truth, results)
    return Scorecard(scores, 100, 0), shown


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two models, with all that a project can have."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "losses.tsv").write_text("epoch\tgenerator\n1\t2.5\n2\t1.5\n")
    rows = [
        CleanRow("a", "1.jpg", "dropped", "blurred", ""),
        CleanRow("a", "2.jpg", "kept", "", ""),
    ]
    write_table(folder / "clean.csv", rows, CleanRow)
    card, shown = evaluated({"pale": 0.3, VIVID: 0.9}, 12)
    write_evaluation(
        folder / "report.html",
        card,
        shown,
        background=Background.read(folder, folder / "clean.csv"),
        notes=["A note."],
        details={"evaluation": {"resamples": 100}},
    )
    return folder / "report.html"


def test_it_shows_all_that_was_found(page_file: Path) -> None:
    with browser.opened(page_file) as page:
        text = page.locator("main").inner_text()
        assert page.locator(".verdict").count() == 3
        assert f"The result “{VIVID}” is closer to the ground truth than gray" in text
        assert f"“{VIVID}” is closer to the ground truth than “pale”" in text
        assert "A note." in text
        assert [each.inner_text() for each in page.locator("h2").all()] == [
            "Metrics",
            "On the same photos",
            "Photos",
            "Categories",
            "Distributions over photos",
            "Training",
            "What became of the raw photos",
            "Parameters and versions",
        ]
        assert page.locator(".chart").count() == 3
        assert page.get_by_role("row", name="dropped blurred 1").count() == 1
        first = page.locator(".photo").first
        assert first.get_attribute("data-name") == "a-00.png"  # the palest
        assert "CIEDE2000: pale" in str(first.text_content())
        page.locator("select[name=sort]").select_option(f"{VIVID}: best first")
        assert page.locator(".photo").first.get_attribute("data-name") == "b-11.png"


def test_of_several_pairs_one_is_open_and_each_says_what_it_comes_to(page_file: Path) -> None:
    with browser.opened(page_file) as page:
        pairs = page.locator("details", has=page.locator("summary", has_text="against"))
        summaries = [each.inner_text() for each in pairs.locator("summary").all()]
        assert [each.partition(":")[0] for each in summaries] == [
            f"{VIVID} against pale",
            "pale against gray",
            f"{VIVID} against gray",
        ]
        assert re.search(r": of \d+ metrics better in \d+", summaries[0])
        assert pairs.evaluate_all("all => all.map(each => each.open)") == [True, False, False]
        page.locator("summary", has_text="pale against gray").click()
        expect(page.get_by_role("region", name="pale minus gray")).to_be_visible()


def test_its_sections_are_a_click_away(page_file: Path) -> None:
    with browser.opened(page_file) as page:
        links = page.locator("nav a")
        targets = [str(link.get_attribute("href")) for link in links.all()]
        sections = [f"#{each.get_attribute('id')}" for each in page.locator("h2").all()]
        assert targets == sections
        links.last.click()
        box = page.locator("#parameters").bounding_box()
        assert box
        assert box["y"] < 800


def test_it_fits_a_phone(page_file: Path) -> None:
    with browser.opened(page_file, width=390, scheme="dark") as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        # Of a table of two models nothing is hidden at first.
        compared = page.get_by_role("region", name=f"{VIVID} minus pale")
        assert compared.evaluate("each => each.scrollWidth <= each.clientWidth")
        ticks = page.locator(".tick").evaluate_all(
            "all => all.map(each => parseFloat(getComputedStyle(each).fontSize)"
            " * each.ownerSVGElement.clientWidth / each.ownerSVGElement.viewBox.baseVal.width)"
        )
        assert min(ticks) > 10


def test_the_verdict_says_what_the_photos_show() -> None:
    card, _ = evaluated({"good": 0.9, "gray too": 0.0, "wrong": -0.9}, 8)
    assert "is closer to" in verdict(card, "good", GRAY)
    assert "do not show whether" in verdict(card, "gray too", GRAY)
    assert "is farther from" in verdict(card, "wrong", GRAY)
    assert re.search(r"above the [\d.]+ of gray\. It is [\d.]+ times", verdict(card, "wrong", GRAY))
    assert re.search(
        r"is farther from .* than “good”: .* of “good”\.$", verdict(card, "wrong", "good")
    )


def test_the_verdict_on_few_photos_is_that_they_do_not_show_it(tmp_path: Path) -> None:
    for count in (1, 5):
        card, shown = evaluated({"good": 0.9}, count)
        assert "do not show whether" in verdict(card, "good", GRAY)
        path = tmp_path / "report.html"
        write_evaluation(path, card, shown, background=Background({}, {}), notes=[], details={})
        page = path.read_text(encoding="utf-8")
        assert "fewer than 6 photos no result is called better" in page
        assert ("(–)" in page) == (count == 1)


def test_of_many_photos_the_best_and_the_worst_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "PICTURES", 18)  # of six photos
    _, shown = evaluated({"made": 0.9}, 40)
    names = [photo.name for photo in shown.gallery().photos]
    assert names[:2] != names[-2:]
    assert {"a-00.png", "b-01.png"} <= set(names)  # the worst, and first of their categories
    assert {"a-38.png", "b-39.png"} <= set(names)  # the best
    assert len(names) <= 6
    assert shown.description.startswith("Of 40 test photos the 2 with the least CIEDE2000")


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    card, shown = evaluated({"made": 0.5}, 4)
    background = Background.read(tmp_path / "none", tmp_path / "none.csv")
    path = tmp_path / "report.html"
    write_evaluation(path, card, shown, background=background, notes=[], details={})
    page = path.read_text(encoding="utf-8")
    assert 'id="training"' not in page
    assert 'id="dropped"' not in page


def test_a_name_that_is_not_text_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    card, shown = evaluated({"caf\udce9": 0.5}, 4)
    path = tmp_path / "report.html"
    write_evaluation(path, card, shown, background=Background({}, {}), notes=[], details={})
    assert "caf?" in path.read_text(encoding="utf-8")


def test_a_damaged_curve_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "losses.tsv").write_text("epoch\tgenerator\n1\tmuch\n")
    with pytest.raises(ColorpipeError, match=r"losses\.tsv is not a curve .*--curves\."):
        Background.read(tmp_path, None)


def test_a_folder_for_the_table_and_a_file_for_the_curves_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match=r"could not be read \(Is a directory\); name a CSV"):
        Background.read(None, tmp_path)
    (tmp_path / "losses.tsv").touch()
    with pytest.raises(
        ColorpipeError, match=r"losses\.tsv is a file; name the folder .*--curves\."
    ):
        Background.read(tmp_path / "losses.tsv", None)
