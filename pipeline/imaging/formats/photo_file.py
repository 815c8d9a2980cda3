"""A photo's file with all it carries, read as gray and written back in color.

The written file has the size, orientation, EXIF, XMP, ICC profile, resolution, transparency and,
where its format can, the 16 bits of the one that was read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

from pipeline.imaging import color
from pipeline.imaging import decode as images
from pipeline.imaging.color import Samples
from pipeline.imaging.decode import (
    DEFAULT_MAX_PIXELS,
    SUFFIX_FORMATS,
    ImageError,
    open_photo,
    reading,
)
from pipeline.imaging.formats import gif as gif_files
from pipeline.imaging.formats import jpeg as jpeg_files
from pipeline.imaging.formats import png as png_files
from pipeline.imaging.formats import tiff as tiff_files
from pipeline.imaging.formats import webp as webp_files
from pipeline.imaging.formats.tiff import EXIF_HEAD
from pipeline.imaging.gray_photo import (
    GrayPhoto,
    Tint,
    as_stored,
    displayed,
    from_image,
    in_own_space,
    render,
)
from pipeline.imaging.icc import icc_for_colors, read_profile, srgb_icc

FormatName = Literal["jpg", "png", "webp", "tif", "bmp", "gif"]

FORMATS: dict[FormatName, str] = {
    "jpg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "tif": "TIFF",
    "bmp": "BMP",
    "gif": "GIF",
}
"""What a photo can be written as: extension to Pillow's name."""

SUFFIXES_OF: dict[FormatName, frozenset[str]] = {
    name: frozenset(suffix for suffix, of in SUFFIX_FORMATS.items() if of == format_)
    for name, format_ in FORMATS.items()
}
"""In lower case, the extensions that each format's files have."""


@dataclass(frozen=True)
class PhotoFile:
    """A photo and what stood beside its pixels."""

    photo: GrayPhoto
    format: str
    """Pillow's name of what the content was: one of :data:`pipeline.imaging.decode.FORMATS`."""
    exif: bytes | None = None
    """From its TIFF header on."""
    xmp: bytes | None = None
    icc: bytes | None = None
    """The profile that the colored photo needs."""
    dpi: tuple[float, float] | None = None
    lossless: bool = True
    """Whether the pixels were stored without loss; only WebP comes both ways."""
    quality: int = jpeg_files.DEFAULT_QUALITY
    """libjpeg's."""
    segments: tuple[jpeg_files.Segment, ...] = ()
    """Of a JPEG: what goes into its colored version's head as it is."""
    chunks: bytes = b""
    """Of a PNG: the same."""

    @property
    def extension(self) -> FormatName:
        """The format to write when none is asked for: the file's own."""
        return next(name for name, format_ in FORMATS.items() if format_ == self.format)


