"""The photos that all runs learn from and are judged on: the chain's own stages, once for all."""

from __future__ import annotations

import tempfile
from pathlib import Path

from comparison.settings import HERE, SPLIT, Comparison
from pipeline.errors import ColorpipeError, Failure
from pipeline.params import override
from stages.clean import clean
from stages.resize import resize
from stages.scrape import scrape
from stages.split import split


def check_photos(comparison: Comparison) -> None:
    """Say before anything runs, and in the place of DVC, that there are no photos to compare with.

    Raises:
        ColorpipeError: the folder or file that the section ``scrape`` names is not there.
    """
    path = HERE / comparison.scrape.path
    if not path.exists():
        raise ColorpipeError(
            f"{path} is not there; put a folder of category folders there, or name another one as"
            " scrape.path in comparison/params.yaml."
        )


def make_split(comparison: Comparison, out: Path = SPLIT) -> list[Failure]:
    """Find, clean, resize and split the photos that ``comparison`` names, and keep the split.

    A path in its section ``scrape`` starts from the folder of ``comparison/params.yaml``.

    Returns:
        A failure for each category or photo that could not be had.

    Raises:
        ColorpipeError: as the four stages do.
    """
    source = override(comparison.scrape, {"path": HERE / comparison.scrape.path})
    with tempfile.TemporaryDirectory(prefix="colorpipe-comparison-") as folder:
        raw, cleaned, resized = (Path(folder) / name for name in ("raw", "clean", "resized"))
        failures = scrape(raw, source)
        report = Path(folder) / "clean.csv"
        failures += clean(raw, cleaned, report, comparison.clean, square=comparison.resize)
        failures += resize(cleaned, resized, comparison.resize)
        return failures + split(
            resized, out, comparison.split, manifest=raw / "manifest.csv", lock=None
        )
