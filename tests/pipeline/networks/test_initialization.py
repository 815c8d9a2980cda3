import math

import torch
from torch import nn

from pipeline.networks.initialization import glorot_, kaiming_, normal_


def test_weights_have_the_published_spread():
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 128, 3)
    normal_(layer)
    assert abs(float(layer.weight.detach().std()) - 0.02) < 0.001
    kaiming_(layer)
    assert abs(float(layer.weight.detach().std()) - math.sqrt(2 / (128 * 9))) < 0.002
    glorot_(layer)
    limit = math.sqrt(6 / (64 * 9 + 128 * 9))
    assert float(layer.weight.detach().abs().max()) <= limit
    assert float(layer.weight.detach().abs().max()) > 0.99 * limit
    assert not layer.bias.any()
