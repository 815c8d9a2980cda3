"""Sound of old films, which a container may not hold as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import films
import numpy as np
import pytest
from numpy.typing import NDArray
from predictors import Rainbow

from pipeline.inference.colorizer import Colorizer
from pipeline.video.color_video import color_video


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer(Rainbow())


@pytest.mark.parametrize(
    ("suffix", "sound"),
    [(".wmv", "wmav2"), (".avi", "wmav1"), (".avi", "adpcm_ms"), (".mov", "pcm_mulaw")],
)
def test_matroska_holds_what_ffmpeg_does_not_list(
    suffix: str, sound: str, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / f"gray{suffix}", codec="mpeg4", sound=sound)
    assert color_video(source, tmp_path / "color.mkv", colorizer).note == ""
    before, after = (_packets(each) for each in (source, tmp_path / "color.mkv"))
    assert after == before != []
    assert np.array_equal(_samples(tmp_path / "color.mkv"), _samples(source))


@pytest.mark.parametrize(
    ("suffix", "codec", "sound"),
    [
        (".vob", "mpeg2video", "pcm_dvd"),
        (".m2ts", "libx264", "pcm_bluray"),
        (".flv", "flv", "nellymoser"),
    ],
)
def test_what_matroska_does_not_hold_becomes_pcm_of_the_same_samples(
    suffix: str, codec: str, sound: str, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / f"gray{suffix}", codec=codec, sound=sound)
    note = color_video(source, tmp_path / "color.mkv", colorizer).note
    assert f"audio ({sound}), became PCM of the same samples" in note
    assert np.array_equal(_samples(tmp_path / "color.mkv"), _samples(source))
    (first, *_), (same, *_) = (
        films.packets_of(each, "audio") for each in (tmp_path / "color.mkv", source)
    )
    assert first[0] == pytest.approx(same[0], abs=2e-3)


def test_a_broken_sound_leaves_a_hole(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.flv", codec="flv", sound="nellymoser")
    packets = _packets(source)
    content = source.read_bytes().replace(packets[3], b"\0" + packets[3][1:], 1)
    source.write_bytes(content)
    color_video(source, tmp_path / "color.mkv", colorizer)
    assert len(_samples(tmp_path / "color.mkv")) > 0


@pytest.mark.parametrize(("suffix", "sound"), [(".ts", "flac"), (".m2ts", "pcm_s16le")])
def test_what_nobody_reads_from_a_transport_stream_is_named(
    suffix: str, sound: str, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / "gray.mkv", sound=sound)
    note = color_video(source, tmp_path / f"color{suffix}", colorizer).note
    assert note == f"MPEG-TS (MPEG-2 Transport Stream) does not hold: stream 1, audio ({sound})"


def test_a_blu_rays_sound_stays_on_a_blu_ray(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.m2ts", codec="libx264", sound="pcm_bluray")
    assert color_video(source, tmp_path / "color.m2ts", colorizer).note == ""
    assert np.array_equal(_samples(tmp_path / "color.m2ts"), _samples(source))


def test_of_two_films_in_one_the_first_is_colored(colorizer: Colorizer, tmp_path: Path) -> None:
    plain = films.write_film(tmp_path / "plain.mkv", codec="libx264")
    source = _twice(plain, tmp_path / "gray.mkv", {0, 1})
    note = color_video(source, tmp_path / "color.mkv", colorizer).note
    assert note == "stream 1, video (h264), is copied without color"
    with av.open(str(tmp_path / "color.mkv")) as film:
        grays = list(film.decode(video=1))
    assert len(grays) == 12
    assert (films.planes_of(grays[0])[1] == 128).all()


def test_an_empty_stream_is_not_taken_for_the_film(colorizer: Colorizer, tmp_path: Path) -> None:
    plain = films.write_film(tmp_path / "plain.ts", codec="libx264")
    source = _twice(plain, tmp_path / "gray.ts", {1})
    result = color_video(source, tmp_path / "color.ts", colorizer)
    assert (result.frames, result.note) == (12, "")


def _twice(plain: Path, path: Path, filled: set[int]) -> Path:
    """Copy a film into a file with two streams of pictures, of which some are filled."""
    with av.open(str(plain)) as film, av.open(str(path), "w") as out:
        template = film.streams.video[0]
        streams = [out.add_stream_from_template(template, opaque=True) for _ in range(2)]
        for packet in film.demux(template):
            if packet.size:
                for number in filled:
                    packet.stream = streams[number]
                    out.mux(packet)
    return path


def _packets(path: Path) -> list[bytes]:
    return [data for _, data in films.packets_of(path, "audio")]


def _samples(path: Path) -> NDArray[Any]:
    with av.open(str(path)) as film:
        return np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
