"""Colors at the network's size to the two planes of chroma of a film's frame."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from pipeline.imaging import color
from pipeline.imaging.color import Float, Samples
from pipeline.imaging.decode import Gray
from pipeline.imaging.upsampling import Method, Upsampler, band_rows
from pipeline.video.planes import Layout, gray_of


def write_chroma(
    luma: Samples,
    planes: tuple[Samples, Samples],
    layout: Layout,
    *,
    gray: Gray,
    differences: Float,
    method: Method = "guided",
) -> None:
    """Write a frame's colors into its planes of chroma, along the edges of its luma.

    Args:
        luma: (H, W), uint8 or uint16, of the film's range.
        planes: Cb and Cr, each of the film's chroma size and of the type of ``luma``.
        layout: how samples are to be read, and written.
        gray: (h, w), 0 to 255, the frame at the network's size.
        differences: (h, w, 2), R - Y and B - Y there, on the scale of 255.
        method: how color comes up to the size of chroma.
    """
    height, width = planes[0].shape
    # OpenCV copies where the size is the same.
    at_chroma = cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)
    own_gray = gray_of(cast(Samples, np.asarray(at_chroma)), layout)
    matrix = color.video_chroma(layout.matrix)
    unit = 1 << (layout.bits - 8)
    # H.273, equations 29 to 40: white and black, and the widest chroma, in codes.
    scale = ((1 << layout.bits) - 1 if layout.full_range else 224 * unit) / 255
    middle = 128 * unit
    upsampler = Upsampler(gray, differences, (height, width), method)
    rows = band_rows(width)
    for top in range(0, height, rows):
        band = own_gray[top : top + rows]
        red, blue = upsampler.band(top, band)
        color.fit_gamut(band, band, red, blue)
        for plane, (of_red, of_blue) in zip(planes, matrix * np.float32(scale), strict=True):
            codes = np.asarray(
                cv2.addWeighted(red, float(of_red), blue, float(of_blue), middle), np.float32
            )
            _store(codes, plane[top : top + rows], layout.bits)


def _store(codes: Float, target: Samples, bits: int) -> None:
    if target.dtype == np.uint8:
        target[...] = cv2.convertScaleAbs(codes)
    else:
        target[...] = np.clip(np.rint(codes), 0, (1 << bits) - 1)
