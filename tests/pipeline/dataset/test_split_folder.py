"""The names of a split: in pairs, each of a category."""

from __future__ import annotations

from pathlib import Path

import pytest
from splits import make_split

from pipeline.dataset.split_folder import category_of, list_pairs
from pipeline.errors import ColorpipeError


def test_the_names_of_a_part_are_listed_in_order(tmp_path: Path) -> None:
    split = make_split(tmp_path / "split", train=3, val=1, test=1)
    (split / "train_y/.DS_Store").touch()
    names = ["astronaut-000.png", "chelsea-001.png", "coffee-002.png"]
    assert list_pairs(split, "train") == names


def test_a_category_may_have_a_dash() -> None:
    assert category_of("still-life-0123456789abcdef.png") == "still-life"


def test_a_missing_folder_names_the_command_to_run(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match="missing; run `colorpipe split`"):
        list_pairs(tmp_path, "train")


def test_a_photo_without_its_gray_copy_is_named(tmp_path: Path) -> None:
    split = make_split(tmp_path / "split")
    (split / "train_x" / "astronaut-000.png").unlink()
    with pytest.raises(ColorpipeError, match=r"train_y/astronaut-000\.png has no counterpart"):
        list_pairs(split, "train")


def test_empty_folders_hold_no_photos(tmp_path: Path) -> None:
    for side in "xy":
        (tmp_path / f"train_{side}").mkdir()
    with pytest.raises(ColorpipeError, match="holds no photos"):
        list_pairs(tmp_path, "train")
