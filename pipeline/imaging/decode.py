"""Strangers' bytes to checked pixels.

The only module that opens an image somebody else made. ``Image.open`` reaches a parser for every
format Pillow knows; here the list is closed, and the pixel count is checked before decoding.
"""

from __future__ import annotations

import contextlib
import io
import stat
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipeline.imaging.formats import plain_jpeg
from pipeline.imaging.formats import plain_png as png
from pipeline.imaging.orientation import lies_on_its_side, orientation_of, turned_upright
from pipeline.imaging.srgb import to_srgb

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
ANY_PIXELS = sys.maxsize
"""As ``max_pixels``, for photos that a limit was applied to before."""
MAX_BYTES = 1_000_000_000

RGB = NDArray[np.uint8]
"""Pixels of shape (height, width, 3), sRGB, 0 to 255."""
Gray = NDArray[np.uint8]
"""Pixels of shape (height, width), Rec. 601 luma of sRGB, 0 to 255."""


class ImageError(Exception):
    """Why a file is not a usable photo, as a phrase that fits behind a colon."""


class AccessError(ImageError):
    """Why a file could not be read, whatever it holds."""


OUT_OF_MEMORY = "memory ran out while it was decoded; close other programs"
NO_FILE = "no regular file but a folder, a pipe or a device"


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
    source: Path | bytes,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    at_least: int | None = None,
    *,
    strict: bool = False,
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
        strict: refuse a JPEG that is damaged within; else it is gray from there on.

    Raises:
        ImageError: the file is missing, no image of :data:`FORMATS`, truncated, has more than
            ``max_pixels`` pixels, or memory ran out.
    """
    if strict and not isinstance(source, bytes):
        source = read_bytes(source)
    try:
        if isinstance(source, bytes) and (photo := _open_plain(source, max_pixels, at_least)):
            return photo
    except MemoryError as error:
        raise ImageError(OUT_OF_MEMORY) from error
    with _decoding(), _opened(source, max_pixels) as image:
        size = image.size
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        # Asked for its EXIF, a PNG is loaded, and what is damaged in it would not be said.
        if image.format == "PNG":
            image.load()
        # Before it is loaded: a TIFF is turned then, and forgets that it was.
        orientation = orientation_of(image)
        loaded = _checked(source, image) if strict and isinstance(source, bytes) else None
        if loaded is None:
            image.load()
            loaded = image
        # A JPEG with extra frames, as phones and stereo cameras write it, is a photo like others.
        several = image.format == "MPO"
        frames = 1 if several else int(getattr(image, "n_frames", 1))
        changes: list[str] = []
        if orientation > 1:
            changes.append("turned upright")
        pixels = np.asarray(to_srgb(loaded, image.info.get("icc_profile"), changes))
        if image.format == "TIFF":
            size = image.size
        else:
            pixels = turned_upright(pixels, orientation)
            size = size[::-1] if lies_on_its_side(orientation) else size
        return Photo(pixels, "JPEG" if several else str(image.format), frames, tuple(changes), size)


def _checked(data: bytes, image: Image.Image) -> Image.Image | None:
    """Return the pixels of an opened JPEG if it is whole; None if Pillow has to decode it.

    What it takes to look for damage is a decode, so that a second one is spared where it can be.

    Raises:
        ImageError: it is damaged.
    """
    if image.format not in {"JPEG", "MPO"}:
        return None
    if image.mode in {"RGB", "L"}:
        found = plain_jpeg.decode_checked(
            data, "RGB" if image.mode == "RGB" else "GRAY", image.size
        )
    else:
        found = plain_jpeg.decode_checked(data, "CMYK")
    if isinstance(found, str):
        raise ImageError(f"damaged ({found})")
    if found is None or image.mode not in {"RGB", "L"} or found.shape[1::-1] != image.size:
        return None
    return Image.fromarray(found)


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
    with _decoding(), _opened(data, ANY_PIXELS) as image:
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
    """Return colors of 16 bits, of which Pillow keeps the upper 8; None if there are none.

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
    if not isinstance(source, bytes) and not stat.S_ISREG(source.stat().st_mode):
        raise ImageError(NO_FILE)
    with _no_limit_of_pillow():
        image = Image.open(
            io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS
        )
    if image.width * image.height > max_pixels:
        image.close()
        raise ImageError(f"{image.width}x{image.height} is more than {max_pixels} pixels")
    return image


@contextlib.contextmanager
def _no_limit_of_pillow() -> Iterator[None]:
    """Let pictures of any size be opened in the block: ``max_pixels`` is the limit here.

    Pillow's holds for the whole process, whose other parts may rely on it: it comes back at once.
    """
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


_OPENING = threading.Lock()


@contextlib.contextmanager
def _decoding() -> Iterator[None]:
    """Turn every error of a decoder into :class:`ImageError`."""
    try:
        with warnings.catch_warnings():
            # Of odd metadata, for example: what is wrong with a photo is said by an error.
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(OUT_OF_MEMORY) from error
    except FileNotFoundError as error:
        raise AccessError("the file is not there") from error
    except PermissionError as error:
        raise AccessError("the file may not be read") from error
    except UnidentifiedImageError as error:
        raise ImageError("not an image of a known format") from error
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
        AccessError: it is missing or may not be read.
        ImageError: it is not a regular file, or larger than any photo.
    """
    path = Path(path)
    try:
        status = path.stat()
        # Opening a named pipe would wait for somebody to write into it.
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(NO_FILE)
        if status.st_size > MAX_BYTES:
            raise ImageError(f"{status.st_size} bytes is more than {MAX_BYTES}, the limit")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise AccessError("the file is not there") from error
    except OSError as error:
        raise AccessError(f"the file could not be read ({error.strerror})") from error
    except MemoryError as error:
        raise ImageError(OUT_OF_MEMORY) from error
