"""The U-Net of the comparison of pix2pix, CycleGAN and U-Net: pix2pix without its discriminator."""

from __future__ import annotations

from typing import ClassVar

from pipeline.recipes.shared.base import JITTER, Augmentation, Phase, Settings
from pipeline.recipes.shared.paired import PairedSettings, PairedUNet
from pipeline.recipes.shared.schedules import halfway_then_down


class UNet(PairedUNet):
    """Lightness in, a and b out, at 256x256: pix2pix's generator trained by L1 alone.

    The third method of the comparison. Where its page is silent, as in ``pix2pix``.
    """

    name: ClassVar[str] = "unet"
    origin: ClassVar[str] = "pix2pix/CycleGAN/U-Net comparison: no discriminator"
    objective: ClassVar[str] = "L1"
    settings_type: ClassVar[type[Settings]] = PairedSettings
    augmentation: ClassVar[Augmentation | None] = JITTER

    def rate_factor(self, optimizer: str, phase: Phase, progress: float) -> float:
        """Constant for half of the run, then linearly to 0."""
        del optimizer, phase
        return halfway_then_down(progress)
