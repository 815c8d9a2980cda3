"""What a film has besides its pictures, and clocks that are not those of a film."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import films
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image
from predictors import Rainbow

from pipeline.errors import ColorpipeError
from pipeline.inference.colorizer import Colorizer
from pipeline.video.color_video import color_video

SECONDS = range(0, 1200, 40)
"""Time stamps of 30 frames, in milliseconds."""


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer(Rainbow())


@pytest.mark.parametrize("sound", ["aac", None])
@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_a_clock_that_begins_anew_goes_on(
    suffix: str, sound: str | None, colorizer: Colorizer, tmp_path: Path
) -> None:
    one = films.write_film(
        tmp_path / "one.ts", codec="libx264", times=SECONDS, sound=sound, tune="zerolatency"
    )
    (tmp_path / "both.ts").write_bytes(2 * one.read_bytes())
    result = color_video(tmp_path / "both.ts", tmp_path / f"color{suffix}", colorizer)
    assert result.frames == 2 * len(SECONDS)
    shown = films.times_of(tmp_path / f"color{suffix}")
    assert np.diff(shown) == pytest.approx(0.04, abs=2e-3)
    if sound:
        heard = [time for time, _ in films.packets_of(tmp_path / f"color{suffix}", "audio")]
        assert len(heard) == 2 * len(films.packets_of(one, "audio"))
        assert 0 < np.diff(heard).min() <= np.diff(heard).max() < 0.3


@pytest.mark.parametrize("hours", [(10, 0), (0, 10), (10, 0, 10, 20)])
def test_recordings_of_any_hours_follow_each_other(
    hours: tuple[int, ...], colorizer: Colorizer, tmp_path: Path
) -> None:
    one = films.write_film(
        tmp_path / "one.ts", codec="libx264", times=SECONDS, sound="aac", tune="zerolatency"
    )
    with (tmp_path / "all.ts").open("wb") as together:
        for hour in hours:
            together.write(_later(one, tmp_path / "later.ts", 3600 * hour).read_bytes())
    result = color_video(tmp_path / "all.ts", tmp_path / "color.mkv", colorizer)
    assert (result.frames, result.damage) == (len(hours) * len(SECONDS), "")
    assert np.diff(films.times_of(tmp_path / "color.mkv")) == pytest.approx(0.04, abs=2e-3)
    heard = [time for time, _ in films.packets_of(tmp_path / "color.mkv", "audio")]
    assert len(heard) == len(hours) * len(films.packets_of(one, "audio"))
    assert 0 < np.diff(heard).min() <= np.diff(heard).max() < 0.3


def _later(source: Path, target: Path, seconds: int) -> Path:
    """Copy a film with all times later."""
    options = {"output_ts_offset": str(seconds)}
    with av.open(str(source)) as film, av.open(str(target), "w", container_options=options) as out:
        copies = [out.add_stream_from_template(each, opaque=True) for each in film.streams]
        for packet in film.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                out.mux(packet)
    return target


def test_a_broadcast_that_began_at_ten_o_clock_begins_at_zero(
    colorizer: Colorizer, tmp_path: Path
) -> None:
    times = [36_000_000 + time for time in SECONDS]
    source = films.write_film(tmp_path / "gray.ts", codec="libx264", times=times)
    assert films.times_of(source)[0] >= 36_000
    color_video(source, tmp_path / "color.mkv", colorizer)
    shown = films.times_of(tmp_path / "color.mkv")
    assert shown == pytest.approx(np.arange(30) * 0.04, abs=2e-3)
    color_video(source, tmp_path / "color.ts", colorizer)
    assert films.times_of(tmp_path / "color.ts") == pytest.approx(films.times_of(source), abs=1e-3)


def test_a_film_that_begins_late_is_not_damaged(colorizer: Colorizer, tmp_path: Path) -> None:
    times = [5000 + time for time in SECONDS]
    source = films.write_film(tmp_path / "gray.mkv", times=times)
    result = color_video(source, tmp_path / "color.mkv", colorizer)
    assert result.damage == ""
    assert films.times_of(tmp_path / "color.mkv") == pytest.approx(films.times_of(source))


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_time_codes_stay(suffix: str, colorizer: Colorizer, tmp_path: Path) -> None:
    tags = {"timecode": "01:00:00:00"}
    source = films.write_film(tmp_path / "gray.mov", codec="libx264", tags=tags)
    assert _time_codes(source) == ["01:00:00:00"]
    result = color_video(source, tmp_path / f"color{suffix}", colorizer)
    assert result.note == ""
    assert _time_codes(tmp_path / f"color{suffix}") == ["01:00:00:00"]


def _time_codes(path: Path) -> list[str]:
    with av.open(str(path)) as film:
        return [each.metadata["timecode"] for each in film.streams if each.type == "data"]


def test_a_time_code_is_that_of_the_first_frame(colorizer: Colorizer, tmp_path: Path) -> None:
    tags = {"timecode": "01:00:00:00"}
    source = films.write_film(tmp_path / "gray.mov", codec="libx264", tags=tags, times=SECONDS)
    color_video(source, tmp_path / "color.mov", colorizer, start=0.41)
    assert _time_codes(tmp_path / "color.mov") == ["01:00:00:11"]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_chapters_are_cut_with_the_film(suffix: str, colorizer: Colorizer, tmp_path: Path) -> None:
    source = _with_chapters(tmp_path / f"gray{suffix}")
    target = tmp_path / f"color{suffix}"
    assert color_video(source, target, colorizer).note == ""
    assert (
        _chapters(target) == _chapters(source) == [("A", 0, 400), ("B", 400, 800), ("C", 800, 1200)]
    )
    cut = color_video(source, target, colorizer, start=0.6, duration=0.4, overwrite=True)
    assert cut.note == ""
    assert _chapters(target) == [("B", 0, 200), ("C", 200, 400)]
    note = color_video(source, tmp_path / "color.ts", colorizer).note
    assert note == "without chapters, which MPEG-TS (MPEG-2 Transport Stream) does not hold"


def _with_chapters(path: Path) -> Path:
    plain = films.write_film(path.with_name("plain.mkv"), codec="libx264", times=SECONDS)
    with av.open(str(plain)) as film, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0], opaque=True)
        chapters: list[Any] = [
            {"id": n, "start": 400 * n, "end": 400 * n + 400, "metadata": {"title": title}}
            for n, title in enumerate("ABC")
        ]
        out.set_chapters([{**chapter, "time_base": Fraction(1, 1000)} for chapter in chapters])
        films.copy_packets(film, stream, out)
    return path


def _chapters(path: Path) -> list[tuple[str, int, int]]:
    """The title, and from which millisecond to which, of each chapter of a film."""
    found = []
    with av.open(str(path)) as film:
        for each in film.chapters():
            tick = 1000 * (each["time_base"] or 1)
            times = round(each["start"] * tick), round(each["end"] * tick)
            found.append((each["metadata"]["title"], *times))
    return found


def test_a_cover_stays_a_picture_of_its_own(colorizer: Colorizer, tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(picture, "JPEG")
    plain = films.write_film(tmp_path / "plain.mkv", codec="libx264")
    source = tmp_path / "gray.mkv"
    with av.open(str(plain)) as film, av.open(str(source), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0], opaque=True)
        out.add_attachment("cover.jpg", "image/jpeg", picture.getvalue())
        films.copy_packets(film, stream, out)
    assert _cover(source) == picture.getvalue()
    # From Matroska to MP4, from there to itself, and back.
    for before, after in (("gray.mkv", "a.mp4"), ("a.mp4", "b.mp4"), ("b.mp4", "c.mkv")):
        result = color_video(tmp_path / before, tmp_path / after, colorizer)
        assert (result.frames, result.note) == (12, "")
        assert _cover(tmp_path / after) == picture.getvalue()
    note = color_video(source, tmp_path / "color.ts", colorizer).note
    assert "does not hold: stream 1, video (mjpeg)" in note


def _cover(path: Path) -> bytes:
    with av.open(str(path)) as film:
        pictures: list[Any] = [
            stream for stream in film.streams.video if stream.disposition & Disposition.attached_pic
        ]
        assert len(film.streams.video) == 2
        return bytes(next(film.demux(pictures[0])))


def test_pixels_of_another_shape_are_kept_or_named(colorizer: Colorizer, tmp_path: Path) -> None:
    squeezed = {"x264-params": "sar=4/3"}
    source = films.write_film(tmp_path / "gray.mkv", codec="libx264", **squeezed)
    for name, codec in (("a.mkv", None), ("b.mp4", None), ("c.mov", "prores_ks")):
        assert color_video(source, tmp_path / name, colorizer, codec=codec).note == ""
        with av.open(str(tmp_path / name)) as film:
            assert film.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    note = color_video(source, tmp_path / "d.mkv", colorizer, codec="ffv1").note
    assert "without its pixel aspect ratio (4:3)" in note


def test_a_colon_in_a_name_is_no_protocol(
    colorizer: Colorizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    films.write_film(tmp_path / "gray.mkv").rename(tmp_path / "Metropolis: 1927.mkv")
    color_video("Metropolis: 1927.mkv", "Metropolis: color.mkv", colorizer)
    assert len(films.frames_of(tmp_path / "Metropolis: color.mkv")) == 12


def test_what_ffmpeg_refuses_is_a_sentence(
    colorizer: Colorizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise av.error.ArgumentError(22, "Invalid argument")

    source = films.write_film(tmp_path / "gray.mkv")
    monkeypatch.setattr("pipeline.video.joining.describe", refused)
    with pytest.raises(ColorpipeError, match=r"does not put its streams together as \.mp4 \(Inv"):
        color_video(source, tmp_path / "color.mp4", colorizer)
    assert not (tmp_path / "color.mp4").exists()


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux's count of bytes")
@pytest.mark.parametrize("start", [0, 40])
def test_of_a_large_film_only_the_part_is_read(
    start: float, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(
        tmp_path / "gray.mkv",
        codec="rawvideo",
        sound="aac",
        times=range(0, 80_000, 40),
        pictures=[films.picture(0)] * 2000,
    )
    before = _read()
    color_video(source, tmp_path / "color.mkv", colorizer, start=start, duration=1)
    assert _read() - before < source.stat().st_size / 2
    heard = [time for time, _ in films.packets_of(tmp_path / "color.mkv", "audio")]
    assert np.diff(heard) == pytest.approx(0.128, abs=2e-3)
    assert heard[0] < 0.13
    assert heard[-1] > 0.8


def _read() -> int:
    """How many bytes this process has read."""
    (line, *_) = Path("/proc/self/io").read_text().splitlines()
    return int(line.removeprefix("rchar: "))


def test_times_that_packets_share_stay(colorizer: Colorizer, tmp_path: Path) -> None:
    """Matroska counts milliseconds: short packets of sound share them, and so may subtitles."""
    plain = films.write_film(tmp_path / "plain.mkv")
    words = tmp_path / "words.srt"
    words.write_text("".join(f"{n}\n00:00:00,100 --> 00:00:00,300\n{n}\n\n" for n in (1, 2, 3)))
    source = tmp_path / "gray.mkv"
    with (
        av.open(str(plain)) as film,
        av.open(str(words)) as text,
        av.open(str(source), "w") as out,
    ):
        pictures = out.add_stream_from_template(film.streams.video[0], opaque=True)
        subtitles = out.add_stream_from_template(text.streams.subtitles[0])
        sound = out.add_stream("pcm_s16le", rate=48_000, layout="mono")
        films.copy_packets(text, subtitles, out)
        films.copy_packets(film, pictures, out)
        for number in range(600):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 40), np.int16), "s16", "mono")
            samples.rate, samples.pts = 48_000, 40 * number
            samples.time_base = Fraction(1, 48_000)
            out.mux(sound.encode(samples))
    color_video(source, tmp_path / "color.mkv", colorizer)
    for kind in ("audio", "subtitle"):
        before, after = (films.packets_of(each, kind) for each in (source, tmp_path / "color.mkv"))
        assert after == before != []
        assert len({time for time, _ in before}) < len(before)
