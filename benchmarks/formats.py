"""What coloring keeps of a photo, format by format: tones, bits, pages and metadata.

    python benchmarks/formats.py > table.md
    python benchmarks/formats.py --many 2000

Every file is made here, given captions, GPS, ratings and the like by exiftool, colored by
`colorpipe colorize` with a stand-in for the network, and looked at by other programs: exiftool for
the metadata, ImageMagick and tifffile for the pixels. exiftool and ImageMagick have to be
installed, and the extra ``formats``.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import imagecodecs
import numpy as np
import pillow_heif
import skimage.data
import tifffile
from numpy.typing import NDArray
from PIL import Image

from pipeline.imaging.color import Float
from pipeline.imaging.formats import photo_file
from pipeline.imaging.formats.directories import LONG, SHORT, Layout, to_exif
from pipeline.imaging.formats.directories import Directory as Tags
from pipeline.imaging.icc import srgb_icc
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.jobs import find_jobs
from pipeline.inference.outcomes import Outcome
from pipeline.inference.streaming import colorize_files

GRAY = np.ascontiguousarray(skimage.data.camera()[100:260, 150:350])
DEEP = (GRAY.astype(np.uint16) * 257 - GRAY // 3).astype(np.uint16)
PHOTO = Image.fromarray(GRAY)

COMMON = (
    "-EXIF:Make=Kodak",
    "-EXIF:DateTimeOriginal=1931:08:01 12:00:00",
    "-GPS:GPSLatitude=52.5",
    "-GPS:GPSLatitudeRef=N",
    "-XMP-dc:Title=Harvest",
    "-XMP-xmp:Rating=4",
    "-XMP-mwg-rs:RegionInfo={AppliedToDimensions={W=200,H=160,Unit=pixel},"
    "RegionList=[{Area={X=0.5,Y=0.5,W=0.1,H=0.1,Unit=normalized},Name=Anna,Type=Face}]}",
    "-IPTC:Caption-Abstract=Harvest 1931",
    "-IPTC:Keywords=farm",
)

# Groups and tags of exiftool that tell of samples, of the file as such, or of the program itself.
_GROUPS = frozenset(
    {"System", "ExifTool", "File", "Composite", "QuickTime", "Track1", "Meta", "Jpeg2000"}
)
_OF_SAMPLES = frozenset(
    {
        *("StripOffsets", "StripByteCounts", "RowsPerStrip", "BitsPerSample", "SamplesPerPixel"),
        *("PhotometricInterpretation", "Compression", "PlanarConfiguration", "BitDepth"),
        *("ColorType", "Filter", "Interlace", "ImageWidth", "ImageHeight", "TileOffsets"),
        *("TileByteCounts", "ExtraSamples", "SampleFormat", "Palette", "FillOrder", "Predictor"),
        *("HasColorMap", "ColorResolutionDepth", "BackgroundColor", "FrameCount", "Duration"),
        *("TransparentColor", "ColorMap", "Transparency", "XMPToolkit", "GIFVersion"),
        *("PixelFormat", "ImageSize", "WebP_Flags", "VP8Version", "HorizontalScale"),
        *("VerticalScale", "AlphaIsUsed", "CurrentIPTCDigest", "JFIFVersion"),
    }
)


class Rainbow:
    """A network's stand-in: red to green across, yellow to blue down."""

    size, multiple, recipe, batch = 64, 32, "stand-in", 4

    def in_threads(self, number: int) -> AbstractContextManager[None]:  # noqa: ARG002
        """Compute as always."""
        return nullcontext()

    def predict(self, grays: NDArray[np.uint8]) -> Float:
        """Predict the same colors for all pictures."""
        count, height, width = grays.shape
        a, b = np.meshgrid(np.linspace(50, -50, width), np.linspace(50, -50, height))
        return np.repeat(np.dstack([a, b]).astype(np.float32)[None], count, axis=0)


