"""How fast `colorpipe colorize` is, beside reading and writing alone and beside the plain way.

    python benchmarks/colorize.py [--source PHOTOS] [--model WEIGHTS] [--rounds 3]

Three ways take turns in one run, over the same files, from disk to disk:

a) decoding and encoding alone: the luma plane out of the JPEG and back in, chroma gray, by threads;
b) this colorizer, network included, start-up excluded;
c) the plain way: Pillow, scikit-image's Lab at full size, the same network.

Then the peak of memory beyond the imports and the loaded network, each in a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import skimage.data
from PIL import Image
from skimage.color import lab2rgb, rgb2lab

from pipeline.inference.colorizer import Colorizer
from pipeline.inference.jobs import find_jobs
from pipeline.inference.streaming import Settings, colorize_files
from pipeline.models.resolve import find_model

QUALITY = 90


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model",
        type=Path,
        default=Path("pretrained"),
        help="weights, as `colorpipe colorize` takes them; the default is the pretrained",
    )
    parser.add_argument("--source", type=Path, help="a folder of photos; else scikit-image's")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, default=1000, help="photos of 400 px")
    parser.add_argument("--large", type=int, default=6, help="photos of 12 megapixels")
    parser.add_argument("--peak-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    model = find_model(options.model)
    if options.peak_of:
        print(peak(model, options.peak_of))
        return
    colorizer = Colorizer.load(model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{'':24}{'a':>10}{'b':>10}{'c':>10}{'b/a':>8}{'c/b':>8}")
        for label, count, size, plain in (
            ("12 megapixels", options.large, (4000, 3000), 1),
            ("400 px", options.small, (400, 300), 20),
        ):
            photos = make_photos(folder / label, count, size, options.source)
            compare(label, colorizer, photos, folder / "out", rounds=options.rounds, plain=plain)
        for label, size in (("12 megapixels", (4000, 3000)), ("100 megapixels", (11600, 8700))):
            photos = make_photos(folder / label, 1, size, options.source)
            command = [sys.executable, __file__, "--model", str(model), "--peak-of"]
            done = subprocess.run([*command, photos], capture_output=True, text=True, check=True)
            print(f"peak, one of {label}: {done.stdout.strip()} MB beyond imports and network")


def compare(
    label: str, colorizer: Colorizer, photos: Path, out: Path, *, rounds: int, plain: int
) -> None:
    """Print the median over ``rounds`` of the milliseconds a photo of each way."""
    files = sorted(photos.iterdir())

    ways: dict[str, tuple[Callable[[], None], int]] = {
        "a": (lambda: code_only(files, out), len(files)),
        "b": (lambda: ours(colorizer, photos, out), len(files)),
        "c": (lambda: plain_way(colorizer, files[:plain], out), plain),
    }
    for way, _ in ways.values():
        way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (way, count) in ways.items():
            started = time.perf_counter()
            way()
            times[name].append((time.perf_counter() - started) / count * 1000)
    a, b, c = (statistics.median(times[name]) for name in "abc")
    print(f"{label:16}{'ms/photo':>8}{a:10.1f}{b:10.1f}{c:10.1f}{b / a:8.1f}{c / b:8.1f}")
    print(f"{'':16}{'photos/s':>8}{1000 / a:10.1f}{1000 / b:10.1f}{1000 / c:10.1f}", flush=True)


def ours(colorizer: Colorizer, photos: Path, out: Path) -> None:
    """Colorize a folder as `colorpipe colorize` does."""
    jobs = list(find_jobs(photos, out, None))
    outcomes = colorize_files(colorizer, jobs, Settings("overwrite"))
    for outcome in outcomes:
        if outcome.status != "colorized":
            raise RuntimeError(f"{outcome.name}: {outcome.reason}")


def code_only(files: list[Path], out: Path) -> None:
    """Decode and encode luma, with gray for chroma."""
    out.mkdir(exist_ok=True)

    def code(file: Path) -> None:
        gray = simplejpeg.decode_jpeg(file.read_bytes(), "GRAY", fastdct=False)[..., 0]
        chroma = np.full(((gray.shape[0] + 1) // 2, (gray.shape[1] + 1) // 2), 128, np.uint8)
        data = simplejpeg.encode_jpeg_yuv_planes(
            gray, chroma, chroma, quality=QUALITY, fastdct=False
        )
        (out / file.name).write_bytes(data)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(code, files))


def plain_way(colorizer: Colorizer, files: list[Path], out: Path) -> None:
    """Colorize as peers do: everything in floating point at full size, a photo at a time."""
    out.mkdir(exist_ok=True)
    for file in files:
        with Image.open(file) as image:
            photo = image.convert("RGB")
        height, width = colorizer.working_shape((photo.height, photo.width))
        small = np.asarray(photo.convert("L").resize((width, height), Image.Resampling.BICUBIC))
        (ab,) = colorizer.predict([small])
        lab = rgb2lab(np.asarray(photo.convert("L").convert("RGB")))
        lab[..., 1:] = cv2.resize(ab, photo.size, interpolation=cv2.INTER_LINEAR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of colors outside the gamut
            rgb = lab2rgb(lab)
        result = np.clip(rgb * 255, 0, 255).astype(np.uint8)
        Image.fromarray(result).save(out / file.name, quality=QUALITY)


def peak(model: Path, photos: Path) -> int:
    """Return by how many MB colorizing ``photos`` raises the process's memory (Linux)."""
    colorizer = Colorizer.load(model)
    with tempfile.TemporaryDirectory() as name:
        tiny = make_photos(Path(name) / "tiny", 1, (400, 300), None)
        ours(colorizer, tiny, Path(name) / "out")
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak
        before = status("VmRSS")
        ours(colorizer, photos, Path(name) / "out")
    return (status("VmHWM") - before) // 1000


def status(key: str) -> int:
    """Return a figure of /proc/self/status in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def make_photos(folder: Path, count: int, size: tuple[int, int], source: Path | None) -> Path:
    """Write gray JPEGs with the shapes of ``source``'s photos and a film's grain."""
    folder.mkdir(parents=True, exist_ok=True)
    if source is None:
        sources = [skimage.data.camera(), cv2.cvtColor(skimage.data.coffee(), cv2.COLOR_RGB2GRAY)]
    else:
        files = sorted(source.rglob("*.jpg"))[:20]
        sources = [np.asarray(Image.open(path).convert("L")) for path in files]
        if not sources:
            raise SystemExit(f"{source} has no .jpg files.")
    random = np.random.default_rng(0)
    grain = random.normal(0, 3, (512, 512)).astype(np.float32)
    tiles = (size[1] // 512 + 1, size[0] // 512 + 1)
    for number in range(count):
        shapes = sources[number % len(sources)]
        photo = cv2.resize(shapes, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        photo += np.tile(np.roll(grain, number, 0), tiles)[: size[1], : size[0]]
        pixels = np.clip(photo, 0, 255).astype(np.uint8)
        data = simplejpeg.encode_jpeg(pixels[..., None], QUALITY, "GRAY", "Gray")
        (folder / f"{number:04}.jpg").write_bytes(data)
    return folder


if __name__ == "__main__":
    main()
