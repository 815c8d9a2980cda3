import numpy as np
import pytest
import skimage.data
import torch

from pipeline.evaluation.metric_table import PHOTO_METRICS
from pipeline.imaging.color import rgb_to_lab
from pipeline.recipes import get_recipe
from pipeline.recipes.shared.lab import AB_SCALE
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.photo_set import PhotoSet
from pipeline.training.validation import Validation, measure

PHOTOS = np.stack([skimage.data.coffee()[:64, :64], skimage.data.astronaut()[:64, :64]])


class Recall(torch.nn.Module):
    """Knows the colors of PHOTOS, in their order."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        ab = np.stack([rgb_to_lab(photo)[..., 1:] for photo in PHOTOS]) / AB_SCALE * self.factor
        return torch.from_numpy(ab).permute(0, 3, 1, 2)


def measured_with(factor, **options):
    recipe = get_recipe("unet", {"size": 64, "halvings": 6})
    return measure(recipe, Recall(factor), PHOTOS, torch.device("cpu"), torch.float32, **options)


def test_right_colors_leave_little_difference():
    right, gray = measured_with(1.0).metrics, measured_with(0.0).metrics
    assert right["ciede2000"] < 0.25 * gray["ciede2000"]
    assert 0.9 < right["colorfulness_ratio"] < 1.1
    assert gray["colorfulness_ratio"] == 0


def test_the_generator_is_given_back_as_it_was():
    generator = Recall(1.0).train()
    recipe = get_recipe("colorpipe", {"size": 64})
    measure(recipe, generator, PHOTOS, torch.device("cpu"), torch.float32)
    assert generator.training


def test_colors_are_converted_in_full_precision():
    # Products of bfloat16 would shift a* by whole units in the recipe that predicts RGB.
    class Answer(torch.nn.Module):
        def forward(self, x):
            return torch.from_numpy(PHOTOS).permute(0, 3, 1, 2).float() / 255

    recipe = get_recipe("landscape-rgb", {"size": 142})
    recipe.settings = recipe.settings.model_copy(update={"size": 64})
    found = measure(recipe, Answer(), PHOTOS, torch.device("cpu"), torch.bfloat16)
    exact = measure(recipe, Answer(), PHOTOS, torch.device("cpu"), torch.float32)
    assert found.metrics == exact.metrics


def test_the_network_is_computed_in_the_type_asked_for():
    recipe = get_recipe("colorpipe", {"size": 64, "width": 4})
    for dtype in (torch.float32, torch.bfloat16):
        seen = set()
        generator = recipe.generator()
        generator.output.register_forward_hook(lambda module, x, y, seen=seen: seen.add(y.dtype))
        measure(recipe, generator, PHOTOS, torch.device("cpu"), dtype)
        assert seen == {dtype}


def test_the_sheet_shows_gray_colorized_and_true_pictures():
    measured = measured_with(1.0, shown=2)
    assert len(measured.results) == len(measured.truths) == 2
    assert np.array_equal(measured.truths[1], PHOTOS[1])
    sheet = np.asarray(measured.sheet("epoch 1"))
    assert sheet.shape[1] > 2 * 64
    grays, made, truths = (sheet[top : top + 64] for top in find_rows(sheet))
    assert np.ptp(grays.astype(int), axis=2).max() == 0
    assert np.ptp(made.astype(int), axis=2).max() > 50
    assert np.abs(made.astype(int) - truths).mean() < 5
    assert measured_with(1.0).results == []


def find_rows(sheet):
    """Tops of the rows of pictures: where the right half stops being blank."""
    blank = (sheet[:, -100:-20] == 255).all((1, 2))
    return [y + 1 for y in range(len(blank) - 1) if blank[y] and not blank[y + 1]]


class Given(torch.nn.Module):
    """Colors PHOTOS with a part of their own colors, which is its only weight."""

    def __init__(self, part):
        super().__init__()
        self.part = torch.nn.Parameter(torch.tensor(part))

    def forward(self, x):
        return Recall(self.part.item())(x)


def validated(tmp_path, parts, best_in, photos=PHOTOS):
    """Validate generators that give these parts of the colors, one after each epoch."""
    validation = Validation(
        get_recipe("unet", {"size": 64, "halvings": 6}),
        PhotoSet(("a-0.png", "a-1.png"), photos, "fingerprint"),
        Checkpoint("run", tmp_path),
        device=torch.device("cpu"),
        dtype=torch.float32,
        best_in=best_in,
        samples=0,
    )
    for epoch, part in enumerate(parts, 1):
        validation.validate(epoch, Given(part))
    return validation


def test_every_metric_of_photos_is_measured(tmp_path):
    validation = validated(tmp_path, [0.9], "psnr")
    assert list(validation.rows[0]) == ["epoch", *(metric.name for metric in PHOTO_METRICS)]


@pytest.mark.parametrize("best_in", [metric.name for metric in PHOTO_METRICS])
def test_the_best_weights_are_kept_by_the_metric_asked_for(tmp_path, best_in):
    validation = validated(tmp_path, [0.0, 0.5, 1.0, 2.5], best_in)
    assert validation.best.epoch == 3
    assert validation.best.weights["part"] == 1.0


def test_where_the_metric_is_not_defined_nothing_is_best(tmp_path):
    gray = np.full_like(PHOTOS, 128)
    validation = validated(tmp_path, [0.0], "colorfulness_ratio", gray)
    assert validation.best is None
    assert "colorfulness_ratio" not in validation.rows[0]
    assert validation.rows[0]["psnr"] > 0
