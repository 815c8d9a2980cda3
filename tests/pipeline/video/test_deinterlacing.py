"""Films of two moments a frame."""

from __future__ import annotations

from pathlib import Path

import av
import films
import numpy as np
import pytest
from av.filter import Graph
from predictors import Rainbow

from pipeline.errors import ColorpipeError
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


@pytest.mark.parametrize(("first", "code"), [("tff", 1), ("bff", 2)])
def test_the_field_that_comes_first_stays_first(first: str, code: int, tmp_path: Path) -> None:
    plain = films.write_film(tmp_path / "plain.mkv")
    with av.open(str(plain)) as film, av.open(str(tmp_path / "gray.mkv"), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"flags": "+ildct+ilme"})
        stream.height, stream.width = films.SIZE
        graph = Graph()
        graph.link_nodes(
            graph.add_buffer(film.streams.video[0]),
            graph.add("setfield", f"mode={first}"),
            graph.add("buffersink"),
        ).configure()
        for frame in film.decode(video=0):
            graph.vpush(frame)
            out.mux(stream.encode(graph.vpull()))
        out.mux(stream.encode(None))
    # From 8 bits and 4:2:0 to 10 bits and 4:2:2.
    target = tmp_path / "color.mov"
    color_video(tmp_path / "gray.mkv", target, Colorizer(Rainbow()), codec="prores_ks")
    # SMPTE RDD 36: interlace_mode, behind the frame's size, "icpf" and 12 bytes of its header.
    for _, data in films.packets_of(target, "video"):
        assert data[20] >> 2 & 3 == code


def test_pictures_that_are_too_small_are_refused_in_a_sentence(tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mkv", size=(3, 16), pixels="yuv444p")
    with pytest.raises(ColorpipeError, match=r"take pictures of 16 x 3 \(yuv444p\); leave it out"):
        color_video(source, tmp_path / "color.mkv", Colorizer(Rainbow()), deinterlace=True)


def test_a_part_begins_and_ends_where_it_is_asked_to(tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mkv", sound="aac", times=range(0, 2000, 40))
    result = color_video(
        source,
        tmp_path / "color.mkv",
        Colorizer(Rainbow()),
        start=1,
        duration=0.4,
        deinterlace=True,
    )
    assert result.frames == 10
    assert films.times_of(tmp_path / "color.mkv") == pytest.approx(np.arange(10) * 0.04, abs=2e-3)
    (luma, *_) = films.planes_of(films.frames_of(tmp_path / "color.mkv")[0])
    assert np.abs(luma.astype(int) - films.picture(25)).mean() < 3
