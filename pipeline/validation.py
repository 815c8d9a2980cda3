"""A look at photos that are not learned from, after every epoch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.color import chroma_over, luma
from pipeline.dataset import resized, to_tensor
from pipeline.judging.metrics import colourfulness, lab_of, mean_ciede2000
from pipeline.recipes.base import Recipe


def watch(
    recipe: Recipe,
    generator: nn.Module,
    pixels: NDArray[np.uint8],
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, float]:
    """Colorize sRGB photos (N, H, W, 3) at the recipe's training size and measure the results.

    Returns:
        The mean CIEDE2000, and the mean colourfulness as a ratio to that of the photos.
    """
    size = recipe.settings.size
    scaled = resized(to_tensor(pixels, torch.device("cpu")), size)
    truths = (scaled * 255).round().byte().permute(0, 2, 3, 1).numpy()
    was_training = generator.training
    generator.eval()
    differences, made_colours, true_colours = [], [], []
    for truth in truths:
        made = _colorized(recipe, generator, luma(truth), device, dtype)
        differences.append(mean_ciede2000(lab_of(made), lab_of(truth)))
        made_colours.append(colourfulness(made))
        true_colours.append(colourfulness(truth))
    generator.train(was_training)
    return {
        "ciede2000": float(np.mean(differences)),
        "colourfulness_ratio": float(np.mean(made_colours) / max(np.mean(true_colours), 1e-6)),
    }


def _colorized(
    recipe: Recipe,
    generator: nn.Module,
    gray: NDArray[np.uint8],
    device: torch.device,
    dtype: torch.dtype,
) -> NDArray[np.uint8]:
    x = torch.from_numpy(gray)[None, None].to(device).float() / 255
    with torch.inference_mode(), torch.autocast(device.type, dtype, dtype != torch.float32):
        ab = recipe.predict_ab(generator, x)
    return chroma_over(gray, ab[0].permute(1, 2, 0).float().cpu().numpy())
