"""System 4: a conditional GAN on COCO, and its variant with a pretrained generator."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from pipeline.recipes.base import FLIPS, GENERATOR, Augmentation, Phase, Settings
from pipeline.recipes.losses import cross_entropy
from pipeline.recipes.pix2pix import Pix2Pix, Pix2PixSettings


class CganSettings(Pix2PixSettings):
    """Hyper-parameters of the recipe ``cgan``."""

    epochs: int = Field(100, ge=1, description="Passes over the training photos.")
    pretraining_share: float = Field(
        0.0, ge=0, le=1, description="The part of the epochs, at the beginning, by L1 alone."
    )
    pretraining_rate: float = Field(
        1e-4, gt=0, description="The generator's learning rate in those epochs."
    )


class PretrainedCganSettings(CganSettings):
    """Hyper-parameters of the recipe ``cgan-pretrained``."""

    epochs: int = Field(40, ge=1, description="Passes over the training photos.")
    pretraining_share: float = Field(
        0.5, ge=0, le=1, description="The part of the epochs, at the beginning, by L1 alone."
    )


class Cgan(Pix2Pix):
    """Lightness in, a and b out, at 256x256: pix2pix with the original adversarial loss.

    As the page and the tutorial behind it give it: L / 50 - 1 and ab / 110, batches of 16, mirror
    images but no crops, photos scaled by Pillow's bicubic filter, U-Net of 64 filters with dropout
    0.5 in three blocks, PatchGAN on the Lab picture, binary cross-entropy, L1 weighted by 100, Adam
    2e-4 (0.5, 0.999) without a schedule, the discriminator's loss halved, weights from N(0, 0.02),
    100 epochs. Where they are silent, the three blocks with dropout are the innermost, as in the
    paper.
    """

    name: ClassVar[str] = "cgan"
    origin: ClassVar[str] = "system 4: conditional GAN on COCO"
    objective: ClassVar[str] = "BCE + L1"
    settings_type: ClassVar[type[Settings]] = CganSettings
    augmentation: ClassVar[Augmentation | None] = FLIPS
    settings: CganSettings

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


class PretrainedCgan(Cgan):
    """``cgan`` after a generator that was first trained by L1 alone.

    The tutorial's second way: 20 epochs by L1 at 1e-4, then 20 with the discriminator, which its
    author found better than 100 of the latter alone. The tutorial has a ResNet-18 as the encoder
    there; here the generator is that of ``cgan``, so that the two ways differ in nothing else.
    One Adam goes through both phases, its running means included.
    """

    name: ClassVar[str] = "cgan-pretrained"
    origin: ClassVar[str] = "system 4, the generator pretrained"
    objective: ClassVar[str] = "L1, then BCE + L1"
    settings_type: ClassVar[type[Settings]] = PretrainedCganSettings
    settings: PretrainedCganSettings