@dataclass(frozen=True)
class Sample:
    """A file to try."""

    name: str
    """As it lies in the folder."""
    title: str
    make: Callable[[], bytes]
    tags: tuple[str, ...] = COMMON
    """What exiftool adds."""

    def write(self, path: Path) -> None:
        """Make the file."""
        path.write_bytes(self.make())
        if self.tags:
            run("exiftool", "-q", "-m", "-overwrite_original", *self.tags, str(path))


def saved(image: Image.Image, format_: str, **options: Any) -> bytes:
    """Encode with Pillow."""
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def tiff(samples: NDArray[Any], **options: Any) -> bytes:
    """Encode with tifffile."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, metadata=None, **options)
    return stream.getvalue()


def pages_of(*pages: NDArray[Any], **options: Any) -> bytes:
    """Encode a TIFF of several pages, each with its own resolution and caption."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, **options) as writer:
        for number, page in enumerate(pages):
            dpi = 300 + 100 * number
            writer.write(
                page,
                metadata=None,
                resolution=(dpi, dpi),
                resolutionunit=2,
                description=f"page {number + 1}",
            )
    return stream.getvalue()


def animation(format_: str) -> bytes:
    """Encode three frames."""
    frames = [PHOTO.rotate(angle) for angle in (0, 5, 10)]
    options: dict[str, Any] = {"lossless": True} if format_ == "WEBP" else {}
    times = [100, 200, 300]
    return saved(
        frames[0], format_, save_all=True, append_images=frames[1:], duration=times, **options
    )


def heic(bits: int, pages: int = 1) -> bytes:
    """Encode with libheif."""
    file: Any = cast(Any, pillow_heif).HeifFile()
    for number in range(pages):
        gray = np.roll(DEEP if bits > 8 else GRAY, 30 * number, 1)
        mode = "RGB;16" if bits > 8 else "RGB"
        file.add_frombytes(mode, (200, 160), np.dstack([gray] * 3).tobytes())
    stream = io.BytesIO()
    file.save(stream, quality=90)
    return stream.getvalue()


def linear_dng(channels: int) -> bytes:
    """Write a DNG as scanners' software does: linear samples of 16 bits (DNG 1.7, LinearRaw)."""
    light = np.where(GRAY <= 10, GRAY / 255 / 12.92, ((GRAY / 255 + 0.055) / 1.055) ** 2.4)
    samples = np.rint(light * 65_535).astype("<u2")
    data = (samples if channels == 1 else np.dstack([samples] * 3)).tobytes()
    layout = Layout()
    values: list[tuple[int, int, tuple[int, ...] | bytes]] = [
        (254, LONG, (0,)),
        (256, LONG, (200,)),
        (257, LONG, (160,)),
        (258, SHORT, (16,) * channels),
        (259, SHORT, (1,)),
        (262, SHORT, (34892,)),
        (271, 2, b"Scanner\0"),
        (277, SHORT, (channels,)),
        (278, LONG, (160,)),
        (279, LONG, (len(data),)),
        (284, SHORT, (1,)),
        (50706, 1, b"\1\4\0\0"),
        (50708, 2, b"Scanner 9000\0"),
    ]
    tags = Tags(tuple(layout.entry(*value) for value in values))
    # Twice, since the place of the samples is the length of what stands before them.
    length = len(to_exif(tags.plus(layout.entry(273, LONG, (0,))), layout))
    return to_exif(tags.plus(layout.entry(273, LONG, (length,))), layout) + data


def jp2(samples: NDArray[Any], **options: Any) -> bytes:
    """Encode with OpenJPEG, without loss."""
    return bytes(imagecodecs.jpeg2k_encode(samples, level=0, reversible=True, **options))


def jxl(samples: NDArray[Any]) -> bytes:
    """Encode with libjxl, without loss."""
    return bytes(imagecodecs.jpegxl_encode(samples, lossless=True, usecontainer=True))


def png16(samples: NDArray[Any]) -> bytes:
    """Encode with OpenCV."""
    return cv2.imencode(".png", samples)[1].tobytes()


