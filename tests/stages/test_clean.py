import csv
import dataclasses
import hashlib
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tifffile
from bombs import BOMB, open_document_or_crash, open_or_crash
from photos import pixels_of, real_photos, scene
from PIL import Image

from pipeline.dataset.filters import CleanRow
from pipeline.errors import ColorpipeError
from pipeline.files.csv_tables import read_table
from pipeline.imaging.decode import Document, ImageError, Photo, open_document
from pipeline.imaging.errors import OUT_OF_MEMORY
from pipeline.params import CleanParams, ResizeParams
from stages.clean import clean
from stages.resize import resize

Rows = dict[str, dict[str, str]]


def jpeg(pixels: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95, **options)
    return stream.getvalue()


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def fill(raw: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return raw


def cleaned(tmp_path: Path, files: dict[str, bytes], **values: object) -> tuple[Path, Rows]:
    """Clean ``files`` and return the folder of clean photos and the report by raw file."""
    raw = fill(tmp_path / "raw", files)
    out, report = tmp_path / "clean", tmp_path / "reports/clean.csv"
    clean(raw, out, report, CleanParams(**values))
    with report.open(newline="") as stream:
        return out, {f"{row['category']}/{row['file']}": row for row in csv.DictReader(stream)}


def state(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


GOOD = jpeg(scene(0))


def test_a_fit_photo_is_copied_and_the_raw_one_left_alone(tmp_path: Path) -> None:
    files = {f"sea/{path.name}": path.read_bytes() for path in real_photos(8)}
    out, rows = cleaned(tmp_path, files)
    assert {row["decision"] for row in rows.values()} == {"kept"}
    for name, data in files.items():
        assert (out / name).read_bytes() == data
        assert (tmp_path / "raw" / name).read_bytes() == data
        assert not (out / name).samefile(tmp_path / "raw" / name)


def test_every_file_has_a_row_with_what_was_decided(tmp_path: Path) -> None:
    gray = np.asarray(Image.fromarray(scene(1)).convert("L").convert("RGB"))
    sepia = np.rint(gray * np.array([1.0, 0.85, 0.65])).astype(np.uint8)
    blurred = np.asarray(
        Image.fromarray(scene(2, 12, 16)).resize((160, 120), Image.Resampling.BICUBIC)
    )
    animation = io.BytesIO()
    frames = [Image.fromarray(scene(n)) for n in (3, 4)]
    frames[0].save(animation, "GIF", save_all=True, append_images=frames[1:])
    files = {
        "sea/good.jpg": GOOD,
        "sea/gray.jpg": jpeg(gray),
        "sea/sepia.jpg": jpeg(sepia),
        "sea/small.jpg": jpeg(scene(5, 63, 90)),
        "sea/long.jpg": jpeg(scene(6, 100, 400)),
        "sea/dark.jpg": jpeg(scene(7) // 12),
        "sea/light.jpg": jpeg(215 + scene(8) // 8),
        "sea/blank.jpg": jpeg(120 + scene(9) // 12),
        "sea/blurred.jpg": jpeg(blurred),
        "sea/drawing.png": png(_drawing()),
        "sea/moving.gif": animation.getvalue(),
        "sea/cut.jpg": GOOD[:-900],
        "sea/page.jpg": b"<html></html>",
        "sea/pixel.png": png(Image.new("RGB", (1, 1))),
        "sea/nested/photo.jpg": GOOD,
        "stray.jpg": GOOD,
    }
    out, rows = cleaned(tmp_path, {**files, "manifest.csv": b"name\n"})
    assert {name: row["reason"] for name, row in rows.items()} == {
        "sea/good.jpg": "",
        "sea/gray.jpg": "gray or tinted",
        "sea/sepia.jpg": "gray or tinted",
        "sea/small.jpg": "too small",
        "sea/long.jpg": "too elongated",
        "sea/dark.jpg": "too dark",
        "sea/light.jpg": "too light",
        "sea/blank.jpg": "blank",
        "sea/blurred.jpg": "blurred",
        "sea/drawing.png": "drawing",
        "sea/moving.gif": "animated",
        "sea/cut.jpg": "unreadable",
        "sea/page.jpg": "unreadable",
        "sea/pixel.png": "too small",
        "sea/nested/photo.jpg": "not in a category's folder",
        "/stray.jpg": "not in a category's folder",
    }
    assert list(state(out)) == ["sea/good.jpg"]
    assert rows["sea/small.jpg"]["detail"] == "shorter side 63 is under 64"
    with Image.open(tmp_path / "reports/clean-dropped.png") as sheet:
        assert sheet.width > 128


def _drawing() -> Image.Image:
    sheet = np.full((120, 160, 3), (240, 220, 60), np.uint8)
    sheet[20:70, 20:90] = (200, 30, 40)
    sheet[50:110, 70:150] = (30, 60, 200)
    return Image.fromarray(sheet)


UNCHECKED = {
    name: None for name in CleanParams.model_fields if name.startswith(("min_", "max_"))
} | {"max_pixels": 100_000_000}


@pytest.mark.parametrize(
    ("threshold", "pixels"),
    [
        ("min_side", scene(5, 63, 90)),
        ("max_aspect", scene(6, 100, 400)),
        ("min_highlight", scene(7) // 12),
        ("max_shadow", 215 + scene(8) // 8),
        ("min_contrast", 120 + scene(9) // 12),
        ("min_chroma_spread", np.asarray(Image.fromarray(scene(1)).convert("L").convert("RGB"))),
        ("min_sharpness", np.asarray(Image.fromarray(scene(2, 12, 16)).resize((160, 120)))),
        ("max_flatness", np.asarray(_drawing())),
    ],
)
def test_a_threshold_of_null_is_not_checked(
    tmp_path: Path, threshold: str, pixels: np.ndarray
) -> None:
    files = {"sea/good.jpg": GOOD, "sea/other.png": png(Image.fromarray(pixels))}
    only = {**UNCHECKED, threshold: CleanParams.model_fields[threshold].default}
    _, rows = cleaned(tmp_path, files, **only)
    assert rows["sea/other.png"]["decision"] == "dropped"
    _, rows = cleaned(tmp_path, files, **UNCHECKED)
    assert rows["sea/other.png"]["decision"] == "kept"


def test_what_needs_a_change_is_converted(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    alpha = Image.fromarray(scene(11)).convert("RGBA")
    alpha.paste((255, 0, 0, 0), (0, 0, 20, 20))
    gif = io.BytesIO()
    Image.fromarray(scene(12)).save(gif, "GIF")
    out, rows = cleaned(
        tmp_path,
        {
            "sea/turned.jpg": jpeg(scene(10), exif=turned),
            "sea/alpha.png": png(alpha),
            "sea/palette.gif": gif.getvalue(),
            "sea/cmyk.jpg": _cmyk(scene(13)),
        },
    )
    assert {row["decision"] for row in rows.values()} == {"converted"}
    assert sorted(state(out)) == [
        "sea/alpha.png",
        "sea/cmyk.jpg",
        "sea/palette.png",
        "sea/turned.jpg",
    ]
    assert pixels_of(out / "sea/turned.jpg").shape == (160, 120, 3)
    assert rows["sea/turned.jpg"]["width"] == "120"
    with Image.open(out / "sea/turned.jpg") as image:
        assert image.getexif().get(0x0112, 1) == 1
    assert (pixels_of(out / "sea/alpha.png")[:20, :20] == 255).all()
    for name in state(out):
        with Image.open(out / name) as image:
            assert image.mode == "RGB"


def _cmyk(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).convert("CMYK").save(stream, "JPEG", quality=95)
    return stream.getvalue()


def test_a_wrong_extension_is_corrected_and_the_bytes_are_kept(tmp_path: Path) -> None:
    data = png(Image.fromarray(scene(14)))
    out, rows = cleaned(tmp_path, {"sea/a.jpg": data, "sea/b.JPEG": GOOD, "sea/c": jpeg(scene(15))})
    assert (out / "sea/a.png").read_bytes() == data
    assert (out / "sea/b.jpg").read_bytes() == GOOD
    assert (out / "sea/c.jpg").exists()
    assert rows["sea/a.jpg"]["detail"] == "content is PNG"
    assert rows["sea/b.JPEG"]["detail"] == ""


def test_files_of_one_stem_do_not_overwrite_each_other(tmp_path: Path) -> None:
    out, rows = cleaned(
        tmp_path,
        {
            "sea/a.jpg": GOOD,
            "sea/a.png": png(Image.fromarray(scene(16))),
            "sea/A.jpeg": jpeg(scene(17)),
        },
    )
    stems = [Path(name).stem.casefold() for name in state(out)]
    assert len(stems) == len(set(stems)) == 3
    assert sorted(row["name"] for row in rows.values()) == sorted(
        name.removeprefix("sea/") for name in state(out)
    )


def test_a_newcomer_of_the_same_stem_does_not_rename_a_photo(tmp_path: Path) -> None:
    files = {"sea/a.jpg": GOOD, "sea/deeper/b.jpg": GOOD, "sea/b.jpg": jpeg(scene(18))}
    out, _ = cleaned(tmp_path, files)
    before = state(out)
    assert list(before) == ["sea/a.jpg", "sea/b.jpg"]
    more = {"sea/a.bmp": _bmp(scene(16)), "sea/A.jpeg": jpeg(scene(17))}
    out, _ = cleaned(tmp_path, more)
    after = state(out)
    assert len(after) == 4
    assert before.items() <= after.items()


def _bmp(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "BMP")
    return stream.getvalue()


def test_of_copies_that_share_a_stem_one_is_kept(tmp_path: Path) -> None:
    out, rows = cleaned(tmp_path, {"sea/x.jpg": GOOD, "sea/x.jpeg": GOOD, "sea/x.JPG": GOOD})
    assert [row["decision"] for row in rows.values()].count("kept") == 1
    (kept,) = [row["name"] for row in rows.values() if row["decision"] == "kept"]
    assert list(state(out)) == [f"sea/{kept}"]


def test_names_that_are_not_text_do_not_stop_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = fill(tmp_path / "raw", {"sea/good.jpg": GOOD})
    for name, data in ((b"caf\xe9.jpg", jpeg(scene(1))), (b"caf\xe8.jpg", b"no photo")):
        (raw / "sea" / os.fsdecode(name)).write_bytes(data)
    out, rows = cleaned(tmp_path, {})
    clean(raw, out, tmp_path / "none.csv", CleanParams(), dry_run=True)
    assert "dropped  sea/caf?.jpg  unreadable" in capsys.readouterr().out
    assert "sea/caf?.jpg" in rows
    names = sorted(path.name for path in (out / "sea").iterdir())
    assert names[1] == "good.jpg"
    assert names[0].startswith("caf_")
    assert names[0].isascii()
    with Image.open(tmp_path / "reports/clean-dropped.png") as sheet:
        sheet.load()


def test_a_report_can_be_read_whatever_is_in_the_names_of_files(tmp_path: Path) -> None:
    # macOS keeps the icon of a folder in a file of that name.
    files = {"sea/Icon\r": b"", "sea\r/a\n.jpg": GOOD, "sky/copy.jpg": GOOD}
    _, rows = cleaned(tmp_path, files)
    assert {name: row["decision"] for name, row in rows.items()} == {
        "sea/Icon ": "dropped",
        "sea /a .jpg": "kept",
        "sky/copy.jpg": "dropped",
    }
    assert rows["sky/copy.jpg"]["duplicate_of"] == "sea /a .jpg"
    assert len(read_table(tmp_path / "reports/clean.csv", CleanRow)) == 3


def test_of_duplicates_the_larger_is_kept_then_the_first_name(tmp_path: Path) -> None:
    photo = Image.fromarray(pixels_of(real_photos(1)[0]))
    smaller = photo.resize((photo.width * 3 // 4, photo.height * 3 // 4), Image.Resampling.LANCZOS)
    files = {
        "sea/b.png": png(photo),
        "sky/a.png": png(photo),
        "sea/a.jpg": jpeg(np.asarray(smaller)),
        "sea/other.jpg": GOOD,
    }
    out, rows = cleaned(tmp_path, files)
    assert sorted(state(out)) == ["sea/b.png", "sea/other.jpg"]
    assert rows["sky/a.png"]["reason"] == "duplicate"
    assert rows["sea/a.jpg"]["reason"] == "near duplicate"
    assert {rows[name]["duplicate_of"] for name in ("sky/a.png", "sea/a.jpg")} == {"sea/b.png"}
    out, rows = cleaned(tmp_path, files, duplicate_distance=None)
    assert sorted(state(out)) == ["sea/a.jpg", "sea/b.png", "sea/other.jpg"]
    out, rows = cleaned(tmp_path, files, drop_duplicates=False)
    assert sorted(state(out)) == sorted(files)


def test_photos_that_differ_in_one_bit_are_near_duplicates(tmp_path: Path) -> None:
    pixels = pixels_of(real_photos(1)[0])
    other = pixels.copy()
    other[-1, -1, 2] ^= 1
    files = {"sea/a.png": png(Image.fromarray(pixels)), "sea/b.png": png(Image.fromarray(other))}
    _, rows = cleaned(tmp_path, files)
    assert rows["sea/b.png"]["reason"] == "near duplicate"
    assert rows["sea/b.png"]["detail"] == "hashes differ in 0 bits"
    out, _ = cleaned(tmp_path, files, duplicate_distance=None)
    assert sorted(state(out)) == ["sea/a.png", "sea/b.png"]


def test_on_several_cores_the_same_files_come_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"c{n % 3}/{n:03}.jpg": jpeg(scene(n % 70, 80, 100)) for n in range(100)}
    cleaned(tmp_path / "many", files)
    monkeypatch.setattr("pipeline.engines.pool.cores", lambda: 1)
    cleaned(tmp_path / "one", files)
    for part in ("clean", "reports"):
        assert state(tmp_path / "many" / part) == state(tmp_path / "one" / part)
    assert len(state(tmp_path / "one/clean")) == 70


def test_a_file_that_crashes_its_decoder_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where this process opens the bomb too, for the contact sheet, the test ends with it.
    monkeypatch.setattr("pipeline.dataset.filters.open_document", open_document_or_crash)
    monkeypatch.setattr("pipeline.dataset.clean_report.open_photo", open_or_crash)
    monkeypatch.setattr("pipeline.engines.pool.cores", lambda: 2)
    files = {f"sea/{n:03}.jpg": jpeg(scene(n, 80, 100)) for n in range(70)}
    out, rows = cleaned(tmp_path, {**files, "sea/bad.jpg": BOMB, "sea/poor.jpg": b"no photo"})
    assert sorted(state(out)) == sorted(files)
    assert rows["sea/bad.jpg"]["reason"] == "unreadable"
    assert "crashes a decoder, or it takes more memory" in rows["sea/bad.jpg"]["detail"]


def test_a_dry_run_writes_nothing_and_prints_the_decisions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = fill(tmp_path / "raw", {"sea/good.jpg": GOOD, "sea/small.jpg": jpeg(scene(5, 60, 90))})
    clean(raw, tmp_path / "clean", tmp_path / "clean.csv", CleanParams(), dry_run=True)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    printed = capsys.readouterr().out
    assert "dropped  sea/small.jpg  too small: shorter side 60 is under 64" in printed
    assert "good.jpg" not in printed


def test_when_nothing_is_fit_the_report_says_why(tmp_path: Path) -> None:
    out, _ = cleaned(tmp_path, {"sea/good.jpg": GOOD})
    before = state(out)
    (tmp_path / "raw/sea/good.jpg").write_bytes(b"no photo")
    with pytest.raises(ColorpipeError, match=r"None of the 1 files in .* is fit"):
        clean(tmp_path / "raw", out, tmp_path / "reports/clean.csv", CleanParams())
    assert state(out) == before
    assert "unreadable" in (tmp_path / "reports/clean.csv").read_text()


def test_a_category_of_which_no_photo_is_fit_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"sea/a.jpg": GOOD, "sea/notes.txt": b"", "logos/a.png": png(_drawing()), "b.txt": b""}
    out, _ = cleaned(tmp_path, files)
    named = [line for line in capsys.readouterr().out.splitlines() if line.startswith("No photo")]
    assert named == ["No photo of 'logos' is fit; the data set will be without it."]
    clean(tmp_path / "raw", out, tmp_path / "none.csv", CleanParams(), dry_run=True)
    assert named[0] in capsys.readouterr().out


def test_a_folder_without_categories_is_a_sentence(tmp_path: Path) -> None:
    for raw in (tmp_path / "none", fill(tmp_path / "raw", {"photo.jpg": GOOD})):
        with pytest.raises(ColorpipeError, match=r"run scrape|folder for each category"):
            clean(raw, tmp_path / "clean", tmp_path / "clean.csv", CleanParams())
    assert not (tmp_path / "clean").exists()


def test_a_folder_that_no_clean_made_is_not_replaced(tmp_path: Path) -> None:
    raw = fill(tmp_path / "raw", {"sea/a.jpg": GOOD})
    report = tmp_path / "reports/clean.csv"
    own = {"diaries": "diary.txt", "albums": "sea/holiday.jpg", "deep": "sea/deeper/a.jpg"}
    for folder, name in own.items():
        fill(tmp_path / folder, {name: b"mine"})
        with pytest.raises(ColorpipeError, match=rf"holds {name}, which is not in .*--clean"):
            clean(raw, tmp_path / folder, report, CleanParams())
        assert (tmp_path / folder / name).read_bytes() == b"mine"
    for out in (raw, raw / "clean", tmp_path):
        with pytest.raises(ColorpipeError, match=r"overlap; name another folder with --clean\."):
            clean(raw, out, report, CleanParams())
    (tmp_path / "file").touch()
    with pytest.raises(ColorpipeError, match="file is a file, but a folder is to be written"):
        clean(raw, tmp_path / "file", report, CleanParams())
    assert not report.exists()


def test_only_what_was_cleaned_before_is_replaced(tmp_path: Path) -> None:
    files = {"sea/a.jpg": GOOD, "sea/b.jpg": jpeg(scene(1)), "sea/b.png": png(_drawing())}
    cleaned(tmp_path, files)
    # None is fit, and the next run finds the folder of the first beside the report of the second.
    with pytest.raises(ColorpipeError, match="is fit"):
        cleaned(tmp_path, files, min_side=5000)
    out, _ = cleaned(tmp_path, files)
    assert len(state(out)) == 2
    fill(out, {"sea/mine.jpg": GOOD})
    with pytest.raises(ColorpipeError, match=r"holds sea/mine\.jpg"):
        cleaned(tmp_path, files)
    assert (out / "sea/mine.jpg").exists()
    # Nor the originals of the raw photos, of which those that were dropped would be lost.
    gray = jpeg(np.asarray(Image.fromarray(scene(3)).convert("L").convert("RGB")))
    fill(tmp_path, {"raw/sea/gray.jpg": gray, "mine/sea/a.jpg": GOOD, "mine/sea/gray.jpg": gray})
    (out / "sea/mine.jpg").unlink()
    cleaned(tmp_path, files)
    with pytest.raises(ColorpipeError, match=r"holds sea/gray\.jpg"):
        clean(tmp_path / "raw", tmp_path / "mine", tmp_path / "reports/clean.csv", CleanParams())


def test_a_run_knows_what_was_cleaned_before_under_names_that_are_not_text(
    tmp_path: Path,
) -> None:
    # Archives from systems with another encoding unpack to such names.
    files = {
        os.fsdecode(b"caf\xe9\r/\xe9t\xe9\t.jpg"): GOOD,
        "what?/why?.jpg": jpeg(scene(1)),
        "sea/a.jpg": jpeg(scene(2)),
    }
    out, _ = cleaned(tmp_path, files)
    before = state(out)
    assert len(before) == 3
    cleaned(tmp_path, files)
    with pytest.raises(ColorpipeError, match="is fit"):
        cleaned(tmp_path, files, min_side=5000)
    cleaned(tmp_path, files)
    assert state(out) == before


def test_a_report_that_cannot_be_written_is_what_is_named(tmp_path: Path) -> None:
    raw = fill(tmp_path / "raw", {"sea/a.jpg": GOOD})
    (tmp_path / "full").touch()
    with pytest.raises(ColorpipeError, match=r"The report .*full/r\.csv .* could not be written"):
        clean(raw, tmp_path / "clean", tmp_path / "full/r.csv", CleanParams())
    assert not (tmp_path / "clean").exists()


def test_a_jpeg_that_is_damaged_within_is_dropped(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = jpeg(scene(1), exif=exif)
    files = {"sea/good.jpg": GOOD, "sea/turned.jpg": turned}
    for name, data in (("plain", GOOD), ("exif", turned)):
        files[f"sea/{name}-cut.jpg"] = data[: int(len(data) * 0.6)] + b"\xff\xd9"
    out, rows = cleaned(tmp_path, files)
    assert {name for name, row in rows.items() if row["decision"] == "dropped"} == {
        "sea/plain-cut.jpg",
        "sea/exif-cut.jpg",
    }
    assert "damaged (Corrupt JPEG data" in rows["sea/plain-cut.jpg"]["detail"]
    assert set(state(out)) == {"sea/good.jpg", "sea/turned.jpg"}


def test_a_png_that_is_damaged_within_is_dropped(tmp_path: Path) -> None:
    whole = png(Image.fromarray(scene(1)))
    hole = whole[: len(whole) // 2] + bytes(16) + whole[len(whole) // 2 + 16 :]
    out, rows = cleaned(tmp_path, {"sea/good.png": whole, "sea/hole.png": hole})
    assert rows["sea/hole.png"]["reason"] == "unreadable"
    assert set(state(out)) == {"sea/good.png"}


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    raw = fill(tmp_path / "raw", {"sea/good.jpg": GOOD, "sea/page.jpg": b"<html></html>"})
    (raw / "sea/gone.jpg").symlink_to(tmp_path / "gone.jpg")
    report = tmp_path / "reports/clean.csv"
    failures = clean(raw, tmp_path / "clean", report, CleanParams())
    assert [str(failure) for failure in failures] == [f"{raw}/sea/gone.jpg: the file is not there"]
    assert "gone.jpg,dropped,unreadable,the file is not there" in report.read_text()
    assert set(state(tmp_path / "clean")) == {"sea/good.jpg"}


def test_what_systems_leave_behind_is_skipped(tmp_path: Path) -> None:
    left = (".checkpoints/good.jpg", "@eaDir/good.jpg", "sea/@eaDir/good.jpg", "sea/._good.jpg")
    left += ("sea/Thumbs.db", "sea/#recycle/good.jpg", ".DS_Store")
    out, rows = cleaned(tmp_path, {"sea/good.jpg": GOOD, **dict.fromkeys(left, GOOD)})
    assert set(state(out)) == {"sea/good.jpg"}
    assert set(rows) == {"sea/good.jpg"}


@pytest.mark.parametrize("fault", ["killed", "full"])
def test_a_run_that_ends_at_its_report_does_not_stop_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    gray = jpeg(np.asarray(Image.fromarray(scene(1)).convert("L").convert("RGB")))
    raw = fill(tmp_path / "raw", {"sea/good.jpg": GOOD, "sea/gray.jpg": gray})
    places = (raw, tmp_path / "clean", tmp_path / "reports/clean.csv")
    clean(*places, CleanParams(min_chroma_spread=None))
    before = state(tmp_path)

    def fail(*_: object) -> None:
        if fault == "killed":
            raise KeyboardInterrupt
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("stages.clean.dropped_sheet", fail)
        with pytest.raises((KeyboardInterrupt, ColorpipeError)):
            clean(*places, CleanParams())
    assert state(tmp_path) == before
    clean(*places, CleanParams())
    assert set(state(tmp_path / "clean")) == {"sea/good.jpg"}


def test_memory_that_runs_out_costs_a_photo_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scarce(*_: object, **__: object) -> Photo:
        raise ImageError(OUT_OF_MEMORY)

    exif = Image.Exif()
    exif[0x0112] = 6
    files = {"sea/good.jpg": GOOD, "sea/turned.jpg": jpeg(scene(1), exif=exif)}
    # Whole, as it has to be turned, the second one takes more memory than to be measured.
    monkeypatch.setattr("pipeline.dataset.filters.open_photo", scarce)
    _, rows = cleaned(tmp_path, files)
    assert rows["sea/good.jpg"]["decision"] == "kept"
    assert "memory ran out" in rows["sea/turned.jpg"]["detail"]


def test_a_tiff_that_has_to_be_turned_is_converted(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(scene(1)).save(stream, "TIFF", exif=exif)
    out, rows = cleaned(tmp_path, {"sea/a.tif": stream.getvalue()})
    assert (rows["sea/a.tif"]["decision"], rows["sea/a.tif"]["detail"]) == (
        "converted",
        "turned upright",
    )
    assert pixels_of(out / "sea/a.png").shape == (160, 120, 3)


def document(*pages: np.ndarray, **options: object) -> bytes:
    """A TIFF of several pages, as a scanner of slides makes it."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for page in pages:
            writer.write(page, photometric="rgb", metadata=None, **options)
    return stream.getvalue()


def heic(*pages: np.ndarray) -> bytes:
    file = pillow_heif.HeifFile()
    for page in pages:
        file.add_frombytes("RGB", (page.shape[1], page.shape[0]), page.tobytes())
    stream = io.BytesIO()
    file.save(stream, quality=95)
    return stream.getvalue()


GRAY = np.repeat(scene(1)[..., :1], 3, axis=2)


@pytest.mark.parametrize("make", [document, heic])
def test_each_page_of_a_document_is_a_photo(tmp_path: Path, make: Callable[..., bytes]) -> None:
    pages = [scene(0), GRAY, scene(2, 100, 140), scene(0)]
    file = "sea/scan.tif" if make is document else "sea/scan.heic"
    raw = fill(tmp_path / "raw", {file: make(*pages), "sea/other.jpg": jpeg(scene(3))})
    out, report = tmp_path / "clean", tmp_path / "reports/clean.csv"
    clean(raw, out, report, CleanParams())
    rows = [row for row in read_table(report, CleanRow) if row.page]
    assert [(row.page, row.name, row.reason) for row in rows] == [
        (1, "scan-1.png", ""),
        (2, "", "gray or tinted"),
        (3, "scan-3.png", ""),
        (4, "", "duplicate"),
    ]
    assert [row.detail for row in rows][::3] == ["page 1 of 4", "same pixels"]
    assert rows[3].duplicate_of == f"{file}#page=1"
    assert set(state(out)) == {"sea/other.jpg", "sea/scan-1.png", "sea/scan-3.png"}
    for number in (1, 3):
        difference = pixels_of(out / f"sea/scan-{number}.png").astype(int) - pages[number - 1]
        assert np.abs(difference).mean() < (1e-9 if make is document else 8)
    with Image.open(tmp_path / "reports/clean-dropped.png") as sheet:
        assert np.ptp(np.asarray(sheet)) > 100
    before = state(tmp_path)
    clean(raw, out, report, CleanParams())
    assert state(tmp_path) == before


def test_pages_do_not_take_the_names_of_other_photos(tmp_path: Path) -> None:
    files = {
        "sea/scan.tif": document(scene(0), scene(1)),
        "sea/scan-1.jpg": jpeg(scene(2)),
        "sea/SCAN-2.tif": document(scene(3), scene(4)),
        f"sea/{'long' * 62}.tif": document(scene(5), scene(6)),
    }
    out, _ = cleaned(tmp_path, files)
    names = {path.name.casefold() for path in (out / "sea").iterdir()}
    assert len(names) == 7
    assert {"scan-1.jpg", "scan-2-1.png", "scan-2-2.png"} <= names
    resized = tmp_path / "resized"
    assert resize(out, resized, ResizeParams()) == []
    assert len(state(resized)) == 7


def test_a_damaged_page_is_dropped_and_the_others_are_not(tmp_path: Path) -> None:
    whole = bytearray(document(scene(0), scene(1), scene(2), compression="zlib"))
    with tifffile.TiffFile(io.BytesIO(whole)) as opened:
        (start,) = opened.pages[1].dataoffsets
    whole[start : start + 100] = bytes(100)
    out, _ = cleaned(tmp_path, {"sea/scan.tif": bytes(whole)})
    assert set(state(out)) == {"sea/scan-1.png", "sea/scan-3.png"}
    (row,) = [
        row
        for row in read_table(tmp_path / "reports/clean.csv", CleanRow)
        if row.decision == "dropped"
    ]
    assert (row.page, row.reason) == (2, "unreadable")


def test_pages_of_a_file_that_crashes_its_decoder_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*arguments: object, **values: object) -> Document:
        opened = open_document(*arguments, **values)
        return dataclasses.replace(opened, read=crash_at_third) if opened.pages > 1 else opened

    def crash_at_third(page: int) -> Photo:
        if page == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return open_document(files["sea/scan.tif"]).read(page)

    files = {"sea/scan.tif": document(scene(0), scene(1), scene(2)), "sea/scans.jpg": GOOD}
    files["sea/scan-a.jpg"] = jpeg(scene(4))
    monkeypatch.setattr("pipeline.dataset.filters.open_document", crash)
    out, rows = cleaned(tmp_path, files)
    assert set(state(out)) == {"sea/scans.jpg", "sea/scan-a.jpg"}
    assert rows["sea/scan.tif"]["reason"] == "unreadable"


def test_a_run_knows_the_pages_of_the_one_before(tmp_path: Path) -> None:
    files = {"sea/scan.tif": document(scene(0), scene(1)), "sea/scan-1.jpg": jpeg(scene(2))}
    cleaned(tmp_path, files)
    with pytest.raises(ColorpipeError, match="is fit"):
        cleaned(tmp_path, files, min_side=5000)
    out, _ = cleaned(tmp_path, files)
    assert len(state(out)) == 3


@pytest.mark.parametrize("kind", ["big", "webp"])
def test_tiffs_that_pillow_does_not_read_are_kept(tmp_path: Path, kind: str) -> None:
    options = {"byteorder": ">"} if kind == "big" else {"compression": "webp"}
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, scene(0), bigtiff=kind == "big", photometric="rgb", metadata=None, **options
    )
    out, rows = cleaned(tmp_path, {"sea/a.tif": stream.getvalue()})
    assert rows["sea/a.tif"]["decision"] == "kept"
    assert (out / "sea/a.tif").read_bytes() == stream.getvalue()
    assert resize(out, tmp_path / "resized", ResizeParams()) == []


def test_a_report_does_not_take_the_place_of_a_photo(tmp_path: Path) -> None:
    raw = fill(tmp_path / "raw", {"sea/a.jpg": GOOD})
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(GOOD)
    with pytest.raises(ColorpipeError, match=r"photo\.jpg would take the place of a file"):
        clean(raw, tmp_path / "clean", photo, CleanParams())
    with pytest.raises(ColorpipeError, match="is a folder, but a table"):
        clean(raw, tmp_path / "clean", tmp_path, CleanParams())
    assert photo.read_bytes() == GOOD
