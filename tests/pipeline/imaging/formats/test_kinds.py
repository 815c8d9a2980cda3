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
from pipeline.imaging.formats import boxes, jxl_head, photo_file, png
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


def deep_jxl() -> bytes:
    """A JPEG XL of 16 bits in sRGB, which libjxl writes as linear light if it is not told."""
    file = imagecodecs.jpegxl_encode(DEEP, lossless=True)
    return jxl_head.with_tones_of_srgb(boxes.jxl_codestream(file))


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
    "jxl": (deep_jxl, "jxl"),
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


@pytest.mark.parametrize("bits", [10, 12])
def test_a_heic_of_more_bits_keeps_them(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", bits == 12)
    file = heic(bits, pages=2)
    monkeypatch.undo()
    result = pillow_heif.open_heif(colorized(file), convert_hdr_to_8bit=False)
    for number in (0, 1):
        assert result[number].info["bit_depth"] == bits
        gray = color.luma(np.asarray(result[number])).astype(int)
        assert np.abs(gray - np.roll(DEEP, 40 * number, 1)).max() / 257 < 4


def test_that_an_animation_is_read_with_8_bits_is_reported() -> None:
    numbers = iter(range(3))
    parts = b""
    for shift in (0, 40):
        chunks = png._chunks(imagecodecs.png_encode(np.roll(DEEP_COLORS, shift, 1)))
        fields = (next(numbers), WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
        parts += png.chunk(b"fcTL", struct.pack(">5I2H2B", *fields))
        data = b"".join(data for name, data in chunks if name == b"IDAT")
        frame = (b"fdAT", struct.pack(">I", next(numbers)) + data) if shift else (b"IDAT", data)
        parts += png.chunk(*frame)
    head = imagecodecs.png_encode(DEEP_COLORS)[:33]
    file = head + png.chunk(b"acTL", struct.pack(">II", 2, 0)) + parts + png.chunk(b"IEND", b"")
    opened_file = photo_file.open_file(file)
    assert opened_file.note == "of the 16 bits of its animation, 8 are read"
    result = opened(colorized(file))
    assert result.n_frames == 2
    assert np.abs(tones(colorized(file)) - (DEEP >> 8)).max() <= 1


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


def camera_dng(turned: int) -> bytes:
    """A camera's DNG: a red, two green and a blue sample of 14 bits in each square of four."""
    y, x = np.mgrid[:180, :240]
    light = np.where(np.hypot(x - 80, y - 90) < 50, 11_000, 1_600).astype("<u2")
    layout = Layout()
    ones = struct.pack("<6I", *[1] * 6)
    identity = b"".join(struct.pack("<2i", n % 4 == 0, 1) for n in range(9))
    entries = [
        layout.entry(tag, SHORT, (value,))
        for tag, value in ((258, 16), (259, 1), (262, 32803), (274, turned), (277, 1), (284, 1))
    ]
    entries += [
        layout.entry(tag, LONG, (value,))
        for tag, value in ((254, 0), (256, 240), (257, 180), (278, 180), (279, light.nbytes))
    ]
    entries += [
        layout.entry(271, 2, b"Acme\0"),
        layout.entry(33421, SHORT, (2, 2)),
        layout.entry(33422, 1, bytes([0, 1, 1, 2])),
        layout.entry(50706, 1, b"\1\4\0\0"),
        layout.entry(50708, 2, b"Acme One\0"),
        layout.entry(50717, LONG, (16_383,)),
        layout.entry(50721, 10, identity),
        layout.entry(50728, 5, ones),
        layout.entry(50778, SHORT, (21,)),
    ]
    tags = Directory(tuple(entries))
    length = len(to_exif(tags.plus(layout.entry(273, LONG, (0,))), layout))
    return to_exif(tags.plus(layout.entry(273, LONG, (length,))), layout) + light.tobytes()


@pytest.mark.parametrize("turned", [1, 6])
def test_a_cameras_dng_is_developed_and_becomes_a_tiff_of_16_bits(turned: int) -> None:
    file = camera_dng(turned)
    with tifffile.TiffFile(io.BytesIO(colorized(file))) as written:
        page = written.pages[0]
        assert (page.shape, page.dtype) == ((180, 240, 3), np.uint16)
        assert (page.tags["Make"].value, page.tags["Orientation"].value) == ("Acme", turned)
        assert 33422 not in page.tags
        gray = color.luma(page.asarray())
    for place, light in (((90, 80), 11_000), ((20, 200), 1_600)):
        encoded = 1.055 * (light / 16_383) ** (1 / 2.4) - 0.055
        assert abs(gray[place] / 65_535 - encoded) < 0.002
    photo = open_photo(file)
    assert photo.pixels.shape == (180, 240, 3)


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


def with_properties(file: bytes, *properties: boxes.Box) -> bytes:
    """Give a HEIC's one picture further properties (ISO/IEC 23008-12): a crop, quarter turns."""
    parts = dict(boxes.read(file))
    meta = dict(boxes.read(parts[b"meta"][4:]))
    of_all = dict(boxes.read(meta[b"iprp"]))
    number = len(list(boxes.read(of_all[b"ipco"])))
    more = bytes(0x80 | number + n for n in range(1, len(properties) + 1))
    ipma = bytearray(of_all[b"ipma"] + more)
    # Behind version and flags: how many items; an item, how many properties it has.
    assert ipma[:8] == bytes(7) + b"\1"
    ipma[10] += len(properties)
    of_all |= {b"ipco": of_all[b"ipco"] + boxes.write(properties), b"ipma": bytes(ipma)}
    grown = boxes.write(of_all.items())
    moved = len(grown) - len(meta[b"iprp"])
    meta |= {b"iprp": grown, b"iloc": _moved(meta[b"iloc"], moved)}
    parts[b"meta"] = parts[b"meta"][:4] + boxes.write(meta.items())
    return boxes.write(parts.items())


def _moved(iloc: bytes, by: int) -> bytes:
    """Move the one extent of the one item, which has its place as the base of 32 bits."""
    assert iloc[4:8] == b"\x44\x40\0\1"
    (base,) = struct.unpack_from(">I", iloc, 12)
    return iloc[:12] + struct.pack(">I", base + by) + iloc[16:]


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_a_heic_is_cropped_and_turned_as_it_says(turns: int) -> None:
    # Width, height and the way of the middle, as fractions: 200x150, 50 to the right and 20 up.
    crop = (b"clap", struct.pack(">8i", 200, 1, 150, 1, 50, 1, -20, 1))
    gray = PIXELS[:300, :400]
    whole = pillow_heif.from_bytes("RGB", (400, 300), np.dstack([gray] * 3).tobytes())
    stream = io.BytesIO()
    whole.save(stream, quality=95, chroma=444)
    file = with_properties(stream.getvalue(), crop, (b"irot", bytes([turns])))
    expected = np.rot90(gray[55:205, 150:350], turns).astype(int)
    result = pillow_heif.open_heif(colorized(file))
    assert result.size == expected.shape[::-1]
    assert np.abs(np.asarray(result.to_pillow().convert("L")).astype(int) - expected).mean() < 3
    photo = open_photo(file)
    assert np.abs(photo.pixels[..., 1].astype(int) - expected).mean() < 3


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


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_of_a_jpeg_xl_animation_the_first_frame_is_colored(shape: tuple[int, ...]) -> None:
    frames = np.stack([np.full(shape, tone, np.uint8) for tone in (50, 120, 200)])
    file = imagecodecs.jpegxl_encode(frames, lossless=True)
    opened_file = photo_file.open_file(file)
    assert opened_file.note == "of the animation, the first frame is taken"
    assert np.abs(tones(colorized(file)) - 50).max() <= 1
    photo = open_photo(file)
    assert (photo.frames, photo.pixels.shape) == (3, (20, 30, 3))


def codestream(*fields: tuple[int, int]) -> bytes:
    """The start of a JPEG XL of 40 x 40, from numbers and their bits, lowest bit first."""
    number = place = 0
    for value, length in ((1, 1), (4, 5), (1, 3), *fields):
        number |= value << place
        place += length
    return b"\xff\x0a" + number.to_bytes(16, "little")


# Not all defaults, nothing extra, 8 bits, 16 are enough, no further channels, not XYB.
PLAIN = ((0, 1), (0, 1), (0, 1), (0, 2), (1, 1), (0, 2), (0, 1))
D65, P3 = (1, 2), ((2, 2), (9, 4))


@pytest.mark.parametrize(
    ("color_encoding", "tones_of_it"),
    [
        (((1, 1),), "sRGB"),
        (((0, 1), (1, 1)), "other"),
        # RGB, white, primaries, no gamma, the transfer function 13 (sRGB), 8 (linear), 16 (PQ).
        (((0, 1), (0, 1), (0, 2), D65, *P3, (0, 1), (2, 2), (11, 4)), "sRGB"),
        (((0, 1), (0, 1), (0, 2), D65, *P3, (0, 1), (2, 2), (6, 4)), "linear"),
        (((0, 1), (0, 1), (0, 2), D65, *P3, (0, 1), (2, 2), (14, 4)), "other"),
        # Gray, white, a gamma.
        (((0, 1), (0, 1), (1, 2), D65, (1, 1), (4_545_455, 24)), "gamma"),
    ],
)
def test_a_jpeg_xl_with_other_tones_than_srgb_is_noticed(
    color_encoding: tuple[tuple[int, int], ...], tones_of_it: str
) -> None:
    head = jxl_head.read(codestream(*PLAIN, *color_encoding))
    assert (head.size, head.bits) == ((40, 40), 8)
    assert head.tones == tones_of_it


def test_linear_light_in_a_jpeg_xl_becomes_tones() -> None:
    light = np.full((20, 30, 4), 13_933, np.uint16)
    file = imagecodecs.jpegxl_encode(light, lossless=True)
    assert jxl_head.read(boxes.jxl_codestream(file)).tones == "linear"
    photo = photo_file.open_file(file).read_page(0).photo
    # IEC 61966-2-1: a fifth of the light is the tone 127.5 of 255.
    assert np.abs(photo.gray / 257 - 127.2).max() < 0.5
    assert photo.alpha is not None
    assert (photo.alpha == 13_933).all()
    assert np.abs(open_photo(imagecodecs.jpegxl_encode(light[..., :3])).pixels - 127.2).max() < 2


def adobe_jxl(samples: np.ndarray) -> bytes:
    """A JPEG XL whose head says that its samples are Adobe RGB, or gray of the same gamma.

    In the place of linear light, as libjxl writes it: an image's head ends with the tones, the
    rendering intent (2 bits), no extensions (2) and the usual transform (1); a frame begins with a
    byte.
    """
    file = boxes.jxl_codestream(imagecodecs.jpegxl_encode(samples, lossless=True))
    at = jxl_head.read(file).tones_at
    assert at is not None
    whole = "".join(f"{byte:08b}"[::-1] for byte in file)
    before, after, end = whole[: at - 3], whole[at + 4 : at + 9], (at + 9 + 7) // 8
    if samples.ndim == 3:
        # Adobe RGB (1998), 4.3.1.1: x and y of red, green and blue; 2 of these bits were sRGB's.
        before = before[:-2] + bits_of((2, 2), (0, 4))
        for hundredths in (64, 33, 21, 71, 15, 6):
            number = 2 * hundredths * 10_000
            choice = min(number >> 19, 2)
            before += bits_of((choice, 2), (number - (choice << 19), 20 if choice == 2 else 19))
    # 1 / 2.19921875.
    head = before + bits_of((1, 1), (4_547_069, 24)) + after
    head += "0" * (-len(head) % 8)
    octets = [head[start : start + 8] for start in range(0, len(head), 8)]
    return bytes(int(octet[::-1], 2) for octet in octets) + file[end:]


def bits_of(*fields: tuple[int, int]) -> str:
    """Numbers and their lengths as bits, the lowest first."""
    return "".join(f"{value:0{length}b}"[::-1] for value, length in fields)


@pytest.mark.parametrize("channels", [1, 3])
def test_gamma_in_a_jpeg_xl_becomes_the_tones_that_other_programs_show(channels: int) -> None:
    ramp = np.tile(np.linspace(0, 65_535, 64).round().astype(np.uint16), (32, 1))
    samples = ramp if channels == 1 else np.dstack([ramp] * 3)
    file = adobe_jxl(samples)
    assert np.array_equal(imagecodecs.jpegxl_decode(file), samples)
    opened_file = photo_file.open_file(file)
    assert opened_file.note == ""
    gray = opened_file.read_page(0).photo.gray
    light = (ramp / 65_535) ** 2.19921875
    # IEC 61966-2-1.
    shown = np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    assert np.abs(gray - shown * 65_535).max() < 2
    assert np.abs(gray.astype(int) - ramp).max() > 500
    assert np.array_equal(color.luma(imagecodecs.jpegxl_decode(colorized(file))), gray)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_is_written_as_jpeg_xl_says_that_it_is_srgb(channels: int) -> None:
    samples = DEEP if channels == 1 else np.dstack([DEEP] * channels)
    file = imagecodecs.png_encode(samples)
    result = colorized(file, "jxl")
    assert jxl_head.read(boxes.jxl_codestream(result)).tones == "sRGB"
    pixels = imagecodecs.jpegxl_decode(result)
    assert np.array_equal(color.luma(np.ascontiguousarray(pixels[..., :3])), DEEP)


@pytest.mark.parametrize("kind", [b"P2", b"P3", b"P5", b"P6"])
@pytest.mark.parametrize("white", [65_535, 4095])
@pytest.mark.parametrize("largest", [200, 4095])
def test_a_pnm_is_as_light_as_its_head_says(kind: bytes, white: int, largest: int) -> None:
    gray = PIXELS.astype(np.uint16) * largest // 255
    samples = gray if kind in {b"P2", b"P5"} else np.dstack([gray] * 3)
    rows = samples.reshape(HEIGHT, -1)
    if kind in {b"P2", b"P3"}:
        data = b"# attic\n".join(b" ".join(b"%d" % one for one in row) + b"\n" for row in rows)
    else:
        data = rows.astype(">u2").tobytes()
    file = b"%s %d %d %d\n" % (kind, WIDTH, HEIGHT, white) + data
    expected = (gray.astype(np.uint32) * 65_535 + white // 2) // white
    result = imagecodecs.png_decode(colorized(file, "png"))
    assert result.dtype == np.uint16
    assert np.array_equal(color.luma(result), expected)
    assert np.abs(open_photo(file).pixels[..., 1] - expected / 257).max() < 1
    with pytest.raises(ImageError):
        photo_file.open_file(file[: len(file) // 2]).read_page(0)


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


@pytest.mark.parametrize("make", [heic, lambda: dng(1)])
def test_what_a_decoder_says_stands_on_one_line(make: Callable[[], bytes]) -> None:
    file = make()
    with pytest.raises(ImageError) as raised:
        photo_file.open_file(file[: len(file) // 2]).read_page(0)
    assert "\n" not in str(raised.value)
    assert "b'" not in str(raised.value)


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
