"""A photo's file with all it carries, read as gray and written back in color.

The written file has the size, pages, orientation, EXIF, XMP, IPTC, ICC profile, resolution,
transparency and, where its format can, the bits of the one that was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.imaging import decode
from pipeline.imaging.decode import DEFAULT_MAX_PIXELS
from pipeline.imaging.errors import ImageError, no_image
from pipeline.imaging.formats import (
    avif,
    dng,
    gif,
    heic,
    jpeg,
    jpeg2000,
    jxl,
    pillow_file,
    png,
    simple,
    tiff,
    webp,
)
from pipeline.imaging.formats.page import Colored, Page, PhotoFile, Write
from pipeline.imaging.kinds import (
    BY_NAME,
    BY_SUFFIX,
    WRITTEN,
    FormatName,
    Kind,
    sniff,
    with_suffix,
)

_READERS: dict[str, Callable[[bytes, int], PhotoFile]] = {
    "jpg": jpeg.open_file,
    "png": png.open_file,
    "webp": webp.open_file,
    "gif": pillow_file.open_file,
    "bmp": pillow_file.open_file,
    "tga": pillow_file.open_file,
    "pcx": pillow_file.open_file,
    "ppm": simple.open_pnm,
    "tif": tiff.open_file,
    "heic": heic.open_file,
    "avif": avif.open_file,
    "jp2": jpeg2000.open_file,
    "jxl": jxl.open_file,
    "dng": dng.open_file,
}
_WRITERS: dict[FormatName, Write] = {
    "jpg": jpeg.write,
    "png": png.write,
    "webp": webp.write,
    "gif": gif.write,
    "bmp": simple.write_bmp,
    "tga": simple.write_tga,
    "pcx": simple.write_pcx,
    "ppm": simple.write_pnm,
    "tif": tiff.write,
    "heic": heic.write,
    "avif": avif.write,
    "jp2": jpeg2000.write,
    "jxl": jxl.write,
}


@dataclass(frozen=True)
class Target:
    """What a photo is written as."""

    format: FormatName
    note: str = ""
    """Why it is another format than the photo's own."""


def open_file(source: Path | bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> PhotoFile:
    """Open a photo of unknown origin: its head is read, its pages are decoded on demand.

    Raises:
        ImageError: the file is missing, no image of a known format, damaged in its head, or has
            more than ``max_pixels`` pixels on a page; or reading it needs the extra ``formats``.
    """
    file = source if isinstance(source, bytes) else decode.read_bytes(source)
    kind = sniff(file)
    if kind is None:
        raise no_image(file)
    try:
        opened = _READERS[kind.name](file, max_pixels)
    except (ImageError, MemoryError):
        raise
    # What stands beside the pixels is untrusted too, and its readers raise what they like.
    except Exception as error:
        raise ImageError(f"damaged ({error})") from error
    return replace(opened, read_page=_guarded(opened))


def _guarded(file: PhotoFile) -> Callable[[int], Page]:
    def read_page(number: int) -> Page:
        try:
            return file.read_page(number)
        except (ImageError, MemoryError):
            raise
        except Exception as error:
            raise ImageError(f"damaged ({error})") from error

    return read_page


def target_of(file: PhotoFile, asked: FormatName | None = None) -> Target:
    """Choose what a photo is written as: as asked, or else its own format.

    One that cannot be written, or not with its bits or frames, becomes the nearest that holds them.
    """
    if asked is not None:
        return Target(asked)
    kind = file.kind
    if kind.written_as is not None:
        return Target(kind.written_as, f"{kind.label} is not written; {_named(kind.written_as)} is")
    own = next(name for name in WRITTEN if name == kind.name)
    if kind.name == "gif" and file.is_animated:
        return Target("webp", "256 colors spoil an animation; it is written as WebP")
    if file.is_animated and not kind.writes_sequence:
        return Target("webp", f"an animation is not written as {kind.label}; WebP is")
    if kind.name == "avif" and file.bits > kind.most_bits:
        return Target("png", f"AVIF is not written with {file.bits} bits; PNG is")
    return Target(own)


def _named(name: str) -> str:
    return BY_NAME[name].label


def is_numbered(file: PhotoFile, target: FormatName) -> bool:
    """Whether each page or frame needs a file of its own in the format ``target``."""
    kind = BY_NAME[target]
    held = kind.sequence if kind.writes_sequence else ""
    # A JPEG of several pictures becomes one of as many.
    holds_pages = held == "pages" or file.kind.name == target == "jpg"
    return file.count > 1 and not (holds_pages or (file.is_animated and held == "frames"))


def target_path(path: Path, file: PhotoFile, target: FormatName, *, keep_name: bool) -> Path:
    """Give a result the extension of what is written.

    Args:
        path: with the extension of the photo.
        file: the photo.
        target: what is written.
        keep_name: whether an extension that lies about the photo's content stays.
    """
    if path.suffix.lower() in BY_NAME[target].color_suffixes or (keep_name and lies(path, file)):
        return path
    return path.with_name(with_suffix(path.name, f".{target}"))


def lies(path: Path, file: PhotoFile) -> bool:
    """Whether the extension of a photo's name is another kind's than its content."""
    named = BY_SUFFIX.get(path.suffix.lower())
    # A DNG is a TIFF as well.
    return named is not None and named.name not in {file.kind.name, file.kind.written_as}


def encode(file: PhotoFile, pages: Iterable[Colored], target: FormatName) -> bytes:
    """Write pages with their colors in a format.

    Formats without transparency have it put on white. BMP, GIF, PPM, TGA and PCX hold neither
    orientation nor profile: they come upright and in sRGB.

    Raises:
        ImageError: the photo has more pixels on a side than the format can hold, or writing it
            needs the extra ``formats``.
    """
    kind = BY_NAME[target]
    try:
        return _WRITERS[target](file, _fitted(pages, kind))
    except (ImageError, MemoryError):
        raise
    # What stands beside the pixels is untrusted, and encoders raise what it drives them to.
    except Exception as error:
        raise ImageError(f"could not be written as {kind.label} ({error})") from error


def _fitted(pages: Iterable[Colored], kind: Kind) -> Iterator[Colored]:
    """Bring pages to the bits and channels that a format holds; take over only its own extras."""
    for page, tint in pages:
        photo = page.photo
        if kind.most_bits == 8:
            photo = photo.in_8_bits()
        if not kind.alpha and photo.alpha is not None:
            photo = photo.on_white()
        yield replace(page, photo=photo), tint
