"""Strangers' bytes to checked pixels.

The only module that opens an image somebody else made. ``Image.open`` reaches a parser for every
format Pillow knows; here the list is closed, and the pixel count is checked before decoding.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from pipeline import plain_jpeg, png
from pipeline.outputs import BINARY

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Pillow's names of the formats that are opened; MPO (a JPEG with extra frames) comes as JPEG."""

EXTENSIONS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tif",
}
"""The extension each format is given."""

SUFFIX_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""The extensions, in lower case, that each format goes by."""

SUFFIXES = frozenset(SUFFIX_FORMATS)
"""By these a folder's photos are told from its other files."""

DEFAULT_MAX_PIXELS = 250_000_000
MAX_BYTES = 1_000_000_000

RGB = NDArray[np.uint8]
"""Pixels of shape (height, width, 3), sRGB, 0 to 255."""
Gray = NDArray[np.uint8]
"""Pixels of shape (height, width), Rec. 601 luma of sRGB, 0 to 255."""


class ImageError(Exception):
    """Why a file is not a usable photo, as a phrase that fits behind a colon."""


@dataclass(frozen=True)
class Photo:
    """A decoded photo: upright, sRGB, without transparency."""

    pixels: RGB
    format: str
    """One of :data:`FORMATS`, from the content."""
    frames: int
    changes: tuple[str, ...]
    """What had to be done to the pixels, in order; empty when the file's pixels are the photo."""
    size: tuple[int, int]
    """Width and height of the whole photo, upright; ``pixels`` are fewer if that was asked for."""

    @property
    def image(self) -> Image.Image:
        """A new image of the pixels, in mode RGB, without the file's metadata."""
        return Image.fromarray(self.pixels)


def open_photo(
    source: Path | bytes, max_pixels: int = DEFAULT_MAX_PIXELS, at_least: int | None = None
) -> Photo:
    """Decode a photo of unknown origin into upright sRGB pixels without transparency.

    EXIF orientation is applied, an embedded ICC profile converted to sRGB, 16-bit and floating
    point samples scaled to 8 bits by their range, transparency composited on white; of an
    animation the first frame is taken.

    Args:
        source: a file, or its bytes.
        max_pixels: a photo of more is refused before it is decoded.
        at_least: a JPEG may be decoded at a half, a quarter or an eighth of its size as long as
            both sides keep this many pixels. That is several times as fast, and a truncated file
            is still noticed, because its compressed data are read to the end.

    Raises:
        ImageError: the file is missing, no image of :data:`FORMATS`, truncated, or has more than
            ``max_pixels`` pixels.
    """
    if isinstance(source, bytes) and (photo := _open_plain(source, max_pixels, at_least)):
        return photo
    with _decoding(), _opened(source, max_pixels) as image:
        size = image.size
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        image.load()
        # A JPEG with extra frames, as phones and stereo cameras write it, is a photo like others.
        several = image.format == "MPO"
        frames = 1 if several else int(getattr(image, "n_frames", 1))
        changes: list[str] = []
        upright: Image.Image = image
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if orientation in range(2, 9):
            upright = ImageOps.exif_transpose(image)
            changes.append("turned upright")
            size = size[::-1] if orientation >= 5 else size
        pixels = np.asarray(_to_srgb(upright, image.info.get("icc_profile"), changes))
        return Photo(pixels, "JPEG" if several else str(image.format), frames, tuple(changes), size)


def _open_plain(data: bytes, max_pixels: int, at_least: int | None) -> Photo | None:
    """Decode the two kinds of file that are nothing but pixels, as most are, without Pillow."""
    if (pixels := png.decode(data, max_pixels)) is not None:
        return Photo(pixels, "PNG", 1, (), (pixels.shape[1], pixels.shape[0]))
    head = plain_jpeg.read_head(data)
    if head is None or head.size[0] * head.size[1] > max_pixels:
        return None
    pixels = head.decode(at_least)
    return None if pixels is None else Photo(pixels, "JPEG", 1, (), head.size)


def reduced_size(data: bytes, at_least: int) -> tuple[int, int]:
    """Return width and height at which ``open_photo(data, at_least=...)`` would decode, unturned.

    Raises:
        ImageError: ``data`` is no image.
    """
    if head := plain_jpeg.read_head(data):
        return head.reduced(at_least)
    with _decoding(), _opened(data, DEFAULT_MAX_PIXELS) as image:
        image.draft(None, (at_least, at_least))
        return image.width, image.height


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height as stored, from the file's head; nothing is decoded.

    Raises:
        ImageError: ``path`` is no image.
    """
    with _decoding(), _opened(path, DEFAULT_MAX_PIXELS) as image:
        return image.width, image.height


def wide_samples(data: bytes) -> NDArray[np.uint16] | None:
    """Return colours of 16 bits, of which Pillow keeps the upper 8; None if there are none.

    Returns:
        (H, W, 3) or (H, W, 4), blue first; a TIFF upright, a PNG as stored.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    return np.asarray(pixels, np.uint16)


