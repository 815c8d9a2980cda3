"""What following edges is worth: color brought up from a quarter and an eighth of a photo's size.

    python benchmarks/upsampling.py [--source PHOTOS] [--photos 100]

The photo's own a* and b*, averaged down, stand for a perfect prediction at the network's size; its
own luma is the guide. The error is CIEDE2000 to the photo itself, over all pixels and over those
within 2 px of an edge between colors. The guided filter here is the published one, which also
averages color over its windows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from pipeline.imaging import color
from pipeline.imaging.color import Float
from pipeline.imaging.decode import RGB, Gray
from pipeline.imaging.gray_photo import shrink
from pipeline.imaging.upsampling import Method, Upsampler

Way = Callable[[Gray, Gray, Float], RGB]
"""From a photo's gray, its small gray and small a*, b* to RGB."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="a folder of photos; else scikit-image's")
    parser.add_argument("--photos", type=int, default=100)
    options = parser.parse_args()
    photos = read_photos(options.source, options.photos)
    ways: dict[str, Way] = {
        "bilinear a*, b*": interpolated(cv2.INTER_LINEAR),
        "cubic a*, b*": interpolated(cv2.INTER_CUBIC),
        "cubic R-Y, B-Y": ours("cubic"),
        "guided filter, radius 1": guided_filter,
        "guided detail (in use)": ours("guided"),
    }
    print(f"{len(photos)} photos, CIEDE2000{'':14}all pixels  at edges")
    for factor in (4, 8):
        for name, way in ways.items():
            errors = np.array([measure(way, photo, factor) for photo in photos])
            mean, edges = np.nanmean(errors, axis=0)
            print(f"x{factor}  {name:32}{mean:10.3f}{edges:10.3f}", flush=True)


def measure(way: Way, photo: RGB, factor: int) -> tuple[float, float]:
    """Return the mean error of all pixels and of those at edges (NaN if there are none)."""
    truth = rgb2lab(photo).astype(np.float32)
    gray = color.luma(photo)
    shape = (gray.shape[0] // factor, gray.shape[1] // factor)
    ab = cv2.resize(truth[..., 1:], shape[::-1], interpolation=cv2.INTER_AREA)
    error = deltaE_ciede2000(rgb2lab(way(gray, shrink(gray, shape), ab)), truth)
    at_edges = near_edges(truth[..., 1:])
    return float(error.mean()), float(error[at_edges].mean()) if at_edges.any() else float("nan")


def near_edges(ab: Float) -> NDArray[np.bool_]:
    """Return where a* and b* change by 20 or more from one pixel to the next, and 2 px around."""
    across = cv2.Sobel(ab, cv2.CV_32F, 1, 0, scale=1 / 4)
    down = cv2.Sobel(ab, cv2.CV_32F, 0, 1, scale=1 / 4)
    steep = np.sqrt((across**2 + down**2).sum(axis=-1)) > 20
    return np.asarray(cv2.dilate(steep.astype(np.uint8), np.ones((5, 5), np.uint8))) > 0


def interpolated(method: int) -> Way:
    """Make the way that interpolates a* and b* and does nothing else."""

    def way(gray: Gray, _: Gray, ab: Float) -> RGB:
        wide = cv2.resize(ab, gray.shape[::-1], interpolation=method)
        return color.chroma_over(gray, np.asarray(wide, np.float32))

    return way


def ours(method: Method) -> Way:
    """Make the way of :mod:`pipeline.imaging.upsampling`."""

    def way(gray: Gray, small: Gray, ab: Float) -> RGB:
        upsampler = Upsampler(small, color.differences_over(small, ab), gray.shape, method)
        return color.merge_planes(gray, *upsampler.band(0, gray))

    return way


def guided_filter(gray: Gray, small: Gray, ab: Float) -> RGB:
    """Color by the fast guided filter of He and Sun, algorithm 2, with its mean coefficients."""
    differences, guide = color.differences_over(small, ab), small.astype(np.float32)[..., None]

    def mean(values: Float) -> Float:
        blurred = cv2.blur(values, (3, 3), borderType=cv2.BORDER_REFLECT)
        return np.asarray(blurred, np.float32).reshape(*values.shape)

    covariance = mean(guide * differences) - mean(guide) * mean(differences)
    slopes = covariance / (mean(guide * guide) - mean(guide) ** 2 + 50)
    offsets = mean(mean(differences) - slopes * mean(guide))
    wide = [cv2.resize(values, gray.shape[::-1]) for values in (mean(slopes), offsets)]
    return color.merge(gray, np.asarray(wide[0] * gray[..., None] + wide[1], np.float32))


def read_photos(source: Path | None, count: int) -> list[RGB]:
    """Read ``count`` photos, evenly from all of ``source``."""
    if source is None:
        return [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()]
    paths = sorted(source.rglob("*.jpg"))
    if not paths:
        raise SystemExit(f"{source} has no .jpg files.")
    step = max(len(paths) // count, 1)
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths[::step][:count]]


if __name__ == "__main__":
    main()
