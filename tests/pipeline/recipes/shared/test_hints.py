import pytest
import torch

from pipeline.recipes.shared.hints import simulated_hints


@pytest.fixture
def drawn():
    torch.manual_seed(0)
    ab = torch.randn(400, 2, 32, 32)
    return ab, simulated_hints(ab, 0.5)


def test_half_of_the_pictures_have_hints(drawn):
    ab, hints = drawn
    assert hints.shape == (400, 3, 32, 32)
    hinted = (hints[:, 2] > 0).any(dim=(1, 2))
    assert 150 < hinted.sum() < 250
    assert (hints[~hinted] == 0).all()
    assert (simulated_hints(ab, 0.0) == 0).all()


def test_points_have_the_true_color_of_their_place(drawn):
    _, hints = drawn
    one = torch.full((1, 2, 32, 32), 0.3)
    torch.manual_seed(1)
    for _ in range(50):
        found = simulated_hints(one, 1.0)[0]
        if set(found[2].unique().tolist()) <= {0.0, 1.0}:
            assert torch.allclose(found[:2, found[2] > 0], torch.tensor(0.3))
    known = hints[:, 2] > 0
    assert (hints[:, :2][~known[:, None].expand(-1, 2, -1, -1)] == 0).all()


def test_numbers_of_points_spread_from_one_to_very_many(drawn):
    shares = (drawn[1][:, 2] == 1).float().mean((1, 2))
    shares = shares[shares > 0]
    assert shares.min() <= 16 / 1024
    assert shares.max() > 0.3


def test_dense_hints_are_inexact_and_have_holes(drawn):
    ab, hints = drawn
    confidence = hints[:, 2]
    dense = ((confidence > 0) & (confidence < 1)).any(dim=(1, 2))
    assert 10 < dense.sum() < 60
    assert (confidence[dense] == 0).any()
    known = (confidence > 0.5)[:, None].expand(-1, 2, -1, -1)
    assert (hints[:, :2][dense][known[dense]] - ab[dense][known[dense]]).abs().mean() > 0.1
