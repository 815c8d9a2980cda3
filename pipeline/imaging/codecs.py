"""Decoders and encoders beyond Pillow and OpenCV, which come with the extra ``formats``.

Without the extra a photo that needs it fails with a sentence that names it.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.color import Samples, srgb_encoded, to_16_bits
from pipeline.imaging.errors import ImageError, decoding
from pipeline.imaging.formats import boxes, jxl_head
from pipeline.imaging.formats.directories import (
    ICC,
    LENGTH,
    ORIENTATION,
    WIDTH,
    is_read_everywhere,
    layout_of,
    read_directories,
)
from pipeline.imaging.kinds import Kind
from pipeline.imaging.orientation import valid


@contextlib.contextmanager
def needs_formats(label: str) -> Iterator[None]:
    """Name the extra if a module that the block imports is not there.

    Args:
        label: what needs it, as the subject of a sentence.

    Raises:
        ImageError: a module is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImageError(
            f"{label} needs {error.name}, which is not installed; install it with: pip install"
            " 'colorpipe[formats]'"
        ) from error


@dataclass(frozen=True)
class Decoded:
    """What a codec makes of a file, or of one of its pages."""

    pixels: Samples
    """(H, W) or (H, W, 2 to 4): gray, or R, G and B; the last of an even number is alpha."""
    orientation: int = 1
    """EXIF's number for how ``pixels`` are turned."""
    icc: bytes | None = None
    pages: int = 1
    exif: bytes | None = None
    xmp: bytes | None = None
    bits: int = 8
    """Of a sample as stored; ``pixels`` are scaled to 8 or 16."""
    frames: int = 1
    """Of an animation, of which ``pixels`` are the first."""


@dataclass(frozen=True)
class Opened:
    """A file of which the head is read."""

    size: tuple[int, int]
    """Width and height of the largest page."""
    pages: int
    bits: int
    decode: Callable[[int], Decoded]
    """Decodes a page."""
    note: str = ""
    """What of the file is lost, as a phrase for its owner."""


def open_with_codec(data: bytes, kind: Kind, max_pixels: int) -> Opened:
    """Read the head of a file of a kind that Pillow does not read.

    Raises:
        ImageError: it is damaged or too large, or the extra is not installed.
    """
    opened = {"heic": _open_heic, "jxl": _open_jxl, "dng": _open_dng}[kind.name](data)
    check_size(opened.size, max_pixels)
    return opened


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Refuse a picture that is too large.

    Raises:
        ImageError: its width times its height is more than ``max_pixels``.
    """
    width, height = size
    if width * height > max_pixels:
        raise ImageError(f"{width}x{height} is more than {max_pixels} pixels")


def _open_heic(data: bytes) -> Opened:
    """HEIC: rotations and crops are applied by libheif, so that pictures come upright."""
    with needs_formats("HEIC"):
        import pillow_heif
    with decoding():
        file: Any = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
        sizes = [image.size for image in file]
        bits = max(int(image.info.get("bit_depth", 8)) for image in file)

    def decode(page: int) -> Decoded:
        with decoding():
            image = file[page]
            pixels = checked(np.asarray(image))
            return Decoded(
                pixels,
                1,
                image.info.get("icc_profile") or None,
                len(sizes),
                image.info.get("exif") or None,
                image.info.get("xmp") or None,
                int(image.info.get("bit_depth", 8)),
            )

    return Opened(max(sizes, key=lambda size: size[0] * size[1]), len(sizes), bits, decode)


def _open_jxl(data: bytes) -> Opened:
    """JPEG XL: libjxl turns pictures upright; of an animation the first frame is taken."""
    with needs_formats("JPEG XL"):
        import imagecodecs
    with decoding():
        head = jxl_head.read(boxes.jxl_codestream(data))

    def decode(_: int) -> Decoded:
        with decoding():
            pixels = imagecodecs.jpegxl_decode(data)
            frames = 1
            if pixels.ndim == 4 or (head.is_animated and pixels.ndim == 3):
                frames, pixels = len(pixels), pixels[0]
            if pixels.dtype.kind == "f":
                pixels = np.rint(np.clip(pixels.astype(np.float32), 0, 1) * 65_535)
                pixels = pixels.astype(np.uint16)
            samples = checked(pixels)
            if head.tones in {"linear", "gamma"}:
                samples = _with_tones_of_srgb(samples, head.gamma)
            return Decoded(samples, bits=head.bits, frames=frames)

    notes = (
        (head.is_animated, "of the animation, the first frame is taken"),
        (head.tones == "other", "its color profile cannot be read, and is taken for sRGB"),
    )
    note = "; ".join(text for holds, text in notes if holds)
    return Opened(head.size, 1, head.bits, decode, note)


def _with_tones_of_srgb(samples: Samples, gamma: float) -> Samples:
    """Encode as sRGB does what is light to the power of ``gamma``; alpha stays."""
    white = np.iinfo(samples.dtype).max
    light = (np.arange(white + 1, dtype=np.float32) / np.float32(white)) ** np.float32(1 / gamma)
    levels = cast(Samples, np.rint(srgb_encoded(light) * white).astype(samples.dtype))
    result: Samples = levels[samples]
    if samples.ndim == 3 and samples.shape[2] in {2, 4}:
        result[..., -1] = samples[..., -1]
    return result


def _open_dng(data: bytes) -> Opened:
    """DNG: developed as the camera says, without brightening; scanners' linear gray as well."""
    with needs_formats("DNG"):
        import rawpy
    with decoding():
        raw = rawpy.imread(io.BytesIO(data))
        size = (int(raw.sizes.width), int(raw.sizes.height))

    def decode(_: int) -> Decoded:
        with decoding():
            pixels = raw.postprocess(
                output_bps=16,
                no_auto_bright=True,
                use_camera_wb=True,
                user_flip=0,
                # IEC 61966-2-1: sRGB's exponent, and its slope near black.
                gamma=(2.4, 12.92),
            )
            return Decoded(checked(np.squeeze(pixels)), bits=16)

    return Opened(size, 1, 16, decode)


