"""Tags that stay, and those that would be wrong of the new film."""

from __future__ import annotations

from pathlib import Path

import av
import films
import pytest
from predictors import Rainbow

from pipeline.inference.colorizer import Colorizer
from pipeline.video.color_film import color_film
from pipeline.video.color_video import color_video
from pipeline.video.settings import FilmSettings


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer(Rainbow())


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_tags_of_cameras_stay(suffix: str, colorizer: Colorizer, tmp_path: Path) -> None:
    tags = {"title": "A walk", "com.apple.quicktime.make": "Apple", "Reel": "7"}
    _copy(tmp_path / f"gray{suffix}", tags)
    settings = FilmSettings(label="the colors are a guess")
    list(color_film(colorizer, tmp_path / f"gray{suffix}", tmp_path / f"color{suffix}", settings))
    kept = _tags(tmp_path / f"color{suffix}")
    assert tags.items() <= kept.items()
    assert kept["comment"] == "the colors are a guess"


def test_a_title_stays_where_itunes_reads_it(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mp4", codec="libx264", tags={"title": "A walk"})
    color_video(source, tmp_path / "color.mp4", colorizer)
    assert b"\xa9nam" in (tmp_path / "color.mp4").read_bytes()


def test_figures_of_the_old_file_are_left_out(colorizer: Colorizer, tmp_path: Path) -> None:
    stale = {"BPS-eng": "1234", "DURATION-eng": "00:00:09", "LENS": "50 mm"}
    _copy(tmp_path / "gray.mkv", {}, stale)
    color_video(tmp_path / "gray.mkv", tmp_path / "color.mkv", colorizer)
    before, after = (_tags_of_pictures(tmp_path / name) for name in ("gray.mkv", "color.mkv"))
    assert stale.keys() <= before.keys()
    assert after.keys() & stale.keys() == {"LENS"}


def test_a_film_without_alpha_does_not_claim_it(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.webm", codec="libvpx-vp9", pixels="yuva420p")
    assert "alpha_mode" in _tags_of_pictures(source)
    color_video(source, tmp_path / "color.webm", colorizer)
    left = {key.lower() for key in _tags_of_pictures(tmp_path / "color.webm")}
    assert "alpha_mode" not in left


def _copy(path: Path, tags: dict[str, str], of_pictures: dict[str, str] | None = None) -> None:
    """Write a film with tags that FFmpeg does not know."""
    plain = films.write_film(path.with_name("plain.mkv"), codec="libx264")
    options = {} if path.suffix == ".mkv" else {"movflags": "use_metadata_tags"}
    with av.open(str(plain)) as film, av.open(str(path), "w", container_options=options) as out:
        stream = out.add_stream_from_template(film.streams.video[0], opaque=True)
        stream.metadata.update(of_pictures or {})
        out.metadata.update(tags)
        films.copy_packets(film, stream, out)


def _tags(path: Path) -> dict[str, str]:
    with av.open(str(path)) as film:
        return dict(film.metadata)


def _tags_of_pictures(path: Path) -> dict[str, str]:
    with av.open(str(path)) as film:
        return dict(film.streams.video[0].metadata)
