"""The training loop: one for all recipes.

Everything random in a step follows from the seed and the step's number, so that a run which was
stopped and goes on later sees the same batches and drops the same units as one that was not.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.checkpoints import Checkpoint
from pipeline.dataset import BatchSampler, PhotoSet
from pipeline.errors import ColorpipeError, StoppedError
from pipeline.interruptions import StopRequest, interruptions
from pipeline.progress import ProgressReport
from pipeline.recipes.base import Losses, Phase, Recipe
from pipeline.runtime import place
from pipeline.validation import watch

CHECKPOINT_INTERVAL = 60.0
"""Seconds between two checkpoints."""

VALIDATION_PHOTOS = 64
"""How many validation photos are looked at after each epoch, at most."""

Curve = list[dict[str, float]]


@dataclass
class Progress:
    """Where a run stands, apart from its weights."""

    step: int = 0
    losses: Curve = field(default_factory=list)
    """A row an epoch: the means of both networks' losses and of each of their terms."""
    validation: Curve = field(default_factory=list)
    """A row an epoch: CIEDE2000 and colourfulness ratio of the validation photos."""
    sums: dict[str, float] = field(default_factory=dict)
    """The losses of the epoch under way, summed over its steps."""


class Trainer:
    """Trains one recipe on one set of photos.

    Args:
        recipe: what to train.
        photos: the photos to learn from.
        validation: photos to watch, not learned from; None for none.
        seed: draws initial weights, orders, crops and dropout.
        device: where to compute.
        dtype: what to compute convolutions in: bfloat16 (by autocast) or float32.
        checkpoint: where the run's state is kept.
    """

    def __init__(
        self,
        recipe: Recipe,
        photos: PhotoSet,
        *,
        validation: PhotoSet | None,
        seed: int,
        device: torch.device,
        dtype: torch.dtype,
        checkpoint: Checkpoint,
    ) -> None:
        self.recipe = recipe
        self.validation = validation
        self.seed = seed
        self.device = device
        self.dtype = dtype
        self.checkpoint = checkpoint
        settings = recipe.settings
        self.sampler = BatchSampler(
            photos, settings.size, settings.batch_size, recipe.augmented, seed
        )
        torch.manual_seed(seed)
        self.generator = place(recipe.generator(), device).train()
        self.discriminator = place(recipe.discriminator(), device).train()
        # Averaged weights; without averaging they are the generator's own.
        self.average = copy.deepcopy(self.generator) if settings.ema else self.generator
        self.optimizers = recipe.optimizers(
            self.generator, self.discriminator, fused=device.type in {"cuda", "cpu"}
        )
        self.rates = [group["lr"] for group in self.optimizers[0].param_groups]
        self.progress = Progress()

    @property
    def steps(self) -> int:
        """How many steps the whole run has."""
        return self.recipe.settings.epochs * self.sampler.steps_per_epoch

    def run(self) -> nn.Module:
        """Train to the end, from the last checkpoint if there is one, and return the generator.

        Raises:
            StoppedError: the user stopped it; the state is saved.
            ColorpipeError: a loss is not a number, or memory or disk ran out.
        """
        self._resume()
        done = self.progress.step
        try:
            with (
                interruptions() as stop,
                ProgressReport(
                    f"Training {self.recipe.name}", self.steps - done, "steps"
                ) as report,
            ):
                self._loop(stop, report)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise ColorpipeError(
                f"Memory ran out with a batch of {self.recipe.settings.batch_size} pictures of"
                f" {self.recipe.settings.size} px; lower train.batch_size or train.size."
            ) from error
        return self.average.eval()

    def _loop(self, stop: StopRequest, report: ProgressReport) -> None:
        saved = time.monotonic()
        while self.progress.step < self.steps:
            epoch, place = divmod(self.progress.step, self.sampler.steps_per_epoch)
            phase, share = self._phase(self.progress.step)
            self._set_rate(phase, share)
            losses = self._step(phase, self.progress.step)
            self._note(losses, epoch)
            self.progress.step += 1
            if place + 1 == self.sampler.steps_per_epoch:
                self._end_epoch(epoch)
            report.advance(1, self._detail(epoch, losses))
            if stop.requested:
                self._save()
                raise StoppedError(
                    f"Stopped in epoch {epoch + 1} of {self.recipe.settings.epochs}, and saved;"
                    " the same command goes on from there."
                )
            if time.monotonic() - saved > CHECKPOINT_INTERVAL:
                self._save()
                saved = time.monotonic()

    def _step(self, phase: Phase, step: int) -> dict[str, float]:
        """Update the discriminator, where the phase has one, and then the generator."""
        # Dropout draws from torch's own generator.
        torch.manual_seed(int(np.random.SeedSequence([self.seed, 2, step]).generate_state(1)[0]))
        optimizer_g, optimizer_d = self.optimizers
        batch = self.recipe.encode(self.sampler.batch(step, self.device))
        values: dict[str, float] = {}
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            fake = self.generator(batch.x.contiguous(memory_format=torch.channels_last)).float()
            if phase.adversarial:
                terms = self.recipe.discriminator_losses(batch, fake.detach(), self.discriminator)
                values |= descend("discriminator", terms, optimizer_d)
                self.discriminator.requires_grad_(False)
            terms = self.recipe.generator_losses(phase, batch, fake, self.discriminator)
        values |= descend("generator", terms, optimizer_g)
        self.discriminator.requires_grad_(True)
        self._average()
        return values

    def _average(self) -> None:
        """Move the averaged weights towards the generator's (Polyak and Juditsky 1992)."""
        decay = self.recipe.settings.ema
        if not decay:
            return
        # A young average would remember the initial weights for long.
        decay = min(decay, (1 + self.progress.step) / (10 + self.progress.step))
        with torch.no_grad():
            for mean, new in zip(
                self.average.state_dict().values(),
                self.generator.state_dict().values(),
                strict=True,
            ):
                if mean.is_floating_point():
                    mean.lerp_(new, 1 - decay)
                else:
                    mean.copy_(new)

    def _phase(self, step: int) -> tuple[Phase, float]:
        """Return the phase of ``step`` and how much of it is done, 0 to 1."""
        first = 0
        for phase in self.recipe.phases:
            length = phase.epochs * self.sampler.steps_per_epoch
            if step < first + length:
                return phase, (step - first) / length
            first += length
        raise ValueError(f"Step {step} lies behind the last phase, which ends at {first}.")

    def _set_rate(self, phase: Phase, share: float) -> None:
        factor = self.recipe.rate_factor(phase, share)
        for group, rate in zip(self.optimizers[0].param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def _note(self, losses: dict[str, float], epoch: int) -> None:
        for name, value in losses.items():
            if not np.isfinite(value):
                raise ColorpipeError(
                    f"The loss '{name}' is {value} in epoch {epoch + 1}, step"
                    f" {self.progress.step + 1}: training has diverged; lower train.learning_rate,"
                    " or set train.precision to float32."
                )
            self.progress.sums[name] = self.progress.sums.get(name, 0.0) + value

    def _detail(self, epoch: int, losses: dict[str, float]) -> str:
        totals = {name: losses[name] for name in ("generator", "discriminator") if name in losses}
        terms = " ".join(f"{name} {value:.4f}" for name, value in totals.items())
        return f"epoch {epoch + 1}/{self.recipe.settings.epochs} {terms}"

    def _end_epoch(self, epoch: int) -> None:
        row = {"epoch": float(epoch + 1)}
        row |= {
            name: total / self.sampler.steps_per_epoch for name, total in self.progress.sums.items()
        }
        self.progress.losses.append(row)
        self.progress.sums = {}
        if self.validation is not None:
            pixels = self.validation.pixels[:VALIDATION_PHOTOS]
            measured = watch(self.recipe, self.average, pixels, self.device, self.dtype)
            self.progress.validation.append({"epoch": float(epoch + 1), **measured})

    def _save(self) -> None:
        state: dict[str, Any] = {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "progress": vars(self.progress),
        }
        self.checkpoint.save(state)

    def _resume(self) -> None:
        state = self.checkpoint.load()
        if state is None:
            return
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.progress = Progress(**state["progress"])


def descend(total: str, terms: Losses, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Take one step down the sum of ``terms``; return their values, and the sum's as ``total``."""
    optimizer.zero_grad(set_to_none=True)
    values = torch.stack(list(terms.values()))
    torch.autograd.backward(values.sum())
    optimizer.step()
    numbers = values.tolist()
    return {total: sum(numbers), **dict(zip(terms, numbers, strict=True))}