RGB16 = np.dstack([DEEP] * 3)
SAMPLES = (
    Sample("a.jpg", "JPEG, gray", lambda: saved(PHOTO, "JPEG", quality=90, dpi=(300, 300))),
    Sample(
        "b.jpg",
        "JPEG, YCbCr, progressive, profile, comment",
        lambda: saved(
            PHOTO.convert("RGB"),
            "JPEG",
            quality=85,
            progressive=True,
            icc_profile=srgb_icc(),
            comment=b"attic",
        ),
    ),
    Sample("c.jpg", "JPEG, CMYK", lambda: saved(PHOTO.convert("CMYK"), "JPEG", quality=95)),
    Sample(
        "d.jpg",
        "MPO: a second picture behind",
        lambda: saved(PHOTO, "MPO", save_all=True, append_images=[PHOTO.rotate(3)]),
        (),
    ),
    Sample("e.png", "PNG, 8 bits", lambda: saved(PHOTO, "PNG", dpi=(600, 600))),
    Sample("f.png", "PNG, 16 bits", lambda: png16(DEEP)),
    Sample("g.png", "PNG, 16 bits, colors", lambda: png16(RGB16)),
    Sample("h.png", "APNG, 3 frames", lambda: animation("PNG"), ()),
    Sample("i.webp", "WebP, lossless", lambda: saved(PHOTO, "WEBP", lossless=True)),
    Sample("j.webp", "WebP, animation", lambda: animation("WEBP"), ()),
    Sample("k.gif", "GIF", lambda: saved(PHOTO, "GIF"), ("-Comment=attic",)),
    Sample("l.gif", "GIF, animation", lambda: animation("GIF"), ()),
    Sample("m.bmp", "BMP", lambda: saved(PHOTO, "BMP", dpi=(300, 300)), ()),
    Sample("n.tif", "TIFF, 8 bits", lambda: tiff(GRAY, resolution=(600, 600))),
    Sample("o.tif", "TIFF, 16 bits, LZW", lambda: tiff(DEEP, compression="lzw")),
    Sample(
        "p.tif",
        "TIFF, 16 bits, colors, tiles, big-endian",
        lambda: tiff(RGB16, tile=(64, 64), byteorder=">", photometric="rgb"),
    ),
    Sample(
        "q.tif",
        "BigTIFF",
        lambda: tiff(GRAY, bigtiff=True, description="Harvest", resolution=(600, 600)),
    ),
    Sample(
        "r.tif",
        "TIFF, 3 pages of different sizes",
        lambda: pages_of(GRAY, GRAY[:100, :120], DEEP),
        (),
    ),
    Sample(
        "s.tif",
        "TIFF, WebP inside",
        lambda: tiff(np.dstack([GRAY] * 3), compression="webp", photometric="rgb"),
        (),
    ),
    Sample("t.tif", "TIFF, one bit (fax)", lambda: saved(PHOTO.convert("1"), "TIFF"), ()),
    Sample("u.heic", "HEIC, 8 bits", lambda: heic(8)),
    Sample("v.heic", "HEIC, 10 bits", lambda: heic(10)),
    Sample("w.heic", "HEIC, 2 pictures", lambda: heic(8, 2), ()),
    Sample("x.avif", "AVIF, 8 bits", lambda: saved(PHOTO, "AVIF", quality=90)),
    Sample(
        "y.avif",
        "AVIF, 10 bits",
        lambda: bytes(imagecodecs.avif_encode(RGB16 >> 6, level=95, bitspersample=10)),
    ),
    Sample("ya.avif", "AVIF, animation", lambda: animation("AVIF"), ()),
    Sample("z.jp2", "JPEG 2000, 8 bits", lambda: jp2(GRAY, codecformat="jp2")),
    Sample("za.jp2", "JPEG 2000, 16 bits", lambda: jp2(DEEP, codecformat="jp2")),
    Sample("zb.jp2", "JPEG 2000, 16 bits, colors", lambda: jp2(RGB16, codecformat="jp2")),
    Sample(
        "zc.jp2",
        "JPEG 2000, tiles",
        lambda: saved(PHOTO, "JPEG2000", tile_size=(64, 64), irreversible=False),
    ),
    Sample("zd.j2k", "JPEG 2000, codestream", lambda: jp2(GRAY, codecformat="j2k"), ()),
    Sample("ze.jxl", "JPEG XL, 8 bits", lambda: jxl(GRAY), ("-XMP-dc:Title=Harvest",)),
    Sample("zf.jxl", "JPEG XL, 16 bits", lambda: jxl(DEEP), ("-EXIF:Make=Kodak",)),
    Sample("zg.pgm", "PGM, 8 bits", lambda: saved(PHOTO, "PPM"), ()),
    Sample(
        "zh.pgm",
        "PGM, 16 bits",
        lambda: b"P5\n# attic\n200 160\n65535\n" + DEEP.astype(">u2").tobytes(),
        (),
    ),
    Sample(
        "zi.ppm",
        "PPM, 16 bits",
        lambda: b"P6\n200 160\n65535\n" + RGB16.astype(">u2").tobytes(),
        (),
    ),
    Sample("zj.tga", "TGA", lambda: saved(PHOTO, "TGA"), ()),
    Sample("zk.pcx", "PCX", lambda: saved(PHOTO, "PCX"), ()),
    Sample("zl.dng", "DNG, linear gray of a scanner", lambda: linear_dng(1), ()),
    Sample("zm.dng", "DNG, linear colors of a scanner", lambda: linear_dng(3), ()),
)


