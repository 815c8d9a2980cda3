"""An ImageNet classifier that says what it sees in a photo: EfficientNet-Lite2.

Recognition is how Zhang, Isola and Efros (2016), "Colorful image colorization", arXiv:1603.08511,
section 4.2, measure whether colors make sense: a classifier that was trained on photos in color
recognizes less in gray ones, and more where things have colors of their kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.dataset.tiles import scaled
from pipeline.imaging.decode import RGB
from pipeline.models.device import place
from pipeline.networks.efficientnet_lite import EfficientNetLite, Variant
from pipeline.networks.imagenet import CLASSES, imagenet_file, load_imagenet

VARIANT: Variant = "lite2"
"""Not the one that the recipe ``colorpipe`` has as its encoder, which would measure itself."""
SIDE = 260
"""The side in px of the pictures that it was trained on."""


@dataclass(frozen=True)
class Classifier:
    """The network in two parts: pictures to features, and features to probabilities."""

    encoder: EfficientNetLite
    last_layer: nn.Linear
    device: torch.device

    def features(self, photos: Sequence[RGB]) -> NDArray[np.float32]:
        """Return the features (N, 1280) of photos (H, W, 3), before the last layer.

        Each photo is :func:`scaled` to a square of :data:`SIDE`; a side that is longer than the
        other is squeezed, so that nothing of the photo is lost.
        """
        pixels = np.stack([scaled(photo, SIDE, SIDE) for photo in photos])
        x = (torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float() - 127) / 128
        with torch.inference_mode():
            _, whole = self.encoder(x)
        return np.asarray(whole.cpu().numpy(), np.float32)

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each of ImageNet's 1000 classes, (N, 1000), for features."""
        with torch.inference_mode():
            logits = self.last_layer(torch.from_numpy(features).to(self.device))
            return np.asarray(logits.softmax(1).cpu().numpy(), np.float32)


def find_classifier(device: torch.device) -> Classifier | None:
    """Load the classifier from the package that the extra ``evaluate`` installs; None without it.

    Raises:
        ColorpipeError: the package's file is damaged.
    """
    if imagenet_file(VARIANT) is None:
        return None
    encoder = EfficientNetLite(VARIANT, tensorflow_padding=True).eval()
    last_layer = nn.Linear(1280, CLASSES).eval()
    load_imagenet(encoder, VARIANT, last_layer)
    place(encoder, device)
    return Classifier(encoder, last_layer.to(device), device)
