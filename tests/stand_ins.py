"""Small networks that stand in for large or trained ones."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.models.weights import save_generator
from pipeline.networks.lite_unet import LiteUNet
from pipeline.params import RecipeName
from pipeline.recipes import get_recipe


class _Inception(nn.Module):
    """Called as the published network is; its features are mean and deviation of R, G and B."""

    def forward(self, img: Tensor, return_features: bool = False) -> Tensor:
        assert img.dtype == torch.uint8
        x = img.float().flatten(2)
        features = torch.cat([x.mean(2), x.std(2)], dim=1)
        if return_features:
            return features
        return features.softmax(1)


def inception(path: Path) -> Path:
    """Write a TorchScript file with the call signature of inception-2015-12-05.pt."""
    torch.jit.save(torch.jit.script(_Inception()), path)
    return path


def generator(
    path: Path, seed: int = 0, recipe_name: RecipeName = "colorpipe", *, cast: float = 0.0
) -> Path:
    """Write the weights of an untrained generator; another seed gives other colors.

    They are hardly any, which reports remark on, unless the recipe is colorpipe's and ``cast``
    gives all of a photo a color, 1 a vivid one.
    """
    torch.manual_seed(seed)
    recipe = get_recipe(recipe_name)
    module = recipe.generator()
    if cast and isinstance(module, LiteUNet):
        assert module.output.bias is not None
        nn.init.constant_(module.output.bias, cast)
    save_generator(path, module, recipe)
    return path
