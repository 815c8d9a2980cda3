import pytest
import torch

from pipeline.errors import ColorpipeError
from pipeline.training.distributed import Processes
from pipeline.training.loss_log import LossTable

ALONE = Processes("cpu")


def terms(**values):
    return {name: torch.tensor(value) for name, value in values.items()}


def test_an_epoch_is_the_mean_over_the_steps_that_had_the_loss():
    table = LossTable()
    assert float(table.add("step 1", "generator", terms(l1=1.0, adversarial=2.0))) == 3
    table.add("step 1", "discriminator", terms(real=4.0))
    table.read(ALONE)
    table.add("step 2", "generator", terms(l1=3.0, adversarial=0.0))
    table.read(ALONE)
    assert table.last["generator"] == 3
    table.end_epoch(1)
    assert table.rows == [
        {
            "epoch": 1,
            "generator": 3,
            "l1": 2,
            "adversarial": 1,
            "discriminator": 4,
            "real": 4,
        }
    ]
    table.add("step 3", "generator", terms(l1=7.0))
    table.read(ALONE)
    table.end_epoch(2)
    assert table.rows[1] == {"epoch": 2, "generator": 7, "l1": 7}


def test_the_sum_carries_the_gradient():
    weight = torch.tensor(2.0, requires_grad=True)
    LossTable().add("step 1", "generator", {"a": weight * 3, "b": weight * weight}).backward()
    assert float(weight.grad) == 7


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_said_with_its_place(value):
    table = LossTable()
    table.add("epoch 1, step 4", "generator", terms(l1=1.0))
    table.add("epoch 1, step 5", "generator", terms(l1=value))
    with pytest.raises(
        ColorpipeError, match=rf"'generator' is {value} in epoch 1, step 5: .*lower"
    ):
        table.read(ALONE)


def test_a_wish_to_stop_is_passed_on():
    assert LossTable().read(ALONE, False, True) == [False, True]
    assert LossTable().read(ALONE) == []


def test_a_restored_table_goes_on():
    table = LossTable()
    table.add("step 1", "generator", terms(l1=1.0))
    table.read(ALONE)
    restored = LossTable.of(table.state())
    restored.add("step 2", "generator", terms(l1=3.0))
    restored.read(ALONE)
    restored.end_epoch(1)
    assert restored.rows == [{"epoch": 1, "generator": 2, "l1": 2}]
