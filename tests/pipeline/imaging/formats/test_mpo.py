"""JPEGs of several pictures: a stereo pair is pages, a preview is none."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from files import COLOR, GRAY, colorized, opened, saved
from PIL import Image, MpoImagePlugin
from predictors import Rainbow

from pipeline.imaging.decode import open_document
from pipeline.imaging.formats import mpo, photo_file
from pipeline.imaging.formats.directories import read_directories
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.jobs import Job
from pipeline.inference.streaming import colorize_files

STEREO, PREVIEW, UNDEFINED = 0x020002, 0x010001, 0
LEFT, RIGHT = GRAY, GRAY.crop((20, 0, 403, 301))


def several(*kinds: int, left: Image.Image = LEFT, right: Image.Image = RIGHT) -> bytes:
    """A JPEG with pictures behind it of the kinds that the format's index can say."""
    exif = Image.Exif()
    exif[0x010F] = "Fuji"
    pictures = [left.resize((80, 60)) if kind == PREVIEW else right for kind in kinds]
    file = saved(left, "MPO", save_all=True, append_images=pictures, exif=exif, quality=90)
    start = file.index(b"MPF\0") + 4
    entries = read_directories(file[start:])[0].get(0xB002)
    assert entries is not None
    # With more than two pictures Pillow notes wrong lengths.
    first = file[: struct.unpack_from("<I", entries.data, 4)[0]]
    new, files = b"", [first, *(saved(picture, "JPEG", quality=90) for picture in pictures)]
    for number, kind in enumerate((STEREO, *kinds)):
        place = len(b"".join(files[:number])) - start if number else 0
        new += struct.pack("<3I2H", kind, len(files[number]), place, 0, 0)
    return first.replace(entries.data, new) + b"".join(files[1:])


def test_both_pictures_of_a_stereo_pair_are_colored() -> None:
    file = several(STEREO)
    assert photo_file.open_file(file).count == 2
    result = colorized(file)
    with Image.open(io.BytesIO(result)) as image:
        assert isinstance(image, MpoImagePlugin.MpoImageFile)
        assert image.n_frames == 2
        assert image.getexif()[0x010F] == "Fuji"
        kinds = [entry["Attribute"]["MPType"] for entry in image.mpinfo[0xB002]]
        assert kinds == ["Multi-Frame Image: (Disparity)"] * 2
        for number, before in enumerate((LEFT, RIGHT)):
            image.seek(number)
            assert image.size == before.size
            tones = np.asarray(image.convert("L")).astype(int)
            assert np.abs(tones - np.asarray(before)).mean() < 2
            assert np.ptp(np.asarray(image.convert("RGB")).astype(int), axis=2).mean() > 10


def test_a_preview_between_pages_is_dropped_and_the_pages_stay() -> None:
    result = colorized(several(PREVIEW, STEREO, UNDEFINED))
    pages, missing = mpo.pictures(result)
    assert (len(pages), missing) == (2, 0)
    assert [opened(page.file).size for page in pages] == [LEFT.size, RIGHT.size]
    assert len(result) == sum(len(page.file) for page in pages)


def test_previews_and_gain_maps_alone_are_dropped() -> None:
    result = colorized(several(PREVIEW, UNDEFINED))
    assert b"MPF\0" not in result
    with Image.open(io.BytesIO(result)) as image:
        assert image.format == "JPEG"


def test_a_page_that_is_cut_off_is_named(tmp_path: Path) -> None:
    file = several(STEREO)
    (tmp_path / "pair.mpo").write_bytes(file[:-1000])
    job = Job("pair.mpo", tmp_path / "pair.mpo", tmp_path / "out/pair.mpo")
    (outcome,) = colorize_files(Colorizer(Rainbow()), [job])
    assert (outcome.status, outcome.note) == (
        "colorized",
        "pages that the file names and does not hold: 1",
    )
    assert outcome.outputs == (tmp_path / "out/pair.mpo",)


def test_the_chain_reads_both() -> None:
    file = several(STEREO, left=COLOR, right=COLOR.crop((20, 0, 403, 301)))
    document = open_document(file, at_least=64, strict=True)
    assert document.pages == 2
    photos = [document.read(page) for page in (0, 1)]
    assert [(photo.size, photo.pages, photo.format) for photo in photos] == [
        (LEFT.size, 2, "JPEG"),
        (RIGHT.size, 2, "JPEG"),
    ]
