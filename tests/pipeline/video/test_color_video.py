"""Films, good and broken, through the library's function."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import av
import films
import numpy as np
import pytest
import skimage.data
from PIL import Image
from predictors import Rainbow
from skimage.metrics import peak_signal_noise_ratio

from pipeline.errors import ColorpipeError
from pipeline.inference.colorizer import Colorizer
from pipeline.video.color_film import color_film
from pipeline.video.color_video import color_video, colored_frames
from pipeline.video.settings import CodecName, FilmSettings, Progress, Result
from pipeline.video.side_data import matrix_of


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer(Rainbow())


@pytest.mark.parametrize(
    ("pixels", "written"),
    [
        ("yuv420p", "yuv420p"),
        ("yuv422p", "yuv422p"),
        ("yuv444p", "yuv444p"),
        ("yuv411p", "yuv411p"),
        ("yuv410p", "yuv410p"),
        ("yuv420p10le", "yuv420p10le"),
        ("yuv422p12le", "yuv422p12le"),
        ("yuv444p16le", "yuv444p16le"),
        ("gray", "yuv420p"),
        ("gray10le", "yuv420p10le"),
        ("nv12", "yuv420p"),
    ],
)
def test_luma_stays_and_chroma_has_the_films_size(
    pixels: str, written: str, colorizer: Colorizer, tmp_path: Path
) -> None:
    own = "rawvideo" if pixels == "nv12" else "ffv1"
    source = films.write_film(tmp_path / "gray.mkv", codec=own, pixels=pixels)
    color_video(source, tmp_path / "color.mkv", colorizer, codec="ffv1")
    before, after = films.frames_of(source), films.frames_of(tmp_path / "color.mkv")
    assert len(after) == len(before) == 12
    for old, new in zip(before, after, strict=True):
        assert new.format.name == written
        luma, *chroma = films.planes_of(new)
        assert np.array_equal(luma, films.planes_of(old)[0])
        middle = 1 << (new.format.components[0].bits - 1)
        assert all(np.abs(plane.astype(int) - middle).max() > middle / 16 for plane in chroma)


@pytest.mark.parametrize("crf", [4, 20])
def test_luma_is_encoded_as_well_as_by_transcoding_alone(
    crf: int, colorizer: Colorizer, tmp_path: Path
) -> None:
    photo = skimage.data.camera().astype(np.uint16)
    pictures = [photo[100 + n : 196 + n, 60 + 2 * n : 204 + 2 * n] for n in range(24)]
    film: dict[str, Any] = {"size": (96, 144), "pictures": pictures, "times": range(0, 960, 40)}
    source = films.write_film(tmp_path / "gray.mkv", **film)
    films.write_film(tmp_path / "plain.mp4", codec="libx264", crf=str(crf), **film)
    color_video(source, tmp_path / "color.mp4", colorizer, codec="libx264", crf=crf)
    plain, colored = (
        np.mean(
            [
                peak_signal_noise_ratio(picture, films.planes_of(frame)[0], data_range=255)
                for picture, frame in zip(
                    pictures, films.frames_of(tmp_path / f"{name}.mp4"), strict=True
                )
            ]
        )
        for name in ("plain", "color")
    )
    # The encoder looks at chroma too when it decides, and there is none in the plain film.
    assert colored > plain - 0.3


def test_a_film_of_rgb_gets_luma_and_is_of_full_range(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mkv", pixels="bgr0")
    color_video(source, tmp_path / "color.mkv", colorizer, codec="ffv1")
    (first, *_) = films.frames_of(tmp_path / "color.mkv")
    assert first.color_range == 2
    luma = films.planes_of(first)[0].astype(int)
    assert np.abs(luma - films.picture(0)).max() <= 1


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("colorspace", [1, 5, 9])
def test_matrix_and_range_are_the_films(
    colorspace: int, full_range: bool, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(
        tmp_path / "gray.mp4", codec="libx264", colorspace=colorspace, full_range=full_range
    )
    color_video(source, tmp_path / "color.mp4", colorizer)
    (frame, *_) = films.frames_of(tmp_path / "color.mp4")
    assert (frame.colorspace, frame.color_range) == (colorspace, 2 if full_range else 1)


@pytest.mark.parametrize(("size", "colorspace"), [((720, 1280), 1), ((576, 720), 5)])
def test_a_film_that_does_not_say_its_matrix_has_the_one_that_players_take(
    size: tuple[int, int], colorspace: int, colorizer: Colorizer, tmp_path: Path
) -> None:
    planes = []
    for named in (2, colorspace):
        source = films.write_film(
            tmp_path / f"gray{named}.mkv", size=size, colorspace=named, times=[0]
        )
        color_video(source, tmp_path / f"color{named}.mkv", colorizer, codec="ffv1")
        (frame,) = films.frames_of(tmp_path / f"color{named}.mkv")
        planes.append(films.planes_of(frame))
        assert frame.colorspace == (named if colorspace == 5 else 1)
    assert all(np.array_equal(one, other) for one, other in zip(*planes, strict=True))


@pytest.mark.parametrize("size", [(63, 95), (64, 95), (63, 96)])
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_odd_sizes_stay(
    codec: str, size: tuple[int, int], colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / "gray.mkv", size=size)
    color_video(source, tmp_path / "color.mkv", colorizer, codec=codec)  # type: ignore[arg-type]
    (frame, *_) = films.frames_of(tmp_path / "color.mkv")
    assert (frame.height, frame.width) == size


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".m4v", ".ts", ".m2ts"])
def test_time_stamps_stay_one_for_one(suffix: str, colorizer: Colorizer, tmp_path: Path) -> None:
    times = [0, 40, 81, 82, 200, 500, 501, 777, 1000, 1040, 1300, 1301]
    source = films.write_film(tmp_path / f"gray{suffix}", codec="libx264", times=times)
    target = tmp_path / f"color{suffix}"
    color_video(source, target, colorizer)
    assert films.times_of(target) == pytest.approx(films.times_of(source), abs=1e-4)


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_last_picture_that_stands_is_shown_as_long(
    suffix: str, codec: CodecName, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / f"gray{suffix}", codec="libx264", bf="0", last=5000)
    target = tmp_path / f"color{suffix}"
    assert color_video(source, target, colorizer, codec=codec).damage == ""
    with av.open(str(target)) as film:
        assert film.duration == pytest.approx(5_440_000, abs=100_000)
    part = color_video(source, target, colorizer, duration=1, overwrite=True, codec=codec)
    assert part.frames == 12
    with av.open(str(target)) as film:
        assert film.duration == pytest.approx(1_000_000, abs=100_000)


def test_avis_frames_and_sound_keep_their_places(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.avi", codec="libx264", sound="libmp3lame")
    color_video(source, tmp_path / "color.mkv", colorizer)
    times = films.times_of(tmp_path / "color.mkv")
    assert times == pytest.approx(np.arange(12) * 0.04, abs=1e-3)
    sound = films.packets_of(source, "audio")
    assert films.packets_of(tmp_path / "color.mkv", "audio") == sound != []
    # The pictures move a pixel a frame: their order is the old film's.
    for old, new in zip(colored_frames(source, colorizer), range(12), strict=True):
        assert np.abs(old.planes()[0].astype(int) - films.picture(new)).mean() < 3


def test_webm_is_written_as_vp9(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.webm", codec="libvpx-vp9")
    color_video(source, tmp_path / "color.webm", colorizer)
    with av.open(str(tmp_path / "color.webm")) as film:
        assert film.streams.video[0].codec_context.name == "vp9"
    assert films.times_of(tmp_path / "color.webm") == films.times_of(source)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".ts"])
def test_sound_and_tags_are_copied(suffix: str, colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(
        tmp_path / f"gray{suffix}", codec="libx264", sound="aac", tags={"title": "A walk"}
    )
    target = tmp_path / f"color{suffix}"
    color_video(source, target, colorizer)
    assert films.packets_of(target, "audio") == films.packets_of(source, "audio")
    with av.open(str(target)) as film:
        if suffix != ".ts":
            assert film.metadata["title"] == "A walk"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi", ".webm"])
def test_a_label_joins_the_films_comment(suffix: str, colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mkv", tags={"comment": "Grandfather, 1931"})
    target = tmp_path / f"color{suffix}"
    settings = FilmSettings(label="the colors are a guess")
    *_, result = color_film(colorizer, source, target, settings)
    assert isinstance(result, Result)
    assert result.note == ""
    with av.open(str(target)) as film:
        tags = {key.lower(): value for key, value in film.metadata.items()}
    assert tags["comment"] == "Grandfather, 1931; the colors are a guess"


def test_a_container_without_comments_is_named(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mkv")
    *_, result = color_film(
        colorizer, source, tmp_path / "color.ts", FilmSettings(label="the colors are a guess")
    )
    assert isinstance(result, Result)
    assert "without the label, which MPEG-TS" in result.note


def test_chapters_subtitles_and_attachments_are_copied(
    colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / "gray.mkv")
    full = _with_extras(source, tmp_path / "full.mkv")
    result = color_video(full, tmp_path / "color.mkv", colorizer)
    assert result.note == ""
    with av.open(str(full)) as before, av.open(str(tmp_path / "color.mkv")) as after:
        assert [stream.type for stream in after.streams] == [
            stream.type for stream in before.streams
        ]
        assert [chapter["metadata"] for chapter in after.chapters()] == [{"title": "One"}]
        (font,) = (stream for stream in after.streams if stream.type == "attachment")
        assert font.data == b"letters"
    kept = films.packets_of(tmp_path / "color.mkv", "subtitle")
    assert kept == films.packets_of(full, "subtitle") != []


def test_what_a_container_does_not_hold_is_named(colorizer: Colorizer, tmp_path: Path) -> None:
    full = _with_extras(films.write_film(tmp_path / "gray.mkv"), tmp_path / "full.mkv")
    note = color_video(full, tmp_path / "color.mp4", colorizer).note
    assert "MP4 (MPEG-4 Part 14) does not hold" in note
    assert "subtitle" in note


def _with_extras(source: Path, target: Path) -> Path:
    """Add a subtitle, a chapter and an attachment."""
    text = target.with_suffix(".srt")
    text.write_text("1\n00:00:00,100 --> 00:00:00,300\nHello\n\n")
    with (
        av.open(str(source)) as film,
        av.open(str(text)) as words,
        av.open(str(target), "w") as out,
    ):
        picture = out.add_stream_from_template(film.streams.video[0], opaque=True)
        subtitle = out.add_stream_from_template(words.streams.subtitles[0])
        out.add_attachment("letters.ttf", "application/x-truetype-font", b"letters")
        chapter = {"id": 1, "start": 0, "end": 200, "metadata": {"title": "One"}}
        out.set_chapters([{**chapter, "time_base": film.streams.video[0].time_base}])  # type: ignore[typeddict-item]
        films.copy_packets(words, subtitle, out)
        films.copy_packets(film, picture, out)
    return target


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_film_on_its_side_stays_on_it(degrees: int, colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mp4", codec="libx264", rotation=degrees)
    color_video(source, tmp_path / "color.mp4", colorizer)
    (before, *_), (after, *_) = (films.frames_of(path) for path in (source, tmp_path / "color.mp4"))
    assert after.rotation == before.rotation != 0
    assert (after.height, after.width) == films.SIZE
    # The network, which makes the left of what it sees red, has seen the film upright.
    red = films.planes_of(after)[2].astype(float)
    along = red.mean(axis=0) if degrees == 180 else red.mean(axis=1)
    assert abs(along[0] - along[-1]) > 40


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("upside_down", [False, True])
def test_a_mirrored_film_stays_mirrored(
    upside_down: bool, suffix: str, colorizer: Colorizer, tmp_path: Path
) -> None:
    one = 1 << 16
    across, down = (one, -one) if upside_down else (-one, one)
    matrix = (across, 0, 0, 0, down, 0, 0, 0, 1 << 30)
    source = films.write_film(tmp_path / f"gray{suffix}", codec="libx264", matrix=matrix)
    assert color_video(source, tmp_path / f"color{suffix}", colorizer).note == ""
    (before, *_), (after, *_) = (
        films.frames_of(path) for path in (source, tmp_path / f"color{suffix}")
    )
    assert matrix_of(after) == matrix_of(before) == matrix
    # The network, which makes the left of what it sees red, has seen the film upright.
    red = films.planes_of(after)[2].astype(float).mean(axis=0)
    assert (red[-1] - red[0] > 40) if upside_down else (red[0] - red[-1] > 40)


def test_a_part_is_tried_out(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mkv", sound="aac", times=range(0, 2000, 40))
    result = color_video(source, tmp_path / "color.mkv", colorizer, start=1, duration=0.4)
    assert result.frames == 10
    assert films.times_of(tmp_path / "color.mkv") == pytest.approx(np.arange(10) * 0.04, abs=2e-3)
    (luma, *_) = films.planes_of(films.frames_of(tmp_path / "color.mkv")[0])
    assert np.abs(luma.astype(int) - films.picture(25)).mean() < 3
    sound = films.packets_of(tmp_path / "color.mkv", "audio")
    assert 0 <= sound[0][0] < sound[-1][0] < 0.4


def test_frames_can_be_had_one_by_one(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mkv", pixels="gray10le")
    frames = list(colored_frames(source, colorizer))
    assert [frame.seconds for frame in frames] == pytest.approx(np.arange(12) * 0.04)
    assert frames[0].rgb().shape == (*films.SIZE, 3)
    luma, cb, cr = frames[3].planes()
    assert np.array_equal(luma, films.picture(3, top=1023))
    assert cb.shape == cr.shape == (32, 48)


def test_progress_is_reported(colorizer: Colorizer, tmp_path: Path) -> None:
    seen: list[Progress] = []
    source = films.write_film(tmp_path / "gray.mkv")
    color_video(source, tmp_path / "color.mkv", colorizer, progress=seen.append)
    assert [step.frames for step in seen] == list(range(1, 13))
    assert seen[-1].total == 12
    assert seen[-1].seconds == pytest.approx(0.44)


def test_a_part_in_which_no_frame_begins_is_refused_in_a_sentence(
    colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / "gray.mkv", times=[0, 40, 5000, 5040])
    for start, duration in ((9.0, None), (1.0, 2.0)):
        with pytest.raises(ColorpipeError, match="no frame begins in the part that --start and"):
            color_video(source, tmp_path / "color.mkv", colorizer, start=start, duration=duration)
    assert [path.name for path in tmp_path.iterdir()] == ["gray.mkv"]


@pytest.mark.parametrize(
    ("start", "duration", "total"), [(0.8, None, 10), (0.8, 60.0, 10), (0.0, 0.2, 5)]
)
def test_how_many_frames_there_will_be_goes_by_the_part(
    start: float, duration: float | None, total: int, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / "gray.mkv", times=range(0, 1200, 40))
    seen: list[Progress] = []
    color_video(
        source,
        tmp_path / "color.mkv",
        colorizer,
        start=start,
        duration=duration,
        progress=seen.append,
    )
    assert (seen[-1].frames, seen[-1].total) == (total, total)


def _photo(path: Path) -> None:
    Image.new("L", (32, 32), 99).save(path, format="PNG")


def _sound(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as film:
        stream = film.add_stream("aac", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        samples.rate, samples.pts = 8000, 0
        film.mux(stream.encode(samples))
        film.mux(stream.encode(None))


def _encrypted(path: Path) -> None:
    source = films.write_film(path.with_name("open.mkv"), codec="libx264")
    films.copy(source, path, films.ENCRYPTED)
    source.unlink()


def _without_index(path: Path) -> None:
    films.write_film(path, codec="libx264")
    path.write_bytes(path.read_bytes().partition(b"moov")[0][:-4])


def _of_a_broken_index(path: Path) -> None:
    films.write_film(path, codec="libx264")
    before, name, after = path.read_bytes().partition(b"moov")
    path.write_bytes(before[:-4] + struct.pack(">I", 4) + name + after)


BAD = {
    "photo": (_photo, "a photo under the name of a film"),
    "sound": (_sound, "it has no moving pictures, only audio"),
    "empty": (lambda path: path.write_bytes(b""), "not a film that FFmpeg can read"),
    "words": (lambda path: path.write_text("no film " * 99), "not a film that FFmpeg can read"),
    "cut off": (_without_index, "not a film that FFmpeg can read; its index is missing"),
    "broken": (_of_a_broken_index, "not a film that FFmpeg can read(?!;)"),
    "encrypted": (_encrypted, "its pictures are encrypted"),
    "missing": (lambda path: None, "the file is not there"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_film_is_named_in_a_sentence(
    kind: str, colorizer: Colorizer, tmp_path: Path
) -> None:
    make, reason = BAD[kind]
    make(tmp_path / "gray.mp4")
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(ColorpipeError, match=f"gray.mp4 could not be colored: {reason}.*[.]$"):
        color_video(tmp_path / "gray.mp4", tmp_path / "color.mp4", colorizer)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_film_is_not_written_over_itself_or_others(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mkv")
    content = source.read_bytes()
    with pytest.raises(ColorpipeError, match="is the film itself"):
        color_video(source, source, colorizer, overwrite=True)
    with pytest.raises(ColorpipeError, match="not named like a film"):
        color_video(source, tmp_path / "color.png", colorizer)
    (tmp_path / "color.mkv").write_text("mine")
    with pytest.raises(ColorpipeError, match="is there already"):
        color_video(source, tmp_path / "color.mkv", colorizer)
    assert (tmp_path / "color.mkv").read_text() == "mine"
    assert source.read_bytes() == content


@pytest.mark.parametrize("at", ["middle", "end"])
def test_what_could_be_read_of_a_broken_film_is_written(
    at: str, colorizer: Colorizer, tmp_path: Path
) -> None:
    whole = films.write_film(
        tmp_path / "whole.mp4",
        codec="libx264",
        times=range(0, 4000, 40),
        movflags="faststart",
        g="10",
    )
    first = films.copy(whole, tmp_path / "first.mp4", {"movflags": "faststart"})
    content = bytearray(first.read_bytes())
    if at == "end":
        del content[len(content) * 6 // 10 :]
    else:
        start = len(content) * 6 // 10
        content[start : start + 1500] = b"\xff" * 1500
    source = tmp_path / "gray.mp4"
    source.write_bytes(content)
    result = color_video(source, tmp_path / "color.mp4", colorizer)
    assert "could not be read from 0:00:0" in result.damage
    assert 20 < result.frames <= 100
    assert len(films.frames_of(tmp_path / "color.mp4")) == result.frames


def test_without_pyav_the_extra_is_named(
    colorizer: Colorizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("pipeline.video.color_film")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setitem(sys.modules, "av.logging", None)
    with pytest.raises(ColorpipeError, match=r"colorpipe\[video\]"):
        color_video(tmp_path / "gray.mp4", tmp_path / "color.mp4", colorizer)
