"""The photos that all runs are trained and evaluated on, by the chain's own stages."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

from comparison.settings import HERE, Comparison
from pipeline.dataset.split_assignment import rank
from pipeline.errors import ColorpipeError, Failure
from pipeline.params import override
from stages.clean import clean
from stages.resize import list_photos, resize
from stages.scrape import scrape
from stages.split import split


def check_photos(comparison: Comparison) -> None:
    """Make sure that there are photos, before DVC reports a missing dependency.

    Raises:
        ColorpipeError: the folder or file that the section ``scrape`` names does not exist.
    """
    path = HERE / comparison.scrape.local_path
    if not path.exists():
        raise ColorpipeError(
            f"{path} does not exist; put a folder of category folders there, or name another one as"
            " scrape.path in comparison/params.yaml."
        )


def make_split(comparison: Comparison, out: Path) -> list[Failure]:
    """Find, clean, resize and split the photos that ``comparison`` names; ``out`` is the split.

    ``scrape.path`` is relative to the folder of ``comparison/params.yaml``.

    Returns:
        A failure for each category or photo that could not be read.

    Raises:
        ColorpipeError: as the four stages do.
    """
    source = override(comparison.scrape, {"path": HERE / comparison.scrape.local_path})
    with tempfile.TemporaryDirectory(prefix="colorpipe-comparison-") as folder:
        raw, cleaned, resized = (Path(folder) / name for name in ("raw", "clean", "resized"))
        failures = scrape(raw, source)
        report = Path(folder) / "clean.csv"
        failures += clean(raw, cleaned, report, comparison.clean)
        if comparison.photos_per_kind is not None:
            keep_first(cleaned, comparison.photos_per_kind, comparison.split.seed)
        failures += resize(cleaned, resized, comparison.resize)
        return failures + split(
            resized, out, comparison.split, manifest=raw / "manifest.csv", lock=None
        )


def keep_first(cleaned: Path, count: int, seed: int) -> None:
    """Keep at most ``count`` photos of each kind in ``cleaned``.

    They are the first by the rank that the split chooses test photos by. So the test photos are
    nearly the same as without the limit: the split keeps what looks alike on one side, and a photo
    whose like was cut may change it.
    """
    kinds: dict[str, list[tuple[float, Path]]] = defaultdict(list)
    for photo in list_photos(cleaned):
        place = rank(photo.category, photo.stem, seed)
        kinds[photo.category].append((place, Path(photo.path)))
    for photos in kinds.values():
        for _, path in sorted(photos)[count:]:
            path.unlink()
