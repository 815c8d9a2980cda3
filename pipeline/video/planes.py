"""A film's pictures as planes: the luma that stays, and where new chroma goes.

Luma is never computed on: it goes from the decoder to the encoder as it is, unless the encoder has
other bits, and then it is shifted. Only pictures that have no plane of luma, such as RGB, get one
from FFmpeg.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import av
import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange

from pipeline.imaging.color import MatrixName, Samples
from pipeline.imaging.decode import Gray
from pipeline.imaging.gray_photo import shrink
from pipeline.video.side_data import carried

# H.273, table 4; what is unknown is Rec. 601's, as FFmpeg takes it, but see _is_untold_hd.
_MATRICES: dict[int, MatrixName] = {
    1: "bt709",
    4: "fcc",
    7: "smpte240m",
    9: "bt2020",
    10: "bt2020",
}
_NONE_KNOWN, _IDENTITY, _BT601, _BT709 = 2, 0, 6, 1
_FULL, _LIMITED = int(ColorRange.JPEG), int(ColorRange.MPEG)


@dataclass(frozen=True)
class Layout:
    """How the samples of a film's planes are to be read."""

    pixels: str
    """FFmpeg's name of the pixel format: planar YUV."""
    height: int
    width: int
    bits: int
    """8 to 16 a sample; above 8 samples are uint16."""
    full_range: bool
    """Whether luma reaches from 0 to 2^bits - 1, and not from 16 to 235 times 2^(bits - 8)."""
    matrix: MatrixName


def layout_of(frame: av.VideoFrame, pixels: str) -> Layout:
    """Return how the planes of ``frame`` are to be read once it is in the format ``pixels``."""
    return Layout(
        pixels,
        frame.height,
        frame.width,
        VideoFormat(pixels).components[0].bits,
        is_full_range(frame),
        "bt709" if _is_untold_hd(frame) else _MATRICES.get(frame.colorspace, "bt601"),
    )


def _is_untold_hd(frame: av.VideoFrame) -> bool:
    """Whether players take the matrix for Rec. 709's by the size: the film does not say it."""
    untold = frame.colorspace == _NONE_KNOWN and not (
        frame.format.is_rgb or frame.format.has_palette
    )
    return untold and (frame.width >= 1280 or frame.height > 576)


def is_full_range(frame: av.VideoFrame) -> bool:
    """Whether luma uses all codes: as the film says, or else as FFmpeg takes it.

    FFmpeg takes formats without chroma, those of RGB and the old "yuvj" ones for full.
    """
    name = frame.format.name
    if name.startswith("yuvj") or frame.format.is_rgb or frame.format.has_palette:
        return True
    if frame.color_range in {_FULL, _LIMITED}:
        return frame.color_range == _FULL
    return name.startswith(("gray", "ya", "mono"))


