"""The file formats of photos: what they are called, what they hold, how a file is recognized.

The only table of formats: whatever reads, writes or names photos asks it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, get_args

FormatName = Literal[
    "jpg", "png", "webp", "tif", "heic", "avif", "jp2", "jxl", "ppm", "bmp", "gif", "tga", "pcx"
]
"""What a photo can be written as, by its extension."""


@dataclass(frozen=True)
class Kind:
    """A file format."""

    name: str
    """Its usual extension, without the dot."""
    label: str
    """As people write it, and as the tables have it."""
    suffixes: tuple[str, ...]
    """In lower case, the extensions that its files have."""
    pillow: tuple[str, ...] = ()
    """Pillow's names of it; none where another library reads it."""
    most_bits: int = 8
    """Bits of a sample that colors can be written with."""
    alpha: bool = False
    """Whether it holds transparency."""
    sequence: Literal["", "pages", "frames"] = ""
    """What its files hold several of; frames have times."""
    writes_sequence: bool = True
    """Whether a file of several can be written."""
    media: str = ""
    """The media type of RFC 6838 behind ``image/``, where it is not the name."""
    gray_suffixes: tuple[str, ...] = ()
    """Those of its extensions that say that there are no colors."""
    written_as: FormatName | None = None
    """For a kind that is not written: what holds the colored photo instead."""

    @property
    def color_suffixes(self) -> tuple[str, ...]:
        """Its extensions without those that say that there are no colors."""
        return tuple(suffix for suffix in self.suffixes if suffix not in self.gray_suffixes)

    @property
    def media_type(self) -> str:
        """The media type of RFC 6838."""
        return f"image/{self.media or self.name}"


KINDS = (
    Kind("jpg", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), ("JPEG", "MPO"), media="jpeg"),
    Kind("png", "PNG", (".png", ".apng"), ("PNG",), 16, alpha=True, sequence="frames"),
    Kind("webp", "WEBP", (".webp",), ("WEBP",), alpha=True, sequence="frames"),
    Kind("gif", "GIF", (".gif",), ("GIF",), alpha=True, sequence="frames"),
    Kind("bmp", "BMP", (".bmp", ".dib"), ("BMP", "DIB")),
    Kind(
        "tif", "TIFF", (".tif", ".tiff"), ("TIFF",), 16, alpha=True, sequence="pages", media="tiff"
    ),
    Kind(
        "heic",
        "HEIC",
        (".heic", ".heif", ".hif"),
        most_bits=12,
        alpha=True,
        sequence="pages",
    ),
    # Pillow 12.3 crashes when it writes an animation with EXIF.
    Kind(
        "avif",
        "AVIF",
        (".avif",),
        ("AVIF",),
        alpha=True,
        sequence="frames",
        writes_sequence=False,
    ),
    Kind(
        "jp2",
        "JPEG 2000",
        (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
        ("JPEG2000",),
        most_bits=16,
        alpha=True,
    ),
    Kind("jxl", "JPEG XL", (".jxl",), most_bits=16, alpha=True),
    Kind(
        "ppm",
        "PPM",
        (".ppm", ".pgm", ".pbm", ".pnm"),
        ("PPM",),
        most_bits=16,
        gray_suffixes=(".pgm", ".pbm"),
        media="x-portable-anymap",
    ),
    Kind("tga", "TGA", (".tga",), ("TGA",), alpha=True, media="x-tga"),
    Kind("pcx", "PCX", (".pcx",), ("PCX",), media="vnd.zbrush.pcx"),
    Kind("dng", "DNG", (".dng",), media="x-adobe-dng", written_as="tif"),
)
"""All that are read."""

BY_NAME = {kind.name: kind for kind in KINDS}
BY_SUFFIX = {suffix: kind for kind in KINDS for suffix in kind.suffixes}
BY_PILLOW = {name: kind for kind in KINDS for name in kind.pillow}
WRITTEN: tuple[FormatName, ...] = get_args(FormatName)
SUFFIXES = frozenset(BY_SUFFIX)
"""By these, in lower case, a folder's photos are told from its other files."""


def with_suffix(name: str, suffix: str) -> str:
    """Give a photo's name another extension.

    What stands behind the last dot is one only if photos end in it: ``scan.0001`` keeps its number.
    """
    path = PurePath(name)
    return f"{path.stem if path.suffix.lower() in SUFFIXES else name}{suffix}"