def decode_unusual_tiff(
    file: bytes, place: int, max_pixels: int, *, anyway: bool = False
) -> Decoded | None:
    """Decode a page of a TIFF, if it is one that Pillow may not know.

    Args:
        file: its content.
        place: of the page's directory.
        max_pixels: more are refused.
        anyway: whether Pillow has said that it does not know the page's samples.

    Returns:
        None for a page that Pillow reads unless it is damaged.

    Raises:
        ImageError: as :func:`decode_tiff_page` says, or it is too large.
    """
    layout, directory = layout_of(file), read_directories(file)[place:][:1]
    if layout is None or not directory:
        return None
    if is_read_everywhere(directory[0], layout) and not anyway:
        return None
    (page,) = directory
    width, height, turned = (
        next(iter(page.numbers(tag, layout)), 1) for tag in (WIDTH, LENGTH, ORIENTATION)
    )
    check_size((width, height), max_pixels)
    icc = page.get(ICC)
    pixels = decode_tiff_page(file, place)
    return Decoded(pixels, valid(turned), None if icc is None else icc.data)


def samples_of_jpeg2000(codestream: bytes) -> tuple[int, int]:
    """Return bits and number of the components, from SIZ (A.5.1), which always comes first.

    Raises:
        ImageError: it has no head.
    """
    if len(codestream) < 43 or codestream[2:4] != b"\xff\x51":
        raise ImageError("damaged (its codestream has no head)")
    (channels,) = struct.unpack_from(">H", codestream, 40)
    return 1 + (codestream[42] & 0x7F), channels


def decode_wide_jpeg2000(file: bytes, bits: int) -> NDArray[np.uint16]:
    """Decode a JPEG 2000 with samples of ``bits``, more than 8, which Pillow rounds to 8.

    It makes 0 of those next to white, and of opaque ones.

    Returns:
        (H, W) or (H, W, 2 to 4), scaled to 16 bits.

    Raises:
        ImageError: it is damaged, or the extra is not installed.
    """
    with needs_formats("JPEG 2000 of such samples"):
        import imagecodecs
    with decoding():
        return to_16_bits(checked(imagecodecs.jpeg2k_decode(file)), (1 << bits) - 1)


_TIMES_ALPHA, _ALPHA = 1, 2
"""Of ExtraSamples (TIFF 6.0, section 18): whether colors are stored times their alpha."""


