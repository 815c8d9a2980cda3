"""The gallery of an evaluation: test photos of every category, gray, colorized and as taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from PIL import Image

from pipeline.dataset.split_folder import category_of
from pipeline.evaluation.scores import GRAY, GROUND_TRUTH
from pipeline.imaging.contact_sheet import contact_sheet
from pipeline.imaging.decode import RGB


def choose_gallery(names: Sequence[str], count: int) -> frozenset[str]:
    """Choose ``count`` of the photos ``names``, as evenly from all categories as their sizes allow.

    Of each category the first by name: names come from content, so that they are a random choice.
    """
    by_category: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        by_category[category_of(name)].append(name)
    turns = sorted(
        (turn, category, name)
        for category, members in by_category.items()
        for turn, name in enumerate(members)
    )
    return frozenset(name for _, _, name in turns[:count])


def gallery_sheet(
    gallery: Mapping[str, Sequence[Sequence[RGB]]], models: Sequence[str]
) -> Image.Image:
    """Lay out gray / colorized / ground truth, a category a row, two photos a row for one model."""
    abreast = 2 if len(models) == 1 else 1
    rows: list[list[RGB]] = []
    labels: list[str] = []
    for category, photos in sorted(gallery.items()):
        for start in range(0, len(photos), abreast):
            rows.append([picture for photo in photos[start : start + abreast] for picture in photo])
            labels.append(category)
    columns = [GRAY, *models, GROUND_TRUTH] * abreast
    return contact_sheet(rows, labels, columns[: max(map(len, rows))])
