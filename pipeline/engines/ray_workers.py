"""Workers of a Ray cluster, and inputs on their way through them.

Each worker is an actor: it makes what it holds once. A batch is half a second of work, so that
small photos do not pay for a message each, and few batches are under way, so that neither the
driver nor a machine has to keep much. While one is worked on, the next one may be read. A worker
may be lost with its machine: what it had is done again elsewhere, each input alone. An input whose
worker dies then, while the machine lives on, is given up.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Generic

from pipeline.engines.base import R, S, Stream, T, Work, never
from pipeline.engines.process import HoldingProcess
from pipeline.engines.ray_actor import CPUS, Actor, Raised, View
from pipeline.errors import ColorpipeError

BATCH = 256
"""Inputs in a batch, at most."""
BATCH_SECONDS = 0.5
"""Work in a batch, about: a hundred times what it costs to hand it out."""
QUEUED = 2
"""Batches that a worker has at a time: it need not wait for the next one."""
AHEAD = 32
"""Batches for each worker that are handed out or not fetched yet, which bounds the driver's memory
and how far a slow one can hold the others up."""

PATIENCE = 10.0
"""Seconds between two looks at whether the cluster has grown."""
STARTS = 3
"""Workers in a row that may die while they start."""


@dataclass
class _Batch:
    """Inputs that were handed to a worker."""

    numbers: range
    items: list[Any]
    result: Any
    is_alone: bool
    """Whether it is one that was under way with a worker that was lost."""


@dataclass(eq=False)
class _Slot:
    """A worker, as the driver knows it."""

    actor: Any
    starting: Any
    """What it says when it has started; None from then on."""
    node: str = ""
    batches: deque[_Batch] = field(default_factory=deque)

    @property
    def awaited(self) -> Any:
        """What it will say next; None while it has nothing to do."""
        if self.starting is not None:
            return self.starting
        return self.batches[0].result if self.batches else None


class RayWorkers(Generic[S]):
    """Actors of a cluster, as many as it has room for; see :class:`pipeline.engines.base.Workers`.

    Args:
        ray: the module, connected.
        load: makes what each holds.
        needs: what each takes of its machine: cores, as ``CPU``, and maybe a share of a ``GPU``.
        shared: paths that workers must see when they begin something, and what they stand for.
        at_once: batches that a worker may have begun.
    """

    def __init__(
        self,
        ray: Any,
        load: Callable[[], S],
        needs: dict[str, float],
        shared: dict[str, str],
        at_once: int,
    ) -> None:
        self.cores: int | None = CPUS
        self.slots: list[_Slot] = []
        self.ray, self._load = ray, load
        self._shared = shared
        self._needs = needs
        self._class = ray.remote(Actor).options(
            num_cpus=needs["CPU"],
            num_gpus=needs.get("GPU", 0),
            max_restarts=0,
            max_concurrency=at_once,
        )
        self._failed_starts = 0
        self._here: HoldingProcess[S] | None = None

    def __enter__(self) -> RayWorkers[S]:
        return self

    def __exit__(self, *_: object) -> None:
        self.end(self.slots)
        if self._here is not None:
            self._here.__exit__()

    def map_in_order(
        self,
        function: Stream[S, T, R],
        inputs: Iterable[T],
        *,
        failed: Callable[[T], R],
        again: Callable[[T], T] | None = None,
        stopped: Callable[[], bool] = never,
    ) -> Iterator[R]:
        """See :meth:`pipeline.engines.base.Workers.map_in_order`."""
        return self.spread(function, takewhile(lambda _: not stopped(), inputs), failed, again)

    def spread(
        self,
        function: Stream[S, T, R],
        inputs: Iterator[T],
        failed: Callable[[T], R] | None,
        again: Callable[[T], T] | None,
    ) -> Iterator[R]:
        """Do the same with inputs that may be endless."""
        return _Run(self, function, inputs, failed, again).results()

    def run(self, work: Work[S, R], stopped: Callable[[], bool] = never) -> Iterator[R]:
        """See :meth:`pipeline.engines.base.Workers.run`."""
        if self._here is None:
            self._here = HoldingProcess(self._load)
        return self._here.run(work, stopped)

    def room(self) -> int:
        """Return how many workers the machines have room for, if nobody else uses them."""
        return sum(
            min(int(node["Resources"].get(kind, 0) / each) for kind, each in self._needs.items())
            for node in self.ray.nodes()
            if node["Alive"]
        )

    def grow(self, number: int) -> None:
        """Start workers up to ``number``; those that the cluster has no room for wait."""
        while len(self.slots) < number:
            actor = self._class.remote(self._load)
            self.slots.append(_Slot(actor, actor.start.remote(self.view())))

    def view(self) -> View:
        """Return what workers must see."""
        return View(str(Path.cwd()), dict(self._shared))

    def end(self, slots: Iterable[_Slot]) -> None:
        """End workers, whatever they have under way."""
        for slot in [*slots]:
            self.ray.kill(slot.actor)
            self.slots.remove(slot)

    def started(self, slot: _Slot, said: Any) -> None:
        """Take note that a worker has started.

        Raises:
            Exception: what making what it holds has raised.
        """
        if isinstance(said, Raised):
            raise said.error
        self._failed_starts = 0
        slot.node, slot.starting = said, None

    def replace(self, slot: _Slot) -> bool:
        """Start another worker for one that was lost; return whether its machine lives on.

        Raises:
            ColorpipeError: too many have died while they started.
        """
        self._failed_starts += slot.starting is not None
        if self._failed_starts >= STARTS:
            raise ColorpipeError(
                "The cluster's workers were killed while they started; most likely memory ran out:"
                " give each more of it, or start Ray with fewer cores."
            )
        number = len(self.slots)
        self.slots.remove(slot)
        self.grow(number)
        return any(node["NodeID"] == slot.node and node["Alive"] for node in self.ray.nodes())


class _Run(Generic[S, T, R]):
    """Inputs on their way through workers."""

    def __init__(
        self,
        workers: RayWorkers[S],
        function: Stream[S, T, R],
        inputs: Iterator[T],
        failed: Callable[[T], R] | None,
        again: Callable[[T], T] | None,
    ) -> None:
        self._ray, self._workers = workers.ray, workers
        self._view = workers.view()
        self._function, self._inputs = function, inputs
        self._failed, self._again = failed, again
        self._suspects: deque[tuple[int, T]] = deque()
        """Inputs that were under way with a worker that was lost."""
        self._results: dict[int, R | Raised] = {}
        self._yielded = self._taken = 0
        self._length = 1
        self._all_taken = False
        self._looked = time.monotonic()

    def results(self) -> Iterator[R]:
        """Yield the results in the order of the inputs."""
        room = self._workers.room()
        if not room:
            raise ColorpipeError("The cluster has no cores for this; start Ray with some.")
        first = list(islice(self._inputs, room))
        if not first:
            return
        self._workers.grow(len(first))
        # As many as there are workers: the first batch of each is a single input.
        self._inputs = _chained(first, self._inputs)
        try:
            while self._hand_out():
                self._collect()
                while self._yielded in self._results:
                    result = self._results.pop(self._yielded)
                    if isinstance(result, Raised):
                        raise result.error
                    yield result
                    self._yielded += 1
        finally:
            # Nobody asks any more for what they have, if they still have something.
            self._workers.end(slot for slot in self._workers.slots if slot.batches)

    def _hand_out(self) -> bool:
        """Give workers what they have room for; return whether there is more to come."""
        for slot in self._workers.slots:
            while slot.starting is None and len(slot.batches) < QUEUED:
                batch = self._next_batch(slot)
                if batch is None:
                    break
                slot.batches.append(batch)
        under_way = any(slot.batches for slot in self._workers.slots)
        return under_way or bool(self._suspects) or not self._all_taken

    def _next_batch(self, slot: _Slot) -> _Batch | None:
        if self._suspects:
            # With nothing beside it, so that it is known what ends the worker.
            return None if slot.batches else self._sent(slot, *self._suspects.popleft())
        most = AHEAD * len(self._workers.slots) * self._length
        if self._taken - self._yielded >= most or any(batch.is_alone for batch in slot.batches):
            return None
        items = list(islice(self._inputs, self._length))
        if not items:
            self._all_taken = True
            return None
        numbers = range(self._taken, self._taken + len(items))
        self._taken += len(items)
        return _Batch(
            numbers, items, slot.actor.apply.remote(self._view, self._function, items), False
        )

    def _sent(self, slot: _Slot, number: int, item: T) -> _Batch:
        changed = item if self._again is None else self._again(item)
        result = slot.actor.apply.remote(self._view, self._function, [changed])
        return _Batch(range(number, number + 1), [item], result, is_alone=True)

    def _collect(self) -> None:
        """Wait until a worker has something, and take what all of them have."""
        errors = self._ray.exceptions
        if time.monotonic() - self._looked >= PATIENCE:
            self._look_for_machines()
        awaited = {slot.awaited: slot for slot in self._workers.slots if slot.awaited is not None}
        ready, _ = self._ray.wait([*awaited], timeout=PATIENCE)
        if not ready:
            self._wait_longer()
            return
        ready, _ = self._ray.wait([*awaited], num_returns=len(awaited), timeout=0)
        for reference in ready:
            slot = awaited[reference]
            try:
                said = self._ray.get(reference)
            except (errors.RayTaskError, errors.RuntimeEnvSetupError) as error:
                said = str(getattr(error, "cause", error)).partition("\n")[0]
                raise ColorpipeError(f"A worker of the cluster cannot start: {said}.") from error
            except errors.RayError:
                self._lose(slot)
                continue
            if slot.starting is not None:
                self._workers.started(slot, said)
            else:
                self._take(slot.batches.popleft(), said)

    def _wait_longer(self) -> None:
        if all(slot.starting is not None for slot in self._workers.slots):
            print("Waiting for a free core of the cluster.", file=sys.stderr)
        self._look_for_machines()

    def _look_for_machines(self) -> None:
        """Start workers on machines that have joined the cluster, if there is work for them."""
        self._looked = time.monotonic()
        if not self._all_taken or self._suspects:
            self._workers.grow(self._workers.room())

    def _take(self, batch: _Batch, said: Any) -> None:
        if isinstance(said, Raised):
            self._results[batch.numbers[0]] = said
            return
        results, seconds = said
        self._results.update(zip(batch.numbers, results, strict=True))
        if not batch.is_alone:
            self._length = min(max(1, round(BATCH_SECONDS / seconds)), BATCH)

    def _lose(self, slot: _Slot) -> None:
        """Have done again what a worker had that was lost, or give it up."""
        machine_lives = self._workers.replace(slot)
        for batch in slot.batches:
            if batch.is_alone and machine_lives:
                self._results[batch.numbers[0]] = self._given_up(batch.items[0])
            else:
                self._suspects.extend(zip(batch.numbers, batch.items, strict=True))

    def _given_up(self, item: T) -> R | Raised:
        if self._failed is not None:
            return self._failed(item)
        return Raised(
            ColorpipeError(
                "A worker process was killed, and another one on the same input; either the input"
                " crashes a decoder, or memory ran out: close other programs and run this again."
            )
        )


def _chained(first: list[T], others: Iterator[T]) -> Iterator[T]:
    yield from first
    yield from others
