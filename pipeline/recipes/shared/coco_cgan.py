"""What both recipes of the COCO cGAN tutorial share: pix2pix with the original adversarial loss."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from pipeline.recipes.shared.base import FLIPS, GENERATOR, Augmentation, Phase
from pipeline.recipes.shared.losses import cross_entropy
from pipeline.recipes.shared.paired import PairedGAN, PairedSettings


class CocoCganSettings(PairedSettings):
    """Hyper-parameters of ``cgan``; ``cgan-pretrained`` has other defaults."""

    epochs: int = Field(100, ge=1, description="Passes over the training photos.")
    pretraining_share: float = Field(
        0.0, ge=0, le=1, description="The part of the epochs, at the beginning, by L1 alone."
    )
    pretraining_rate: float = Field(
        1e-4, gt=0, description="The generator's learning rate in those epochs."
    )


class CocoCgan(PairedGAN):
    """A conditional GAN whose generator may first be trained by L1 alone.

    One Adam goes through both phases, its running means included.
    """

    augmentation: ClassVar[Augmentation | None] = FLIPS
    settings: CocoCganSettings

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Pretraining, if there is any, then both networks in turn."""
        pretraining = round(self.settings.epochs * self.settings.pretraining_share)
        phases = (
            Phase("pretraining", pretraining, adversarial=False),
            Phase("training", self.settings.epochs - pretraining, adversarial=True),
        )
        return tuple(phase for phase in phases if phase.epochs)

    def rate_factor(self, optimizer: str, phase: Phase, progress: float) -> float:
        """Constant, in each phase its own."""
        del progress
        if optimizer == GENERATOR and not phase.adversarial:
            return self.settings.pretraining_rate / self.settings.learning_rate
        return 1.0

    @staticmethod
    def adversarial_loss(logits: torch.Tensor, target: float) -> torch.Tensor:
        """Binary cross-entropy (Goodfellow et al. 2014)."""
        return cross_entropy(logits, target)
