"""What a photo's file carries comes out again, format by format."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from files import (
    COLOR,
    DEEP,
    GRAY,
    colorized,
    deep_pixels,
    opened,
    saved,
    tiff,
    tones,
    wide_profile,
)
from PIL import (
    ExifTags,
    Image,
    ImageCms,
    ImageOps,
    PngImagePlugin,
)
from predictors import Rainbow

from pipeline.imaging import color
from pipeline.imaging.decode import open_document, open_photo
from pipeline.imaging.errors import ImageError
from pipeline.imaging.formats import photo_file, png
from pipeline.imaging.formats import tiff as tiff_format
from pipeline.imaging.formats.label import UNLABELED
from pipeline.imaging.icc import srgb_icc
from pipeline.imaging.kinds import BY_NAME, WRITTEN, FormatName
from pipeline.inference.colorizer import Colorizer

ALPHA = Image.fromarray(np.tile(np.linspace(0, 255, 403).astype(np.uint8), (301, 1)))
TAKEN = "2020:01:02 03:04:05"


def exif(orientation: int = 1) -> bytes:
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    tags[0x0112] = orientation
    tags.get_ifd(0x8769)[0x9003] = TAKEN
    return tags.tobytes()


def is_colorful(file: bytes) -> bool:
    return bool(np.ptp(np.asarray(opened(file).convert("RGB")).astype(int), axis=2).mean() > 15)


LOSSLESS = {
    "png": saved(GRAY, "PNG"),
    "png of one bit": saved(GRAY.convert("1"), "PNG"),
    "png with palette": saved(COLOR.convert("P"), "PNG"),
    "png in color": saved(COLOR, "PNG"),
    "tiff": saved(GRAY, "TIFF"),
    "tiff with lzw": saved(GRAY, "TIFF", compression="tiff_lzw"),
    "webp": saved(COLOR, "WEBP", lossless=True),
    "bmp": saved(GRAY, "BMP"),
    "gif": saved(GRAY, "GIF"),
    "gif in color": saved(COLOR, "GIF"),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_keep_size_format_and_tones_to_one_level(name: str) -> None:
    file = LOSSLESS[name]
    result = colorized(file)
    assert opened(result).format == opened(file).format
    assert opened(result).size == opened(file).size
    assert np.abs(tones(result) - tones(file)).max() <= (1 if "gif" in name else 0)
    assert is_colorful(result) or "one bit" in name


@pytest.mark.parametrize("quality", [50, 75, 90, 98])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpegs_tones_change_no_more_than_by_encoding_it_again(mode: str, quality: int) -> None:
    file = saved(GRAY.convert(mode), "JPEG", quality=quality)
    result = colorized(file)
    again = saved(opened(file), "JPEG", quality=quality)
    assert opened(result).size == GRAY.size
    assert is_colorful(result)
    error = np.abs(tones(result) - tones(file)).mean()
    # Colors are rounded to whole levels as well: half a level at most.
    assert error < np.abs(tones(again) - tones(file)).mean() + 0.5
    assert opened(result).quantization[0] == opened(file).quantization[0]


def test_a_color_photo_is_colorized_from_its_gray_version() -> None:
    assert colorized(LOSSLESS["png in color"]) == colorized(LOSSLESS["png"])


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_16_bits_of_gray_stay(format_: str) -> None:
    result = colorized(saved(Image.fromarray(DEEP), format_))
    pixels = deep_pixels(result)
    assert pixels.shape == (*DEEP.shape, 3)
    assert np.array_equal(color.luma(np.ascontiguousarray(pixels[..., ::-1])), DEEP)


@pytest.mark.parametrize("extension", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bits_of_color_and_alpha_stay(extension: str, channels: int) -> None:
    pixels = np.dstack([DEEP, DEEP, DEEP, np.flip(DEEP, 1)][:channels])
    result = deep_pixels(colorized(cv2.imencode(extension, pixels)[1].tobytes()))
    assert np.array_equal(color.luma(np.ascontiguousarray(result[..., 2::-1])), DEEP)
    assert np.array_equal(result[..., 3:], pixels[..., 3:])


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP"])
def test_alpha_stays(format_: str) -> None:
    image = Image.merge("LA", (GRAY, ALPHA))
    if format_ == "WEBP":
        image = image.convert("RGBA")
    options = {"lossless": True, "exact": True} if format_ == "WEBP" else {}
    file = saved(image.convert("RGBA") if format_ == "TIFF" else image, format_, **options)
    result = opened(colorized(file))
    assert result.mode == "RGBA"
    assert np.array_equal(np.asarray(result.getchannel("A")), np.asarray(ALPHA))
    assert np.array_equal(np.asarray(result.convert("RGB").convert("L")), np.asarray(GRAY))


def test_16_bits_of_gray_keep_the_one_that_is_transparent() -> None:
    white = DEEP.max()
    file = saved(Image.fromarray(DEEP), "PNG", transparency=int(white))
    result = deep_pixels(colorized(file))
    assert np.array_equal(result[..., 3] == 0, white == DEEP)
    assert np.array_equal(color.luma(np.ascontiguousarray(result[..., 2::-1])), DEEP)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_is_no_reason_to_refuse_a_photo(format_: str) -> None:
    file = saved(GRAY, format_, exif=b"Exif\0\0II*\0\xff")
    assert is_colorful(colorized(file))


def test_a_transparent_palette_entry_stays_transparent() -> None:
    image = COLOR.convert("P")
    file = saved(image, "GIF", transparency=int(np.asarray(image)[150, 200]))
    before = np.asarray(opened(file).convert("RGBA"))[..., 3]
    assert np.array_equal(np.asarray(opened(colorized(file)).convert("RGBA"))[..., 3], before)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_stays_and_the_photo_is_upright_as_before(format_: str, orientation: int) -> None:
    file = saved(GRAY.convert("RGB"), format_, exif=exif(orientation))
    result = colorized(file)
    for tag in (0x010F, 0x0112):
        assert opened(result).getexif().get(tag) == opened(file).getexif().get(tag)
    assert opened(result).getexif().get_ifd(0x8769)[0x9003] == TAKEN
    assert opened(result).size == opened(file).size
    # The network has seen it upright: the colors lie as in the upright photo.
    expected = np.asarray(Colorizer(Rainbow())(upright(file))).astype(int)
    difference = np.abs(np.asarray(upright(result)).astype(int) - expected)
    assert difference.mean() < (6 if format_ in {"JPEG", "WEBP"} else 1.5)


def upright(file: bytes) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.exif_transpose(opened(file)).convert("RGB")


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "BMP"])
def test_resolution_stays(format_: str) -> None:
    file = saved(GRAY, format_, dpi=(300, 150))
    expected = tuple(float(value) for value in opened(file).info["dpi"])
    assert opened(colorized(file)).info["dpi"] == pytest.approx(expected)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_profile_stays_and_colors_are_converted_to_it(format_: str) -> None:
    profile = wide_profile()
    options = {"lossless": True} if format_ == "WEBP" else {}
    file = saved(GRAY.convert("RGB"), format_, icc_profile=profile, **options)
    result = opened(colorized(file))
    assert result.info["icc_profile"] == profile
    # Red and blue have changed places. Seen through the profile the photo looks as without; not
    # quite, since the same luma of other primaries is another lightness.
    seen = ImageCms.profileToProfile(
        result.convert("RGB"), io.BytesIO(profile), ImageCms.createProfile("sRGB")
    )
    plain = opened(colorized(saved(GRAY.convert("RGB"), format_, **options))).convert("RGB")
    assert difference(seen, plain) < 0.4 * difference(result.convert("RGB"), plain)


def difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one).astype(int) - np.asarray(other)).mean())


def test_a_damaged_profile_is_left_out() -> None:
    file = saved(GRAY, "PNG", icc_profile=b"no profile" * 20)
    assert "icc_profile" not in opened(colorized(file)).info


@pytest.mark.parametrize("extension", ["jpg", "png", "bmp", "tif", "webp", "gif"])
def test_a_resolution_that_is_none_is_no_resolution(extension: FormatName) -> None:
    file = bytearray(saved(GRAY, "TIFF", dpi=(300, 300)))
    (directory,) = struct.unpack_from("<I", file, 4)
    (count,) = struct.unpack_from("<H", file, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, _, _, place = struct.unpack_from("<HHII", file, entry)
        if tag in {282, 283}:
            file[place : place + 8] = bytes(8)
    result = opened(colorized(bytes(file), extension))
    assert result.size == GRAY.size
    if extension == "png":  # of others Pillow makes one up
        assert "dpi" not in result.info


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
def test_a_jpegs_xmp_goes_into_every_format_that_has_it(extension: FormatName) -> None:
    file = saved(GRAY, "JPEG", xmp=b"<x:xmpmeta/>")
    found = opened(colorized(file, extension)).info["xmp"]
    assert found == b"<x:xmpmeta/>"


def test_a_tiffs_xmp_stays() -> None:
    file = colorized(saved(GRAY, "JPEG", xmp=b"<x:xmpmeta/>"), "tif")
    assert opened(colorized(file)).info["xmp"] == b"<x:xmpmeta/>"


def with_thumbnail(order: str, data: bytes) -> bytes:
    """EXIF as cameras write it: a maker's name, the thumbnail's directory, the thumbnail."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    maker = struct.pack(f"{order}HHHI4sI", 1, 0x010F, 2, 4, b"abc\0", 26)
    entries = struct.pack(f"{order}HHII", 0x0103, 3, 1, 6 if order == "<" else 6 << 16)
    for tag, value in ((0x0201, 26 + 2 + 36 + 4), (0x0202, len(data))):
        entries += struct.pack(f"{order}HHII", tag, 4, 1, value)
    return head + maker + struct.pack(f"{order}H", 3) + entries + bytes(4) + data


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_old_thumbnail_is_cut_off_and_every_other_byte_of_exif_stays(order: str) -> None:
    data = with_thumbnail(order, saved(GRAY.resize((32, 24)), "JPEG"))
    file = saved(GRAY, "JPEG", exif=b"Exif\0\0" + data)
    assert 0x0201 in opened(file).getexif().get_ifd(ExifTags.IFD.IFD1)
    result = colorized(file)
    assert opened(result).info["exif"] == b"Exif\0\0" + data[:22] + bytes(4) + data[26:]
    for extension in ("jpg", "png", "webp"):
        tags = opened(colorized(file, extension)).getexif()
        assert (tags[0x010F], dict(tags.get_ifd(ExifTags.IFD.IFD1))) == ("abc", {})