def pixels_for(
    source: VideoFormat, written: Sequence[str], even: tuple[int, int] | None = None
) -> str:
    """Choose the pixel format to encode in: the film's own, or the nearest that loses nothing.

    Args:
        source: the format that the film is decoded to.
        written: the names of the formats that the encoder takes.
        even: height and width in pixels, for an encoder that takes only such as its samples of
            chroma divide.

    Returns:
        A planar YUV format without alpha, of as many bits as the film's or as many as there are.
        Chroma has the film's size, or the next larger one. A film without chroma gets 4:2:0.
    """
    bits = source.components[0].bits
    across, down = _chroma_steps(source)
    candidates = []
    for name in written:
        form = VideoFormat(name)
        own_bits = form.components[0].bits
        if not _is_planar_yuv(form) or name.startswith("yuvj"):
            continue
        own_across, own_down = _chroma_steps(form)
        # What is lost counts first, then what is needless.
        lost = max(bits - own_bits, 0)
        coarser = max(own_across // across, 1) * max(own_down // down, 1)
        if own_across > across or own_down > down:
            coarser *= 2
        finer = max(across // own_across, 1) * max(down // own_down, 1)
        odd = even is not None and (even[1] % own_across != 0 or even[0] % own_down != 0)
        candidates.append((odd, lost, coarser, max(own_bits - bits, 0), finer, name))
    return min(candidates)[-1]


def _is_planar_yuv(form: VideoFormat) -> bool:
    """Whether luma and both chromas, and nothing else, have a plane each, little-endian."""
    parts = form.components
    return (
        len(parts) == 3
        and not form.is_rgb
        and form.is_planar
        and not form.is_big_endian
        and [part.plane for part in parts] == [0, 1, 2]
    )


def _chroma_steps(form: VideoFormat) -> tuple[int, int]:
    """Return how many pixels across and down share a sample of chroma; 2 and 2 without chroma."""
    if form.is_rgb or form.has_palette or len(form.components) < 3:
        return 2, 2
    whole = VideoFormat(form.name, 64, 64)
    return 64 // whole.chroma_width(), 64 // whole.chroma_height()


def in_planes(frame: av.VideoFrame, pixels: str) -> av.VideoFrame:
    """Return ``frame`` in the format ``pixels``, with its luma and room for its chroma.

    The chroma that it returns with is of no use. A frame that has the format already comes back
    itself: the decoder may still refer to it, so it is not to be written to.
    """
    if frame.format.name == pixels:
        return frame
    bits = VideoFormat(pixels).components[0].bits
    if not _has_plane_of_luma(frame.format):
        frame = _with_luma(frame)
    own_bits = frame.format.components[0].bits
    if frame.interlaced_frame or "A53_CC" in carried(frame):
        # PyAV cannot set which field comes first, nor captions; FFmpeg's conversion keeps them.
        result = frame.reformat(format=pixels)
    else:
        result = av.VideoFrame(frame.width, frame.height, pixels)
    result.pts, result.time_base, result.duration = frame.pts, frame.time_base, frame.duration
    luma = plane_of(frame, 0)
    target = plane_of(result, 0)
    if own_bits == bits:
        target[...] = luma
    elif own_bits < bits:
        np.left_shift(luma, bits - own_bits, out=target, dtype=np.uint16)
    else:
        half = 1 << (own_bits - bits - 1)
        rounded = np.minimum((luma.astype(np.uint32) + half) >> (own_bits - bits), (1 << bits) - 1)
        target[...] = rounded
    return result


def _has_plane_of_luma(form: VideoFormat) -> bool:
    return (
        not (form.is_rgb or form.has_palette or form.is_bit_stream or form.is_big_endian)
        and form.components[0].plane == 0
        # Packed formats have other samples in between; P010's lie in the high bits.
        and (form.is_planar or len(form.components) == 1)
        and all(part.plane != 0 for part in form.components[1:])
        and not form.name.startswith(("p0", "p2", "p4"))
    )


def _with_luma(frame: av.VideoFrame) -> av.VideoFrame:
    """Bring a frame of packed samples, RGB or a palette to planes by FFmpeg."""
    form = frame.format
    if form.is_rgb or form.has_palette or form.is_bit_stream or len(form.components) < 3:
        deep = max(part.bits for part in form.components) > 8
        pixels = "gray16le" if deep else "gray"
    else:
        across, down = _chroma_steps(form)
        sampling = {(1, 1): "444", (2, 1): "422", (4, 1): "411"}.get((across, down), "420")
        bits = form.components[0].bits
        pixels = f"yuv{sampling}p" + (f"{bits}le" if bits > 8 else "")
    own = _FULL if is_full_range(frame) else _LIMITED
    return frame.reformat(format=pixels, src_color_range=own, dst_color_range=own)


def plane_of(frame: av.VideoFrame, number: int) -> Samples:
    """Return a plane (h, w) of ``frame`` as an array, uint8 or uint16, that shares its memory."""
    plane = frame.planes[number]
    wide = frame.format.components[number].bits > 8
    rows = np.frombuffer(cast(bytes, plane), np.uint16 if wide else np.uint8)
    stride = plane.line_size // rows.itemsize
    # The buffer may be longer than its rows, and its last row shorter than the stride.
    return cast(
        Samples,
        np.lib.stride_tricks.as_strided(
            rows, (plane.height, plane.width), (plane.line_size, rows.itemsize)
        )
        if rows.size < stride * plane.height
        else rows[: stride * plane.height].reshape(plane.height, stride)[:, : plane.width],
    )


def gray_of(luma: Samples, layout: Layout) -> Gray:
    """Bring samples of luma to gray from 0, black, to 255, white; uint8, of the same shape."""
    unit = 1 << (layout.bits - 8)
    if layout.full_range:
        if layout.bits == 8:
            return np.asarray(luma, np.uint8)
        return np.asarray(cv2.convertScaleAbs(luma, alpha=255 / ((1 << layout.bits) - 1)), np.uint8)
    # OpenCV stops at zero here: darker than black is black.
    above_black = cv2.subtract(luma, np.full(1, 16 * unit, np.float64))
    return np.asarray(cv2.convertScaleAbs(above_black, alpha=255 / (219 * unit)), np.uint8)


def small_gray(luma: Samples, layout: Layout, shape: tuple[int, int]) -> Gray:
    """Return the picture for the network at ``shape``: gray from 0 to 255, uint8."""
    if layout.bits == 8:
        return gray_of(shrink(np.asarray(luma, np.uint8), shape), layout)
    return shrink(gray_of(luma, layout), shape)


def mark_colors(frame: av.VideoFrame, layout: Layout, like: av.VideoFrame) -> None:
    """Say on ``frame`` how its planes are to be read, where the film ``like`` does not say it."""
    frame.color_primaries, frame.color_trc = like.color_primaries, like.color_trc
    unknown = like.colorspace in {_NONE_KNOWN, _IDENTITY} or like.format.is_rgb
    frame.colorspace = like.colorspace
    if unknown and (like.format.is_rgb or like.colorspace == _IDENTITY):
        frame.colorspace = _BT601
    elif layout.matrix == "bt709":
        frame.colorspace = _BT709
    frame.color_range = like.color_range
    if layout.full_range:
        frame.color_range = _FULL
