from __future__ import annotations

import os
import subprocess
import sys

import pytest

_TILES = """
from pipeline.dataset.tiles import make_tile
from pipeline.params import ResizeParams

def made(photo):
    return make_tile(photo, ResizeParams(size=200)).tobytes()
"""
_MEASURES = """
from pipeline.dataset.quality import gray_of, measure, working_copy

def made(photo):
    small = working_copy(photo)
    gray = gray_of(small)
    return small.tobytes() + gray.tobytes() + repr(measure(small, gray)).encode()
"""
_HASHES = """
from pipeline.dataset.hashing import both_hashes
from pipeline.dataset.quality import gray_of

def made(photo):
    return repr(both_hashes(gray_of(photo))).encode()
"""
_OF_MANY_SIZES = """
import hashlib, skimage.data
photo = skimage.data.astronaut()
sizes = [(side, 250) for side in range(50, 250, 4)] + [(side, 500) for side in range(100, 500, 8)]
for height, width in sizes if {forward} else reversed(sizes):
    digest = hashlib.sha256(made(photo[:height, :width]))
    print(height, width, digest.hexdigest())
"""


@pytest.mark.parametrize("what", [_TILES, _MEASURES, _HASHES], ids=["tiles", "measures", "hashes"])
def test_neither_the_processor_nor_the_order_of_photos_makes_a_difference(what: str) -> None:
    # Generations that OpenCV's part of Intel's routines makes a difference of. Backward, another
    # photo is the first of its thread.
    lines = {
        tuple(sorted(_printed(what + _OF_MANY_SIZES.format(forward=forward), generation)))
        for generation in ("sse42", "avx2")
        for forward in (True, False)
    }
    assert len(lines) == 1
    assert len(lines.pop()) == 100


def _printed(code: str, generation: str) -> list[str]:
    """The lines that a Python of its own prints, for whose OpenCV the processor is an older one."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OPENCV_IPP": generation},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
