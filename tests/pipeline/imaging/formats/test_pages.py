"""Documents and animations: as many pages and frames come out, each as it was."""

from __future__ import annotations

import io

import numpy as np
import pillow_heif
import pytest
import tifffile
from files import COLOR, DEEP, GRAY, colorized, opened, saved, wide_profile
from PIL import ExifTags, Image, ImageOps, ImageSequence
from predictors import Rainbow

from pipeline.imaging import color
from pipeline.imaging.decode import open_photo
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.jobs import Job
from pipeline.inference.outcomes import Outcome
from pipeline.inference.streaming import Settings, colorize_files

PIXELS = np.asarray(GRAY)
PAGES = (PIXELS, PIXELS[:120, :100], DEEP)
TIMES = [80, 120, 200]


def document(**options: object) -> bytes:
    """Three scans of different sizes and bits, each with its own resolution and caption."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, **options) as writer:
        for number, page in enumerate(PAGES):
            writer.write(
                page,
                metadata=None,
                resolution=(300 + number, 300 + number),
                resolutionunit=2,
                description=f"page {number}",
                software="scanner",
            )
    return stream.getvalue()


def animation(format_: str, **options: object) -> bytes:
    frames = [GRAY.rotate(angle) for angle in (0, 5, 10)]
    return saved(
        frames[0],
        format_,
        save_all=True,
        append_images=frames[1:],
        duration=TIMES,
        loop=2,
        **options,
    )


def colorized_into(folder: object, file: bytes, name: str, **settings: object) -> Outcome:
    source = folder / name
    source.write_bytes(file)
    job = Job(name, source, folder / "out" / name)
    (outcome,) = colorize_files(Colorizer(Rainbow()), [job], Settings(**settings))
    return outcome


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_each_page_of_a_tiff_keeps_size_bits_resolution_and_tags(big: bool, order: str) -> None:
    result = colorized(document(bigtiff=big, byteorder=order))
    with tifffile.TiffFile(io.BytesIO(result)) as written:
        assert written.is_bigtiff is big
        assert written.byteorder == order
        assert len(written.pages) == 3
        for number, (page, before) in enumerate(zip(written.pages, PAGES, strict=True)):
            pixels = page.asarray()
            assert np.array_equal(color.luma(np.ascontiguousarray(pixels)), before)
            assert page.tags["ImageDescription"].value == f"page {number}"
            assert page.tags["XResolution"].value == (300 + number, 1)
            assert page.tags["Software"].value == "scanner"


def test_tiles_and_compressions_stay() -> None:
    for compression in ("none", "lzw", "deflate", "zstd"):
        stream = io.BytesIO()
        tifffile.imwrite(stream, DEEP, tile=(64, 48), compression=compression, metadata=None)
        with tifffile.TiffFile(io.BytesIO(colorized(stream.getvalue()))) as written:
            page = written.pages[0]
            assert (page.tilelength, page.tilewidth) == (64, 48)
            assert page.compression.name.lower().endswith(compression)
            assert np.array_equal(color.luma(page.asarray()), DEEP)


def test_a_compression_that_libtiff_lacks_is_read() -> None:
    stream = io.BytesIO()
    rgb = np.dstack([PIXELS] * 3)
    tifffile.imwrite(stream, rgb, photometric="rgb", compression="webp", metadata=None)
    result = np.asarray(opened(colorized(stream.getvalue())).convert("L"))
    assert np.array_equal(result, PIXELS)


def test_a_heic_of_two_pictures_comes_out_with_both() -> None:
    file = pillow_heif.HeifFile()
    for pixels in (PIXELS, PIXELS[::-1]):
        file.add_frombytes("RGB", GRAY.size, np.dstack([pixels] * 3).tobytes())
    stream = io.BytesIO()
    file.save(stream, quality=95)
    result = pillow_heif.open_heif(colorized(stream.getvalue()))
    assert len(result) == 2
    for image, before in zip(result, (PIXELS, PIXELS[::-1]), strict=True):
        gray = np.asarray(image.to_pillow().convert("L")).astype(int)
        assert np.abs(gray - before).mean() < 1


def test_a_format_without_pages_gets_numbered_files(tmp_path: object) -> None:
    outcome = colorized_into(tmp_path, document(), "scan.tif", format="jpg")
    names = [path.name for path in outcome.outputs]
    assert (outcome.status, names) == ("colorized", ["scan-1.tif", "scan-2.tif", "scan-3.tif"])
    assert outcome.note == "a file for each of 3 pages"
    sizes = [Image.open(path).size for path in outcome.outputs]
    assert sizes == [(403, 301), (100, 120), (403, 301)]
    again = colorized_into(tmp_path, document(), "scan.tif", format="jpg", existing="skip")
    assert again.status == "skipped"


@pytest.mark.parametrize("format_", ["WEBP", "PNG"])
def test_an_animation_keeps_its_frames_times_and_loops(format_: str) -> None:
    options = {"lossless": True} if format_ == "WEBP" else {}
    file = animation(format_, **options)
    before, after = opened(file), opened(colorized(file))
    assert after.format == format_
    assert (after.n_frames, after.info["loop"]) == (3, 2)
    frames = zip(ImageSequence.Iterator(before), ImageSequence.Iterator(after), strict=True)
    for time, (old, new) in zip(TIMES, frames, strict=True):
        new.load()
        assert round(new.info["duration"]) == time
        grays = [np.asarray(frame.convert("RGB").convert("L")) for frame in (old, new)]
        assert np.array_equal(*grays)
        assert np.ptp(np.asarray(new.convert("RGB")).astype(int), axis=2).mean() > 10


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "GIF"])
def test_the_picture_for_viewers_without_animations_is_no_frame(format_: str) -> None:
    poster = GRAY.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    frames = [GRAY.rotate(angle) for angle in (0, 5)]
    file = saved(
        poster,
        "PNG",
        save_all=True,
        append_images=frames,
        default_image=True,
        duration=TIMES[:2],
        loop=2,
    )
    after = opened(colorized(file, format_.lower()))
    has_place = format_ == "PNG"
    assert after.n_frames == 2 + has_place
    if has_place:
        assert after.default_image
        assert np.array_equal(np.asarray(after.convert("L")), np.asarray(poster))
    for number, (frame, time) in enumerate(zip(frames, TIMES, strict=False)):
        after.seek(number + has_place)
        gray = np.asarray(after.convert("RGB").convert("L")).astype(int)
        assert round(after.info["duration"]) == time
        assert np.abs(gray - np.asarray(frame)).mean() < 2


def test_an_animated_avif_becomes_webp_with_its_frames_and_times(tmp_path: object) -> None:
    frames = [GRAY.rotate(angle).resize((100, 75)) for angle in (0, 5, 10)]
    file = saved(frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=TIMES)
    outcome = colorized_into(tmp_path, file, "a.avif")
    assert outcome.note == "an animation is not written as AVIF; WebP is"
    before, after = opened(file), Image.open(outcome.outputs[0])
    assert (outcome.outputs[0].name, after.format, after.n_frames) == ("a.webp", "WEBP", 3)
    for number, time in enumerate(TIMES):
        grays = []
        for animated in (before, after):
            animated.seek(number)
            animated.load()
            assert round(animated.info["duration"]) == time
            grays.append(np.asarray(animated.convert("RGB").convert("L")))
        assert np.array_equal(*grays)
        assert np.ptp(np.asarray(after.convert("RGB")).astype(int), axis=2).mean() > 10
    assert open_photo(file).frames == 3
    asked = colorized_into(tmp_path, file, "b.avif", format="avif")
    assert [path.name for path in asked.outputs] == ["b-1.avif", "b-2.avif", "b-3.avif"]


@pytest.mark.parametrize("format_", ["WEBP", "PNG"])
def test_an_animation_is_turned_and_converted_once(format_: str) -> None:
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    profile = wide_profile()
    options = {"save_all": True, "append_images": [COLOR.rotate(5)], "exif": turned}
    file = saved(COLOR, format_, duration=100, icc_profile=profile, **options)
    before, after = opened(file), opened(colorized(file))
    assert (after.n_frames, after.info["icc_profile"]) == (2, profile)
    upright = [ImageOps.exif_transpose(image) for image in (before, after)]
    assert upright[0].size == upright[1].size == (301, 403)
    # Tones are those of the samples in their own space, as in a photo.
    grays = [np.asarray(image.convert("RGB").convert("L")).astype(int) for image in upright]
    assert np.abs(grays[0] - grays[1]).mean() < 2


def test_a_gif_animation_becomes_webp_unless_gif_is_asked_for(tmp_path: object) -> None:
    file = animation("GIF")
    outcome = colorized_into(tmp_path, file, "a.gif")
    assert outcome.outputs[0].name == "a.webp"
    assert outcome.note == "256 colors spoil an animation; it is written as WebP"
    asked = opened(colorized(file, "gif"))
    assert (asked.format, asked.n_frames, asked.info["loop"]) == ("GIF", 3, 2)
    grays = []
    for animated in (opened(file), asked):
        animated.seek(2)
        grays.append(np.asarray(animated.convert("RGB").convert("L")).astype(int))
    assert np.abs(grays[0] - grays[1]).max() <= 1


@pytest.mark.parametrize("page", range(3))
def test_the_chain_reads_any_page_of_a_document(page: int) -> None:
    photo = open_photo(document(), page=page)
    assert (photo.pages, photo.frames) == (3, 1)
    gray = color.luma(photo.pixels).astype(int)
    expected = PAGES[page] if page < 2 else np.rint(DEEP / 257)
    assert np.abs(gray - expected).max() <= 1


@pytest.mark.parametrize("left", [0.3, 0.9])
def test_a_document_cut_off_fails_whole(left: float, tmp_path: object) -> None:
    file = saved(COLOR, "TIFF", save_all=True, append_images=[GRAY.copy(), COLOR.copy()])
    outcome = colorized_into(tmp_path, file[: int(len(file) * left)], "scan.tif")
    assert outcome.status == "failed"
    assert "damaged" in outcome.reason
    assert not list(tmp_path.glob("out/*"))
