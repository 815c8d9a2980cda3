"""sRGB, CIE Lab, luma and the gamut: the only module that knows color constants.

CIE Lab here is CIE 1976 L*a*b* relative to D65: L* 0 to 100, a* and b* about -110 to 110. sRGB is
IEC 61966-2-1. Luma is Rec. 601's weighted sum of gamma-encoded R, G and B, in the integer form that
Pillow's ``convert("L")`` computes, so that "the same gray" has one meaning everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

RGB = NDArray[np.uint8]
"""Pixels of shape (height, width, 3), 0 to 255: sRGB where nothing else is said."""
Gray = NDArray[np.uint8]
"""Pixels of shape (height, width), 0 to 255: Rec. 601 luma where nothing else is said."""
Float = NDArray[np.float32]
Samples: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""Pixels of 8 or 16 bits: white is 255 or 65535."""

S = TypeVar("S", bound=Samples)

# Rec. 601 luma, 16-bit fixed point, as in Pillow's Convert.c: (r*R + g*G + b*B + half) >> 16.
LUMA_R, LUMA_G, LUMA_B, LUMA_HALF = 19595, 38470, 7471, 0x8000
_LUMA = np.array([[LUMA_R, LUMA_G, LUMA_B, LUMA_HALF]], np.float32) / 65536
_KR, _KG, _KB = LUMA_R / 65536, LUMA_G / 65536, LUMA_B / 65536

# Linear sRGB to XYZ over the D65 white point: IEC 61966-2-1, rows divided by (0.95047, 1, 1.08883).
_XYZ_FROM_RGB = (
    (0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883),
)
_XYZ = np.array(_XYZ_FROM_RGB, np.float32)
_RGB_FROM_XYZ = np.linalg.inv(np.array(_XYZ_FROM_RGB)).T.astype(np.float32)
# CIE 15: f(t) is the cube root above (6/29)^3 and linear below.
_EPSILON, _SLOPE, _OFFSET = 216 / 24389, 841 / 108, 4 / 29

# CIEDE2000's S_C (Sharma et al. 2005, eq. 20).
_CHROMA_SLOPE = 0.045
_MOST_COMPRESSED = 42.0
"""What :func:`tensor_compress_chroma` makes of a chroma of 125."""
# CIE 15: L* = 116 f(Y) - 16, a* = 500 (f(X) - f(Y)), b* = 200 (f(Y) - f(Z)).
_LAB_OF_F = np.array([[0, 116, 0, -16], [500, -500, 0, 0], [0, 200, -200, 0]], np.float32)

MatrixName = Literal["bt601", "bt709", "bt2020", "smpte240m", "fcc"]
"""How video makes luma and chroma of R, G and B."""
# ITU-T H.273, table 4: the weights of R and B in luma.
_VIDEO_LUMA: dict[MatrixName, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}

_TINY = np.float32(1e-6)
"""In the place of a divisor of zero, so that no color stays no color."""


def luma(rgb: S) -> S:
    """Return the Rec. 601 luma of ``rgb`` (..., 3), uint8 or uint16, in the type of ``rgb``.

    For uint8 it equals Pillow's ``convert("L")``.
    """
    if rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.size:
        # All are multiples of 2^-16 below 2^8, which float32 adds without rounding.
        sums = cv2.transform(rgb.astype(np.float32), _LUMA)
        return cast(S, np.asarray(sums).astype(np.uint8))
    # 65535 * 65536 + 32768 is still less than 2^32.
    total = np.full(rgb.shape[:-1], LUMA_HALF, np.uint32)
    for channel, weight in enumerate((LUMA_R, LUMA_G, LUMA_B)):
        total += rgb[..., channel] * np.uint32(weight)
    return cast(S, (total >> np.uint32(16)).astype(rgb.dtype))


def to_8_bits(samples: Samples) -> NDArray[np.uint8]:
    """Scale 16 bits to 8, rounded; 8 bits come back as they are."""
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    return np.asarray(cv2.convertScaleAbs(samples, alpha=1 / 257), np.uint8)


