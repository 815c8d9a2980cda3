"""Which photos a gallery shows, and how."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.gallery import choose_gallery, gallery_sheet


def test_the_gallery_takes_turns_between_categories() -> None:
    names = [*(f"many-{i}.png" for i in range(9)), "few-0.png", "two-0.png", "two-1.png"]
    assert choose_gallery(names, 6) == {
        "few-0.png",
        "many-0.png",
        "many-1.png",
        "many-2.png",
        "two-0.png",
        "two-1.png",
    }
    assert choose_gallery(reversed(names), 6) == choose_gallery(names, 6)
    assert choose_gallery(names, 99) == set(names)


def test_one_model_has_two_photos_a_row_and_two_models_one() -> None:
    black, white = (np.full((64, 64, 3), value, np.uint8) for value in (0, 255))
    photos = [[black, white, black]] * 2
    one = gallery_sheet({"sea": photos}, ["colorized"])
    assert one.height == gallery_sheet({"sea": photos[:1]}, ["colorized"]).height
    two = gallery_sheet({"sea": [[*photo, black] for photo in photos]}, ["a", "b"])
    assert two.height > one.height
