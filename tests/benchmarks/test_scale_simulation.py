from __future__ import annotations

from dataclasses import replace

import pytest
from scale_simulation import Scenario, simulate

SMALL = Scenario(machines=4, cores=2, batches=800)


def test_equal_batches_on_equal_machines_waste_nothing() -> None:
    outcome = simulate(replace(SMALL, spread=0.0))
    assert outcome.seconds == pytest.approx(800 / 8 * 0.5)
    assert outcome.efficiency == pytest.approx(1)
    assert outcome.again == 0


def test_the_same_seed_gives_the_same_run() -> None:
    scenario = replace(SMALL, losses_an_hour=60)
    assert simulate(scenario, 3) == simulate(scenario, 3)
    assert simulate(scenario, 3) != simulate(scenario, 4)


def test_a_larger_window_hides_a_slow_machine() -> None:
    slow = replace(SMALL, slow_share=0.25)
    assert simulate(replace(slow, ahead=2)).efficiency < simulate(slow).efficiency - 0.05


def test_what_lost_machines_had_is_done_again_and_takes_longer() -> None:
    outcome = simulate(replace(SMALL, losses_an_hour=120))
    assert outcome.again > 0
    assert outcome.seconds > simulate(SMALL).seconds
