"""The COCO cGAN tutorial's second way: its GAN after a generator trained by L1 alone."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from pipeline.recipes.shared.base import Settings
from pipeline.recipes.shared.coco_cgan import CocoCgan, CocoCganSettings


class PretrainedCganSettings(CocoCganSettings):
    """Hyper-parameters of the recipe ``cgan-pretrained``."""

    epochs: int = Field(40, ge=1, description="Passes over the training photos.")
    pretraining_share: float = Field(
        0.5, ge=0, le=1, description="The part of the epochs, at the beginning, by L1 alone."
    )


class PretrainedCgan(CocoCgan):
    """``cgan`` after a generator that was first trained by L1 alone.

    20 epochs by L1 at 1e-4, then 20 with the discriminator, which the tutorial's author found
    better than 100 of the latter alone. The tutorial has a ResNet-18 as the encoder there; here the
    generator is that of ``cgan``, so that the two ways differ in nothing else.
    """

    name: ClassVar[str] = "cgan-pretrained"
    origin: ClassVar[str] = "COCO cGAN tutorial: the generator trained by L1 first"
    objective: ClassVar[str] = "L1, then BCE + L1"
    settings_type: ClassVar[type[Settings]] = PretrainedCganSettings
