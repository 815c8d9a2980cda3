"""The network in PyTorch: gray pictures in, a* and b* out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.imaging.color import Float
from pipeline.models.device import choose_device, choose_dtype
from pipeline.models.weights import Generator, load_generator
from pipeline.networks.lite_unet import LiteUNet
from pipeline.params import DeviceName
from pipeline.recipes.colorpipe import Colorpipe


class TorchPredictor:
    """A generator made ready for prediction: batch norm folded, in the device's best precision.

    It holds no state besides the weights, so that several threads may call it at once.
    """

    def __init__(self, generator: Generator, device: DeviceName = "auto") -> None:
        self.size = generator.size
        self.multiple = generator.recipe.multiple
        self.recipe = generator.recipe.name
        self._device = choose_device(device)
        module = generator.module
        self.batch = 4 if self._device.type == "cpu" else 32
        fold_batch_norm(module)
        if isinstance(module, LiteUNet):
            _make_steady(module, self.batch)
        self._module = _Cast(module, choose_dtype(self._device)).to(self._device).eval()
        self.takes_hints = generator.recipe.takes_hints
        self._describing = Describing(module) if isinstance(module, LiteUNet) else None
        self._recipe = recipe = generator.recipe
        self._hinted = recipe if isinstance(recipe, Colorpipe) else None

    @classmethod
    def load(cls, path: Path, device: DeviceName = "auto") -> TorchPredictor:
        """Read the weights at ``path``.

        Raises:
            ColorpipeError: no generator of this project is there, or the device is not.
        """
        return cls(load_generator(path), device)

    @contextlib.contextmanager
    def in_threads(self, number: int) -> Iterator[None]:
        """Let torch compute each prediction in ``number`` threads while the block runs.

        For callers that predict in several threads at once: more than a processor each would wait
        for one another at every layer. The setting is the whole process's.
        """
        before = torch.get_num_threads()
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def predict(self, grays: NDArray[np.uint8]) -> Float:
        """Predict a* and b* (N, h, w, 2) for ``grays`` (N, h, w), multiples of ``multiple``."""
        with torch.inference_mode():
            return _channels_last(self._recipe.predict_ab(self._module, self._luma(grays)))

    def predict_by_hints(self, grays: NDArray[np.uint8], hints: Sequence[Float]) -> list[Float]:
        """Predict as :meth:`predict` does, and then once more by each of ``hints``.

        The results are those of the recipe's ``predict_ab``, which with hints predicts without them
        first, every time.

        Args:
            grays: see :meth:`predict`.
            hints: each (N, h/2, w/2, 3): a*, b* and the confidence in them, 0 to 1, where chroma is
                known.

        Raises:
            ValueError: the network takes no hints.
        """
        recipe = self._hinted
        if recipe is None:
            raise ValueError(f"The recipe {self.recipe} takes no hints.")
        with torch.inference_mode():
            luma = self._luma(grays)
            learned = recipe.learned_ab(self._module, luma)
            factor = recipe.factor(learned)
            results = [_channels_last(learned * factor)]
            for own in hints:
                known = torch.from_numpy(own).to(self._device).permute(0, 3, 1, 2).contiguous()
                learned = recipe.learned_ab(self._module, luma, recipe.as_learned(known, factor))
                results.append(_channels_last(learned * factor))
            return results

    def describe(self, grays: NDArray[np.uint8]) -> Float:
        """Return what the encoder sees in ``grays`` (N, h, w), multiples of ``multiple``.

        Returns:
            (N, h/8, w/8, channels), of length 1: alike where things are.

        Raises:
            ValueError: the network takes no hints.
        """
        if self._describing is None:
            raise ValueError(f"The recipe {self.recipe} has no encoder that describes.")
        with torch.inference_mode():
            luma = self._luma(grays)
            return _channels_last(self._describing(luma.to(self._module.dtype) * 2 - 1))

    def _luma(self, grays: NDArray[np.uint8]) -> torch.Tensor:
        """Return ``grays`` (N, h, w) as recipes take them: (N, 1, h, w), 0 to 1."""
        return torch.from_numpy(grays).to(self._device)[:, None].float() / 255


def _channels_last(result: torch.Tensor) -> Float:
    return np.asarray(result.permute(0, 2, 3, 1).float().cpu().contiguous().numpy())


class _Cast(nn.Module):
    """Computes ``module`` in ``dtype``, channels last, between float32 and float32."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        # load_generator laid the weights out channels last; they stay so.
        self.module = module.to(dtype)
        self.dtype = dtype

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        cast = (x.to(dtype=self.dtype, memory_format=torch.channels_last) for x in inputs)
        result: torch.Tensor = self.module(*cast)
        return result.float()


