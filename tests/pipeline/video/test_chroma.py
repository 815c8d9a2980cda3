"""Planes of chroma against colors that are computed the long way."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.imaging import color
from pipeline.imaging.color import MatrixName
from pipeline.video.chroma import write_chroma
from pipeline.video.planes import Layout

# Rec. ITU-R BT.601, BT.709 and BT.2020: the weights of R and B in luma.
WEIGHTS: dict[MatrixName, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
}


@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(("bits", "pixels"), [(8, "yuv420p"), (10, "yuv420p10le")])
def test_a_player_shows_the_colors_that_were_meant(
    matrix: MatrixName, full_range: bool, bits: int, pixels: str
) -> None:
    layout = Layout(pixels, 32, 48, bits, full_range, matrix)
    dtype = np.uint8 if bits == 8 else np.uint16
    unit = 1 << (bits - 8)
    low, high = (0, (1 << bits) - 1) if full_range else (16 * unit, 235 * unit)
    luma = np.full((32, 48), round(low + 0.5 * (high - low)), dtype)
    planes = np.zeros((16, 24), dtype), np.zeros((16, 24), dtype)
    gray = np.full((8, 12), 128, np.uint8)
    ab = np.full((8, 12, 2), (25, -15), np.float32)
    write_chroma(luma, planes, layout, gray=gray, differences=color.differences_over(gray, ab))
    # What a player does: H.273, equations 35 to 60, the other way round.
    scale = (1 << bits) - 1 if full_range else 224 * unit
    y = (luma[0, 0] - low) / (high - low) * 255
    cb, cr = (255 * (float(plane[8, 12]) - 128 * unit) / scale for plane in planes)
    kr, kb = WEIGHTS[matrix]
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    (expected,) = color.chroma_over(gray, ab)[4:5, 6].astype(float)
    own = kr * expected[0] + (1 - kr - kb) * expected[1] + kb * expected[2]
    assert [red, green, blue] == pytest.approx(expected - own + y, abs=2.5)


def test_colors_stay_inside_the_gamut_where_luma_is_dark() -> None:
    layout = Layout("yuv444p", 16, 16, 8, True, "bt601")
    luma = np.full((16, 16), 4, np.uint8)
    planes = np.zeros((16, 16), np.uint8), np.zeros((16, 16), np.uint8)
    gray = np.full((8, 8), 128, np.uint8)
    vivid = np.full((8, 8, 2), (80, -20), np.float32)
    write_chroma(luma, planes, layout, gray=gray, differences=vivid, method="cubic")
    cr = planes[1].astype(float) - 128
    assert (luma - 0.714 * cr >= -3).all()