def to_16_bits(samples: Samples, white: int) -> NDArray[np.uint16]:
    """Scale samples of which ``white``, 1 to 65535, stands for white to 16 bits, rounded.

    Larger samples, which files of fewer bits than their type has may hold, count as white.
    """
    wide = np.minimum(samples, white).astype(np.uint32)
    return ((wide * 65_535 + white // 2) // white).astype(np.uint16)


def rgb_to_lab(rgb: NDArray[np.uint8]) -> Float:
    """Convert sRGB (H, W, 3), 0 to 255, to CIE Lab (H, W, 3) by the formulas, within 0.0002.

    OpenCV's own conversion looks values up in tables: it is off by up to 0.4, which shifts the mean
    CIEDE2000 of a photo in its second digit.
    """
    xyz = np.asarray(cv2.transform(cv2.LUT(rgb, _LINEAR), _XYZ), np.float32)
    f = np.where(xyz > _EPSILON, cv2.pow(xyz, 1 / 3), xyz * _SLOPE + _OFFSET)
    return np.asarray(cv2.transform(f.astype(np.float32, copy=False), _LAB_OF_F), np.float32)


def lightness_of_luma(gray: NDArray[np.uint8]) -> Float:
    """Return L* (..., 0 to 100) of the neutral grays ``gray`` (..., 0 to 255).

    Not ``100 * gray / 255``: that would be about 3 units too dark.
    """
    return _LIGHTNESS[gray]


def light_of_luma(gray: NDArray[np.uint8]) -> Float:
    """Return the light (..., 0 to 1) of the neutral grays ``gray`` (..., 0 to 255)."""
    return _LINEAR[gray]


def _lightness_table() -> Float:
    f = np.where(_LINEAR > _EPSILON, np.cbrt(_LINEAR), _LINEAR * _SLOPE + _OFFSET)
    return (116 * f - 16).astype(np.float32)


def _linear_table() -> Float:
    """IEC 61966-2-1: the light of each of the 256 levels, 0 to 1."""
    encoded = np.arange(256) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


_LINEAR = _linear_table()
_LIGHTNESS = _lightness_table()


def chroma_over(gray: NDArray[np.uint8], ab: Float) -> NDArray[np.uint8]:
    """Color ``gray`` (H, W) with ``ab`` (H, W, 2) and give its tones back exactly.

    The color is that of L* of the neutral gray with a* and b*, inside the sRGB cube as
    :func:`differences_over` says, then shifted onto the luma plane of ``gray``.
    ``luma(result)`` equals ``gray`` in every pixel.

    Returns:
        sRGB (H, W, 3), uint8.
    """
    return merge(gray, differences_over(gray, ab))


def differences_of(rgb: NDArray[Any]) -> Float:
    """Return the color differences R - Y and B - Y (H, W, 2) of ``rgb`` (H, W, 3).

    They are what Cr and Cb are scaled from; G - Y follows from them, since luma is a weighted sum.
    """
    wide = rgb.astype(np.float32, copy=False)
    y = wide @ np.array([_KR, _KG, _KB], np.float32)
    return np.dstack([wide[..., 0] - y, wide[..., 2] - y])


def differences_over(gray: NDArray[np.uint8], ab: Float) -> Float:
    """Return R - Y and B - Y (H, W, 2) of ``ab`` (H, W, 2) at the lightness of ``gray`` (H, W).

    Laid over ``gray`` they stay inside the sRGB cube: a color outside it loses chroma until it is
    inside, with its lightness and its hue in Lab kept.
    """
    lightness = lightness_of_luma(gray)
    ab = ab.astype(np.float32, copy=False)
    rgb = np.asarray(cv2.cvtColor(np.dstack([lightness, ab]), cv2.COLOR_LAB2RGB), np.float32)
    # OpenCV clips R, G and B each by itself, which would turn the hue.
    least, most = _extremes(rgb)
    clipped = np.nonzero((least <= 0) | (most >= 1))
    rgb[clipped] = _inside_gamut(lightness[clipped], ab[clipped])
    differences = differences_of(rgb * np.float32(255))
    # Lab keeps L*, not luma: what is left is small.
    fit_gamut(gray, gray, differences[..., 0], differences[..., 1])
    return differences


def differences_at(gray: NDArray[np.uint8], ab: Float) -> Float:
    """Return R - Y and B - Y (N, 2) of the sRGB colors with ``ab`` (N, 2) whose luma is ``gray``.

    Unlike in :func:`differences_over` the lightness is not the neutral gray's, but the one that
    gives the luma: a color that has this luma already keeps its differences. Where sRGB has no such
    color, chroma is reduced until it has one, to 1/128.
    """
    luma_wanted = gray.astype(np.float32) / np.float32(255)
    ab = ab.astype(np.float32, copy=False)
    rgb = _of_luma(luma_wanted, ab)
    least, most = _extremes(rgb)
    (outside,) = np.nonzero((least < -_BEYOND) | (most > 1 + _BEYOND))
    share = np.zeros(len(outside), np.float32)
    for step in 0.5 ** np.arange(1, 8, dtype=np.float32):
        tried = _of_luma(luma_wanted[outside], ab[outside] * (share + step)[:, None])
        least, most = _extremes(tried)
        share += step * ((least >= -_BEYOND) & (most <= 1 + _BEYOND))
    rgb[outside] = _of_luma(luma_wanted[outside], ab[outside] * share[:, None])
    return np.asarray(differences_of(rgb[None] * np.float32(255))[0], np.float32)


def nearest_of_luma(gray: NDArray[np.uint8], ab: Float) -> Float:
    """Return a* and b* (N, 2) of the sRGB colors of luma ``gray`` (N,) that look most like ``ab``.

    What sRGB has at the tone comes back, but for rounding. Of other colors hue and chroma give way
    as CIE94 weighs them (CIE 116-1995, graphic arts), whatever lightness comes of it.
    """
    found = np.empty_like(ab, np.float32)
    for place, (tone, wanted) in enumerate(zip(gray, ab, strict=True)):
        every = np.arange(0, 256, _COARSE)
        red, _, blue = _most_alike(int(tone), wanted, every, every)
        nearby = np.arange(1 - _COARSE, _COARSE)
        rgb = _most_alike(
            int(tone), wanted, np.clip(red + nearby, 0, 255), np.clip(blue + nearby, 0, 255)
        )
        found[place] = rgb_to_lab(rgb.astype(np.uint8)[None, None])[0, 0, 1:]
    return found


_COARSE = 5
"""Levels between the colors that are looked at first; it divides 255."""


def _most_alike(tone: int, ab: Float, reds: NDArray[Any], blues: NDArray[Any]) -> NDArray[Any]:
    """Return the sRGB color (3,) of a luma, with one of these levels of R and of B."""
    red, blue = (each.ravel() for each in np.meshgrid(reds, blues))
    green = np.rint((tone - _KR * red - _KB * blue) / _KG)
    rgb = np.stack([red, green, blue], axis=-1)[(green >= 0) & (green <= 255)]
    own = rgb_to_lab(rgb.astype(np.uint8)[None])[0, :, 1:]
    chroma = np.hypot(*ab)
    less = np.hypot(own[:, 0], own[:, 1]) - chroma
    turned = np.square(own - ab).sum(axis=-1) - np.square(less)
    apart = np.square(less / (1 + 0.045 * chroma)) + turned / np.square(1 + 0.015 * chroma)
    return np.asarray(rgb[apart.argmin()], np.int64)


_BEYOND = 0.002
"""Half a level of 255: rounding brings it back."""


def _of_luma(luma_wanted: Float, ab: Float) -> Float:
    """Return sRGB (N, 3), beyond 0 to 1 outside the gamut, of the lightness that gives the luma."""
    low: Float = np.full_like(luma_wanted, -30)
    high: Float = np.full_like(luma_wanted, 130)
    # Luma grows with lightness: by halving, to 0.01 of 100.
    for _ in range(14):
        middle: Float = (low + high) * np.float32(0.5)
        encoded = srgb_encoded(_linear_of_lab(middle, ab))
        above = encoded @ np.array([_KR, _KG, _KB], np.float32) > luma_wanted
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    return srgb_encoded(_linear_of_lab((low + high) * np.float32(0.5), ab))


def srgb_encoded(linear: Float) -> Float:
    """Return the sRGB values of light (IEC 61966-2-1); below black the straight part goes on."""
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curved).astype(np.float32)


def _inside_gamut(lightness: Float, ab: Float) -> Float:
    """Return sRGB (N, 3), 0 to 1, of the most chroma up to ``ab`` (N, 2) that the cube holds."""
    share = np.zeros(len(ab), np.float32)
    # By halving, to 1/128 of the chroma.
    for step in 0.5 ** np.arange(8, dtype=np.float32):
        least, most = _extremes(_linear_of_lab(lightness, ab * (share + step)[:, None]))
        fits = (least >= 0) & (most <= 1) & (share + step <= 1)
        share += step * fits
    return srgb_encoded(np.clip(_linear_of_lab(lightness, ab * share[:, None]), 0, 1))


def _extremes(rgb: Float) -> tuple[Float, Float]:
    """Return the least and the most of R, G and B of each pixel of ``rgb`` (..., 3).

    NumPy's own along an axis of three take many times as long.
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return (
        np.minimum(np.minimum(red, green), blue),
        np.maximum(np.maximum(red, green), blue),
    )


def _linear_of_lab(lightness: Float, ab: Float) -> Float:
    """Convert L* (N,) and a*, b* (N, 2) to linear sRGB (N, 3), beyond 0 to 1 outside the gamut."""
    y = (lightness + 16) / 116
    f = np.stack([y + ab[:, 0] / 500, y, y - ab[:, 1] / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, (f - np.float32(_OFFSET)) / np.float32(_SLOPE))
    return np.asarray(xyz @ _RGB_FROM_XYZ, np.float32)


def video_chroma(matrix: MatrixName) -> Float:
    """Return what makes Cb and Cr of the color differences R - Y and B - Y, on the same scale.

    Y, as everywhere here, is Rec. 601's luma. By a matrix of other weights the same color has
    another luma: it is laid over the film's own, as :func:`chroma_over` lays it over a photo's.

    Returns:
        (2, 2): a row for Cb and one for Cr, each with the factors of R - Y and of B - Y. Cb and Cr
        reach from -1/2 to 1/2 of the scale's white.
    """
    kr, kb = _VIDEO_LUMA[matrix]
    kg = 1 - kr - kb
    # The film's luma less Rec. 601's, by R - Y and B - Y; G - Y follows from them.
    shift = np.array([kr - kg * _KR / _KG, kb - kg * _KB / _KG])
    cb = (np.array([0, 1]) - shift) / (2 * (1 - kb))
    cr = (np.array([1, 0]) - shift) / (2 * (1 - kr))
    return np.stack([cb, cr]).astype(np.float32)


def fit_gamut(darkest: Samples, brightest: Samples, red: Float, blue: Float) -> None:
    """Scale ``red`` (R - Y) and ``blue`` (B - Y), all (H, W), in place until the cube holds them.

    It then holds them over every luma from ``darkest`` to ``brightest``, whose type says where
    white is: 255 or 65535.
    """
    top = np.iinfo(brightest.dtype).max
    green = cv2.addWeighted(red, -_KR / _KG, blue, -_KB / _KG, 0)
    rise = np.maximum(cv2.max(cv2.max(red, green), blue), _TINY)
    fall = np.minimum(cv2.min(cv2.min(red, green), blue), -_TINY)
    # For every pixel, though few leave the cube: finding those costs more than the divisions.
    scale = cv2.divide(np.subtract(top, brightest, dtype=np.float32), rise)
    scale_below = cv2.divide(np.negative(darkest, dtype=np.float32), fall)
    scale = np.minimum(cv2.min(scale, scale_below), 1)
    red *= scale
    blue *= scale


def merge(gray: S, differences: Float) -> S:
    """Lay color differences over ``gray`` (H, W) so that luma stays ``gray`` in every pixel.

    ``differences`` (H, W, 2) are R - Y and B - Y on the scale of ``gray``, which is uint8 or
    uint16; where R, G or B would leave the cube they are scaled down as in :func:`fit_gamut`.
    R and B are rounded and G, whose weight in luma is over one half, is the nearest integer that
    makes the fixed-point luma come out as ``gray``: there always is one.

    Returns:
        sRGB (H, W, 3) of the type of ``gray``.
    """
    red, blue = (differences[..., channel].astype(np.float32, order="C") for channel in (0, 1))
    return merge_planes(gray, red, blue)


def merge_planes(gray: S, red: Float, blue: Float) -> S:
    """Do as :func:`merge` with R - Y and B - Y in arrays (H, W) of their own, which are used up."""
    fit_gamut(gray, gray, red, blue)
    top = np.iinfo(gray.dtype).max
    # The weights sum to 65536, so that luma fixes G - Y by R - Y and B - Y once they are rounded.
    y = gray.astype(np.float32)
    for plane in (red, blue):
        np.rint(plane, out=plane)
        np.clip(plane, -y, top - y, out=plane)
    green = cv2.addWeighted(red, -_KR / _KG, blue, -_KB / _KG, 0)
    result = np.empty((*gray.shape, 3), gray.dtype)
    result[..., 0] = y + red
    result[..., 1] = np.clip(y + np.rint(green), 0, top)
    result[..., 2] = y + blue
    return cast(S, result)


def tensor_luma(rgb: torch.Tensor) -> torch.Tensor:
    """Return the Rec. 601 luma (N, 1, H, W) of sRGB ``rgb`` (N, 3, H, W), both 0 to 1."""
    return rgb[:, 0:1] * _KR + rgb[:, 1:2] * _KG + rgb[:, 2:3] * _KB


def tensor_rgb_to_lab(rgb: torch.Tensor) -> torch.Tensor:
    """Convert sRGB (N, 3, H, W), 0 to 1, to CIE Lab (N, 3, H, W) by the formulas."""
    import torch  # noqa: PLC0415 - costs over a second; only training comes here

    matrix = torch.tensor(_XYZ_FROM_RGB, dtype=rgb.dtype, device=rgb.device)
    xyz = torch.einsum("ij,njhw->nihw", matrix, tensor_linear(rgb))
    f = torch.where(xyz > _EPSILON, xyz.clamp(min=_EPSILON) ** (1 / 3), xyz * _SLOPE + _OFFSET)
    return torch.cat(
        [
            116 * f[:, 1:2] - 16,
            500 * (f[:, 0:1] - f[:, 1:2]),
            200 * (f[:, 1:2] - f[:, 2:3]),
        ],
        dim=1,
    )


def tensor_compress_chroma(ab: torch.Tensor) -> torch.Tensor:
    """Shorten a* and b* (N, 2, H, W) so that plain distances are nearly CIEDE2000's.

    CIEDE2000 divides differences of chroma by S_C = 1 + 0.045 C (Sharma et al. 2005, eq. 20): a
    step from gray to pale shows, the same step between two vivid colors hardly. Integrated,
    chroma C becomes ln(1 + 0.045 C) / 0.045; hue stays. The 110 of the most vivid sRGB becomes 40.
    """
    chroma = tensor_chroma(ab)
    return ab * ((_CHROMA_SLOPE * chroma).log1p() / (_CHROMA_SLOPE * chroma))


def tensor_expand_chroma(compressed: torch.Tensor) -> torch.Tensor:
    """Undo :func:`tensor_compress_chroma`; chroma beyond what sRGB holds is held at 125."""
    chroma = tensor_chroma(compressed)
    expanded = (_CHROMA_SLOPE * chroma.clamp(max=_MOST_COMPRESSED)).expm1()
    return compressed * (expanded / (_CHROMA_SLOPE * chroma))


def tensor_fade_chroma(ab: torch.Tensor, faint: float) -> torch.Tensor:
    """Scale colors ``ab`` (N, 2, H, W) of a chroma below ``faint`` by their share of it.

    Half of ``faint`` becomes a quarter; from ``faint`` on colors are as they were.
    """
    return ab * (tensor_chroma(ab) / faint).clamp(max=1.0)


def tensor_chroma(ab: torch.Tensor) -> torch.Tensor:
    """Return the chroma (N, 1, H, W) of a* and b* (N, 2, H, W), never quite 0."""
    # Not norm(): on a CPU it costs as much as half of a small network. What is 0 has no direction.
    return ab.square().sum(dim=1, keepdim=True).clamp(min=1e-6).sqrt()


def tensor_lightness(gray: torch.Tensor) -> torch.Tensor:
    """Return L* (N, 1, H, W), 0 to 100, of the neutral grays ``gray`` (N, 1, H, W), 0 to 1."""
    linear = tensor_linear(gray)
    root = linear.clamp(min=_EPSILON) ** (1 / 3)
    return 116 * root.where(linear > _EPSILON, linear * _SLOPE + _OFFSET) - 16


def tensor_encoded(linear: torch.Tensor) -> torch.Tensor:
    """Return the sRGB values of light, both 0 to 1 (IEC 61966-2-1)."""
    curved = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return curved.where(linear > 0.0031308, linear * 12.92)


def tensor_linear(encoded: torch.Tensor) -> torch.Tensor:
    """Return the light of sRGB values, both 0 to 1 (IEC 61966-2-1)."""
    curved = ((encoded + 0.055) / 1.055) ** 2.4
    return curved.where(encoded > 0.04045, encoded / 12.92)
