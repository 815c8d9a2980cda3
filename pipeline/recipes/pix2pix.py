"""The pix2pix of the comparison of pix2pix, CycleGAN and U-Net on landscapes."""

from __future__ import annotations

from typing import ClassVar

import torch

from pipeline.recipes.shared.base import JITTER, Augmentation, Phase, Settings
from pipeline.recipes.shared.losses import least_squares
from pipeline.recipes.shared.paired import PairedGAN, PairedSettings
from pipeline.recipes.shared.schedules import halfway_then_down


class Pix2Pix(PairedGAN):
    """Lightness in, a and b out, at 256x256: pix2pix (Isola et al. 2017) with a 70x70 PatchGAN.

    As the comparison's page gives it: U-Net from 256x256 down to 1x1, least squares against maps of
    ones and zeros, L1 between colors. Where the page is silent, the paper: Adam 2e-4 with momentum
    0.5, constant for half of the epochs and then linearly to 0, 200 epochs, L1 weighted by 100, the
    discriminator's loss halved and conditioned on the input, weights from N(0, 0.02), jitter and
    mirroring. The paper's batches hold one picture; here they hold 16, because batch norm then
    learns running statistics that make a result independent of its batch.
    """

    name: ClassVar[str] = "pix2pix"
    origin: ClassVar[str] = (
        "pix2pix/CycleGAN/U-Net comparison; Isola, Zhu, Zhou, Efros 2017, arXiv:1611.07004"
    )
    objective: ClassVar[str] = "LSGAN + L1"
    settings_type: ClassVar[type[Settings]] = PairedSettings
    augmentation: ClassVar[Augmentation | None] = JITTER

    def rate_factor(self, optimizer: str, phase: Phase, progress: float) -> float:
        """Constant for half of the run, then linearly to 0."""
        del optimizer, phase
        return halfway_then_down(progress)

    @staticmethod
    def adversarial_loss(logits: torch.Tensor, target: float) -> torch.Tensor:
        """Least squares (Mao et al. 2017)."""
        return least_squares(logits, target)