def test_texts_of_png_and_comments_and_xmp_of_jpeg_stay() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "Kaffee")
    assert opened(colorized(saved(GRAY, "PNG", pnginfo=texts))).info["Title"] == "Kaffee"
    file = saved(GRAY, "JPEG", comment=b"a cup", xmp=b"<x:xmpmeta/>")
    result = opened(colorized(file))
    assert result.info["comment"] == b"a cup"
    assert result.info["xmp"] == b"<x:xmpmeta/>"


def test_cmyk_comes_out_as_srgb_upright_as_before() -> None:
    file = saved(COLOR.convert("CMYK"), "JPEG", quality=95, exif=exif(6))
    result = opened(colorized(file))
    assert (result.mode, result.size) == ("RGB", COLOR.size)
    assert result.getexif()[0x0112] == 6
    before = np.asarray(opened(file).convert("RGB").convert("L")).astype(int)
    assert np.abs(np.asarray(result.convert("L")) - before).mean() < 2


def test_floating_point_tiff_comes_out_with_its_tones() -> None:
    file = saved(Image.fromarray(np.asarray(GRAY).astype(np.float32) / 255), "TIFF")
    gray = color.luma(np.ascontiguousarray(deep_pixels(colorized(file))[..., ::-1]))
    assert np.array_equal(gray, np.asarray(GRAY).astype(np.uint16) * 257)


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif", "bmp", "gif"])
@pytest.mark.parametrize("source", ["jpeg", "png 16"])
def test_every_format_can_become_every_other(source: str, extension: FormatName) -> None:
    jpeg = saved(GRAY, "JPEG", quality=95, exif=exif(), dpi=(300, 300))
    file = jpeg if source == "jpeg" else saved(Image.fromarray(DEEP), "PNG", exif=exif())
    result = colorized(file, extension)
    assert opened(result).format in BY_NAME[extension].pillow
    assert is_colorful(result)
    before = np.asarray(GRAY).astype(int)
    assert np.abs(tones(result) - before).mean() < 2
    if extension in {"jpg", "png", "webp", "tif"}:
        assert opened(result).getexif().get_ifd(0x8769)[0x9003] == TAKEN


