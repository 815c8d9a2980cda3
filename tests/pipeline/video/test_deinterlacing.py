"""Films of two moments a frame."""

from __future__ import annotations

from pathlib import Path

import av
import films
import numpy as np
import pytest
from predictors import Rainbow

from pipeline.inference.colorizer import Colorizer
from pipeline.video.color_video import color_video


def interlaced(path: Path, **settings: str) -> Path:
    """A film whose even and odd lines are of two moments, eight pixels of movement apart."""
    pictures = []
    for number in range(0, 12 * 8, 8):
        frame = films.picture(number)
        frame[1::2] = films.picture(number + 4)[1::2]
        pictures.append(frame)
    return films.write_film(path, pictures=pictures, **settings)  # type: ignore[arg-type]


def comb(path: Path) -> float:
    """How much lines differ from the mean of their neighbors, over that of lines two apart."""
    found = []
    for frame in films.frames_of(path)[2:-2]:
        luma = films.planes_of(frame)[0].astype(float)
        found.append(np.abs(luma[2:-2] - (luma[1:-3] + luma[3:-1]) / 2).mean())
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gray.mkv", {"codec": "ffv1"}),
        ("gray10.mkv", {"codec": "ffv1", "pixels": "yuv422p10le"}),
        ("gray.mpg", {"codec": "mpeg2video", "flags": "+ildct+ilme", "b": "4M"}),
    ],
)
def test_the_comb_goes_and_frames_and_times_stay(
    name: str, settings: dict[str, str], tmp_path: Path
) -> None:
    source = interlaced(tmp_path / name, **settings)
    colorizer = Colorizer(Rainbow())
    color_video(source, tmp_path / "combed.mkv", colorizer, codec="ffv1")
    color_video(source, tmp_path / "color.mkv", colorizer, codec="ffv1", deinterlace=True)
    assert comb(tmp_path / "combed.mkv") == pytest.approx(comb(source), rel=0.01)
    assert comb(tmp_path / "color.mkv") < comb(source) / 4
    assert films.times_of(tmp_path / "color.mkv") == films.times_of(tmp_path / "combed.mkv")
    with av.open(str(tmp_path / "color.mkv")) as film:
        assert not any(frame.interlaced_frame for frame in film.decode(video=0))


def test_the_flag_of_a_film_that_is_not_deinterlaced_stays(tmp_path: Path) -> None:
    source = interlaced(tmp_path / "gray.mpg", codec="mpeg2video", flags="+ildct+ilme", b="4M")
    color_video(source, tmp_path / "color.mkv", Colorizer(Rainbow()), codec="libx264")
    for path in (source, tmp_path / "color.mkv"):
        assert all(frame.interlaced_frame for frame in films.frames_of(path))
