"""Formats beyond the web's: each file is made here, colored, and opened by another library."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import cv2
import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from files import COLOR, DEEP, GRAY, colorized, opened, saved, tones

from pipeline.imaging import color
from pipeline.imaging.decode import open_photo
from pipeline.imaging.errors import ImageError
from pipeline.imaging.formats import boxes, photo_file
from pipeline.imaging.formats.directories import LONG, SHORT, Directory, Layout, to_exif
from pipeline.imaging.kinds import BY_NAME, sniff

WIDTH, HEIGHT = GRAY.size
PIXELS = np.asarray(GRAY)
DEEP_COLORS = np.dstack([DEEP] * 3)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def exif(orientation: int = 1) -> bytes:
    layout = Layout(">")
    entries = (layout.entry(271, 2, b"Kodak\0"), layout.entry(274, SHORT, (orientation,)))
    return to_exif(Directory(entries), layout)


def heic(bits: int = 8, pages: int = 1, **options: object) -> bytes:
    file = pillow_heif.HeifFile()
    for number in range(pages):
        gray = np.roll(DEEP if bits > 8 else PIXELS, 40 * number, 1)
        mode = "RGB;16" if bits > 8 else "RGB"
        file.add_frombytes(mode, GRAY.size, np.dstack([gray] * 3).tobytes())
    stream = io.BytesIO()
    file.save(stream, quality=95, chroma=444, **options)
    return stream.getvalue()


def dng(channels: int) -> bytes:
    """A scanner's DNG: linear samples of 16 bits."""
    encoded = PIXELS / 255
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    samples = np.rint(light * 65_535).astype("<u2")
    data = (samples if channels == 1 else np.dstack([samples] * 3)).tobytes()
    layout = Layout()
    entries = [
        layout.entry(tag, SHORT, (value,))
        for tag, value in ((259, 1), (262, 34892), (277, channels), (284, 1))
    ]
    entries += [
        layout.entry(tag, LONG, (value,))
        for tag, value in ((254, 0), (256, WIDTH), (257, HEIGHT), (278, HEIGHT), (279, len(data)))
    ]
    entries.append(layout.entry(258, SHORT, (16,) * channels))
    entries += [layout.entry(50706, 1, b"\1\4\0\0"), layout.entry(50708, 2, b"Scanner 9\0")]
    tags = Directory(tuple(entries))
    length = len(to_exif(tags.plus(layout.entry(273, LONG, (0,))), layout))
    return to_exif(tags.plus(layout.entry(273, LONG, (length,))), layout) + data


def jp2(samples: np.ndarray, **options: object) -> bytes:
    return imagecodecs.jpeg2k_encode(samples, level=0, reversible=True, **options)


def pnm(kind: bytes, samples: np.ndarray) -> bytes:
    head = b"%s\n# attic\n%d %d\n65535\n" % (kind, WIDTH, HEIGHT)
    return head + samples.astype(">u2").tobytes()


EIGHT_BITS: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "heic": (heic, "heic", 3),
    "avif": (lambda: saved(GRAY, "AVIF", quality=90), "avif", 5),
    "jp2": (lambda: jp2(PIXELS, codecformat="jp2"), "jp2", 0),
    "jp2 in tiles": (lambda: saved(GRAY, "JPEG2000", tile_size=(64, 64)), "jp2", 0),
    "j2k": (lambda: jp2(PIXELS, codecformat="j2k"), "jp2", 0),
    "jxl": (lambda: imagecodecs.jpegxl_encode(PIXELS, lossless=True), "jxl", 0),
    "pgm": (lambda: saved(GRAY, "PPM"), "ppm", 0),
    "pbm": (lambda: saved(GRAY.convert("1"), "PPM"), "ppm", 0),
    "tga": (lambda: saved(GRAY, "TGA"), "tga", 0),
    "tga, compressed": (lambda: saved(COLOR, "TGA", compression="tga_rle"), "tga", 0),
    "pcx": (lambda: saved(GRAY, "PCX"), "pcx", 0),
}
DEEPER: dict[str, tuple[Callable[[], bytes], str]] = {
    "jp2": (lambda: jp2(DEEP, codecformat="jp2"), "jp2"),
    "jp2 in colors": (lambda: jp2(DEEP_COLORS, codecformat="jp2"), "jp2"),
    "jxl": (lambda: imagecodecs.jpegxl_encode(DEEP, lossless=True, usecontainer=True), "jxl"),
    "pgm": (lambda: pnm(b"P5", DEEP), "ppm"),
    "ppm": (lambda: pnm(b"P6", DEEP_COLORS), "ppm"),
}


@pytest.mark.parametrize("name", EIGHT_BITS)
def test_a_photo_comes_out_in_kind_with_its_tones(name: str) -> None:
    make, expected, most = EIGHT_BITS[name]
    file = make()
    result = colorized(file)
    kind = sniff(result)
    assert kind is BY_NAME[expected]
    assert opened(result).size == GRAY.size
    before = photo_file.open_file(file).read_page(0).photo.gray.astype(int)
    assert np.abs(tones(result) - before).max() <= most
    assert np.ptp(np.asarray(opened(result).convert("RGB")).astype(int), axis=2).mean() > 10 or (
        name == "pbm"
    )


@pytest.mark.parametrize("name", DEEPER)
def test_16_bits_come_out_in_kind_and_exactly(name: str) -> None:
    make, expected = DEEPER[name]
    result = colorized(make())
    assert sniff(result) is BY_NAME[expected]
    pixels = {
        "jp2": imagecodecs.jpeg2k_decode,
        "jxl": imagecodecs.jpegxl_decode,
        "ppm": lambda file: cv2.imdecode(np.frombuffer(file, np.uint8), -1)[..., ::-1],
    }[expected](result)
    assert np.array_equal(color.luma(np.ascontiguousarray(pixels)), DEEP)