def test_transparency_goes_on_white_where_the_format_has_none() -> None:
    file = saved(Image.merge("LA", (GRAY, Image.new("L", GRAY.size, 0))), "PNG")
    assert tones(colorized(file, "jpg")).min() >= 254


def test_the_second_picture_of_a_phones_jpeg_is_left_out_and_its_index_too() -> None:
    stream = io.BytesIO()
    GRAY.save(stream, "MPO", save_all=True, append_images=[GRAY.rotate(180)])
    result = colorized(stream.getvalue())
    assert opened(result).format == "JPEG"
    assert b"MPF\0" not in result
    # Pillow's index calls the second one undefined, as that of a gain map is.
    assert photo_file.open_file(stream.getvalue()).count == 1


@pytest.mark.parametrize("name", ["jpeg", *LOSSLESS])
def test_a_file_cut_off_is_refused(name: str) -> None:
    file = saved(GRAY, "JPEG") if name == "jpeg" else LOSSLESS[name]
    for length in (3, 40, len(file) // 2):
        with pytest.raises(ImageError):
            photo_file.open_file(file[:length]).read_page(0)


@pytest.mark.parametrize("file", [b"", b"<html></html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_photo_is_refused(file: bytes) -> None:
    with pytest.raises(ImageError):
        photo_file.open_file(file)


@pytest.mark.parametrize("name", ["jpeg", "png", "bmp"])
def test_a_photo_of_too_many_pixels_is_refused_before_decoding(name: str) -> None:
    file = saved(GRAY, "JPEG") if name == "jpeg" else LOSSLESS[name]
    with pytest.raises(ImageError, match="403x301 is more than 1000 pixels"):
        photo_file.open_file(file, max_pixels=1000)


@pytest.mark.parametrize("extension", WRITTEN)
@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_whatever_it_becomes_a_photo_stays_upright(extension: FormatName, orientation: int) -> None:
    file = saved(GRAY, "JPEG", exif=exif(orientation), quality=95)
    truth = np.asarray(ImageOps.exif_transpose(opened(file)).convert("L")).astype(int)
    result = ImageOps.exif_transpose(opened(colorized(file, extension)))
    assert result.size == truth.shape[::-1]
    shown = np.asarray(result.convert("RGB").convert("L")).astype(int)
    assert np.abs(shown - truth).mean() < 2


@pytest.mark.parametrize("extension", ["png", "tif", "bmp"])
@pytest.mark.parametrize(
    ("format_", "mode"),
    [
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("TIFF", "L"),
        ("TIFF", "CMYK"),
        ("PNG", "L"),
        ("WEBP", "RGB"),
        ("AVIF", "RGB"),
    ],
)
def test_what_only_xmp_says_turns_no_photo(format_: str, mode: str, extension: FormatName) -> None:
    options: dict[str, object] = {"xmp": TURNED}
    if format_ == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", TURNED.decode())
        options = {"pnginfo": texts}
    elif format_ == "TIFF":
        options = {"tiffinfo": {700: TURNED}}
    file = saved(COLOR.convert(mode), format_, **options)
    assert opened(file).getexif()[0x0112] == 6  # by Pillow, not by EXIF
    assert photo_file.open_file(file).read_page(0).photo.upright_shape == COLOR.size[::-1]
    result = colorized(file, extension)
    assert opened(result).size == COLOR.size
    assert (TURNED in result) is (extension != "bmp")
    assert open_photo(file).size == COLOR.size
    picture = opened(file)
    assert Colorizer(Rainbow())(picture).size == COLOR.size
    assert picture.info["xmp"].rstrip(b"\0") == TURNED


TURNED = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
    b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
    b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_nor_does_it_turn_a_further_page(mode: str) -> None:
    pages = [COLOR.convert(mode), COLOR.convert(mode)]
    pages[1].encoderinfo = {"tiffinfo": {700: TURNED}}
    file = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    shapes = [page.photo.upright_shape for page in photo_file.open_file(file).pages()]
    assert shapes == [COLOR.size[::-1]] * 2
    document = open_document(file)
    assert [document.read(page).size for page in (0, 1)] == [COLOR.size] * 2


@pytest.mark.parametrize("extension", ["bmp", "gif"])
def test_where_a_file_holds_no_profile_its_colors_are_srgbs(
    extension: FormatName,
) -> None:
    file = saved(COLOR, "JPEG", icc_profile=wide_profile(), quality=95)
    shown = opened(colorized(file, extension)).convert("RGB")
    kept = opened(colorized(file, "png"))
    assert kept.info["icc_profile"] == wide_profile()
    source = ImageCms.ImageCmsProfile(io.BytesIO(wide_profile()))
    truth = ImageCms.profileToProfile(kept, source, ImageCms.createProfile("sRGB"))
    # GIF has few colors, and Rainbow all there are.
    assert difference(truth, shown) < (0.7 if extension == "gif" else 0.1) * difference(kept, shown)


@pytest.mark.parametrize("extension", WRITTEN)
@pytest.mark.parametrize("format_", ["JPEG", "TIFF", "WEBP"])
def test_a_tag_of_a_wrong_type_costs_nothing_but_itself(
    format_: str, extension: FormatName
) -> None:
    # The horizontal resolution, which is a fraction, as text; then a picture's title.
    wrong = struct.pack("<HHI4s", 282, 2, 3, b"72\0\0")
    if format_ == "TIFF":
        file = tiff(DEEP, t305="72", t270="It")
        changed = file.replace(struct.pack("<HHI4s", 305, 2, 3, b"72\0\0"), wrong)
        assert changed != file
    else:
        title = struct.pack("<HHI4s", 270, 2, 3, b"It\0\0")
        tags = b"II*\0" + struct.pack("<IH", 8, 2) + title + wrong + bytes(4)
        changed = saved(GRAY, format_, exif=b"Exif\0\0" + tags)
    result = opened(colorized(changed, extension))
    assert result.size == GRAY.size
    if extension not in UNLABELED | {"jp2", "jxl"}:
        assert result.getexif()[270] == "It"


@pytest.mark.parametrize("fault", ["filled up", "profile"])
def test_what_takes_nothing_from_a_jpegs_picture_is_no_damage(fault: str) -> None:
    sound = saved(GRAY, "JPEG", quality=90, icc_profile=srgb_icc())
    if fault == "filled up":
        file = sound[:-2] + bytes(498) + sound[-2:]
    else:
        at = sound.index(b"ICC_PROFILE\0") + 12
        file = sound[:at] + b"\x05\x01" + sound[at + 2 :]
    assert np.array_equal(tones(colorized(file)), tones(colorized(sound)))
    cut = sound[: len(sound) // 2] + sound[-2:]
    assert "premature end" in photo_file.open_file(cut).read_page(0).damage
    assert photo_file.open_file(file).read_page(0).damage == ""


def test_whatever_an_encoder_raises_is_a_reason_and_no_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> bytes:
        raise TypeError("bad operand type")

    monkeypatch.setattr(png.cv2, "imencode", fail)
    with pytest.raises(ImageError, match=r"written as PNG \(bad operand type\)"):
        colorized(LOSSLESS["png"])


def test_encoding_is_deterministic() -> None:
    gray_profile = saved(GRAY, "PNG", icc_profile=srgb_icc())
    for file in (*LOSSLESS.values(), gray_profile, saved(GRAY, "JPEG", exif=exif())):
        assert colorized(file) == colorized(file)


def test_srgbs_profile_has_no_date_of_today() -> None:
    assert srgb_icc()[24:36] == bytes.fromhex("07d0 0001 0001 0000 0000 0000")
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(srgb_icc())))


def test_png_and_tiff_writers_agree_with_their_readers() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (130, 70, 4), dtype=np.uint16)
    blue_first = np.ascontiguousarray(pixels[..., [2, 1, 0, 3]])
    assert np.array_equal(deep_pixels(tiff_format.encode(pixels)), blue_first)
    assert np.array_equal(deep_pixels(png.encode(blue_first, b"")), blue_first)
