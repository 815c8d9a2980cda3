"""Initial weights, as the published systems' frameworks or papers give them."""

from __future__ import annotations

from torch import nn


def normal_(module: nn.Module, deviation: float = 0.02) -> None:
    """Draw convolution weights from N(0, deviation), batch norm scales from N(1, deviation).

    Source: DCGAN (Radford, Metz, Chintala 2016, section 3) and pix2pix (Isola et al. 2017, 6.2).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, deviation)
            nn.init.zeros_(layer.bias)


def glorot_(module: nn.Module) -> None:
    """Draw weights from Glorot's uniform distribution, biases zero: the default of Keras.

    Source: Glorot and Bengio 2010, equation 16.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def kaiming_(module: nn.Module) -> None:
    """Draw convolution weights from N(0, 2 / fan_out); batch norm starts as the identity.

    Source: He et al. 2015, equation 14.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
