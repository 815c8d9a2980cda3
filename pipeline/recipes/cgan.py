"""The COCO cGAN tutorial's conditional GAN."""

from __future__ import annotations

from typing import ClassVar

from pipeline.recipes.shared.base import Settings
from pipeline.recipes.shared.coco_cgan import CocoCgan, CocoCganSettings


class Cgan(CocoCgan):
    """Lightness in, a and b out, at 256x256: pix2pix with the original adversarial loss.

    As the page and the tutorial behind it give it: L / 50 - 1 and ab / 110, batches of 16, mirror
    images but no crops, photos scaled by Pillow's bicubic filter, U-Net of 64 filters with dropout
    0.5 in three blocks, PatchGAN on the Lab picture, binary cross-entropy, L1 weighted by 100, Adam
    2e-4 (0.5, 0.999) without a schedule, the discriminator's loss halved, weights from N(0, 0.02),
    100 epochs. Where they are silent, the three blocks with dropout are the innermost, as in the
    paper.
    """

    name: ClassVar[str] = "cgan"
    origin: ClassVar[str] = "COCO cGAN tutorial"
    objective: ClassVar[str] = "BCE + L1"
    settings_type: ClassVar[type[Settings]] = CocoCganSettings
