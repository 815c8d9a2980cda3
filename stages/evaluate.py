"""Colorize the test photos and measure how far they are from the ground truth."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import __version__
from pipeline.dataset.split_folder import list_pairs
from pipeline.errors import ColorpipeError
from pipeline.evaluation.classifier import find_classifier
from pipeline.evaluation.gallery import choose_gallery, gallery_sheet
from pipeline.evaluation.inception import FEW_PHOTOS, Inception, fetch_inception, load_inception
from pipeline.evaluation.page import PAGE, Background, ShownPhotos, write_evaluation
from pipeline.evaluation.report import FILES, Scorecard
from pipeline.evaluation.scores import GRAY, GROUND_TRUTH, Scores
from pipeline.evaluation.truth_pairs import read_pairs
from pipeline.files.names import printable
from pipeline.files.outputs import check_replaceable, new_folder
from pipeline.files.progress import track
from pipeline.imaging.decode import RGB
from pipeline.inference.colorizer import Colorizer
from pipeline.models.device import choose_device
from pipeline.models.resolve import describe_model, find_model
from pipeline.models.weights import read_header
from pipeline.params import EvaluateParams

COLORIZED = "colorized"
"""What the result of a single model is called; of several, each is called as its file."""

GALLERY = "gallery.png"

_BATCH = 16

_ABOUT_RECOGNITION = (
    "Recognition is the share of photos in which EfficientNet-Lite2 sees the class that it sees in"
    " the ground truth, and its mean probability; the classifier distance is the Fréchet distance"
    " of its features."
)
_NO_CLASSIFIER = (
    "Recognition and the classifier distance are left out: they need the classifier"
    " EfficientNet-Lite2. Install it with: pip install 'colorpipe[evaluate]'."
)


def evaluate(
    split: Path,
    model: Path | Sequence[Path] | None,
    reports: Path,
    params: EvaluateParams,
    *,
    curves: Path | None = None,
    clean_report: Path | None = None,
) -> None:
    """Colorize ``split/test_x``, compare with ``split/test_y``, and write what was found.

    Photos are compared at the size they have in the split; nothing is scaled. The gray photo as it
    is, the baseline of doing nothing, is measured like a result. Intervals are percentile bootstrap
    intervals of 95 % over photos; those of differences are paired, photo by photo.

    ``reports`` becomes a folder, whole or not at all:

    - ``metrics.json``: every metric over all photos, each result next to gray;
    - ``categories.csv``: the same for each category too, with intervals, for plots;
    - ``comparison.csv``: every result against those before it and gray, with paired intervals;
    - ``photos.csv``: every score of every photo;
    - ``gallery.png``: ``params.gallery`` photos, gray / colorized / ground truth;
    - ``report.html``: all of that as one page for people, with its pictures in it.

    Args:
        split: the folder of ``test_x`` and ``test_y``.
        model: the generator's weights, a recipe's name or "pretrained"; several are compared on the
            same photos. None is what was trained in this folder, or else the pretrained weights.
        reports: the folder to write.
        params: how.
        curves: the folder of curves that `colorpipe train` wrote, for the page; if it is not there,
            the page has none.
        clean_report: the table that `colorpipe clean` wrote, for the page; the same.

    Raises:
        ColorpipeError: a photo or a model is missing or damaged, Inception is not available, or
            ``reports`` holds something else, or overlaps with what is read.
    """
    names = list_pairs(split, "test")
    meant = [model] if model is None or isinstance(model, Path) else model
    models = name_models([find_model(each) for each in meant])
    check_replaceable(
        reports,
        "--reports",
        near=[split, *models.values()],
        known={*FILES, GALLERY, PAGE}.__contains__,
    )
    background = Background.read(curves, clean_report)
    inception = _inception(params)
    classifier = find_classifier(choose_device(params.device)) if params.recognition else None
    colorizers = {name: Colorizer.load(path, params.device) for name, path in models.items()}
    for name, path in models.items():
        recipe = colorizers[name].predictor.recipe
        print(f"Evaluating {describe_model(path, recipe)}.", file=sys.stderr)
    networks = {"inception": inception.features} if inception else {}
    scores = Scores([*models, GRAY], networks, classifier)
    on_sheet = choose_gallery(names, params.gallery)
    shown = ShownPhotos(names, list(models))
    gallery: dict[str, list[list[RGB]]] = defaultdict(list)
    photos = track(read_pairs(split, names), "Evaluating", len(names))
    while batch := list(islice(photos, _BATCH)):
        grays = [photo.gray for photo in batch]
        made = {name: colorizer.colorize_many(grays) for name, colorizer in colorizers.items()}
        for i, photo in enumerate(batch):
            results = {name: np.asarray(made[name][i], np.uint8) for name in models}
            results[GRAY] = np.repeat(photo.gray[..., None], 3, axis=2)
            scored = scores.add(photo.name, photo.category, photo.truth, results)
            shown.add(scored, photo.truth, results)
            if photo.name in on_sheet:
                row = [results[GRAY], *(results[name] for name in models), photo.truth]
                gallery[photo.category].append(row)
    card = Scorecard(scores, params.resamples, params.seed, inception.file if inception else "")
    notes = [_about_inception(card.inception, len(names))]
    if params.recognition:
        notes.insert(0, _ABOUT_RECOGNITION if classifier else _NO_CLASSIFIER)
    details = {name: _describe(path) for name, path in models.items()}
    details |= {"evaluation": params.model_dump(), "versions": _versions()}
    with new_folder(reports) as folder:
        card.write(folder)
        gallery_sheet(gallery, list(models)).save(folder / GALLERY)
        write_evaluation(
            folder / PAGE, card, shown, background=background, notes=notes, details=details
        )
    card.print()
    for note in notes:
        print(note)
    print(f"The reports are in {reports}; open {reports / PAGE} in a browser.")


def name_models(paths: Sequence[Path]) -> dict[str, Path]:
    """Name each model's result: "colorized", or for several the shortest distinct end of the path.

    Raises:
        ColorpipeError: there is no model, or one is given twice.
    """
    if not paths:
        raise ColorpipeError("There is no model to evaluate; name one with --model.")
    if len(paths) == 1:
        return {COLORIZED: paths[0]}
    if len({path.resolve() for path in paths}) < len(paths):
        raise ColorpipeError("A model is given twice; name different files with --model.")
    whole = [(path.parent / path.stem).parts for path in paths]
    for length in range(1, max(map(len, whole)) + 1):
        names = [printable("/".join(parts[-length:])) for parts in whole]
        if len({*names, GRAY, GROUND_TRUTH}) == len(paths) + 2:
            return dict(zip(names, paths, strict=True))
    return {f"{printable(path.as_posix())} ({n})": path for n, path in enumerate(paths, 1)}


def _inception(params: EvaluateParams) -> Inception | None:
    if params.inception == "none":
        return None
    path = fetch_inception() if params.inception == "download" else Path(params.inception)
    return load_inception(path, choose_device(params.device))


def _describe(model: Path) -> dict[str, Any]:
    """What the header of a model says, for a table; of a file for ONNX Runtime only its name."""
    described: dict[str, Any] = {"file": printable(model.name)}
    if model.suffix == ".safetensors":
        for key, value in read_header(model).items():
            if isinstance(value, dict):
                described |= {f"{key}.{inner}": each for inner, each in value.items()}
            else:
                described[key] = value
    return described


def _versions() -> dict[str, str]:
    packages = ("numpy", "opencv-python-headless", "pillow", "torch")
    return {"colorpipe": __version__} | {name: metadata.version(name) for name in packages}


def _about_inception(file: str, photos: int) -> str:
    if not file:
        return (
            "FID and KID are left out: they need the network inception-2015-12-05.pt. Give it with"
            " --inception PATH, or fetch it once with --inception download."
        )
    few = (
        f" Of fewer than {FEW_PHOTOS} photos FID is mostly bias; go by KID."
        if photos < FEW_PHOTOS
        else ""
    )
    return f"FID and KID are of {file}.{few}"
