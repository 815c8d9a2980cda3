"""What is asked of the encoder, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import av
import films
import pytest
from predictors import Rainbow

from pipeline.errors import ColorpipeError
from pipeline.inference.colorizer import Colorizer
from pipeline.video.color_video import color_video
from pipeline.video.settings import CodecName, FilmSettings, Progress


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer(Rainbow())


@pytest.mark.parametrize(
    ("codec", "suffix", "decoded"),
    [
        ("libx264", ".mp4", "h264"),
        ("libx265", ".mp4", "hevc"),
        ("libsvtav1", ".mkv", "libdav1d"),
        ("libvpx-vp9", ".webm", "vp9"),
        ("ffv1", ".mkv", "ffv1"),
        ("prores_ks", ".mov", "prores"),
        ("source", ".mkv", "ffv1"),
    ],
)
def test_each_codec_encodes(
    codec: CodecName, suffix: str, decoded: str, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / "gray.mkv", times=range(0, 240, 40))
    color_video(source, tmp_path / f"color{suffix}", colorizer, codec=codec)
    with av.open(str(tmp_path / f"color{suffix}")) as film:
        assert film.streams.video[0].codec_context.name == decoded
    assert films.times_of(tmp_path / f"color{suffix}") == films.times_of(source)


def test_av1_leaves_the_processor_to_others(colorizer: Colorizer, tmp_path: Path) -> None:
    """Run by root, its library asks for real-time priority."""
    source = films.write_film(tmp_path / "gray.mkv", times=range(0, 240, 40))
    policies = set()

    def look(_: Progress) -> None:
        threads = Path("/proc/self/task").iterdir()
        policies.update(os.sched_getscheduler(int(thread.name)) for thread in threads)

    before = os.sched_getscheduler(0)
    color_video(source, tmp_path / "color.mkv", colorizer, codec="libsvtav1", progress=look)
    assert policies == {before} == {os.sched_getscheduler(0)}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"crf": 99}, "--crf is 99, but for libx264 must be from 0 to 51"),
        ({"crf": 20, "codec": "ffv1"}, "ffv1 has no --crf"),
        ({"preset": "quick"}, "--preset is 'quick', but for libx264 must be one of ultrafast"),
        ({"preset": "fast", "codec": "ffv1"}, "for ffv1 that codec has none"),
        ({"codec": "source"}, "--codec source cannot encode mpeg4"),
    ],
)
def test_what_does_not_go_together_is_named(
    options: dict[str, object], sentence: str, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / "gray.mkv", codec="mpeg4")
    with pytest.raises(ColorpipeError, match=sentence):
        color_video(source, tmp_path / "color.mkv", colorizer, **options)  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == {"gray.mkv"}


def test_slow_motion_is_encoded_by_av1(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mp4", codec="libx264", times=range(0, 120, 2))
    with av.open(str(source)) as film:
        assert (film.streams.video[0].average_rate or 0) > 240
    color_video(source, tmp_path / "color.mp4", colorizer, codec="libsvtav1")
    assert films.times_of(tmp_path / "color.mp4") == pytest.approx(films.times_of(source))


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".webm", "libx264"),
        (".mov", "libvpx-vp9"),
        (".mov", "libsvtav1"),
        (".ts", "libsvtav1"),
        (".ts", "ffv1"),
        (".m2ts", "prores_ks"),
        (".m2ts", "source"),
    ],
)
def test_a_codec_that_the_container_lacks_is_named_at_once(
    suffix: str, codec: CodecName, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / "gray.mkv")
    own = "ffv1" if codec == "source" else codec
    seen: list[Progress] = []
    with pytest.raises(ColorpipeError, match=rf"{suffix} does not hold {own}; choose another"):
        color_video(
            source, tmp_path / f"color{suffix}", colorizer, codec=codec, progress=seen.append
        )
    assert seen == []
    assert {path.name for path in tmp_path.iterdir()} == {"gray.mkv"}


@pytest.mark.parametrize(("pixels", "full_range"), [("yuv422p10le", True), ("bgr0", None)])
def test_prores_does_not_change_the_contrast(
    pixels: str, full_range: bool | None, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / "gray.mkv", pixels=pixels, full_range=full_range)
    with pytest.raises(ColorpipeError, match="prores_ks has only luma of the limited range"):
        color_video(source, tmp_path / "color.mov", colorizer, codec="prores_ks")


def test_crf_and_preset_reach_the_encoder(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mkv")
    sizes = []
    for crf in (10, 40):
        target = tmp_path / f"{crf}.mp4"
        color_video(source, target, colorizer, crf=crf, preset="ultrafast")
        sizes.append(target.stat().st_size)
        assert b"subme=0" in target.read_bytes()
    assert sizes[0] > sizes[1]


@pytest.mark.parametrize("wrong", [{"steady": 1.1}, {"start": -1.0}, {"duration": 0.0}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        FilmSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("codec", "suffix", "holds"),
    [
        ("libx264", ".mp4", True),
        ("prores_ks", ".mov", True),
        ("ffv1", ".mkv", True),
        ("libx265", ".mp4", False),
        ("libvpx-vp9", ".mkv", False),
        ("libsvtav1", ".mkv", False),
    ],
)
def test_interlaced_films_stay_interlaced_or_it_is_named(
    codec: CodecName, suffix: str, *, holds: bool, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(
        tmp_path / "gray.mp4", codec="libx264", **{"x264-params": "tff=1:interlaced=1"}
    )
    assert films.frames_of(source)[0].interlaced_frame
    note = color_video(source, tmp_path / f"color{suffix}", colorizer, codec=codec).note
    assert films.frames_of(tmp_path / f"color{suffix}")[0].interlaced_frame == holds
    named = "without saying that it is interlaced, which the codec does not hold"
    assert note == ("" if holds else named)


def test_films_that_become_interlaced_are(colorizer: Colorizer, tmp_path: Path) -> None:
    source = _one_after_the_other(tmp_path, "tff=1:interlaced=0", "tff=1:interlaced=1")
    assert not films.frames_of(source)[0].interlaced_frame
    color_video(source, tmp_path / "color.mp4", colorizer)
    assert films.frames_of(tmp_path / "color.mp4")[-1].interlaced_frame


def test_pixels_that_change_their_shape_are_named(colorizer: Colorizer, tmp_path: Path) -> None:
    source = _one_after_the_other(tmp_path, "sar=1/1", "sar=4/3")
    note = color_video(source, tmp_path / "color.mkv", colorizer).note
    assert note == "with pixels of one shape from beginning to end, though its own change"


def test_pictures_that_change_their_size_are_named(colorizer: Colorizer, tmp_path: Path) -> None:
    source = tmp_path / "gray.ts"
    with source.open("wb") as stream:
        for size in ((64, 96), (48, 80)):
            part = films.write_film(tmp_path / "part.ts", codec="libx264", size=size)
            stream.write(part.read_bytes())
    result = color_video(source, tmp_path / "color.mkv", colorizer)
    assert result.note == "with pictures of one size from beginning to end, though its own change"
    shown = films.frames_of(tmp_path / "color.mkv")
    assert len(shown) == result.frames == 24
    assert {(frame.height, frame.width) for frame in shown} == {(64, 96)}


def _one_after_the_other(folder: Path, *parameters: str) -> Path:
    """Join recordings that were encoded in several ways, as a broadcast has them."""
    joined = folder / "gray.ts"
    with joined.open("wb") as stream:
        for each in parameters:
            options = {"x264-params": each, "tune": "zerolatency"}
            part = films.write_film(folder / "part.ts", codec="libx264", **options)
            stream.write(part.read_bytes())
    return joined
