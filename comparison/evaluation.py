"""How one system colors the test photos: a row of the table, by itself."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import numpy as np

from comparison.rows import COLORING, METRICS, PHOTOS, STRIP, write_strip
from comparison.settings import Comparison
from pipeline.dataset.split_folder import list_pairs
from pipeline.evaluation.classifier import find_classifier
from pipeline.evaluation.gallery import choose_gallery
from pipeline.evaluation.report import Scorecard
from pipeline.evaluation.scores import GRAY, Scores
from pipeline.evaluation.tables import write_metrics
from pipeline.evaluation.truth_pairs import read_pairs
from pipeline.files.outputs import new_folder
from pipeline.files.progress import track
from pipeline.imaging.decode import RGB
from pipeline.inference.colorizer import Colorizer
from pipeline.models.device import choose_device

_BATCH = 16


def evaluate_run(comparison: Comparison, run: str, split: Path, model: Path, row: Path) -> None:
    """Color the test photos with one model and write the row of the table.

    Args:
        comparison: the settings.
        run: what the results are called.
        split: the folder of ``test_x`` and ``test_y``.
        model: the weights.
        row: the folder to write.

    Raises:
        ColorpipeError: a photo or the model is missing or damaged.
    """
    params = comparison.evaluate
    names = list_pairs(split, "test")
    colorizer = Colorizer.load(model, params.device)
    classifier = find_classifier(choose_device(params.device)) if params.recognition else None
    scores = Scores([run, GRAY], classifier=classifier)
    on_strip = choose_gallery(names, params.gallery)
    strip: list[RGB] = []
    seconds = 0.0
    photos = track(read_pairs(split, names), f"Evaluating {run}", len(names))
    while batch := list(islice(photos, _BATCH)):
        started = time.process_time()
        colored = colorizer.colorize_many([photo.gray for photo in batch])
        seconds += time.process_time() - started
        for photo, result in zip(batch, colored, strict=True):
            rgb = np.asarray(result, np.uint8)
            gray = np.repeat(photo.gray[..., None], 3, axis=2)
            scores.add(photo.name, photo.category, photo.truth, {run: rgb, GRAY: gray})
            if photo.name in on_strip:
                strip.append(rgb)
    card = Scorecard(scores, params.resamples, params.seed)
    with new_folder(row) as folder:
        card.write_photos(folder / PHOTOS)
        write_metrics(folder / METRICS, card.metrics())
        write_metrics(folder / COLORING, {"photos_per_second": round(len(names) / seconds, 1)})
        write_strip(folder / STRIP, strip)
