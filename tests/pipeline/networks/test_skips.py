import pytest
import torch
from torch import nn

from pipeline.networks.skips import join


@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
def test_it_is_concatenation_with_a_gradient_without_gaps(order):
    seen = []
    x, skip = (torch.randn(2, 3, 4, 4).contiguous(memory_format=order) for _ in range(2))
    x.requires_grad_()
    skip.requires_grad_()
    hidden = 2 * x
    weights = torch.randn(2, 6, 4, 4).contiguous(memory_format=order)
    joined = join(hidden, skip)
    hidden.register_hook(seen.append)
    assert torch.equal(joined, torch.cat([hidden, skip], dim=1))
    (joined * weights).sum().backward()
    assert torch.equal(x.grad, 2 * weights[:, :3])
    assert torch.equal(skip.grad, weights[:, 3:])
    assert seen[0].is_contiguous(memory_format=order)


def test_it_compiles_to_a_single_graph():
    norm = nn.BatchNorm2d(3)

    def double(x):
        return join(norm(x), x)

    x = torch.randn(2, 3, 4, 4)
    compiled = torch.compile(double, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), double(x))