def test_a_heic_of_10_bits_keeps_them() -> None:
    result = colorized(heic(10))
    image = pillow_heif.open_heif(result, convert_hdr_to_8bit=False)[0]
    assert image.info["bit_depth"] == 10
    gray = color.luma(np.asarray(image)).astype(int)
    assert np.abs(gray - DEEP).max() / 257 < 4


def test_an_avif_of_10_bits_becomes_a_png_that_holds_them() -> None:
    levels = DEEP_COLORS >> 6
    file = imagecodecs.avif_encode(levels, level=100, bitspersample=10)
    target = photo_file.target_of(photo_file.open_file(file))
    assert (target.format, target.note) == ("png", "AVIF is not written with 10 bits; PNG is")
    pixels = imagecodecs.png_decode(colorized(file))
    assert pixels.dtype == np.uint16
    assert np.abs(color.luma(pixels).astype(int) - DEEP).max() / 257 < 3


@pytest.mark.parametrize("channels", [1, 3])
def test_a_scanners_dng_becomes_a_tiff_of_16_bits(channels: int) -> None:
    file = dng(channels)
    result = colorized(file)
    with tifffile.TiffFile(io.BytesIO(result)) as written:
        page = written.pages[0]
        assert page.tags[50708].value == "Scanner 9"
        assert 50706 not in page.tags
        gray = color.luma(page.asarray())
    assert gray.dtype == np.uint16
    assert np.abs(gray / 257 - PIXELS).max() < 1


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 7, 8])
def test_a_heic_looks_as_before_however_it_is_turned(orientation: int) -> None:
    file = heic(exif=b"Exif\0\0" + exif(orientation), xmp=XMP)
    result = colorized(file)
    before, after = (pillow_heif.open_heif(data) for data in (file, result))
    assert after.size == before.size
    grays = [np.asarray(image.to_pillow().convert("L")).astype(int) for image in (before, after)]
    assert np.abs(grays[0] - grays[1]).mean() < 1
    assert after.info["exif"] == before.info["exif"]
    assert after.info["xmp"] == XMP


def test_exif_xmp_and_foreign_boxes_of_jpeg_2000_stay() -> None:
    plain = list(boxes.read(jp2(PIXELS, codecformat="jp2")))
    more = [
        (b"uuid", b"JpgTiffExif->JP2" + exif()),
        (b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + XMP),
        (b"xml ", b"<archive>7</archive>"),
    ]
    result = list(boxes.read(colorized(boxes.write([*plain[:3], *more, *plain[3:]]))))
    assert [box for box in result if box in more] == more


def test_exif_and_xmp_of_jpeg_xl_stay() -> None:
    encoded = imagecodecs.jpegxl_encode(PIXELS, lossless=True, usecontainer=True)
    plain = list(boxes.read(encoded))
    more = [(b"Exif", bytes(4) + exif()), (b"xml ", XMP)]
    result = list(boxes.read(colorized(boxes.write([*plain[:2], *more, *plain[2:]]))))
    assert [box for box in result if box in more] == more


def test_the_comment_of_a_pgm_stays() -> None:
    assert b"# attic\n" in colorized(pnm(b"P5", DEEP))[:40]


@pytest.mark.parametrize("name", [*EIGHT_BITS, "dng"])
def test_the_chain_reads_it_as_well(name: str) -> None:
    file = dng(1) if name == "dng" else EIGHT_BITS[name][0]()
    photo = open_photo(file)
    kind = sniff(file)
    assert kind is not None
    assert photo.format == kind.label
    assert (photo.pixels.shape, photo.pages) == ((HEIGHT, WIDTH, 3), 1)


@pytest.mark.parametrize("page", [0, 1])
def test_the_chain_reads_a_page_of_a_heic(page: int) -> None:
    photo = open_photo(heic(pages=2), page=page)
    assert photo.pages == 2
    gray = np.roll(PIXELS, 40 * page, 1).astype(int)
    assert np.abs(photo.pixels[..., 1] - gray).mean() < 2


@pytest.mark.parametrize("name", [*EIGHT_BITS, "dng"])
def test_what_is_cut_off_or_too_large_is_refused(name: str) -> None:
    file = dng(1) if name == "dng" else EIGHT_BITS[name][0]()
    with pytest.raises(ImageError):
        photo_file.open_file(file[:60]).read_page(0)
    with pytest.raises(ImageError, match="403x301 is more than 1000 pixels"):
        photo_file.open_file(file, max_pixels=1000)


@pytest.mark.parametrize(
    ("library", "make", "label"),
    [
        ("pillow_heif", heic, "HEIC"),
        ("imagecodecs", lambda: imagecodecs.jpegxl_encode(PIXELS), "JPEG XL"),
        ("rawpy", lambda: dng(1), "DNG"),
    ],
)
def test_without_the_extra_the_sentence_names_it(
    library: str, make: Callable[[], bytes], label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make()
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(ImageError, match=rf"^{label} needs {library}.*colorpipe\[formats\]"):
        photo_file.open_file(file)


def test_a_tga_is_known_by_its_header_alone() -> None:
    file = saved(GRAY, "TGA")
    without_footer = file.removesuffix(file[-26:])
    assert sniff(without_footer) is BY_NAME["tga"]
    assert sniff(struct.pack("<I", 7) * 8) is None
    assert sniff(b"\0\0\2 a text that goes on and on") is None
