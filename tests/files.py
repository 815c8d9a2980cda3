"""Photo files made, colorized and looked at in memory."""

from __future__ import annotations

import io
import struct

import cv2
import imagecodecs
import numpy as np
import pillow_heif
import skimage.data
from PIL import Image, TiffImagePlugin, TiffTags
from predictors import Rainbow

from pipeline.imaging.formats import boxes, photo_file
from pipeline.imaging.icc import srgb_icc
from pipeline.imaging.kinds import FormatName
from pipeline.inference.colorizer import Colorizer

COLOR = Image.fromarray(skimage.data.coffee()[:301, :403])
GRAY = COLOR.convert("L")
DEEP = np.asarray(GRAY).astype(np.uint16) * 257 - np.asarray(GRAY) // 3


def saved(image: Image.Image, format_: str, **options: object) -> bytes:
    stream = io.BytesIO()
    # A copy: an image that was once saved as JPEG is no longer saved as TIFF (Pillow 13).
    image.copy().save(stream, format_, **options)
    return stream.getvalue()


def tiff(samples: np.ndarray, bits: int = 16, **tags: object) -> bytes:
    """A TIFF that Pillow cannot write: ``samples`` (H, W) or (H, W, C), with further tags."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    if bits == 12:
        pairs = samples.astype(np.uint32).reshape(-1, 2)
        packed = pairs[:, 0] << 12 | pairs[:, 1]
        data = np.stack([packed >> 16, packed >> 8, packed], 1).astype(np.uint8).tobytes()
    else:
        data = samples.astype("<u2").tobytes()
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    values: dict[int, object] = {256: width, 257: height, 258: (bits,) * channels, 259: 1}
    values |= {262: 2 if channels > 2 else 1, 277: channels, 278: height, 279: len(data)}
    for tag, value in {**values, **{int(name[1:]): value for name, value in tags.items()}}.items():
        directory[tag] = value
    directory.tagtype[273] = TiffTags.LONG
    directory[273] = 0
    stream = io.BytesIO()
    directory.save(stream)
    return stream.getvalue() + data


def wide_profile() -> bytes:
    """sRGB's profile with its primaries' columns exchanged: an RGB space that is not sRGB."""
    profile = bytearray(srgb_icc())
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {profile[132 + 12 * n : 136 + 12 * n].decode(): 132 + 12 * n for n in range(count)}
    red, blue = tags["rXYZ"] + 4, tags["bXYZ"] + 4
    profile[red : red + 8], profile[blue : blue + 8] = (
        profile[blue : blue + 8],
        profile[red : red + 8],
    )
    name = profile.find("sRGB".encode("utf-16-be"))
    while name >= 0:
        profile[name : name + 8] = "test".encode("utf-16-be")
        name = profile.find("sRGB".encode("utf-16-be"))
    return bytes(profile).replace(b"sRGB", b"test")


def colorized(file: bytes, target: FormatName | None = None) -> bytes:
    opened = photo_file.open_file(file)
    colorizer = Colorizer(Rainbow())
    pages = ((page, *colorizer.tints([page.photo])) for page in opened.pages())
    return photo_file.encode(opened, pages, photo_file.target_of(opened, target).format)


def opened(file: bytes) -> Image.Image:
    """A file as other programs' libraries open it."""
    if file.startswith((b"\xff\x0a", boxes.JXL_SIGNATURE)):
        pixels = imagecodecs.jpegxl_decode(file)
        return Image.fromarray(pixels if pixels.itemsize == 1 else (pixels >> 8).astype(np.uint8))
    if file[4:12] in {b"ftypheic", b"ftypheix"}:
        return pillow_heif.open_heif(file).to_pillow()
    return Image.open(io.BytesIO(file))


def tones(file: bytes) -> np.ndarray:
    image = opened(file)
    if image.mode in {"P", "RGBA", "LA"}:
        image = image.convert("RGBA").convert("RGB")
    return np.asarray(image.convert("L")).astype(int)


def deep_pixels(file: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels.dtype == np.uint16
    return pixels