_SIGNATURES = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
    (b"II+\0", "tif"),
    (b"MM\0+", "tif"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"\xff\x0a", "jxl"),
)
# ISO/IEC 23008-12 and the AV1 Image File Format: brands of a file type box.
_BRANDS = (
    (frozenset({b"avif", b"avis"}), "avif"),
    (frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}), "heic"),
)
# Sizes of the header behind the file header: "BM" alone begins English sentences as well.
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_TGA_FOOTER = b"TRUEVISION-XFILE.\0"
_DNG_VERSION = 50706


def sniff(file: bytes) -> Kind | None:
    """Tell a photo's kind by its first bytes; None for any other file.

    Old TGA files have no signature: they are recognized by the fields of their header.
    """
    for signature, name in _SIGNATURES:
        if file.startswith(signature):
            return BY_NAME["dng" if name == "tif" and _is_dng(file) else name]
    if file[4:8] == b"ftyp":
        return _of_brands(file)
    name = next((name for name, is_one in _BY_HEADER.items() if is_one(file)), "")
    return BY_NAME.get(name)


def _looks_like_pcx(file: bytes) -> bool:
    """Whether a header has PCX's maker, a version, run-length encoding and bits (ZSoft 1991)."""
    maker, version, encoding, bits = file[:4] if len(file) >= 128 else bytes(4)
    return maker == 10 and version in {0, 2, 3, 4, 5} and encoding == 1 and bits in {1, 2, 4, 8}


def _of_brands(file: bytes) -> Kind | None:
    """Tell AVIF from HEIC: by the main brand, or else by the compatible ones."""
    end = min(int.from_bytes(file[:4], "big"), 512)
    brands = [file[8:12], *(file[at : at + 4] for at in range(16, end, 4))]
    for brand in brands:
        # "mif1" and "msf1" are compatible brands of both.
        if brand in {b"mif1", b"msf1"} and len(brands) > 1 and brand is brands[0]:
            continue
        for known, name in _BRANDS:
            if brand in known:
                return BY_NAME[name]
    return BY_NAME["heic"] if brands[0] in {b"mif1", b"msf1"} else None


def _is_dng(file: bytes) -> bool:
    """Whether a TIFF's first directory has the tag that every DNG has (Adobe, DNG 1.7)."""
    order: Literal["little", "big"] = "little" if file[:1] == b"I" else "big"
    if 43 in file[2:4]:
        return False
    start = int.from_bytes(file[4:8], order)
    count = int.from_bytes(file[start : start + 2], order)
    return any(
        int.from_bytes(file[at : at + 2], order) == _DNG_VERSION
        for at in range(start + 2, start + 2 + 12 * min(count, 512), 12)
    )


def _looks_like_tga(file: bytes) -> bool:
    """Whether a header without a signature is one that TGA's writers make (Truevision 1991)."""
    if len(file) < 18:
        return False
    has_map, kind, map_bits = file[1], file[2], file[7]
    width, height = (int.from_bytes(file[at : at + 2], "little") for at in (12, 14))
    is_mapped = has_map == 1 and kind in {1, 9} and map_bits in {15, 16, 24, 32}
    is_plain = has_map == 0 and kind in {2, 3, 10, 11} and file[3:8] == bytes(5)
    bits = {1: {8}, 2: {15, 16, 24, 32}, 3: {8, 16}}.get(kind % 8, set())
    is_possible = file[16] in bits and not file[17] & 0xC0
    return bool((is_mapped or is_plain) and is_possible and width and height)


_BY_HEADER: dict[str, Callable[[bytes], bool]] = {
    "webp": lambda file: file[:4] == b"RIFF" and file[8:12] == b"WEBP",
    "bmp": lambda file: file[:2] == b"BM" and int.from_bytes(file[14:18], "little") in _BMP_HEADERS,
    "ppm": lambda file: bool(re.match(rb"P[1-6]\s", file)),
    "pcx": _looks_like_pcx,
    "tga": lambda file: file.endswith(_TGA_FOOTER) or _looks_like_tga(file),
}
"""Formats that no single signature tells."""
