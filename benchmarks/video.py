"""How fast films are colored, beside transcoding alone and beside the plain way.

    python benchmarks/video.py [--film FILM] [--seconds 3] [--rounds 2]

Three ways take turns in one run, at 768x432 and at 1920x1080, both made from the film's gray
version, with the same encoder and its default settings:

a) transcoding alone: decoded, encoded;
b) this: luma as it is, steady colors, the network included, start-up excluded;
c) the plain way: each frame through Pillow's RGB and the library's colorizer.

Times are the processor's, over all threads, for the machine may do other things as well. Then the
peak of memory beyond the imports and the loaded network, in a process of its own, and for each way
the PSNR of luma, in dB, to that of the film that was read.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
from PIL import Image

from pipeline.inference.colorizer import Colorizer
from pipeline.video.color_film import color_film
from pipeline.video.encoding import plan
from pipeline.video.planes import plane_of
from pipeline.video.reading import Film
from pipeline.video.settings import Encoding, FilmSettings

SIZES = ((768, 432), (1920, 1080))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--film", type=Path, help="else a window that moves over a photo")
    parser.add_argument(
        "--model",
        type=Path,
        default=Path("pretrained"),
        help="weights, as `colorpipe colorize` takes them; the default is the pretrained",
    )
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peak-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    colorizer = Colorizer.load(options.model)
    if options.peak_of:
        print(peak(colorizer, options.peak_of))
        return
    ways: dict[str, Callable[[Path, Path], None]] = {
        "a": transcode,
        "b": lambda source, target: color(colorizer, source, target),
        "c": lambda source, target: color_plainly(colorizer, source, target),
    }
    print(
        f"{'processor ms a frame':22}{'a':>8}{'b':>8}{'c':>8}{'b/a':>7}{'c/b':>7}{'MB':>7}"
        f"{'dB: a':>8}{'b':>8}{'c':>8}"
    )
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            source = Path(name, "gray.mp4")
            film = options.film or moving_window(Path(name, "window.mkv"), options.seconds)
            count = gray_version(film, source, size, options.seconds)
            best = dict.fromkeys(ways, float("inf"))
            for _ in range(options.rounds):
                for way, function in ways.items():
                    started = time.process_time()
                    function(source, Path(name, f"{way}.mp4"))
                    best[way] = min(best[way], (time.process_time() - started) / count * 1000)
            command = [sys.executable, str(Path(__file__).resolve()), "--model", str(options.model)]
            command += ["--peak-of", str(source)]
            peak_of = int(subprocess.run(command, capture_output=True, check=True).stdout)
            a, b, c = best.values()
            label = f"{size[0]}x{size[1]}, {count} frames"
            print(
                f"{label:22}{a:8.1f}{b:8.1f}{c:8.1f}{b / a:7.2f}{c / b:7.2f}{peak_of:7}"
                + "".join(f"{luma_psnr(source, Path(name, f'{way}.mp4')):8.2f}" for way in ways)
            )


def moving_window(target: Path, seconds: float) -> Path:
    """Write a film of a window that moves over a photo, a few pixels a frame."""
    photo = cv2.resize(skimage.data.coffee(), (1800, 1200), interpolation=cv2.INTER_CUBIC)
    width, height = SIZES[0]
    with av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "12"})
        stream.width, stream.height = width, height
        for number in range(round(seconds * 25)):
            x, y = (round(300 * (1 + wave(number / 75))) for wave in (math.sin, math.cos))
            window = np.ascontiguousarray(photo[y : y + height, x : x + width])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(window)))
        out.mux(stream.encode(None))
    return target


def gray_version(source: Path, target: Path, size: tuple[int, int], seconds: float) -> int:
    """Write a part of a film at ``size`` without its colors; return its number of frames."""
    count = 0
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        old = film.streams.video[0]
        stream = out.add_stream("libx264", rate=old.average_rate, options={"crf": "18"})
        stream.width, stream.height = size
        for frame in film.decode(video=0):
            if frame.time >= seconds:
                break
            gray = frame.reformat(*size, format="gray", dst_color_range="MPEG")
            out.mux(stream.encode(gray.reformat(format="yuv420p", src_color_range="MPEG")))
            count += 1
        out.mux(stream.encode(None))
    return count


def transcode(source: Path, target: Path) -> None:
    """Decode and encode again, with the settings that coloring has."""
    with Film(source) as film:
        encode(film, film.frames(), target)


def color(colorizer: Colorizer, source: Path, target: Path) -> None:
    """Color a film as the command does."""
    for _ in color_film(colorizer, source, target, FilmSettings()):
        pass


def color_plainly(colorizer: Colorizer, source: Path, target: Path) -> None:
    """Color each frame as a photo."""

    def frames(film: Film) -> Iterator[av.VideoFrame]:
        for frame in film.frames():
            image = colorizer(Image.fromarray(frame.to_ndarray(format="rgb24")))
            colored = av.VideoFrame.from_ndarray(np.asarray(image, np.uint8))
            colored.pts, colored.time_base = frame.pts, frame.time_base
            yield colored

    with Film(source) as film:
        encode(film, frames(film), target)


def encode(film: Film, frames: Iterator[av.VideoFrame], target: Path) -> None:
    """Encode frames as ``film`` is encoded by default when it is colored."""
    with Film(film.path) as other:
        first = next(other.frames())
        encoder = plan(
            Encoding(), ".mp4", other.stream, first, time_base=film.time_base, rate=film.rate
        )
    with av.open(str(target), "w") as out:
        stream = encoder.add_stream(out)
        for frame in frames:
            # Where the old film had a key frame is not for the new one to follow.
            frame.pict_type = 0
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def luma_psnr(source: Path, result: Path) -> float:
    """Return the mean PSNR of the luma of two films of 8 bits, frame by frame, in dB."""
    with Film(source) as film, Film(result) as other:
        return statistics.fmean(
            cv2.PSNR(plane_of(frame, 0), plane_of(own, 0))
            for frame, own in zip(film.frames(), other.frames(), strict=True)
        )


def peak(colorizer: Colorizer, source: Path) -> int:
    """Return the MB that coloring a film takes beyond the imports and the loaded network."""
    before = _memory("VmRSS")
    with tempfile.TemporaryDirectory() as name:
        color(colorizer, source, Path(name, "color.mp4"))
    return round((_memory("VmHWM") - before) / 1e6)


def _memory(what: str) -> int:
    """Return bytes that this process has in memory: ``VmRSS`` now, ``VmHWM`` at most so far.

    What ``getrusage`` calls the most is at least what the process that started this one had.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main()