def decode_tiff_page(file: bytes, place: int) -> Samples:
    """Decode a page of a TIFF that Pillow does not read.

    Returns:
        (H, W) or (H, W, 3 or 4), uint8 or uint16, scaled from the page's own bits.

    Raises:
        ImageError: the extra is not installed, or its compression or colors are not known there
            either.
    """
    with needs_formats("its compression or kind of samples"):
        import imagecodecs as _  # noqa: F401
        import tifffile
    with decoding(), tifffile.TiffFile(io.BytesIO(file)) as opened:
        page = opened.pages[place]
        compression = getattr(page.compression, "name", page.compression)
        colors = getattr(page.photometric, "name", page.photometric)
        try:
            pixels: Any = np.squeeze(page.asarray())
        except (ValueError, KeyError, RuntimeError, NotImplementedError) as error:
            raise ImageError(
                f"its compression {compression} could not be read ({error})"
            ) from error
        if page.planarconfig == 2 and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, -1)
        bits, palette, extra = int(page.bitspersample), page.colormap, page.extrasamples
        if 8 < bits < 16 and opened.byteorder == ">":
            # tifffile loses their upper bits.
            raise ImageError(f"samples of {bits} bits are not read with this byte order")
    if colors == "PALETTE" and palette is not None:
        # Palettes have 16 bits, of which files of 8 fill the upper ones or both.
        return checked(np.moveaxis(palette[:, pixels] >> 8, 0, -1).astype(np.uint8))
    if colors not in {"MINISWHITE", "MINISBLACK", "RGB"} and (colors, compression) != (
        "YCBCR",
        "JPEG",
    ):
        raise ImageError(f"its colors of the kind {colors} are not read")
    if pixels.dtype == np.uint32:
        pixels = (pixels >> 16).astype(np.uint16)
    if pixels.dtype in (np.bool_, np.uint8) and bits < 8:
        pixels = (pixels * (255 // ((1 << bits) - 1))).astype(np.uint8)
    alpha = extra[0] if extra and extra[0] in {_TIMES_ALPHA, _ALPHA} else None
    if pixels.ndim == 3:
        # Other channels are a selection or a spot color.
        wanted = (1 if colors.startswith("MINIS") else 3) + (alpha is not None)
        pixels = np.squeeze(pixels[..., :wanted])
    samples = checked(pixels)
    if 8 < bits < 16:
        samples = to_16_bits(samples, (1 << bits) - 1)
    if alpha is None:
        return np.invert(samples) if colors == "MINISWHITE" else samples
    return _with_alpha(samples, alpha, inverted=colors == "MINISWHITE")


def _with_alpha(samples: Samples, alpha: int, *, inverted: bool) -> Samples:
    """Return samples (H, W, 2 or 4) as others have them: black is 0, and not times alpha."""
    own, opacity = samples[..., :-1], samples[..., -1:]
    if inverted:
        own = np.invert(own)
    if alpha == _TIMES_ALPHA:
        white = np.iinfo(samples.dtype).max
        times = np.float32(white) / np.maximum(opacity, 1)
        own = np.minimum(np.rint(own * times), white).astype(samples.dtype)
    return np.ascontiguousarray(np.concatenate([own, opacity], axis=-1))


def checked(pixels: Any) -> Samples:
    """Return samples of 8 or 16 bits, and refuse others.

    Raises:
        ImageError: there are other samples or channels.
    """
    array = np.asarray(pixels)
    if array.dtype not in (np.uint8, np.uint16) or not (
        array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {1, 2, 3, 4})
    ):
        raise ImageError(
            f"samples of {array.dtype} in {array.shape} are not read; save it with samples of 8 or"
            " 16 bits"
        )
    return np.ascontiguousarray(array)


def converted_16(rgb: Samples, source: bytes, target: bytes) -> Samples:
    """Convert colors (H, W, 3) of 16 bits from one ICC profile to another, which Pillow does not.

    Raises:
        ImageError: the extra is not installed, or a profile is damaged.
    """
    with needs_formats("the conversion of 16 bits to sRGB"):
        import imagecodecs
    with decoding():
        return checked(
            imagecodecs.cms_transform(rgb, source, target, colorspace="rgb", outcolorspace="rgb")
        )


def tiff_encoder(compression: int) -> Callable[[bytes], bytes] | None:
    """Return what compresses strips losslessly by a TIFF's number; None if nothing here does."""
    name = {5: "lzw_encode", 50000: "zstd_encode", 34925: "lzma_encode"}.get(compression)
    if name is None:
        return None
    try:
        import imagecodecs
    except ModuleNotFoundError:
        return None
    encode = getattr(imagecodecs, name)
    return lambda data: bytes(encode(data))
