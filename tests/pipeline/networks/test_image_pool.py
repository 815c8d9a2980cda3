import torch

from pipeline.networks.image_pool import ImagePool


def pictures(*values):
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def test_pictures_pass_through_until_the_pool_is_full():
    pool = ImagePool(3, (1, 2, 2))
    assert torch.equal(pool(pictures(1, 2)), pictures(1, 2))
    assert torch.equal(pool(pictures(3)), pictures(3))
    assert sorted(pool.kept[:, 0, 0, 0].tolist()) == [1, 2, 3]


def test_then_half_of_them_are_swapped_for_old_ones():
    torch.manual_seed(0)
    pool = ImagePool(10, (1, 2, 2))
    pool(pictures(*range(10)))
    given = pictures(*range(10, 1010))
    returned = pool(given)
    swapped = (returned != given).flatten(1).any(1)
    assert 420 < int(swapped.sum()) < 580
    # What comes out was put in before, and nothing is lost or doubled.
    everything = torch.cat([returned, pool.kept])[:, 0, 0, 0].tolist()
    assert sorted(everything) == list(range(1010))


def test_an_empty_pool_remembers_nothing_and_no_gradient_passes():
    fake = pictures(1.0, 2.0).clone().requires_grad_()
    returned = ImagePool(0, (1, 2, 2))(fake)
    assert torch.equal(returned, fake)
    assert not returned.requires_grad


def test_a_restored_pool_goes_on_as_the_first_would():
    first, second = ImagePool(4, (1, 2, 2)), ImagePool(4, (1, 2, 2))
    first(pictures(1, 2, 3, 4, 5))
    second.load_state_dict(first.state_dict())
    results = []
    for pool in (first, second):
        torch.manual_seed(1)
        results.append(pool(pictures(6, 7, 8)))
    assert torch.equal(*results)
