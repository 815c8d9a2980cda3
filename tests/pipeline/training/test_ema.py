import pytest
import torch
from torch import nn

from pipeline.training.ema import move_towards


def network(value):
    module = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.fill_(value)
    return module


def test_weights_and_running_means_move_by_the_decay():
    average, current = network(0), network(8)
    move_towards(average, current, decay=0.75, step=1000)
    assert average[0].weight.item() == pytest.approx(2)
    assert average[1].running_mean.item() == pytest.approx(2)
    assert average[1].num_batches_tracked == 8
    assert current[0].weight.item() == 8


def test_a_young_average_forgets_its_beginning():
    average, current = network(0), network(10)
    move_towards(average, current, decay=0.999, step=0)
    assert average[0].weight.item() == pytest.approx(9)


def test_an_average_of_trained_weights_remembers_them():
    average, current = network(0), network(10)
    move_towards(average, current, decay=0.999)
    assert average[0].weight.item() == pytest.approx(0.01)