def main() -> None:
    """Make, color and compare; print a table in Markdown, or what became of a folder of many."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="a folder for the files; it must not exist")
    parser.add_argument("--many", type=int, help="color a folder of as many mixed files instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        photos, out = folder / "in", folder / "out"
        photos.mkdir(parents=True)
        if options.many:
            fill(photos, options.many)
            color_many(photos, out, folder / "report.jsonl")
            return
        for sample in SAMPLES:
            sample.write(photos / sample.name)
        jobs = list(find_jobs(photos, out, None))
        outcomes = {outcome.name: outcome for outcome in colorize_files(Colorizer(Rainbow()), jobs)}
        print(
            "| read | written as | kB | bits | largest tone error (of 255) | pages"
            " | metadata before | after | missing | opened by |"
        )
        print("|" + " --- |" * 10)
        for sample in SAMPLES:
            print(row(sample, photos / sample.name, outcomes[sample.name]), flush=True)


LARGE = (4000, 3000)
LARGE_KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (".jpg", "JPEG", {"quality": 90}),
    (".tif", "TIFF", {"compression": "tiff_lzw"}),
    (".png", "PNG", {"compress_level": 1}),
    (".jp2", "JPEG2000", {"irreversible": True, "quality_layers": [20]}),
    (".webp", "WEBP", {"quality": 80}),
)
HARM: tuple[Callable[[bytes], bytes], ...] = (
    lambda file: file[: len(file) // 2],
    lambda file: file[: len(file) // 2] + bytes(400) + file[len(file) // 2 + 400 :],
    lambda _: b"<html>gone</html>",
)


def fill(photos: Path, count: int) -> None:
    """Make a folder as it may be found: all kinds, a few large, one of fifty damaged."""
    small = []
    for sample in SAMPLES:
        path = photos / sample.name
        sample.write(path)
        small.append((path.suffix, path.read_bytes()))
        path.unlink()
    grain = np.random.default_rng(0).normal(0, 6, LARGE[::-1])
    scan = np.asarray(PHOTO.resize(LARGE, Image.Resampling.BICUBIC)) + grain
    image = Image.fromarray(np.clip(scan, 0, 255).astype(np.uint8))
    large = [(suffix, saved(image, format_, **more)) for suffix, format_, more in LARGE_KINDS]
    for number in range(count):
        files = large if number % 80 == 40 else small
        suffix, file = files[number // 80 % len(files) if files is large else number % len(files)]
        harm = HARM[number // 50 % len(HARM)] if number % 50 == 7 else None
        path = photos / f"box {number // 100:03}" / f"{number:05}{'-bad' if harm else ''}{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(harm(file) if harm else file)
        if number % 100 == 0:
            (path.parent / "@eaDir").mkdir()
            (path.parent / "@eaDir" / "SYNOPHOTO_THUMB_S.jpg").write_bytes(small[0][1])
            (path.parent / "Thumbs.db").write_bytes(b"thumbs")


def color_many(photos: Path, out: Path, report: Path) -> None:
    """Color a folder by the command, and print its time, peak of memory and what failed."""
    command = [sys.executable, "-m", "pipeline", "colorize"]
    command += [str(photos), str(out), "--report", str(report)]
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    print(f"exit code {done.returncode}, {len(rows)} files, {seconds:.0f} s, {used:.0f} s of")
    print(f"processors, peak of memory {after.ru_maxrss / 1000:.0f} MB")
    print(dict(Counter(row["status"] for row in rows)))
    others = [line for line in done.stderr.splitlines() if not line.startswith("box ")]
    print("standard error beside the names of photos:", *others[:20], sep="\n  ")
    for row in rows:
        if row["status"] != "colorized":
            print(f"{row['photo']}: {row['status']}: {row['reason']}")


def row(sample: Sample, source: Path, outcome: Outcome) -> str:
    """Describe what became of a file."""
    if not outcome.outputs:
        return f"| {sample.title} | {outcome.status}: {outcome.reason} |" + " |" * 8
    target = outcome.outputs[0]
    before, after = photo_file.open_file(source), photo_file.open_file(target)
    tags, kept = metadata_of(source), metadata_of(target)
    missing = sorted(name for name, value in tags.items() if kept.get(name) != value)
    cells = (
        sample.title,
        after.kind.label + (f" ({outcome.note})" if outcome.note else ""),
        f"{source.stat().st_size / 1000:.0f} -> {target.stat().st_size / 1000:.0f}",
        f"{before.bits} -> {after.bits}",
        f"{largest_error(source, target):.2f}",
        f"{before.count} -> {after.count}",
        groups_of(tags),
        groups_of(kept),
        ", ".join(missing),
        ", ".join(openers(target)),
    )
    return "| " + " | ".join(cells) + " |"


def largest_error(source: Path, target: Path) -> float:
    """Return by how much a tone differs at most, on all pages, on the scale of 255."""
    before, after = photo_file.open_file(source), photo_file.open_file(target)
    errors = []
    for old, new in zip(before.pages(), after.pages(), strict=True):
        scaled = [
            photo.gray.astype(np.float64) * 255 / np.iinfo(photo.gray.dtype).max
            for photo in (old.photo, new.photo)
        ]
        errors.append(float(np.abs(scaled[0] - scaled[1]).max()))
    return max(errors)


def metadata_of(path: Path) -> dict[str, str]:
    """Return what exiftool lists that does not describe the samples."""
    found: dict[str, str] = {}
    for line in run("exiftool", "-G1", "-a", "-s", str(path)).splitlines():
        head, _, value = line.partition(":")
        group, _, tag = head.partition("]")
        group, tag = group.removeprefix("["), tag.strip()
        if group not in _GROUPS and not group.startswith("ICC") and tag not in _OF_SAMPLES:
            found[f"{group}:{tag}"] = value.strip()
    return found


def groups_of(tags: dict[str, str]) -> str:
    """Count tags by their groups."""
    counts = Counter(name.partition(":")[0] for name in tags)
    return ", ".join(f"{group} {count}" for group, count in sorted(counts.items()))


def openers(path: Path) -> list[str]:
    """Return which other programs read the pixels."""
    found = []
    if subprocess.run(["identify", str(path)], capture_output=True, check=False).returncode == 0:
        found.append("ImageMagick")
    if "Error" not in run("exiftool", "-G1", "-a", "-s", str(path)):
        found.append("exiftool")
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as opened:
            shapes = [page.asarray().shape for page in opened.pages]
        found.append(f"tifffile ({len(shapes)})")
    return found


def run(*command: str) -> str:
    """Return what a program prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    return done.stdout


if __name__ == "__main__":
    main()