def read(source: Path | bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> PhotoFile:
    """Read a photo of unknown origin as gray.

    Raises:
        ImageError: the file is missing, no image of a known format, damaged, an animation or of
            several pages, or has more than ``max_pixels`` pixels.
    """
    file = source if isinstance(source, bytes) else images.read_bytes(source)
    try:
        if file.startswith(b"\xff\xd8"):
            height, width, space = jpeg_files.header_of(file)
            if height * width > max_pixels:
                raise ImageError(f"{width}x{height} is more than {max_pixels} pixels")
            if space in {"YCbCr", "Gray"}:
                return _read_jpeg(file)
        with reading(file, max_pixels) as image:
            return _read_any(file, image, max_pixels)
    except (ImageError, MemoryError):
        raise
    # What stands beside the pixels is a stranger's too, and its readers raise what they like.
    except Exception as error:
        raise ImageError(f"damaged ({error})") from error


def pixels_of(path: Path) -> int:
    """Return how many pixels a photo has, from its head; 0 if that cannot be told.

    Nothing is decoded: it only tells how much memory the photo is going to need.
    """
    try:
        width, height = images.size_of(path)
    except ImageError:
        return 0  # the reason comes to light when the photo is read
    return width * height


def encode(photo_file: PhotoFile, tint: Tint, extension: FormatName | None = None) -> bytes:
    """Write the photo with the colors of ``tint``, in its own format or as ``extension`` says.

    JPEG and BMP hold no transparency: it is put on white. Only PNG and TIFF hold 16 bits. BMP and
    GIF hold neither orientation nor profile: they come upright and in sRGB.

    Raises:
        ImageError: the photo has more pixels on a side than the format can hold.
    """
    extension = extension or photo_file.extension
    photo = photo_file.photo
    if extension in {"jpg", "bmp", "gif", "webp"}:
        photo = photo.in_8_bits()
    if extension in {"jpg", "bmp"} and photo.alpha is not None:
        photo = photo.on_white()
    try:
        return _WRITERS[extension](replace(photo_file, photo=photo), tint)
    except MemoryError:
        raise
    # What stands beside the pixels is a stranger's, and encoders raise what it drives them to.
    except Exception as error:
        raise ImageError(f"could not be written as {FORMATS[extension]} ({error})") from error


def _read_jpeg(file: bytes) -> PhotoFile:
    segments = jpeg_files.without_thumbnail(jpeg_files.read_segments(file))
    exif = jpeg_files.exif_of(segments)
    icc = jpeg_files.icc_of(segments)
    profile = read_profile(icc) if icc else None
    icc = icc_for_colors(icc)
    photo = in_own_space(jpeg_files.decode_luma(file), None, _orientation(exif), profile)
    # The rest is for the case that the photo is to become another format.
    xmp = next((s.data for s in segments if s.data.startswith(jpeg_files.XMP_HEAD)), None)
    return PhotoFile(
        photo,
        "JPEG",
        exif=exif.removeprefix(EXIF_HEAD) if exif else None,
        xmp=xmp.removeprefix(jpeg_files.XMP_HEAD) if xmp else None,
        icc=icc,
        dpi=_resolution(jpeg_files.dpi_of(segments)),
        quality=jpeg_files.quality_of(segments),
        segments=tuple(jpeg_files.kept_segments(segments, icc)),
    )


def _read_any(file: bytes, image: Image.Image, max_pixels: int) -> PhotoFile:
    frames = int(getattr(image, "n_frames", 1))
    format_ = "JPEG" if image.format == "MPO" else str(image.format)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and frames > 1:
        frames = tiff_files.pages_of(image)
    if frames > 1 and image.format != "MPO":
        raise ImageError(f"an animation or a document of {frames} pages; give it as single photos")
    exif = _exif_of(file, image)
    icc = image.info.get("icc_profile")
    color_space_stays = icc is None or icc == icc_for_colors(icc)
    icc = icc_for_colors(icc)
    if image.mode in {"I", "F", "CMYK", "LAB", "YCbCr", "HSV"}:
        # Rare, and none holds sRGB: taken as the cleaning takes them, in sRGB and upright.
        upright = GrayPhoto(color.luma(open_photo(file, max_pixels).pixels))
        photo = as_stored(upright, _orientation(exif))
        icc = srgb_icc() if icc else None
        color_space_stays = False
    else:
        photo = from_image(image)
        if image.mode in {"RGB", "RGBA"} and _bits(file, image) == 16:
            photo = _with_16_bits(photo, file, image)
        if format_ == "TIFF":
            # Both decoders turn TIFFs upright, and TIFFs only.
            photo = as_stored(photo, _orientation(exif))
    chunks = png_files.kept_chunks(file, color_space_stays) if format_ == "PNG" else b""
    if format_ == "PNG" and icc and not color_space_stays:
        chunks = png_files.icc_chunk(icc) + chunks
    return PhotoFile(
        photo,
        format_,
        exif=exif,
        xmp=_bytes(image.info.get("xmp")),
        icc=icc,
        dpi=_resolution(image.info.get("dpi")),
        lossless=format_ != "WEBP" or webp_files.is_lossless(file),
        chunks=chunks,
    )


def _with_16_bits(photo: GrayPhoto, file: bytes, image: Image.Image) -> GrayPhoto:
    """Put the tones of 16 bits, where they can be had, in the place of those of 8."""
    pixels = images.wide_samples(file)
    if pixels is None or pixels.shape[:2] != photo.gray.shape:
        return photo
    gray: Samples = color.luma(pixels[..., 2::-1])
    alpha = None if photo.alpha is None or pixels.shape[2] < 4 else pixels[..., 3]
    if alpha is not None and tiff_files.is_premultiplied(image):
        gray = _straight(gray, alpha)
    if photo.alpha is not None and alpha is None:
        alpha = photo.alpha.astype(np.uint16) * np.uint16(257)
    return replace(photo, gray=gray, alpha=alpha)


def _straight(gray: Samples, alpha: Samples) -> Samples:
    """Return tones that were multiplied by ``alpha`` (H, W), both uint16, as they were before."""
    scale = np.float32(65_535) / np.maximum(alpha, 1)
    return np.asarray(np.minimum(np.rint(gray * scale), 65_535), np.uint16)


def _bits(file: bytes, image: Image.Image) -> int:
    if image.format == "PNG":
        return png_files.bits_of(file)
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(258, (8,))
        return int(max(bits)) if isinstance(bits, tuple) else int(bits)
    return 8


def _exif_of(file: bytes, image: Image.Image) -> bytes | None:
    if image.format == "TIFF":
        exif = tiff_files.descriptive_exif(file)
    else:
        exif = _bytes(image.info.get("exif"))
    return tiff_files.without_thumbnail(exif.removeprefix(EXIF_HEAD)) if exif else None


def _resolution(dpi: object) -> tuple[float, float] | None:
    """Take a resolution that can be one: files say 0, and TIFFs 0/0, where they know none."""
    try:
        x, y = (float(value) for value in cast(Iterable[Any], dpi))
    except (TypeError, ValueError):
        return None
    return (x, y) if all(math.isfinite(value) and value > 0 for value in (x, y)) else None


def _orientation(exif: bytes | None) -> object:
    return tiff_files.load_exif(exif).get(ExifTags.Base.Orientation, 1) if exif else 1


def _bytes(value: object) -> bytes | None:
    if isinstance(value, str):
        return value.encode("utf-8")
    return bytes(value) if isinstance(value, bytes | bytearray) else None


def _encode_jpeg(own: PhotoFile, tint: Tint) -> bytes:
    segments = own.segments
    if own.format != "JPEG" or not segments:
        segments = tuple(jpeg_files.segments_for(own.exif, own.xmp, own.icc, own.dpi))
    gray = np.asarray(own.photo.gray, np.uint8)
    return jpeg_files.encode(gray, tint, own.quality, segments)


def _encode_png(own: PhotoFile, tint: Tint) -> bytes:
    chunks = own.chunks
    if own.format != "PNG":
        chunks = png_files.chunks_for(own.exif, own.xmp, own.icc, own.dpi)
    return png_files.encode(render(own.photo, tint, order=(2, 1, 0)), chunks)


def _encode_tiff(own: PhotoFile, tint: Tint) -> bytes:
    return tiff_files.encode(render(own.photo, tint), own.exif, own.icc, own.dpi, own.xmp)


def _encode_webp(own: PhotoFile, tint: Tint) -> bytes:
    exif = EXIF_HEAD + own.exif if own.exif else b""
    pixels = render(own.photo, tint)
    return webp_files.encode(pixels, own.lossless, exif, own.xmp or b"", own.icc or b"")


def _encode_bmp(own: PhotoFile, tint: Tint) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(displayed(own.photo, tint)).save(stream, "BMP", dpi=own.dpi or (96, 96))
    return stream.getvalue()


def _encode_gif(own: PhotoFile, tint: Tint) -> bytes:
    pixels = displayed(own.photo, tint)
    alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
    rgb = np.ascontiguousarray(pixels[..., :3])
    return gif_files.encode(color.luma(rgb), alpha, color.differences_of(rgb))


_WRITERS = {
    "jpg": _encode_jpeg,
    "png": _encode_png,
    "webp": _encode_webp,
    "tif": _encode_tiff,
    "bmp": _encode_bmp,
    "gif": _encode_gif,
}
