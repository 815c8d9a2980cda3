"""What TIFF alone can be, and Pillow cannot write, comes out as it was."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from files import COLOR, DEEP, GRAY, colorized, deep_pixels, opened, saved, tiff, tones
from PIL import Image
from predictors import Rainbow

from pipeline.imaging import color
from pipeline.imaging.decode import open_document, open_photo
from pipeline.imaging.errors import ImageError
from pipeline.imaging.formats import photo_file
from pipeline.imaging.icc import srgb_icc
from pipeline.inference.colorizer import Colorizer


def test_a_tiff_of_12_bits_is_as_light_as_it_was() -> None:
    samples = np.asarray(GRAY.crop((0, 0, 400, 300))).astype(np.uint32) * 4095 // 255
    result = deep_pixels(colorized(tiff(samples, bits=12)))
    gray = color.luma(np.ascontiguousarray(result[..., ::-1]))
    assert np.array_equal(gray, (samples * 65535 + 2047) // 4095)


def test_a_tiff_of_16_bits_that_counts_from_white_down_is_no_negative() -> None:
    result = deep_pixels(colorized(tiff(65535 - DEEP, t262=(0,))))
    assert np.array_equal(color.luma(np.ascontiguousarray(result[..., ::-1])), DEEP)
    picture = opened(tiff(65535 - DEEP, t262=(0,)))
    library = Colorizer(Rainbow())(picture)
    assert np.abs(np.asarray(library.convert("L")).astype(int) - (DEEP >> 8)).max() <= 1


def test_16_bits_that_are_stored_times_their_alpha_come_out_as_light_as_they_were() -> None:
    half = np.full_like(DEEP, 32768)
    stored = (DEEP.astype(np.uint32) * half // 65535).astype(np.uint16)
    result = colorized(tiff(np.dstack([stored, stored, stored, half]), t338=(1,)))
    pixels = deep_pixels(result)
    gray = color.luma(np.ascontiguousarray(pixels[..., 2::-1])).astype(int)
    assert np.abs(gray - DEEP).max() <= 2
    assert (pixels[..., 3] == 32768).all()
    assert opened(result).tag_v2[338] == (2,)


def test_exif_that_is_too_long_for_a_jpeg_loses_the_longest_and_not_all() -> None:
    tags = Image.Exif()
    tags[0x0112], tags[0x010E] = 6, "the caption"
    tags[34377] = bytes(80_000)
    result = opened(colorized(saved(GRAY, "TIFF", exif=tags), "jpg"))
    assert (result.getexif()[0x0112], result.getexif()[0x010E]) == (6, "the caption")
    assert 34377 not in result.getexif()
    kept = opened(colorized(saved(GRAY, "TIFF", exif=tags), "tif"))
    assert len(kept.tag_v2[34377]) == 80_000


def test_a_scan_with_a_small_copy_of_itself_is_no_document() -> None:
    stream = io.BytesIO()
    GRAY.copy().save(stream, "TIFF", save_all=True, append_images=[GRAY.resize((100, 75))])
    document = bytearray(stream.getvalue())
    assert photo_file.open_file(bytes(document)).count == 2
    small = GRAY.resize((100, 75))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    stream = io.BytesIO()
    GRAY.copy().save(stream, "TIFF", save_all=True, append_images=[small])
    result = opened(colorized(stream.getvalue()))
    assert result.size == GRAY.size
    assert np.array_equal(tones(colorized(stream.getvalue())), np.asarray(GRAY))


UNKNOWN_TO_PILLOW = {
    "big-endian BigTIFF": {"bigtiff": True, "byteorder": ">"},
    "WebP inside": {"compression": "webp"},
    "both": {"bigtiff": True, "byteorder": ">", "compression": "webp"},
}


def written(samples: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, metadata=None, **options)
    return stream.getvalue()


@pytest.mark.parametrize("name", UNKNOWN_TO_PILLOW)
@pytest.mark.parametrize("turned", [1, 6])
def test_the_chain_reads_what_pillow_does_not(name: str, turned: int) -> None:
    pixels = np.asarray(COLOR)
    tags = [(274, 3, 1, turned, True), (34675, 7, None, srgb_icc(), True)]
    file = written(pixels, photometric="rgb", extratags=tags, **UNKNOWN_TO_PILLOW[name])
    photo = open_photo(file)
    assert np.array_equal(photo.pixels, pixels if turned == 1 else np.rot90(pixels, -1))
    assert photo.format == "TIFF"
    assert ("turned upright" in photo.changes) is (turned == 6)
    with pytest.raises(ImageError, match="403x301 is more than 1000 pixels"):
        open_photo(file, max_pixels=1000)
    with pytest.raises(ImageError):
        open_photo(file[: len(file) // 2])


def test_pages_that_pillow_does_not_read_are_found_among_others() -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for number, compression in enumerate(("zlib", "webp", "lzw", "webp")):
            page = np.roll(np.asarray(COLOR), 50 * number, 1)
            writer.write(page, photometric="rgb", compression=compression, metadata=None)
    document = open_document(stream.getvalue())
    assert document.pages == 4
    for number in (0, 1, 2, 3, 1, 0):
        pixels = document.read(number).pixels
        assert np.array_equal(pixels, np.roll(np.asarray(COLOR), 50 * number, 1))


@pytest.mark.parametrize("kind", ["one bit", "palette", "from white down", "16 bits"])
def test_tones_of_a_big_endian_bigtiff_are_right(kind: str) -> None:
    gray, options = np.asarray(GRAY), {"bigtiff": True, "byteorder": ">"}
    if kind == "one bit":
        gray = np.where(gray > 99, np.uint8(255), np.uint8(0))
        file = written(gray > 0, photometric="minisblack", **options)
    elif kind == "palette":
        palette = np.repeat((np.arange(256, dtype=np.uint16)[::-1] * 257)[None], 3, 0)
        file = written(255 - gray, photometric="palette", colormap=palette, **options)
    elif kind == "from white down":
        file = written(255 - gray, photometric="miniswhite", **options)
    else:
        file = written(gray.astype(np.uint16) * 257, **options)
    assert np.abs(open_photo(file).pixels[..., 1].astype(int) - gray).max() <= 1
    colors = open_photo(colorized(file)).pixels
    assert np.abs(color.luma(colors).astype(int) - gray).max() <= 1


def test_samples_that_are_not_read_are_named(tmp_path: Path) -> None:
    file = written(
        np.dstack([np.asarray(GRAY)] * 4), photometric="separated", bigtiff=True, byteorder=">"
    )
    with pytest.raises(ImageError, match="its colors of the kind SEPARATED are not read"):
        open_photo(file)
    # Not every version of imagecodecs packs 12 bits: the tag says what there is not.
    twelve = tmp_path / "twelve.tif"
    twelve.write_bytes(written(DEEP, bigtiff=True, byteorder=">"))
    with tifffile.TiffFile(twelve, mode="r+") as opened_file:
        opened_file.pages[0].tags["BitsPerSample"].overwrite(12)
    with pytest.raises(ImageError, match="samples of 12 bits are not read with this byte order"):
        open_photo(twelve.read_bytes())


def test_a_page_in_cmyk_is_found_behind_a_small_copy() -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(np.asarray(GRAY), metadata=None)
        writer.write(np.asarray(GRAY)[::4, ::4], metadata=None, subfiletype=1)
        inks = 255 - np.asarray(COLOR)
        cmyk = np.dstack([inks, np.zeros_like(inks[..., 0])])
        writer.write(cmyk, photometric="separated", metadata=None)
    assert opened(colorized(stream.getvalue())).n_frames == 2


DEEP_COLOR = np.asarray(COLOR).astype(np.uint16) * 257
DEEP_GRAY = np.asarray(GRAY).astype(np.uint16) * 257
HALF = np.full_like(DEEP_GRAY, 32896)
BY_ITS_SAMPLES = {
    "planes": (np.moveaxis(DEEP_COLOR, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
    "planes, packed": (
        np.moveaxis(DEEP_COLOR, -1, 0),
        {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib"},
    ),
    "32 bits": (DEEP_GRAY.astype(np.uint32) << 16, {"photometric": "minisblack"}),
    "32 bits, big-endian": (
        DEEP_GRAY.astype(np.uint32) << 16,
        {"photometric": "minisblack", "byteorder": ">"},
    ),
    "white is zero, big-endian": (
        65535 - DEEP_GRAY,
        {"photometric": "miniswhite", "byteorder": ">"},
    ),
    "gray and alpha": (
        np.dstack([DEEP_GRAY, HALF]),
        {"photometric": "minisblack", "extrasamples": ["unassalpha"]},
    ),
    "gray times alpha": (
        np.dstack([np.asarray(GRAY) // 2, np.full_like(np.asarray(GRAY), 128)]),
        {"photometric": "minisblack", "extrasamples": ["assocalpha"]},
    ),
    "gray and a selection": (
        np.dstack([np.asarray(GRAY), np.full_like(np.asarray(GRAY), 9)]),
        {"photometric": "minisblack", "extrasamples": ["unspecified"]},
    ),
}


@pytest.mark.parametrize("name", BY_ITS_SAMPLES)
def test_samples_that_pillow_or_opencv_mistake_are_read(name: str) -> None:
    samples, options = BY_ITS_SAMPLES[name]
    file = written(samples, **options)
    expected = np.asarray(COLOR) if name.startswith("planes") else np.dstack([np.asarray(GRAY)] * 3)
    if "alpha" not in name:
        assert np.abs(open_photo(file).pixels.astype(int) - expected).max() <= 2
    photo = photo_file.open_file(file).read_page(0).photo
    gray = photo.gray if photo.gray.dtype == np.uint8 else photo.gray / 257
    assert np.abs(gray.astype(float) - color.luma(expected)).max() <= 2
    assert (photo.alpha is not None) is ("alpha" in name)
    with pytest.raises(ImageError):
        open_photo(file[: len(file) // 2])


def test_a_page_of_such_samples_does_not_fail_its_document() -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(np.asarray(COLOR), photometric="rgb", metadata=None)
        for name in ("gray and alpha", "planes"):
            samples, options = BY_ITS_SAMPLES[name]
            writer.write(samples, metadata=None, **options)
        writer.write(np.asarray(GRAY), metadata=None)
    file = stream.getvalue()
    document, pages = open_document(file), photo_file.open_file(file)
    assert document.pages == pages.count == 4
    for number in range(4):
        gray = pages.read_page(number).photo.gray
        assert gray.shape == document.read(number).pixels.shape[:2] == np.asarray(GRAY).shape


@pytest.mark.parametrize("samples", [np.asarray(COLOR), DEEP_COLOR])
def test_what_only_xmp_says_is_turned_is_stored_as_it_was(samples: np.ndarray) -> None:
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
        b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    file = written(samples, photometric="rgb", extratags=[(700, 1, len(xmp), xmp, True)])
    photo = photo_file.open_file(file).read_page(0).photo
    assert photo.gray.shape == samples.shape[:2]
    assert photo.gray.dtype == samples.dtype


FLOATS = DEEP_GRAY.astype(np.float32) / 65_535
LONGER: dict[str, tuple[np.ndarray, dict[str, object]]] = {
    "floating point": (FLOATS, {}),
    "floating point, packed": (FLOATS, {"compression": "zlib", "predictor": True}),
    "floating point up to 255": (FLOATS * np.float32(255), {"byteorder": ">"}),
    "floating point, white is zero": (1 - FLOATS, {"photometric": "miniswhite"}),
    "with a sign": (DEEP_GRAY.astype(np.int32), {}),
}


@pytest.mark.parametrize("name", LONGER)
@pytest.mark.parametrize("turned", [1, 6])
def test_of_longer_samples_16_bits_stay_and_the_rest_is_reported(name: str, turned: int) -> None:
    samples, options = LONGER[name]
    tags = [(274, 3, 1, turned, True), (34675, 7, None, srgb_icc(), True)]
    file = written(samples, extratags=tags, **options)
    assert photo_file.open_file(file).note == "of the 32 bits of its samples, 16 are read"
    with tifffile.TiffFile(io.BytesIO(colorized(file))) as result:
        (page,) = result.pages
        gray = color.luma(page.asarray())
        assert (page.tags[274].value, page.tags[34675].value) == (turned, srgb_icc())
    assert gray.dtype == np.uint16
    assert np.abs(gray.astype(int) - DEEP_GRAY).max() <= ("zero" in name)


def test_that_cmyk_is_read_with_8_bits_is_reported() -> None:
    inks = np.dstack([np.zeros_like(DEEP_COLOR), 65_535 - DEEP_GRAY])
    for samples, note in (
        (inks, "of the 16 bits of its CMYK samples, 8 are read"),
        ((inks >> 8).astype(np.uint8), ""),
    ):
        file = written(samples, photometric="separated")
        assert photo_file.open_file(file).note == note
        assert np.abs(tones(colorized(file)) - np.asarray(GRAY)).max() <= 1


@pytest.mark.parametrize("compression", ["zstd", "lzma", "zlib"])
@pytest.mark.parametrize("channels", [3, 4, 5])
@pytest.mark.parametrize("turned", [1, 6])
def test_16_bits_of_color_stay_however_they_are_compressed(
    compression: str, channels: int, turned: int, capfd: pytest.CaptureFixture[str]
) -> None:
    samples = np.dstack([DEEP] * 3 + [HALF] * (channels - 3))
    extra = [["unassalpha"], ["unspecified"] * 2][channels - 4] if channels > 3 else []
    options = {"compression": compression, "predictor": True, "extrasamples": extra}
    tags = [(274, 3, 1, turned, True)]
    file = written(samples, photometric="rgb", extratags=tags, **options)
    with tifffile.TiffFile(io.BytesIO(colorized(file))) as result:
        (page,) = result.pages
        pixels = page.asarray()
        assert page.tags[274].value == turned
    assert pixels.dtype == np.uint16
    assert np.array_equal(color.luma(np.ascontiguousarray(pixels[..., :3])), DEEP)
    if channels == 4:
        assert np.array_equal(pixels[..., 3], HALF)
    assert not capfd.readouterr().err


@pytest.mark.parametrize("read", [open_photo, colorized])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_samples_with_a_sign_are_refused_with_what_to_do(
    read: Callable[[bytes], object], channels: tuple[int, ...]
) -> None:
    stream = io.BytesIO()
    kind = "rgb" if channels else "minisblack"
    tifffile.imwrite(stream, np.full((64, 64, *channels), 4095, np.int16), photometric=kind)
    with pytest.raises(ImageError, match=r"numbers with a sign, .* save it with unsigned samples"):
        read(stream.getvalue())


@pytest.mark.parametrize(
    ("extra", "note"),
    [
        (["unspecified"], "without its further channel"),
        (["unassalpha", "unspecified", "unspecified"], "without 2 further channels"),
        (["assocalpha"], ""),
        ([], ""),
    ],
)
def test_that_infrared_is_left_out_is_said(extra: list[str], note: str) -> None:
    samples = np.dstack([DEEP] * (3 + len(extra)))
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, photometric="rgb", planarconfig="contig", extrasamples=extra)
    assert photo_file.open_file(stream.getvalue()).note == note