def _make_steady(network: LiteUNet, rows: int) -> None:
    """Let a picture have the same colors to the last bit alone and among up to ``rows`` others.

    This holds from 192 px squared on. At smaller sizes, which the pretrained weights are not used
    at, more layers have so few places that the library changes the order of their sums.
    """
    network.add_module("context", FixedRows(network.context, rows))
    # Those at 1/32 of the size, where a single picture has few places.
    for block in (network.encoder.head, network.laterals[-1], network.reducers[0]):
        block.add_module("0", FixedRows(block.get_submodule("0"), rows))
    for block in network.attention.children():
        neighborhood = block.get_submodule("neighborhood")
        block.add_module("neighborhood", ChannelsLast(neighborhood))


class FixedRows(nn.Module):
    """Computes ``layer``, which takes rows or pictures one by one, on at least ``rows`` of them.

    A product with few rows is summed up in another order than one with many, so that a photo that
    is predicted alone would have other colors, by a rounding, than one among others.
    """

    def __init__(self, layer: nn.Module, rows: int) -> None:
        super().__init__()
        self.layer = layer
        self.rows = rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, ...) to (N, outputs, ...)."""
        missing = max(self.rows - len(x), 0)
        padding = (0, 0) * (x.dim() - 1) + (0, missing)
        result: torch.Tensor = self.layer(functional.pad(x, padding))
        return result[: len(x)]


class ChannelsLast(nn.Module):
    """Computes the convolution ``layer`` on channels that lie last, whatever the strides say.

    Those of a single picture can say that and not be what a batch's are, and the library then sums
    up in another order.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, channels, H, W) as ``layer`` does."""
        laid_out = torch.empty_like(x, memory_format=torch.channels_last)
        result: torch.Tensor = self.layer(laid_out.copy_(x))
        return result


class Describing(nn.Module):
    """What the encoder of ``network`` sees at 1/8, 1/16 and 1/32 of the size, at 1/8 together."""

    def __init__(self, network: LiteUNet) -> None:
        super().__init__()
        self.encoder = network.encoder

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 1, H, W) to (N, channels, H/8, W/8), each place of length 1."""
        levels, _ = self.encoder(x.expand(-1, 3, -1, -1))
        place = levels[2].shape[2:]
        seen = []
        for level in levels[2:]:
            # What is the same everywhere tells no places apart.
            own = level.float() - level.float().mean((2, 3), keepdim=True)
            own = functional.normalize(own, dim=1)
            seen.append(
                functional.interpolate(own, size=place, mode="bilinear", align_corners=False)
            )
        return functional.normalize(torch.cat(seen, dim=1), dim=1)


def fold_batch_norm(module: nn.Module) -> None:
    """Fold batch norm into the convolution before it, wherever a Sequential holds both.

    In evaluation mode both are linear: the result is the same and a pass over memory is saved.
    """
    for child in module.children():
        fold_batch_norm(child)
    if not isinstance(module, nn.Sequential):
        return
    for index in range(len(module) - 1):
        convolution, norm = module[index], module[index + 1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            module[index] = fuse_conv_bn_eval(convolution, norm)
            module[index + 1] = nn.Identity()
