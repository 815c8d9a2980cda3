"""What a recipe is: networks, objective, colour space and schedule under one name.

The training loop is one for all; whatever differs between the systems stands in their recipes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from pipeline.params import Section

ColorSpace = Literal["Lab", "RGB"]


class Settings(Section):
    """The hyper-parameters that every recipe has; a recipe's own class adds its own."""

    epochs: int = Field(ge=1, description="Passes over the training photos.")
    batch_size: int = Field(ge=1, description="Photos in a step.")
    size: int = Field(ge=32, le=1024, description="Side of the training pictures in pixels.")
    learning_rate: float = Field(gt=0, description="The generator's learning rate.")
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay per step of the averaged generator; 0 keeps the last."
    )


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs with one objective."""

    name: str
    epochs: int
    adversarial: bool
    """Whether the discriminator is trained and asked."""


@dataclass(frozen=True)
class Batch:
    """What a step is trained on, in the recipe's own scaling."""

    x: torch.Tensor
    """The generator's input (N, C, H, W)."""
    y: torch.Tensor
    """What the generator should give (N, C', H, W)."""


Losses = Mapping[str, torch.Tensor]
"""Terms of an objective by name, already weighted: their sum is what is minimized."""


class Recipe(ABC):
    """A system that can be trained, judged and used for colorizing."""

    name: ClassVar[str]
    origin: ClassVar[str]
    """Paper, page or code that it comes from."""
    color_space: ClassVar[ColorSpace]
    """What the generator gives: a* and b*, or RGB."""
    objective: ClassVar[str]
    """The losses, in words."""
    settings_type: ClassVar[type[Settings]]
    augmented: ClassVar[bool]
    """Whether training pictures are random crops and mirror images of the photos."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def generator(self) -> nn.Module:
        """Build the generator with fresh weights."""

    @abstractmethod
    def discriminator(self) -> nn.Module:
        """Build the discriminator with fresh weights."""

    @property
    @abstractmethod
    def multiple(self) -> int:
        """What height and width of the generator's input must be multiples of."""

    @property
    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The stretches of training, in order; their epochs sum to ``settings.epochs``."""

    @abstractmethod
    def optimizers(
        self, generator: nn.Module, discriminator: nn.Module, fused: bool
    ) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """Make the optimizers of the generator and of the discriminator."""

    def rate_factor(self, phase: Phase, progress: float) -> float:
        """Return the factor on the generator's rate at ``progress`` (0 to 1) of a phase."""
        del phase, progress
        return 1.0

    @abstractmethod
    def encode(self, rgb: torch.Tensor) -> Batch:
        """Turn sRGB photos (N, 3, H, W), 0 to 1, into what the generator learns from."""

    @abstractmethod
    def generator_losses(
        self, phase: Phase, batch: Batch, fake: torch.Tensor, discriminator: nn.Module
    ) -> Losses:
        """Return the terms that the generator minimizes; ``fake`` is its output for the batch."""

    @abstractmethod
    def discriminator_losses(
        self, batch: Batch, fake: torch.Tensor, discriminator: nn.Module
    ) -> Losses:
        """Return the terms that the discriminator minimizes; ``fake`` carries no gradient."""

    @abstractmethod
    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) for gray photos ``luma`` (N, 1, H, W), 0 to 1."""

    def options(self) -> dict[str, Any]:
        """Return the settings as plain values, for the header of the weights."""
        return self.settings.model_dump(mode="json")
