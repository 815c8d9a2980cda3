"""The project's own recipe: a network that knows things, colored by regression and then a GAN."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from pipeline.imaging import color
from pipeline.networks.efficientnet_lite import Variant
from pipeline.networks.imagenet import load_imagenet
from pipeline.networks.lite_unet import LiteUNet
from pipeline.networks.patchgan import PatchGAN
from pipeline.recipes.shared.aging import aged, filmed
from pipeline.recipes.shared.base import (
    DISCRIMINATOR,
    GENERATOR,
    Augmentation,
    Batch,
    ColorSpace,
    Networks,
    Optimizers,
    Phase,
    Recipe,
    Settings,
    Update,
    frozen,
)
from pipeline.recipes.shared.hints import simulated_hints
from pipeline.recipes.shared.losses import least_squares

SCALE = 20.0
"""Compressed chroma is divided by it; that of sRGB reaches 40."""
SMOOTH = 0.05
"""Distances below it count as their square."""


class ColorpipeSettings(Settings):
    """Hyper-parameters of the recipe ``colorpipe``."""

    epochs: int = Field(60, ge=1, description="Passes over the training photos.")
    batch_size: int = Field(16, ge=1, description="Photos in a step.")
    size: int = Field(128, ge=32, le=1024, description="Side of the training crops in pixels.")
    learning_rate: float = Field(1e-3, gt=0, description="The decoder's highest learning rate.")
    ema: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="Decay a step of the averaged generator, less in short runs; 0 averages none.",
    )
    early_share: float = Field(
        0.0, ge=0, le=1, description="The part of the epochs on smaller pictures, at the start."
    )
    early_size: int = Field(
        64, ge=32, le=1024, multiple_of=32, description="Side of those in pixels."
    )
    encoder: Variant = Field("lite1", description="The variant of EfficientNet-Lite.")
    pretrained_encoder: bool = Field(
        True, description="Whether the encoder starts from ImageNet's weights, from scratch."
    )
    encoder_rate: float = Field(
        0.3, ge=0, le=1, description="The encoder's learning rate as a share of the decoder's."
    )
    frozen_stages: int = Field(
        2,
        ge=0,
        le=7,
        description="How many of a pretrained encoder's stages stay as they are.",
    )
    width: int = Field(32, ge=4, description="Channels of the decoder's last and narrowest layer.")
    attention: int = Field(
        2, ge=0, description="Layers of self-attention, at a sixteenth of the picture's size."
    )
    weight_decay: float = Field(0.05, ge=0, description="The generator's, by AdamW.")
    adversarial_share: float = Field(
        0.15, ge=0, le=1, description="The part of the epochs that is adversarial, at the end."
    )
    adversarial_rate: float = Field(
        1e-4,
        gt=0,
        description="Both learning rates in the adversarial phase; the generator's falls to it"
        " before, and is never above learning_rate.",
    )
    exponent: float = Field(
        1.0,
        ge=1,
        le=2,
        description="Of the distance of colors: 1 looks for the median of those that are possible,"
        " which leaves out rare ones; 2 for their mean, which is gray-brown.",
    )
    lambda_regression: float = Field(
        5.0, ge=0, description="Weight of the regression; the adversarial loss has weight 1."
    )
    luminance: float = Field(
        0.5,
        ge=0,
        le=1,
        description="The share of the gray photos made from the light, as on film, not from luma.",
    )
    hinted: float = Field(
        0.5,
        ge=0,
        le=1,
        description="The share of the pictures with hints of their colors.",
    )
    aged: float = Field(
        0.3, ge=0, le=1, description="The share of the gray photos made to look like old ones."
    )
    working_size: int = Field(
        224,
        ge=32,
        le=1024,
        multiple_of=32,
        description="Side of the picture that photos are colored at, in pixels. Small things, such"
        " as faces in a group, need a larger one than training has time for.",
    )
    vividness: float = Field(
        1.4,
        ge=0,
        le=3,
        description="Multiplies the chroma that is predicted for a pale photo; 1 is as learned.",
    )
    pale: float = Field(
        16.0,
        ge=0,
        le=130,
        description="The mean chroma of a photo at which half of that is left: much paler ones get"
        " all of it, vivid ones nothing. 0 treats all alike.",
    )
    faint: float = Field(
        0.0,
        ge=0,
        le=60,
        description="Predicted chroma below it fades, the fainter the more: it is mostly doubt.",
    )


class Colorpipe(Recipe):
    """Lab, a U-Net on a pretrained encoder, hints, and a PatchGAN.

    Input is luma, which is all that a black-and-white photo gives; output are a* and b* with their
    chroma compressed, so that the distance that is minimized is nearly CIEDE2000's. What is left of
    timidity is made up for by ``vividness``, the more the paler a photo comes out: photos that are
    predicted vivid are about as vivid in truth, pale ones are several times as colorful.

    Some gray photos are aged, so that the network knows old ones too, and some are made from the
    photo's light, as on film, in place of luma: to one a red thing is darker than to the other. The
    adversarial phase is short, at the end, after NoGAN (DeOldify): by then the generator's colors
    are in the right places.
    """

    name: ClassVar[str] = "colorpipe"
    origin: ClassVar[str] = "this project"
    color_space: ClassVar[ColorSpace] = "Lab"
    objective: ClassVar[str] = "distance like CIEDE2000, then with LSGAN"
    settings_type: ClassVar[type[Settings]] = ColorpipeSettings
    augmentation: ClassVar[Augmentation | None] = Augmentation(0.5, 1.0, 1.33, 0.15)
    fine_tuning: ClassVar[Mapping[str, Any]] = {"epochs": 12, "learning_rate": 1e-4}
    takes_hints: ClassVar[bool] = True
    settings: ColorpipeSettings

    def generator(self) -> LiteUNet:
        """Build the U-Net: 6.3 million parameters."""
        settings = self.settings
        return LiteUNet(
            settings.encoder,
            widths=[settings.width * scale for scale in (1, 2, 3, 6, 8)],
            attention=settings.attention,
            # Fresh weights are not worth keeping.
            frozen=settings.frozen_stages if settings.pretrained_encoder else 0,
        )

    def networks(self) -> dict[str, nn.Module]:
        """Build the U-Net and a PatchGAN on luma, a, b."""
        return {
            GENERATOR: self.generator(),
            DISCRIMINATOR: PatchGAN(channels=3, width=48, layers=2, norm="spectral"),
        }

    def initialize(self, networks: Networks) -> None:
        """Load the encoder's ImageNet weights.

        Raises:
            ColorpipeError: the package that carries them is missing or damaged.
        """
        generator = networks[GENERATOR]
        if self.settings.pretrained_encoder and isinstance(generator, LiteUNet):
            load_imagenet(generator.encoder, self.settings.encoder)

    @property
    def working_size(self) -> int:
        """As the settings say: detail of training crops is that of larger pictures."""
        return self.settings.working_size

    @property
    def multiple(self) -> int:
        """Five halvings."""
        return LiteUNet.multiple

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Regression on small pictures, on large ones, then with the discriminator."""
        settings = self.settings
        adversarial = round(settings.epochs * settings.adversarial_share)
        early = min(round(settings.epochs * settings.early_share), settings.epochs - adversarial)
        rest = settings.epochs - adversarial - early
        phases = (
            Phase("early", early, adversarial=False, size=settings.early_size),
            Phase("regression", rest, adversarial=False),
            Phase("adversarial", adversarial, adversarial=True),
        )
        return tuple(phase for phase in phases if phase.epochs)

    def optimizers(self, networks: Networks, fused: bool) -> Optimizers:
        """AdamW for the generator, Adam with momentum 0.5 for the discriminator."""
        settings = self.settings
        encoder: list[nn.Parameter] = []
        decoder: list[nn.Parameter] = []
        for name, weight in networks[GENERATOR].named_parameters():
            if weight.requires_grad:
                (encoder if name.startswith("encoder.") else decoder).append(weight)
        rate = settings.learning_rate
        return {
            GENERATOR: torch.optim.AdamW(
                [
                    {"params": encoder, "lr": rate * settings.encoder_rate},
                    {"params": decoder, "lr": rate},
                ],
                weight_decay=settings.weight_decay,
                fused=fused,
            ),
            DISCRIMINATOR: torch.optim.Adam(
                networks[DISCRIMINATOR].parameters(),
                settings.adversarial_rate,
                (0.5, 0.999),
                fused=fused,
            ),
        }

    def rate_factor(self, optimizer: str, phase: Phase, progress: float) -> float:
        """Warm up over 5%, then fall along a cosine; low and constant in the adversarial phase."""
        if optimizer == DISCRIMINATOR:
            return 1.0
        highest = self.settings.learning_rate
        low = min(self.settings.adversarial_rate, highest) / highest
        if phase.adversarial:
            return low
        progress = self._regression_progress(phase, progress)
        if progress < 0.05:
            return progress / 0.05
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95))

    def _regression_progress(self, phase: Phase, progress: float) -> float:
        """Return the part that is done of all epochs without the discriminator, 0 to 1."""
        epochs = [each.epochs for each in self.phases if not each.adversarial]
        before = epochs[0] if phase.name == "regression" and len(epochs) > 1 else 0
        return (before + progress * phase.epochs) / sum(epochs)

    def encode(self, rgb: torch.Tensor) -> Batch:
        """Take luma from the photo as gray, some of it aged, and its colors at half the size."""
        settings = self.settings
        gray = color.tensor_luma(rgb)
        if settings.luminance:
            chosen = torch.rand(len(rgb), 1, 1, 1, device=rgb.device) < settings.luminance
            gray = torch.where(chosen, filmed(rgb), gray)
        # The network's last layer works at half the size: more detail of color is not asked for.
        lab = color.tensor_rgb_to_lab(functional.avg_pool2d(rgb, 2))
        ab = color.tensor_compress_chroma(lab[:, 1:]) / SCALE
        hints = simulated_hints(ab, settings.hinted)
        return Batch(x=aged(gray, settings.aged) * 2 - 1, y=ab, hints=hints)

    def regression(self, fake: torch.Tensor, batch: Batch, networks: Networks) -> torch.Tensor:
        """Return the loss of what the generator gave, ``fake`` (N, 2, H, W), for ``batch``."""
        del networks
        return distance(fake, batch.y, self.settings.exponent)

    def updates(
        self, phase: Phase, step: int, batch: Batch, networks: Networks
    ) -> Iterator[Update]:
        """Regression; in the adversarial phase the discriminator first, and then its verdict."""
        del step
        generator = networks[GENERATOR]
        fake = generator(batch.x, batch.hints, half=True).float()
        regression = self.regression(fake, batch, networks)
        losses = {"regression": self.settings.lambda_regression * regression}
        if phase.adversarial:
            discriminator = networks[DISCRIMINATOR]
            gray = functional.avg_pool2d(batch.x, 2)
            real_verdict = discriminator(torch.cat([gray, batch.y], dim=1))
            fake_verdict = discriminator(torch.cat([gray, fake.detach()], dim=1))
            yield Update(
                DISCRIMINATOR,
                {
                    "real": 0.5 * least_squares(real_verdict, 1.0),
                    "fake": 0.5 * least_squares(fake_verdict, 0.0),
                },
            )
            with frozen(discriminator):
                verdict = discriminator(torch.cat([gray, fake], dim=1))
            losses["adversarial"] = least_squares(verdict, 1.0)
        yield Update(GENERATOR, losses)

    def predict_ab(
        self, generator: nn.Module, luma: torch.Tensor, hints: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) for gray photos ``luma`` (N, 1, H, W), 0 to 1.

        ``hints`` (N, 3, H/2, W/2) are a*, b* and the confidence in them, 0 to 1. A photo is
        predicted without them first, for its factor: they change its colors, not how much all of
        them are strengthened.
        """
        learned = self.learned_ab(generator, luma)
        factor = self.factor(learned)
        if hints is not None:
            learned = self.learned_ab(generator, luma, self.as_learned(hints, factor))
        return learned * factor

    def learned_ab(
        self, generator: nn.Module, luma: torch.Tensor, *hints: torch.Tensor
    ) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) that are yet to be multiplied by :meth:`factor`.

        ``hints`` are none, or those of :meth:`as_learned`. Faint colors may fade: to strengthen
        what was learned costs least where colors are known.
        """
        ab = color.tensor_expand_chroma(generator(luma * 2 - 1, *hints).float() * SCALE)
        return color.tensor_fade_chroma(ab, self.settings.faint) if self.settings.faint else ab

    def factor(self, learned: torch.Tensor) -> torch.Tensor:
        """Return by what the ``learned`` colors (N, 2, H, W) are multiplied, (N, 1, 1, 1).

        It is ``vividness`` for a pale photo, and falls to 1 for a vivid one.
        """
        most, pale = self.settings.vividness, self.settings.pale
        # Row by row: a sum over a whole picture depends on how many there are, by a rounding.
        mean = color.tensor_chroma(learned).mean(3, keepdim=True).mean(2, keepdim=True)
        if not pale:
            return torch.full_like(mean, most)
        return 1 + (most - 1) / (1 + (mean / pale) ** 4)

    def as_learned(self, hints: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        """Return ``hints`` in the network's scale, which fading and ``factor`` undo."""
        faint = self.settings.faint
        ab = hints[:, :2]
        chroma = color.tensor_chroma(ab)
        learned = chroma / factor.clamp(min=1e-3)
        if faint:
            learned = torch.where(learned < faint, (learned * faint).sqrt(), learned)
        ab = color.tensor_compress_chroma(ab * (learned / chroma)) / SCALE
        known = hints[:, 2:]
        return torch.cat([ab * (known > 0), known], dim=1)


def distance(fake: torch.Tensor, real: torch.Tensor, exponent: float) -> torch.Tensor:
    """Return the mean of the distances of colors (N, 2, H, W) to the power of ``exponent``.

    Smooth where they are under about 1 unit. Both are a* and b* with compressed chroma, divided by
    ``SCALE``: where a plain distance is nearly CIEDE2000's.
    """
    squared = (fake - real).square().sum(dim=1)
    return (squared + SMOOTH**2).pow(exponent / 2).mean()
