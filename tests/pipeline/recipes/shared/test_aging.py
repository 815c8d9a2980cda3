"""Old-looking gray photos, made of a real one."""

import pytest
import torch
from skimage import data

from pipeline.imaging.color import tensor_luma
from pipeline.recipes.shared.aging import BLACK, WHITE, aged, filmed


@pytest.fixture
def luma():
    photo = torch.from_numpy(data.astronaut()[:128, 128:256].copy()).permute(2, 0, 1)[None] / 255
    return tensor_luma(photo).repeat(64, 1, 1, 1)


def test_only_the_share_asked_for_is_aged(luma):
    torch.manual_seed(0)
    changed = (aged(luma, 0.5) != luma).flatten(1).any(dim=1)
    assert 20 <= int(changed.sum()) <= 44
    assert torch.equal(aged(luma, 0.0), luma)


def test_aged_photos_show_the_same_in_other_tones(luma):
    torch.manual_seed(0)
    result = aged(luma, 1.0)
    assert result.shape == luma.shape
    assert 0 <= float(result.min()) <= float(result.max()) <= 1
    for old, new in zip(result.flatten(1), luma.flatten(1), strict=True):
        assert float(torch.corrcoef(torch.stack([old, new]))[0, 1]) > 0.7
    # Faded: somewhere black is gray, and somewhere white is.
    assert float(result.amin(dim=(1, 2, 3)).max()) > 0.5 * BLACK[1]
    assert float(result.amax(dim=(1, 2, 3)).min()) < (1 + WHITE[0]) / 2


def test_they_follow_from_torchs_seed(luma):
    torch.manual_seed(3)
    first = aged(luma, 0.5)
    torch.manual_seed(3)
    assert torch.equal(aged(luma, 0.5), first)


def test_some_films_see_red_darker_and_blue_lighter_than_the_eye():
    torch.manual_seed(0)
    red, blue = (torch.zeros(200, 3, 2, 2) for _ in range(2))
    red[:, 0], blue[:, 2] = 1.0, 1.0
    reds, blues = (filmed(photo)[:, 0, 0, 0] for photo in (red, blue))
    eye = filmed(red).max()
    assert 60 < int((reds < eye - 1e-3).sum()) < 140
    assert int((blues > 0.4).sum()) > 40
    # Light without color is as light on every film.
    gray = torch.full((50, 3, 2, 2), 0.4)
    torch.testing.assert_close(filmed(gray), gray[:, :1])
