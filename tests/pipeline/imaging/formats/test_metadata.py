"""What stands beside the pixels: kept as it was, but for what would show the old picture."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile
from files import GRAY, colorized, opened, saved
from PIL import Image, ImageOps, PngImagePlugin

from pipeline.imaging.formats import boxes, exif, jpeg, photo_file, photoshop, png, xmp
from pipeline.imaging.formats.directories import (
    ASCII,
    EXIF_IFD,
    Directory,
    Entry,
    Layout,
    read_directories,
    to_exif,
)
from pipeline.imaging.formats.label import Label
from pipeline.imaging.formats.page import Metadata

IPTC = b"\x1c\x02\x78\0\x0cHarvest 1931\x1c\x02\x19\0\x04farm"
THUMBNAIL = (b"8BIM", 1036, b"\0\0", b"\1\0\0\0an old thumbnail")
CAPTION = (b"8BIM", 1028, b"\0\0", IPTC)
URL = (b"8BIM", 1035, b"\0\0", b"https://example.org")
RIGHTS = '<dc:rights xmlns:dc="http://purl.org/dc/elements/1.1/">{}</dc:rights>'


def packet(inside: str, attributes: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        f"{attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def page_of(file: bytes) -> Metadata:
    return photo_file.open_file(file).read_page(0).metadata


def with_segments(*segments: tuple[int, bytes]) -> bytes:
    plain = saved(GRAY, "JPEG")
    joined = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data for marker, data in segments
    )
    return plain[:2] + joined + plain[2:]


def test_a_tiffs_caption_keywords_xmp_and_exif_stay_byte_for_byte() -> None:
    layout = Layout("<")
    nested = Directory((layout.entry(0x9003, ASCII, b"1931:08:01 12:00:00\0"),))
    maker = bytes(range(256)) * 3
    nested = nested.plus(layout.entry(0x927C, 7, maker))
    tags = Directory(
        (
            layout.entry(271, ASCII, b"Kodak\0"),
            layout.entry(33723, 4, IPTC + bytes(-len(IPTC) % 4)),
            layout.entry(34377, 1, photoshop.write([THUMBNAIL, URL])),
            layout.entry(700, 1, packet(RIGHTS.format("Anna"))),
            layout.entry(65000, 7, b"a maker's own tag"),
            Entry(EXIF_IFD, 4, 1, bytes(4), nested),
        )
    )
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        np.asarray(GRAY),
        metadata=None,
        extratags=[
            (entry.tag, entry.kind, entry.count, entry.data, True)
            for entry in tags.entries
            if entry.tag != EXIF_IFD
        ],
    )
    # tifffile writes no EXIF: a first coloring adds it, as from a JPEG.
    with_exif = colorized(saved(GRAY, "JPEG", exif=exif.HEAD + to_exif(tags, layout)), "tif")
    for file in (stream.getvalue(), with_exif):
        result = colorized(file)
        before, after = (read_directories(data)[0] for data in (file, result))
        for tag in (271, 700, 65000):
            if before.get(tag):
                assert after.get(tag) == before.get(tag)
        if before.get(33723):
            assert after.get(33723).data == before.get(33723).data
            assert after.get(34377).data == photoshop.write([URL])
    assert read_directories(result)[0].get(EXIF_IFD).inner.get(0x927C).data == maker


def test_captions_of_a_jpeg_stay_and_its_old_thumbnails_go() -> None:
    block = photoshop.write([THUMBNAIL, CAPTION, URL])
    jfif = b"JFIF\0\1\2\1\0\x60\0\x60\1\1" + bytes(3)
    file = with_segments((0xED, photoshop.HEAD + block), (0xE0, b"JFXX\0\x10thumbnail"))
    file = file[:2] + struct.pack(">BBH", 0xFF, 0xE0, len(jfif) + 2) + jfif + file[2:]
    result = colorized(file)
    segments = jpeg.read_segments(result)
    (kept,) = (s.data for s in segments if s.data.startswith(photoshop.HEAD))
    assert photoshop.read(kept[len(photoshop.HEAD) :]) == [CAPTION, URL]
    assert b"thumbnail" not in result
    assert all(s.data[12:14] == bytes(2) for s in segments if s.data.startswith(b"JFIF\0"))


@pytest.mark.parametrize("target", ["tif", "png", "jp2"])
def test_a_jpegs_caption_goes_into_formats_that_have_it(target: str) -> None:
    file = with_segments((0xED, photoshop.HEAD + photoshop.write([CAPTION])))
    result = colorized(file, target)
    if target == "png":
        assert IPTC.hex() in opened(result).text["Raw profile type iptc"].replace("\n", "")
    else:
        assert page_of(result).iptc == IPTC
        assert page_of(colorized(result, "jpg")).iptc == IPTC


def test_captions_and_comments_go_through_png() -> None:
    others = [URL, (b"8BIM", 2000, b"\0\0", bytes(800_000))]
    block = photoshop.write([CAPTION, *others])
    comment = "Großmutter, Прага".encode()
    pieces = [block[start : start + 60_000] for start in range(0, len(block), 60_000)]
    file = with_segments(*((0xED, photoshop.HEAD + piece) for piece in pieces), (0xFE, comment))
    png_once = colorized(file, "png")
    assert opened(png_once).text["Comment"] == comment.decode()
    png_twice = colorized(png_once)
    assert opened(png_twice).text == opened(png_once).text
    for png_file in (png_once, png_twice):
        again = page_of(colorized(png_file, "jpg"))
        assert (again.iptc, again.comment) == (IPTC, comment)
        assert again.photoshop == photoshop.write(others)
        assert page_of(colorized(png_file, "tif")).iptc == IPTC


def raw_profile(name: str, data: bytes) -> str:
    """As ImageMagick writes it."""
    digits = data.hex()
    lines = [digits[start : start + 72] for start in range(0, len(digits), 72)]
    return "\n".join(["", name, f"{len(data):8}", *lines, ""])


def test_records_without_photoshops_block_go_on_as_well() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Raw profile type iptc", raw_profile("iptc", IPTC), zip=True)
    assert page_of(colorized(saved(GRAY, "PNG", pnginfo=texts), "jpg")).iptc == IPTC


@pytest.mark.parametrize("has_both", [False, True])
def test_a_pngs_exif_in_a_text_goes_on_once(has_both: bool) -> None:
    tags = Image.Exif()
    tags[0x0112], tags[0x010F] = 6, "Kodak"
    tags.get_ifd(EXIF_IFD)[0x9003] = "1931:08:01 12:00:00"
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Raw profile type exif", raw_profile("exif", tags.tobytes()), zip=True)
    options = {"exif": tags} if has_both else {}
    file = saved(GRAY, "PNG", pnginfo=texts, **options)
    for target in ("png", "jpg", "tif", "webp"):
        result = opened(colorized(file, target))
        assert "Raw profile type exif" not in result.info
        assert (result.getexif()[0x0112], result.getexif()[0x010F]) == (6, "Kodak")
        assert result.getexif().get_ifd(EXIF_IFD)[0x9003] == "1931:08:01 12:00:00"


@pytest.mark.parametrize(("kind", "packed"), [("text", False), ("text", True), ("itxt", True)])
def test_a_pngs_comment_or_else_its_description_becomes_a_jpegs_comment(
    kind: str, packed: bool
) -> None:
    texts = PngImagePlugin.PngInfo()
    add = texts.add_text if kind == "text" else texts.add_itxt
    add("Author", "Anna", zip=packed)
    add("Description", "Großmutter", zip=packed)
    assert page_of(colorized(saved(GRAY, "PNG", pnginfo=texts), "jpg")).comment == (
        "Großmutter".encode()
    )
    add("Comment", "attic", zip=packed)
    assert page_of(colorized(saved(GRAY, "PNG", pnginfo=texts), "jpg")).comment == b"attic"


@pytest.mark.parametrize("text", [b"", b"\niptc\n", b"\niptc\n 3\nxyz", b"\niptc\n 3\n\xe9"])
@pytest.mark.parametrize("name", [b"tEXt", b"zTXt"])
def test_a_damaged_profile_in_a_text_stays_a_text(name: bytes, text: bytes) -> None:
    whole = saved(GRAY, "PNG")
    added = png.chunk(name, b"Raw profile type iptc\0" + (b"\0" if name == b"zTXt" else b"") + text)
    result = colorized(whole[:33] + added + whole[33:])
    assert added in result
    assert page_of(result).iptc is None


def test_gain_maps_thumbnails_and_their_directory_leave_the_xmp() -> None:
    names = (
        ' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"'
    )
    inside = (
        '<Container:Directory xmlns:Container="http://ns.google.com/photos/1.0/container/"/>'
        "<xmp:Thumbnails>/9j/4AAQ</xmp:Thumbnails>" + RIGHTS.format("Anna")
    )
    before = packet(inside, names)
    result = colorized(with_segments((0xE1, jpeg.XMP_HEAD + before)))
    kept = page_of(result).xmp
    for gone in (b"hdrgm", b"Container", b"Thumbnails", b"4AAQ"):
        assert gone not in kept
    for stays in (b'xmp:Rating="4"', b">Anna<"):
        assert stays in kept
    untouched = packet(RIGHTS.format("Anna"))
    assert page_of(colorized(with_segments((0xE1, jpeg.XMP_HEAD + untouched)))).xmp == untouched


def test_xmp_longer_than_a_segment_goes_through_every_format() -> None:
    long = packet(RIGHTS.format("Anna, " * 30_000))
    first = colorized(saved(GRAY, "PNG"), "jpg")
    segments = jpeg.xmp_segments(long)
    assert len(segments) > 3
    assert all(len(segment.data) <= 65_533 for segment in segments)
    file = with_segments(*((segment.marker, segment.data) for segment in segments))
    kept = [s for s in jpeg.read_segments(colorized(file)) if s.data.startswith(b"http")]
    assert kept == segments
    assert b"Anna, " * 30_000 in page_of(colorized(file, "tif")).xmp
    assert len(first) > 100


def test_a_label_says_that_colors_are_a_guess_and_touches_no_pixel() -> None:
    label = Label("colorpipe", "1.2", "ab" * 32)
    before = packet(RIGHTS.format("Anna"))
    for xmp_before in (None, before):
        metadata = label.put_on(Metadata(exif=None, xmp=xmp_before))
        text = metadata.xmp.decode()
        assert f"<Iptc4xmpExt:DigitalSourceType>{xmp.GUESSED}<" in text
        assert "<Iptc4xmpExt:AISystemUsed>colorpipe<" in text
        assert f"1.2, model sha256 {'ab' * 32}" in text
        assert (">Anna<" in text) is (xmp_before is not None)
        (tags,) = read_directories(metadata.exif)
        assert b"colorpipe 1.2, model sha256 abab" in tags.get(11).data
    # Twice labeled it is labeled once.
    again = label.put_on(metadata)
    assert again.xmp.count(b"DigitalSourceType>") == metadata.xmp.count(b"DigitalSourceType>") == 2


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_text_is_added_to_exif_without_moving_a_makers_notes(order: str) -> None:
    tags = Image.Exif()
    tags[271] = "Kodak"
    tags.get_ifd(EXIF_IFD)[0x927C] = b"a maker's own" * 9
    data = tags.tobytes().removeprefix(exif.HEAD)
    if order == ">":
        layout = Layout(">")
        data = to_exif(read_directories(data)[0].without([EXIF_IFD]), layout)
        data = to_exif(Directory((layout.entry(271, ASCII, b"Kodak\0"),)), layout)
    changed = exif.with_text(data, 11, "a guess")
    assert changed[8 : len(data)] == data[8:]
    (directory,) = read_directories(changed)
    assert directory.get(271).data == b"Kodak\0"
    assert directory.get(11).data == b"a guess\0"
    if order == "<":
        assert directory.get(EXIF_IFD).inner.get(0x927C).data == b"a maker's own" * 9


@pytest.mark.parametrize(
    "data", [b"", b"II*\0", b"II*\0\x08\0\0\0\xff\xff", b"MM\0*" + b"\xff" * 40]
)
def test_damaged_exif_does_no_harm(data: bytes) -> None:
    assert read_directories(data) == []
    assert exif.without_thumbnail(data) == data
    assert exif.orientation_of(data) == 1


def test_a_circle_of_directories_is_left() -> None:
    layout = Layout()
    data = bytearray(to_exif(Directory((layout.entry(271, ASCII, b"Kodak\0"),)), layout))
    link = read_directories(bytes(data))[0].link
    data[link : link + 4] = struct.pack("<I", 8)
    assert len(read_directories(bytes(data))) == 1


@pytest.mark.parametrize(
    "said", [' tiff:Orientation="6"', "<tiff:Orientation>6</tiff:Orientation>"]
)
@pytest.mark.parametrize("target", ["jp2", "jxl", "heic"])
def test_what_is_written_upright_is_turned_by_no_metadata(said: str, target: str) -> None:
    names = ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Make="Kodak"'
    is_attribute = said.startswith(" ")
    before = packet("" if is_attribute else said, names + (said if is_attribute else ""))
    tags = Image.Exif()
    tags[0x0112] = 6
    file = saved(GRAY, "JPEG", exif=tags, xmp=before)
    result = colorized(file, target)
    shown = opened(result)
    assert shown.size == GRAY.size[::-1]
    # Then it goes on in a format in which it would be turned.
    again = opened(colorized(result, "png"))
    assert ImageOps.exif_transpose(again).size == GRAY.size[::-1]
    if target != "heic":
        for one in (page_of(result), page_of(colorized(result, "jpg"))):
            assert exif.orientation_of(one.exif) == 1
            assert b"Orientation" not in one.xmp
            assert b'tiff:Make="Kodak"' in one.xmp
    # Nor is what only XMP says.
    assert opened(colorized(saved(GRAY, "JPEG", xmp=before), target)).size == GRAY.size


def test_a_packet_that_says_upright_stays_byte_for_byte() -> None:
    before = packet("", ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="1"')
    assert page_of(colorized(saved(GRAY, "JPEG", xmp=before), "jp2")).xmp == before


@pytest.mark.parametrize("target", ["png", "tif"])
@pytest.mark.parametrize("source", ["jp2", "jxl"])
def test_exif_that_programs_do_not_turn_by_turns_nothing_later(source: str, target: str) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    data = tags.tobytes().removeprefix(exif.HEAD)
    plain = list(boxes.read(colorized(saved(GRAY, "PNG"), source)))
    box = (b"uuid", b"JpgTiffExif->JP2" + data) if source == "jp2" else (b"Exif", bytes(4) + data)
    file = boxes.write([*plain[:2], box, *plain[2:]])
    result = opened(colorized(file, target))
    assert ImageOps.exif_transpose(result).size == GRAY.size


@pytest.mark.parametrize(
    "damaged", [b"<x:xmpmeta", b"<!DOCTYPE a [<!ENTITY b 'Thumbnails'>]><a>&b;Thumbnails</a>"]
)
def test_a_damaged_packet_stays_as_it_is(damaged: bytes) -> None:
    assert xmp.without_old_pictures(damaged) == damaged
    assert xmp.joined(damaged, damaged) == damaged
    assert xmp.upright(damaged + b"tiff:Orientation") == damaged + b"tiff:Orientation"
