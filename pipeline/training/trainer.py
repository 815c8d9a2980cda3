"""The training loop: one for all recipes.

Everything random in a step follows from the seed and the number of the step, so that a run that is
stopped and resumed sees the same batches and drops the same units as one that is not.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import nn

from pipeline.errors import ColorpipeError, StoppedError
from pipeline.files.interruptions import StopRequest, interruptions
from pipeline.files.progress import ProgressReport
from pipeline.models.device import memory_errors, place, speed_up
from pipeline.params import MetricName
from pipeline.recipes.shared.base import (
    DISCRIMINATOR,
    GENERATOR,
    Batch,
    Phase,
    Recipe,
    Update,
)
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.distributed import Processes, gradients, running_means
from pipeline.training.ema import move_towards
from pipeline.training.live_curves import LiveCurves
from pipeline.training.loss_log import LossTable
from pipeline.training.photo_set import BatchSampler, PhotoSet
from pipeline.training.validation import Validation

CHECKPOINT_INTERVAL = 60.0
"""Seconds between two checkpoints."""

RUN_TO_AVERAGE = 10
"""The averaged generator reaches back over at most this part of a run, a tenth: an average over all
of a short run would lag far behind the generator."""

READ_EVERY = 10
"""Steps between two readings of the losses on a device that works ahead of the CPU."""


class Trainer:
    """Trains one recipe on one set of photos.

    Args:
        recipe: what to train.
        photos: the photos to learn from.
        validation: photos to validate with, which are not learned from; None for none.
        seed: draws initial weights, orders, crops and dropout.
        processes: where to compute, and with how many processes.
        dtype: what to compute convolutions in: bfloat16 (by autocast) or float32.
        checkpoint: where the run's state is kept.
        best_in: keep the weights that do best in this metric; None keeps the last.
        samples: validation photos that are shown, colorized, after every epoch.
        start: the generator's weights to start from, validated as those of epoch 0; None starts
            from scratch.
        compiled: whether to compile the networks.
        live: curves to follow the run by.

    Raises:
        ColorpipeError: the batch does not fit the data or the processes, or the best weights are
            asked for and there are no validation photos.
    """

    def __init__(
        self,
        recipe: Recipe,
        photos: PhotoSet,
        *,
        validation: PhotoSet | None,
        seed: int,
        processes: Processes,
        dtype: torch.dtype,
        checkpoint: Checkpoint,
        best_in: MetricName | None = None,
        samples: int = 0,
        start: Mapping[str, torch.Tensor] | None = None,
        compiled: bool = False,
        live: LiveCurves | None = None,
    ) -> None:
        self.recipe = recipe
        self.seed = seed
        self.processes = processes
        self.dtype = dtype
        self.checkpoint = checkpoint
        self.live = live
        self.validation = Validation(
            recipe,
            validation,
            checkpoint,
            device=processes.device,
            dtype=dtype,
            best_in=best_in,
            samples=samples,
        )
        settings = recipe.settings
        self.sampler = BatchSampler(
            photos,
            settings.size,
            settings.batch_size,
            augmentation=recipe.augmentation,
            seed=seed,
            balance=settings.balance,
            draw=settings.draw,
            part=(processes.index, processes.count),
        )
        self.device = processes.device
        speed_up(self.device)
        torch.manual_seed(seed)
        networks = recipe.networks()
        if start is None:
            recipe.initialize(networks)
        self.networks = {
            name: place(network, self.device).train() for name, network in networks.items()
        }
        self.generator = self.networks[GENERATOR]
        self.start = start
        if start is not None:
            self.generator.load_state_dict(start)
        # Averaged weights; without averaging they are the generator's own.
        self.average = copy.deepcopy(self.generator) if settings.ema else self.generator
        fused = self.device.type in {"cuda", "cpu"}
        self.optimizers = recipe.optimizers(self.networks, fused=fused)
        self.rates = {
            name: [group["lr"] for group in optimizer.param_groups]
            for name, optimizer in self.optimizers.items()
        }
        if compiled:
            for network in self.networks.values():
                if any(True for _ in network.parameters()):
                    network.compile()
        self.step = 0
        # On a CPU what its cores worked, which a machine busy with other things does not change.
        self._clock = time.process_time if self.device.type == "cpu" else time.monotonic
        self.seconds = 0.0  # Of training, all parts of a run that was stopped together.
        self.epoch_seconds: list[float] = []  # The same, at the end of each epoch.
        self.losses = LossTable()

    @property
    def steps(self) -> int:
        """How many steps the whole run has."""
        return self.recipe.settings.epochs * self.sampler.steps_per_epoch

    @property
    def decay(self) -> float:
        """How much of the averaged generator a step keeps, at most, 0 to 1."""
        return max(0.0, min(self.recipe.settings.ema, 1 - RUN_TO_AVERAGE / self.steps))

    def run(self) -> nn.Module:
        """Train to the end, from the last checkpoint if there is one, and return the generator.

        Raises:
            StoppedError: the user stopped it; the state is saved.
            ColorpipeError: a loss or a weight is not a number, or memory or disk ran out.
        """
        if self.processes.first:
            self.checkpoint.require(self._state_size())
        self._resume()
        # The first process removes the checkpoint at the end: by then all others have read it.
        self.processes.check_alike(self.step, self.networks.values())
        settings = self.recipe.settings
        with (
            interruptions() as stop,
            self._following(),
            self._reporting() as report,
            memory_errors(
                f"a batch of {settings.batch_size} pictures of {settings.size} px; lower"
                " train.batch_size or train.size"
            ),
        ):
            # Trained weights may be better than all that comes of them; fresh ones are not.
            if self.step == 0 and self.start is not None:
                self._validate(0)
            self._log()
            if self.step < self.steps:
                self._loop(stop, report)
                # The outputs may fail to be written, and that must not cost the run. If there is no
                # room for this checkpoint either, the outputs may have some elsewhere.
                with contextlib.suppress(ColorpipeError):
                    self._save()
        result = self._result()
        if best := self.validation.best:
            result.load_state_dict(best.weights)
        return result.eval()

    def advance(self, steps: int) -> None:
        """Train for a few steps, without checkpoints, reports or validation."""
        last = self.step + steps
        while self.step < last:
            phase, share = self._phase(self.step)
            self._set_rates(phase, share)
            self._train_step(phase, f"step {self.step + 1}")
            self.step += 1
        self.losses.read(self.processes)

    def _loop(self, stop: StopRequest, report: ProgressReport | None) -> None:
        saved = time.monotonic()
        started = self._clock() - self.seconds
        per_epoch, batch_size = self.sampler.steps_per_epoch, self.recipe.settings.batch_size
        read_every = 1 if self.device.type == "cpu" else READ_EVERY
        while self.step < self.steps:
            epoch, done = divmod(self.step, per_epoch)
            phase, share = self._phase(self.step)
            self._set_rates(phase, share)
            self._train_step(phase, f"epoch {epoch + 1}, step {self.step + 1}")
            self.step += 1
            ended = done + 1 == per_epoch
            if not ended and self.step % read_every:
                if report:
                    report.advance(batch_size)
                continue
            due = time.monotonic() - saved > CHECKPOINT_INTERVAL
            stopping, saving = self.losses.read(self.processes, stop.requested, due)
            detail = self._detail(epoch)
            if ended:
                self._require_finite(epoch)
                self.losses.end_epoch(epoch + 1)
                self._validate(epoch + 1)
                self._log()
            self.seconds = self._clock() - started
            if ended:
                self.epoch_seconds.append(self.seconds)
            if report:
                report.advance(batch_size, detail)
            if stopping:
                self._save()
                raise StoppedError(
                    f"Stopped in epoch {epoch + 1} of {self.recipe.settings.epochs}, and saved;"
                    " the same command resumes from there."
                )
            if saving:
                self._save()
                saved = time.monotonic()

    def _train_step(self, phase: Phase, where: str) -> None:
        """Carry out the recipe's updates, each before the next is computed."""
        # Dropout draws from torch's own generator, in each process other units.
        seed = np.random.SeedSequence([self.seed, 2, self.step, self.processes.index])
        torch.manual_seed(int(seed.generate_state(1)[0]))
        updates = self.recipe.updates(phase, self.step, self._batch(phase.size), self.networks)
        while (update := self._next(updates)) is not None:
            self._descend(update, where)
        self.processes.average(list(running_means(self.networks.values())))
        if self.average is not self.generator:
            step = self.step if self.start is None else None
            move_towards(self.average, self.generator, self.decay, step)

    def _batch(self, size: int | None) -> Batch:
        batch = self.recipe.encode(self.sampler.batch(self.step, self.device, size=size))
        x = batch.x
        if not self.recipe.paired:
            x = self.recipe.encode(self.sampler.batch(self.step, self.device, 1, size)).x
        return dataclasses.replace(
            batch,
            x=x.contiguous(memory_format=torch.channels_last),
            y=batch.y.contiguous(memory_format=torch.channels_last),
        )

    def _next(self, updates: Iterator[Update]) -> Update | None:
        # A block of its own each time: autocast keeps weights in bfloat16 for as long as it lasts,
        # and they change from update to update.
        try:
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                return next(updates, None)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ColorpipeError(
                f"The recipe {self.recipe.name} cannot normalize a batch of one picture of this"
                " size; set train.batch_size to 2 or more, or train.size higher."
            ) from error

    def _descend(self, update: Update, where: str) -> None:
        """Take one step down the sum of the update's losses."""
        optimizer = self.optimizers[update.optimizer]
        optimizer.zero_grad(set_to_none=True)
        total = self.losses.add(where, update.optimizer, update.losses)
        torch.autograd.backward(total)
        parameters = [weight for group in optimizer.param_groups for weight in group["params"]]
        self.processes.average(list(gradients(parameters)))
        if clip := self.recipe.settings.clip:
            nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()

    def _phase(self, step: int) -> tuple[Phase, float]:
        """Return the phase of ``step`` and how much of it is done, 0 to 1."""
        first = 0
        for phase in self.recipe.phases:
            length = phase.epochs * self.sampler.steps_per_epoch
            if step < first + length:
                return phase, (step - first) / length
            first += length
        raise ValueError(f"Step {step} is after the last phase, which ends at {first}.")

    def _set_rates(self, phase: Phase, share: float) -> None:
        for name, optimizer in self.optimizers.items():
            factor = self.recipe.rate_factor(name, phase, share)
            for group, rate in zip(optimizer.param_groups, self.rates[name], strict=True):
                group["lr"] = rate * factor

    def _log(self) -> None:
        if self.live:
            self.live.update(self.losses.rows, self.validation.rows)

    def _following(self) -> contextlib.AbstractContextManager[object]:
        return self.live if self.live and self.processes.first else contextlib.nullcontext()

    def _validate(self, epoch: int) -> None:
        if self.processes.first:
            self.validation.validate(epoch, self._result())

    def _require_finite(self, epoch: int) -> None:
        """Refuse a generator that the last step broke: no loss after it would show that."""
        values = self.generator.state_dict().values()
        if not all(value.isfinite().all() for value in values):
            raise ColorpipeError(
                f"The generator has weights that are no numbers after epoch {epoch + 1}: training"
                " has diverged; lower train.learning_rate, or set train.precision to float32."
            )

    def _result(self) -> nn.Module:
        """Return what training would end with now: the average, with the start's share in it.

        A mean of both keeps nearly everything that was learned, and more of what the start knew
        (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", section 3).
        """
        share = self.recipe.settings.start_share
        if self.start is None or not share:
            return self.average
        mixed = copy.deepcopy(self.average)
        mixed.load_state_dict(self.start)
        move_towards(mixed, self.average, share)
        return mixed

    def _detail(self, epoch: int) -> str:
        totals = [name for name in (GENERATOR, DISCRIMINATOR) if name in self.losses.last]
        terms = " ".join(f"{name} {self.losses.last[name]:.4f}" for name in totals)
        return f"epoch {epoch + 1}/{self.recipe.settings.epochs} {terms}"

    def _save(self) -> None:
        own = self._own_states()
        if not self.processes.first:
            return
        state: dict[str, object] = {
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "own": own,
            "average": self.average.state_dict(),
            "optimizers": {name: each.state_dict() for name, each in self.optimizers.items()},
            "step": self.step,
            "seconds": self.seconds,
            "epoch_seconds": self.epoch_seconds,
            "losses": self.losses.state(),
            **self.validation.state(),
        }
        self.checkpoint.save(state)

    def _own_states(self) -> list[dict[str, dict[str, torch.Tensor]]]:
        """Return the state of networks without weights, such as pools: each process has its own."""
        states: list[dict[str, dict[str, torch.Tensor]]] = [{} for _ in range(self.processes.count)]
        for name, network in self.networks.items():
            if any(True for _ in network.parameters()):
                continue
            for key, value in network.state_dict().items():
                for state, each in zip(states, self.processes.gather(value), strict=True):
                    state.setdefault(name, {})[key] = each
        return states

    def _resume(self) -> None:
        state = self.checkpoint.load()
        if state is None:
            return
        try:
            for name, network in self.networks.items():
                own = state["own"][self.processes.index]
                network.load_state_dict(own.get(name, state["networks"][name]))
            self.average.load_state_dict(state["average"])
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
            self.step = state["step"]
            self.seconds = state["seconds"]
            self.epoch_seconds = state["epoch_seconds"]
            self.losses = LossTable.of(state["losses"])
            self.validation.restore(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ColorpipeError(
                f"The checkpoint {self.checkpoint.path} is of another version or another recipe;"
                " delete it to start over."
            ) from error

    def _state_size(self) -> int:
        """Return the bytes of a checkpoint, nearly: weights, Adam's two means, average and best."""
        modules = list(self.networks.values())
        values = [value for module in modules for value in module.state_dict().values()]
        moments = [weight for module in modules for weight in module.parameters()]
        copies = bool(self.recipe.settings.ema) + (self.validation.best_in is not None)
        return _bytes(values) + 2 * _bytes(moments) + copies * _bytes(self.generator.parameters())

    def _reporting(self) -> contextlib.AbstractContextManager[ProgressReport | None]:
        if not self.processes.first:
            return contextlib.nullcontext()
        settings = self.recipe.settings
        if 0 < self.step < self.steps:
            epoch = self.step // self.sampler.steps_per_epoch + 1
            print(f"Resuming in epoch {epoch} of {settings.epochs}.")
        left = (self.steps - self.step) * settings.batch_size
        return ProgressReport(f"Training {self.recipe.name}", left)


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(int(tensor.nbytes) for tensor in tensors)
