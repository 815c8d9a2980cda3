"""The classifier with the weights that its package carries, on photos of known things."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data

from pipeline.evaluation.classifier import Classifier, find_classifier
from pipeline.evaluation.metric_table import RECOGNITION_METRICS, Picture
from pipeline.evaluation.report import Scorecard
from pipeline.evaluation.scores import GRAY, Scores
from pipeline.imaging.color import luma
from pipeline.networks import imagenet

EGYPTIAN_CAT, ESPRESSO = 285, 967
"""ImageNet's numbers of what the photos show."""
CAT, COFFEE = data.chelsea()[:, 75:375], data.coffee()[:, 100:500]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    found = find_classifier(torch.device("cpu"))
    assert found is not None
    return found


def test_it_names_what_photos_show(classifier: Classifier) -> None:
    features = np.concatenate([classifier.features([photo]) for photo in (CAT, COFFEE)])
    probabilities = classifier.probabilities(features)
    assert probabilities.shape == (2, 1000)
    assert probabilities.argmax(1).tolist() == [EGYPTIAN_CAT, ESPRESSO]
    assert probabilities.max(1).min() > 0.5
    assert probabilities.sum(1) == pytest.approx(1, abs=1e-5)


def test_of_a_wide_photo_no_pixel_is_skipped(classifier: Classifier) -> None:
    stripes = np.zeros((200, 2600, 3), np.uint8)
    stripes[:, ::10] = 250
    even = np.full_like(stripes, 25)
    assert np.array_equal(classifier.features([stripes]), classifier.features([even]))


def test_recognition_asks_for_the_class_of_the_ground_truth() -> None:
    """Not for a right one: which class a photo has is not known."""

    def picture(*classes: float) -> Picture:
        return Picture(np.zeros((1, 1, 3), np.uint8), np.array(classes, np.float32))

    top, probability = (
        lambda result, truth, metric=metric: metric.scores[metric.name](result, truth)
        for metric in RECOGNITION_METRICS
    )
    truth = picture(0.2, 0.7, 0.1)
    assert top(picture(0.1, 0.5, 0.4), truth) == 1
    assert top(picture(0.5, 0.4, 0.1), truth) == 0
    assert probability(picture(0.5, 0.375, 0.125), truth) == 0.375


def test_pixels_alone_have_no_class() -> None:
    with pytest.raises(ValueError, match="No classifier"):
        _ = Picture(CAT).classes


def test_scores_have_recognition_where_a_classifier_is_given(classifier: Classifier) -> None:
    scores = Scores(["copy", GRAY], classifier=classifier)
    for name, photo in (("a.png", CAT), ("b.png", COFFEE)):
        gray = np.repeat(luma(photo)[..., None], 3, axis=2)
        scores.add(name, "things", photo, {"copy": photo, GRAY: gray})
    card = Scorecard(scores, 100, 0)
    found = card.metrics()
    assert found["recognition"]["copy"] == 1
    sure = [classifier.probabilities(classifier.features([p])).max() for p in (CAT, COFFEE)]
    assert found["recognition_probability"]["copy"] == pytest.approx(np.mean(sure), abs=0.001)
    assert found["classifier_distance"]["copy"] == 0
    assert found["classifier_distance"][GRAY] > 0
    assert "recognition" in {comparison.metric.name for comparison in card.comparisons}
    assert "recognition" not in Scorecard(_without(scores), 100, 0).metrics()


def _without(scores: Scores) -> Scores:
    other = Scores(scores.results)
    other.add("a.png", "things", CAT, dict.fromkeys(scores.results, CAT))
    return other


def test_without_the_package_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet.importlib.util, "find_spec", lambda name: None)
    assert find_classifier(torch.device("cpu")) is None
