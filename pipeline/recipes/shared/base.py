"""What a recipe is: networks, objective, color space and schedule under one name.

All recipes share one training loop; what differs between the systems is in their recipes.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from pipeline.params import Section

ColorSpace = Literal["Lab", "RGB"]
GENERATOR, DISCRIMINATOR = "generator", "discriminator"
"""The network that colorizes, and its opponent, as keys of networks, optimizers and losses."""


class Settings(Section):
    """The hyper-parameters that every recipe has; a recipe's own class adds its own."""

    epochs: int = Field(ge=1, description="Passes over the training photos.")
    batch_size: int = Field(ge=1, description="Photos in a step.")
    size: int = Field(ge=32, le=1024, description="Side of the training pictures in pixels.")
    learning_rate: float = Field(gt=0, description="The generator's learning rate.")
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay a step of the averaged generator, less in short runs; 0 averages none.",
    )
    start_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the weights that training starts from in those that it ends with.",
    )
    balance: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How evenly categories are drawn: 0 as they are, 1 all as often.",
    )
    draw: dict[str, float] = Field(
        default_factory=dict,
        description="How many times as often as that a category's photos are drawn, by its name.",
    )
    clip: float = Field(
        0.0, ge=0, description="Gradients of a larger norm are scaled down to it; 0 leaves them."
    )


@dataclass(frozen=True)
class Augmentation:
    """Random squares of the photos, mirrored half of the time."""

    smallest: float
    largest: float
    """The square's side as a part of the photo's shorter side: at least, at most."""
    stretch: float = 1.0
    """How much wider or higher than a square the part cut out may be, at most, as a ratio."""
    collages: float = 0.0
    """The share of the pictures that are four others at half the size, side by side."""


FLIPS = Augmentation(1.0, 1.0)
JITTER = Augmentation(256 / 286, 256 / 286)
"""pix2pix and CycleGAN scale to 286 px and cut 256 px out (Isola et al. 2017, section 6.2)."""
CROPS = Augmentation(0.6, 1.0)


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs with one objective."""

    name: str
    epochs: int
    adversarial: bool
    """Whether the discriminator is trained and asked."""
    size: int | None = None
    """Side of the training pictures; None is ``settings.size``."""


@dataclass(frozen=True)
class Batch:
    """What a step is trained on, in the recipe's own scaling."""

    x: torch.Tensor
    """The generator's input (N, C, H, W)."""
    y: torch.Tensor
    """What the generator should give (N, C', H, W)."""
    hints: torch.Tensor | None = None
    """Chroma known at some places (N, 3, H/2, W/2), for a generator that takes hints."""


Networks = Mapping[str, nn.Module]
Optimizers = dict[str, torch.optim.Optimizer]
Losses = Mapping[str, torch.Tensor]
"""Terms of an objective by name, already weighted: their sum is what is minimized."""


@dataclass(frozen=True)
class Update:
    """One step of one optimizer."""

    optimizer: str
    """Its name, under which the sum of the losses is reported."""
    losses: Losses


class Recipe(ABC):
    """A system that can be trained, evaluated and used for colorizing."""

    name: ClassVar[str]
    origin: ClassVar[str]
    """Paper, page or code that it comes from."""
    color_space: ClassVar[ColorSpace]
    """What the generator gives: a* and b* (and L*), or RGB."""
    objective: ClassVar[str]
    """The losses, in words."""
    settings_type: ClassVar[type[Settings]]
    augmentation: ClassVar[Augmentation | None]
    """How training pictures are cut from photos; None takes the photos whole."""
    paired: ClassVar[bool] = True
    """Whether a batch's x and y are of the same photos."""
    takes_hints: ClassVar[bool] = False
    """Whether ``predict_ab`` takes chroma that is known at some places, as a third argument."""
    fine_tuning: ClassVar[Mapping[str, Any]] = {}
    """Settings in place of the recipe's own when training starts from trained weights."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def generator(self) -> nn.Module:
        """Build the network that colorizes, with fresh weights."""

    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """Build everything that training changes, with fresh weights.

        The network that colorizes is called ``generator``.
        """

    def initialize(self, networks: Networks) -> None:
        """Give ``networks``, freshly built, what training from scratch starts from."""
        del networks

    @property
    def working_size(self) -> int:
        """Side in pixels of the picture that a photo's colors are predicted at."""
        return self.settings.size

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Height and width of the generator's input are multiples of it."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The stretches of training, in order; their epochs sum to ``settings.epochs``."""
        return (Phase("training", self.settings.epochs, adversarial=True),)

    @abstractmethod
    def optimizers(self, networks: Networks, fused: bool) -> Optimizers:
        """Make the optimizers, in the order in which their losses are reported."""

    def rate_factor(self, optimizer: str, phase: Phase, progress: float) -> float:
        """Return the factor on an optimizer's rate at ``progress`` (0 to 1) of a phase."""
        del optimizer, phase, progress
        return 1.0

    @abstractmethod
    def encode(self, rgb: torch.Tensor) -> Batch:
        """Turn sRGB photos (N, 3, H, W), 0 to 1, into what the generator learns from."""

    @abstractmethod
    def updates(
        self, phase: Phase, step: int, batch: Batch, networks: Networks
    ) -> Iterator[Update]:
        """Yield the updates of step number ``step``, in order.

        Each is carried out before the next is asked for, so that what comes later is computed
        with the weights that the earlier ones left.
        """

    @abstractmethod
    def predict_ab(self, generator: nn.Module, luma: torch.Tensor) -> torch.Tensor:
        """Predict a* and b* (N, 2, H, W) for gray photos ``luma`` (N, 1, H, W), 0 to 1."""

    def options(self) -> dict[str, Any]:
        """Return the settings as plain values, for the header of the weights."""
        return self.settings.model_dump(mode="json")


@contextlib.contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Leave out the gradients of ``modules``' weights for what is computed in the block."""
    for module in modules:
        module.requires_grad_(False)
    try:
        yield
    finally:
        for module in modules:
            module.requires_grad_(True)
