"""What was tested with is never trained on, whatever comes, goes, is renamed or asked for."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from photos import scene
from PIL import Image
from splits import fill, put

from pipeline.dataset.hashing import distance, perceptual_hash
from pipeline.errors import ColorpipeError
from pipeline.imaging.color import luma
from pipeline.params import SplitParams
from stages.split import split


def resaved(pixels: np.ndarray) -> np.ndarray:
    """What a photo is after a resize there and back."""
    smaller = Image.fromarray(pixels).resize((40, 40), Image.Resampling.BILINEAR)
    return np.asarray(smaller.resize((48, 48), Image.Resampling.BICUBIC))


def cropped(pixels: np.ndarray) -> np.ndarray:
    """A photo that looks much like another, but has another hash."""
    return np.asarray(Image.fromarray(pixels[1:, 1:]).resize((48, 48)))


class Chain:
    """A project whose photos are split again and again."""

    def __init__(self, folder: Path) -> None:
        self.resized, self.out, self.lock = folder / "resized", folder / "out", folder / "lock"

    def split(self, resized: Path | None = None, **params: object) -> dict[str, set[str]]:
        """Split, and return the stems of each side."""
        split(resized or self.resized, self.out, SplitParams(**params), lock=self.lock)
        return {
            side: {path.stem for path in (self.out / f"{side}_y").iterdir()}
            for side in ("test", "train", "val")
        }


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    fill(tmp_path / "resized", "forest", range(30))
    fill(tmp_path / "resized", "sea", range(100, 125))
    return Chain(tmp_path)


def test_a_renamed_copy_takes_the_place_of_a_test_photo(chain: Chain) -> None:
    before = chain.split()
    gone = sorted(before["test"])[:3]
    for stem in gone:
        category, name = stem.split("-")
        (chain.resized / category / f"{name}.png").unlink()
        put(chain.resized, f"{category}/{name}_copy.png", resaved(scene(int(name), 48, 48)))
    after = chain.split()
    assert after["test"] == before["test"] - set(gone) | {f"{stem}_copy" for stem in gone}
    assert after["train"] | after["val"] == before["train"] | before["val"]


def test_a_run_on_other_photos_does_not_forget_the_test(chain: Chain, tmp_path: Path) -> None:
    before = chain.split()
    fill(tmp_path / "other", "forest", range(200, 220))
    fill(tmp_path / "other", "town", range(300, 320))
    chain.split(tmp_path / "other")
    assert chain.split() == before


def test_another_seed_does_not_forget_the_test(chain: Chain) -> None:
    before = chain.split()
    assert chain.split(seed=1)["test"] != before["test"]
    assert chain.split() == before


def test_a_smaller_test_leaves_the_other_test_photos_out(chain: Chain) -> None:
    before = chain.split()
    few = chain.split(test_per_category=5)
    assert few["test"] < before["test"]
    assert len(few["test"]) == 10
    assert not before["test"] & (few["train"] | few["val"])
    assert chain.split() == before
    assert chain.split(test_per_category=5) == few


def test_a_larger_test_keeps_the_smaller_one(chain: Chain) -> None:
    few = chain.split(test_per_category=5)
    many = chain.split(test_per_category=10)
    assert few["test"] < many["test"]
    again = chain.split(test_per_category=5)
    assert not many["test"] & (again["train"] | again["val"])


def test_a_missing_photo_and_its_substitute_are_not_trained_on(
    chain: Chain,
) -> None:
    before = chain.split()
    stem = min(before["test"])
    path = chain.resized / stem.replace("-", "/")
    shutil.move(path.with_suffix(".png"), chain.lock.with_name("away.png"))
    meanwhile = chain.split()
    assert len(meanwhile["test"]) == 20
    (substitute,) = meanwhile["test"] - before["test"]
    shutil.move(chain.lock.with_name("away.png"), path.with_suffix(".png"))
    after = chain.split()
    assert len(after["test"]) == 20
    assert not {stem, substitute} & (after["train"] | after["val"])


def test_a_renamed_photo_is_tested_with_rather_than_a_new_one(chain: Chain) -> None:
    before = chain.split()
    stem = min(before["test"])
    path = (chain.resized / stem.replace("-", "/")).with_suffix(".png")
    path.rename(path.with_stem(f"{path.stem}_png"))
    put(chain.resized, f"{path.parent.name}/{path.name}", scene(999, 48, 48))
    after = chain.split()
    assert after["test"] == before["test"] - {stem} | {f"{stem}_png"}
    assert after["train"] == before["train"]


def test_a_lock_without_hashes_keeps_its_test_and_gets_them(chain: Chain) -> None:
    before = chain.split()
    lines = chain.lock.read_text().splitlines()
    assert lines[0] == "category,name,seed,hash"
    chain.lock.write_text("".join(line.rpartition(",")[0] + "\n" for line in lines))
    assert chain.split() == before
    assert chain.lock.read_text().splitlines() == lines


def test_a_copy_in_another_category_is_not_trained_on(chain: Chain, tmp_path: Path) -> None:
    before = chain.split()
    tested = sorted(int(stem.partition("-")[2]) for stem in before["test"] if "forest" in stem)
    copies = tmp_path / "copies"
    fill(copies, "wood", range(400, 420))
    for seed in tested[:4]:
        put(copies, f"wood/{seed:04}.png", scene(seed, 48, 48))
    after = chain.split(copies, test_per_category=2)
    assert not {f"wood-{seed:04}" for seed in tested[:4]} & (after["train"] | after["val"])
    shutil.rmtree(copies)
    for seed in tested:
        put(copies, f"grove/{seed:04}.png", scene(seed, 48, 48))
    with pytest.raises(ColorpipeError, match="No photo of 'grove' is left to train on"):
        chain.split(copies, test_per_category=2)


def test_test_photos_that_move_to_another_category_are_not_trained_on(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    tested = {stem for stem in chain.split()["test"] if "forest" in stem}
    for stem in tested:
        name = stem.partition("-")[2]
        (chain.resized / f"forest/{name}.png").unlink()
        put(chain.resized, f"wood/{name}.png", resaved(scene(int(name), 48, 48)))
    with pytest.raises(ColorpipeError, match="No photo of 'wood' is left to train on"):
        chain.split(test_per_category=2)
    assert "is not kept from training" not in capsys.readouterr().err


def test_of_photos_that_merely_look_alike_the_least_alike_gives_way(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    tested = {stem.partition("-")[2] for stem in chain.split()["test"] if "forest" in stem}
    bits = {}
    for name in tested:
        (chain.resized / f"forest/{name}.png").unlink()
        original, copy = scene(int(name), 48, 48), cropped(scene(int(name), 48, 48))
        put(chain.resized, f"wood/{name}_copy.png", copy)
        gray, other = (luma(pixels) for pixels in (original, copy))
        bits[f"wood-{name}_copy"] = distance(perceptual_hash(gray), perceptual_hash(other))
    after = chain.split(test_per_category=2)
    (trained,) = {stem for stem in after["train"] | after["val"] if "wood" in stem}
    assert bits[trained] == max(bits.values()) > min(bits.values())
    assert f"{trained.replace('-', '/')} is not kept from training" in capsys.readouterr().err


def test_a_category_that_would_run_dry_opens_no_other(chain: Chain) -> None:
    fill(chain.resized, "tiny", range(400, 411))
    before = chain.split()
    tested, *others = sorted(stem for stem in before["test"] if stem.startswith("sea"))
    (last,) = (stem for stem in before["train"] | before["val"] if stem.startswith("tiny"))
    (chain.resized / f"{last.replace('-', '/')}.png").unlink()
    # All that tiny has to train on looks like a photo that was tested with and is gone.
    gone = tested.partition("-")[2]
    put(chain.resized, "tiny/new.png", cropped(scene(int(gone), 48, 48)))
    (chain.resized / f"sea/{gone}.png").unlink()
    (chain.resized / "sea").rename(chain.resized / "ocean")
    after = chain.split()
    trained = after["train"] | after["val"]
    assert {stem for stem in trained if stem.startswith("tiny")} == {"tiny-new"}
    assert not trained & {stem.replace("sea", "ocean") for stem in others}


def test_when_all_photos_were_tested_with_a_sentence_says_so(chain: Chain, tmp_path: Path) -> None:
    tested = {stem.partition("-")[2] for stem in chain.split()["test"] if "forest" in stem}
    fill(tmp_path / "rest", "forest", range(0))
    for name in tested:
        put(tmp_path / "rest", f"forest/{name}.png", scene(int(name), 48, 48))
    with pytest.raises(ColorpipeError, match=r"tested with before \(split\.lock\)"):
        chain.split(tmp_path / "rest", test_per_category=5)


def test_mirrored_copies_never_face_each_other(chain: Chain) -> None:
    for seed in range(30):
        put(chain.resized, f"forest/{seed:04}_turned.png", scene(seed, 48, 48)[:, ::-1].copy())
    sides = chain.split()
    assert len(sides["test"]) == 20
    turned = {stem.removesuffix("_turned") for stem in sides["test"]}
    assert not turned & {stem.removesuffix("_turned") for stem in sides["train"] | sides["val"]}


def test_a_test_set_that_cannot_be_written_down_is_not_made(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = chain.split()
    fill(chain.resized, "town", range(200, 225))
    written = chain.lock.read_bytes()

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "split.lock")

    with monkeypatch.context() as patch:
        patch.setattr("stages.split.write_lock", refuse)
        with pytest.raises(ColorpipeError, match=r"what was there is unchanged.*split\.lock"):
            chain.split()
    assert {path.stem for path in (chain.out / "test_y").iterdir()} == before["test"]
    assert chain.lock.read_bytes() == written
