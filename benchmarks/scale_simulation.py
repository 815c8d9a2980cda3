"""A cluster's run, simulated: how long it takes where machines are uneven and are lost.

Workers take batches as the Ray engine hands them out: some at a time, in order, and no further
ahead of the first that is missing than the window allows. A batch takes a time drawn from a
log-normal distribution; some machines are slower than the others. Machines are lost at random and
come back after a while; what their workers had is done again.

    python benchmarks/scale_simulation.py
"""

from __future__ import annotations

import argparse
import heapq
import itertools
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pipeline.engines.ray_workers import AHEAD, QUEUED


@dataclass(frozen=True)
class Scenario:
    """A cluster and its work."""

    machines: int = 8
    cores: int = 8
    """Workers of a machine."""
    batches: int = 20_000
    seconds: float = 0.5
    """Of a batch, on average."""
    spread: float = 0.3
    """Standard deviation of the logarithm of a batch's seconds."""
    slow_share: float = 0.0
    """Of the machines."""
    slowness: float = 4.0
    """What a slow machine takes, in times of the others'."""
    losses_an_hour: float = 0.0
    """Of each machine, on average."""
    away: float = 120.0
    """Seconds until a lost machine is back."""
    ahead: int = AHEAD
    """Batches a worker that are handed out and not taken from the driver, at most."""


class Outcome(NamedTuple):
    """What became of a run."""

    seconds: float
    efficiency: float
    """The seconds that it would take if no core ever waited or was lost, over these."""
    again: int
    """Batches that were done again."""


def simulate(scenario: Scenario, seed: int = 0) -> Outcome:
    """Run a scenario to its end."""
    return _Cluster(scenario, seed).run()


class _Cluster:
    """Machines, what their workers have, and what happens next."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.random = np.random.default_rng(seed)
        slow = np.arange(scenario.machines) < round(scenario.slow_share * scenario.machines)
        self.pace = np.where(slow, scenario.slowness, 1.0)
        self.work = scenario.seconds * self.random.lognormal(
            -(scenario.spread**2) / 2, scenario.spread, scenario.batches
        )
        self.workers = scenario.machines * scenario.cores
        self.queues: list[list[int]] = [[] for _ in range(self.workers)]
        self.life = [0] * scenario.machines
        self.there = [True] * scenario.machines
        self.events: list[tuple[float, int, str, int, int]] = []
        self.lost: list[int] = []
        self.done = np.zeros(scenario.batches, bool)
        self.now, self.taken, self.first, self.again = 0.0, 0, 0, 0
        self.order = itertools.count()

    def run(self) -> Outcome:
        if self.scenario.losses_an_hour:
            for machine in range(self.scenario.machines):
                self.later(self.until_lost(), "lost", machine)
        self.hand_out()
        while self.first < self.scenario.batches:
            self.now, _, what, who, life = heapq.heappop(self.events)
            if what == "done" and self.life[who // self.scenario.cores] == life:
                self.finish(who)
            elif what == "lost":
                self.lose(who)
            elif what == "back":
                self.there[who] = True
                self.later(self.until_lost(), "lost", who)
            self.hand_out()
        ideal = self.work.sum() / (self.scenario.cores * (1 / self.pace).sum())
        return Outcome(self.now, float(ideal / self.now), self.again)

    def later(self, seconds: float, what: str, who: int, life: int = 0) -> None:
        heapq.heappush(self.events, (self.now + seconds, next(self.order), what, who, life))

    def until_lost(self) -> float:
        return float(self.random.exponential(3600 / self.scenario.losses_an_hour))

    def begin(self, worker: int) -> None:
        machine = worker // self.scenario.cores
        seconds = self.work[self.queues[worker][0]] * self.pace[machine]
        self.later(seconds, "done", worker, self.life[machine])

    def finish(self, worker: int) -> None:
        self.done[self.queues[worker].pop(0)] = True
        if self.queues[worker]:
            self.begin(worker)
        while self.first < self.scenario.batches and self.done[self.first]:
            self.first += 1

    def lose(self, machine: int) -> None:
        self.there[machine] = False
        self.life[machine] += 1
        first = machine * self.scenario.cores
        for queue in self.queues[first : first + self.scenario.cores]:
            self.lost += queue
            self.again += len(queue)
            queue.clear()
        self.later(self.scenario.away, "back", machine)

    def next_batch(self) -> int | None:
        if self.lost:
            return self.lost.pop(0)
        ahead = self.taken - self.first
        if self.taken < self.scenario.batches and ahead < self.scenario.ahead * self.workers:
            self.taken += 1
            return self.taken - 1
        return None

    def hand_out(self) -> None:
        for worker, queue in enumerate(self.queues):
            while self.there[worker // self.scenario.cores] and len(queue) < QUEUED:
                batch = self.next_batch()
                if batch is None:
                    return
                queue.append(batch)
                if len(queue) == 1:
                    self.begin(worker)


BASE = Scenario()
SCENARIOS = {
    "all machines alike": BASE,
    "one machine of eight is slow: 4 times as long": replace(BASE, slow_share=0.125),
    "one slow machine, 8 batches ahead": replace(BASE, slow_share=0.125, ahead=8),
    "uneven photos (spread 1.0)": replace(BASE, spread=1.0),
    "uneven photos, 8 batches ahead": replace(BASE, spread=1.0, ahead=8),
    "each machine lost once in 5 minutes": replace(BASE, losses_an_hour=12),
    "all of these, lost once in 5 minutes": replace(
        BASE, slow_share=0.125, spread=1.0, losses_an_hour=12
    ),
    "32 machines, all of these, lost once in 5 hours": replace(
        BASE, machines=32, batches=80_000, slow_share=0.125, spread=1.0, losses_an_hour=0.2
    ),
}


def main() -> None:
    """Print a row a scenario, the mean of some seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print("| scenario | cores | seconds | efficiency | batches done again |")
    print("| --- | --- | --- | --- | --- |")
    for name, scenario in SCENARIOS.items():
        runs = [simulate(scenario, seed) for seed in range(options.seeds)]
        seconds, efficiency, again = np.mean(runs, axis=0)
        cores = scenario.machines * scenario.cores
        share = again / scenario.batches
        print(f"| {name} | {cores} | {seconds:.0f} | {efficiency:.2f} | {share:.2%} |", flush=True)


if __name__ == "__main__":
    main()