@contextlib.contextmanager
def reading(source: Path | bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Iterator[Image.Image]:
    """Open ``source`` with Pillow and load its pixels as they are.

    Raises:
        ImageError: as :func:`open_photo` says.
    """
    with contextlib.ExitStack() as stack:
        with _decoding():
            image = stack.enter_context(_opened(source, max_pixels))
            image.load()
        yield image


def _opened(source: Path | bytes, max_pixels: int) -> Image.Image:
    """Open, but do not decode; the caller closes."""
    image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    if image.width * image.height > max_pixels:
        image.close()
        raise ImageError(f"{image.width}x{image.height} is more than {max_pixels} pixels")
    return image


@contextlib.contextmanager
def _decoding() -> Iterator[None]:
    """Turn every error of a decoder into :class:`ImageError`."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images by its own limit; max_pixels is ours.
            warnings.simplefilter("ignore")
            yield
    except (ImageError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise ImageError("the file is not there") from error
    except PermissionError as error:
        raise ImageError("the file may not be read") from error
    except UnidentifiedImageError as error:
        raise ImageError("not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise ImageError("more pixels than Pillow opens") from error
    # Pillow's decoders raise whatever strangers' bytes drive them to: SyntaxError, struct.error,
    # IndexError, zlib.error and more have been seen.
    except Exception as error:
        raise ImageError(f"damaged ({error})") from error


def luma_of(image: Image.Image) -> Gray:
    """Return the gray version of an RGB image as Pillow makes it: Rec. 601 luma, (H, W), uint8."""
    return np.asarray(image.convert("L"))


def read_bytes(path: Path | str) -> bytes:
    """Read a photo's file whole.

    Raises:
        ImageError: it is missing, may not be read, or is larger than any photo.
    """
    try:
        # A file object would ask the system the same again, which for small files counts.
        handle = os.open(path, os.O_RDONLY | BINARY)
        try:
            size = os.fstat(handle).st_size
            if size > MAX_BYTES:
                raise ImageError(f"{size} bytes is more than {MAX_BYTES}, which no photo needs")
            # One byte more would come if there was one: a second call need not ask for the end.
            data = os.read(handle, size + 1)
            if len(data) != size:
                data += io.FileIO(handle, closefd=False).readall()
            return data
        finally:
            os.close(handle)
    except FileNotFoundError as error:
        raise ImageError("the file is not there") from error
    except OSError as error:
        raise ImageError(f"the file could not be read ({error.strerror})") from error


def _to_srgb(image: Image.Image, profile: bytes | None, changes: list[str]) -> Image.Image:
    """Convert any mode to RGB in sRGB, transparency on white; note what was done in ``changes``."""
    if image.mode != "RGB":
        changes.append(f"{image.mode} to RGB")
    if image.mode in {"I;16", "I;16B", "I;16L", "I", "F"}:
        image = _scaled_to_8_bits(image)
    elif image.mode == "LAB":
        image = ImageCms.profileToProfile(image, _LAB, _SRGB, outputMode="RGB") or image
    alpha: Image.Image | None = None
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    elif image.mode == "P":
        image = image.convert("RGB")
    if profile and image.mode in {"RGB", "L", "CMYK"}:
        converted = _through_profile(image, profile)
        if converted is not None:
            changes.append("ICC profile to sRGB")
            image = converted
    image = image.convert("RGB")
    if alpha is not None and alpha.getextrema() != (255, 255):
        changes.append("transparency on white")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=alpha)
        image = white
    return image


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit or floating point gray to 8 bits; Pillow alone would clip at 255."""
    samples = np.asarray(image).astype(np.float64)
    if image.mode.startswith("I;16"):
        white = 65535.0
    else:
        largest = float(np.nanmax(samples)) if samples.size else 1.0
        white = next((top for top in (1.0, 255.0, 65535.0) if largest <= top), largest)
    scaled = np.nan_to_num(samples / white * 255.0)
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))


_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Convert by an embedded ICC profile; None when the profile is damaged, not ours or is sRGB."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return None
        return ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
