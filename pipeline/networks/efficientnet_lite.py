"""EfficientNet-Lite: an ImageNet classifier made for CPUs, here the encoder that recognizes things.

EfficientNet (Tan and Le 2019, arXiv:1905.11946, table 1) without squeeze-and-excitation and with
ReLU6 in place of swish, as its authors published it for small devices: both changes make it quick
on a CPU and let it be quantized to int8.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.nn import functional

Variant = Literal["lite0", "lite1", "lite2"]


class _Scale(NamedTuple):
    width: float
    depth: float


class _Stage(NamedTuple):
    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


SCALES: dict[Variant, _Scale] = {
    "lite0": _Scale(1.0, 1.0),
    "lite1": _Scale(1.0, 1.1),
    "lite2": _Scale(1.1, 1.2),
}
_STAGES = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 4),
    _Stage(3, 1, 6, 320, 1),
)
"""EfficientNet-B0's stages; the Lite variants scale all but the first's and last's repeats."""
_LEVELS = (0, 1, 2, 4, 6)
"""The stages whose output is the last of its size: 1/2, 1/4, 1/8, 1/16 and 1/32."""
_STEM, _HEAD = 32, 1280
"""Channels before and behind the stages, the same in all variants."""
_EPSILON, _MOMENTUM = 1e-3, 0.01


def _scaled(channels: int, width: float) -> int:
    """Scale ``channels`` to the nearest multiple of 8, at most 10 % below what was asked for."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


class DepthwiseConv(nn.Conv2d):
    """A convolution of each channel by itself; on a CPU it is trained in float32.

    There the gradients of one with a kernel of 5 or a stride of 2 take 4 to 12 times as long in
    bfloat16 (torch 2.13, whose oneDNN has no kernel for them).
    """

    def __init__(self, channels: int, kernel: int, stride: int, *, padded: bool = True) -> None:
        padding = kernel // 2 if padded else 0
        super().__init__(channels, channels, kernel, stride, padding, groups=channels, bias=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Map (N, channels, H, W) to (N, channels, H / stride, W / stride)."""
        if not self.training or input.device.type != "cpu":
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float()).to(input.dtype)


class SamePadding(nn.Module):
    """TensorFlow's padding "same" for a strided convolution: the odd pixel right and at the bottom.

    The pretrained weights come from TensorFlow. To them a picture padded alike on all sides, as
    PyTorch's layers do it, seems moved by a pixel at each strided layer.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad (N, channels, H, W) so that the output has H / stride rows, rounded up."""
        margins = []
        for side in (x.shape[3], x.shape[2]):
            missing = max((-(-side // self.stride) - 1) * self.stride + self.kernel - side, 0)
            margins += [missing // 2, missing - missing // 2]
        return functional.pad(x, margins)


class ConvNorm(nn.Sequential):
    """Convolution and batch norm, and ReLU6 unless ``linear``."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int = 1,
        *,
        linear: bool = False,
        padded: bool = True,
    ) -> None:
        padding = kernel // 2 if padded else 0
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=False),
            nn.BatchNorm2d(channels_out, eps=_EPSILON, momentum=_MOMENTUM),
        )
        if not linear:
            self.append(nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow (Sandler et al. 2018, arXiv:1801.04381)."""

    def __init__(
        self,
        channels_in: int,
        stage: _Stage,
        channels_out: int,
        stride: int,
        *,
        tensorflow_padding: bool = False,
    ) -> None:
        super().__init__()
        wide = channels_in * stage.expansion
        layers: list[nn.Module] = []
        if stage.expansion != 1:
            layers.append(ConvNorm(channels_in, wide, 1))
        # Where nothing is skipped, both ways of padding are one.
        asymmetric = tensorflow_padding and stride > 1
        if asymmetric:
            layers.append(SamePadding(stage.kernel, stride))
        self.layers = nn.Sequential(
            *layers,
            DepthwiseConv(wide, stage.kernel, stride, padded=not asymmetric),
            nn.BatchNorm2d(wide, eps=_EPSILON, momentum=_MOMENTUM),
            nn.ReLU6(inplace=True),
            ConvNorm(wide, channels_out, 1, linear=True),
        )
        self.identity = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride)."""
        result: torch.Tensor = self.layers(x)
        return x + result if self.identity else result


class EfficientNetLite(nn.Module):
    """The classifier without its last layer: what it sees at five scales, and as a whole.

    Input (N, 3, H, W), -1 to 1, H and W multiples of 32. Output is a list of five tensors at 1/2,
    1/4, 1/8, 1/16 and 1/32 of the size, with ``channels`` channels, and of the whole picture
    (N, 1280), the means of what the classifier decides by.

    Args:
        variant: "lite0" (3.4 million parameters), "lite1" (4.1) or "lite2" (4.8).
        frozen: how many of the seven stages stay as they are in training, and the stem with them.
            The first ones, on large pictures, see edges and textures, which no further training
            improves, and take half of its time.
        tensorflow_padding: whether strided layers are padded as where the pretrained weights come
            from (:class:`SamePadding`), for recognition with these weights as they are. Then height
            and width are any. A network that is trained further learns either way of padding.
    """

    def __init__(
        self, variant: Variant = "lite0", frozen: int = 0, *, tensorflow_padding: bool = False
    ) -> None:
        super().__init__()
        self.frozen = frozen
        width, depth = SCALES[variant]
        stem = ConvNorm(3, _STEM, 3, 2, padded=not tensorflow_padding)
        self.stem = nn.Sequential(SamePadding(3, 2), *stem) if tensorflow_padding else stem
        stages, before = [], _STEM
        for place, stage in enumerate(_STAGES):
            channels = _scaled(stage.channels, width)
            fixed = place in (0, len(_STAGES) - 1)
            repeats = stage.repeats if fixed else math.ceil(stage.repeats * depth)
            blocks = []
            for repeat in range(repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(
                    InvertedResidual(
                        before, stage, channels, stride, tensorflow_padding=tensorflow_padding
                    )
                )
                before = channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.head = ConvNorm(before, _HEAD, 1)
        for module in self._frozen():
            module.requires_grad_(False)
        self.channels = [_scaled(_STAGES[place].channels, width) for place in _LEVELS]

    def forward(self, x: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return the five levels and the whole, shapes as the class says."""
        levels = []
        x = self.stem(x)
        for place, stage in enumerate(self.stages):
            x = stage(x)
            if place in _LEVELS:
                levels.append(x)
        return levels, self.head(x).mean((2, 3))

    def train(self, mode: bool = True) -> EfficientNetLite:
        """Switch to training or evaluation; what is frozen stays in evaluation."""
        super().train(mode)
        for module in self._frozen():
            module.eval()
        return self

    def _frozen(self) -> list[nn.Module]:
        return [self.stem, *self.stages[: self.frozen]] if self.frozen else []
