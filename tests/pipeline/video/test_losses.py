"""What a film's pictures carry, and what is said where it is lost."""

from __future__ import annotations

from pathlib import Path

import films
import pytest
from predictors import Rainbow

from pipeline.inference.colorizer import Colorizer
from pipeline.video.color_video import color_video
from pipeline.video.side_data import carried


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer(Rainbow())


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [(".webm", "libvpx-vp9", "yuva420p"), (".mkv", "ffv1", "yuva420p"), (".mkv", "ffv1", "bgra")],
)
def test_transparency_is_named(
    suffix: str, codec: str, pixels: str, colorizer: Colorizer, tmp_path: Path
) -> None:
    source = films.write_film(tmp_path / f"gray{suffix}", codec=codec, pixels=pixels)
    note = color_video(source, tmp_path / f"color{suffix}", colorizer).note
    assert note == "without its transparency, which the codec does not hold"


def test_bits_are_named(colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mkv", pixels="yuv420p12le")
    note = color_video(source, tmp_path / "color.mkv", colorizer).note
    assert note == "10 bits of 12, which the codec does not hold"


def test_figures_for_hdr_are_named(colorizer: Colorizer, tmp_path: Path) -> None:
    places = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    options = {"x265-params": f"log-level=none:master-display={places}:max-cll=1000,400"}
    source = films.write_film(
        tmp_path / "gray.mkv", codec="libx265", pixels="yuv420p10le", **options
    )
    note = color_video(source, tmp_path / "color.mkv", colorizer, codec="source").note
    assert note == "without what HDR says of the brightest places, which is not copied"


@pytest.mark.parametrize("full_range", [False, True])
def test_captions_stay_or_are_named(full_range: bool, colorizer: Colorizer, tmp_path: Path) -> None:
    plain = films.write_film(tmp_path / "plain.mp4", codec="libx264", full_range=full_range)
    source = films.with_captions(plain, tmp_path / "gray.mp4")
    assert color_video(source, tmp_path / "color.mkv", colorizer).note == ""
    before, after = (
        [carried(frame)["A53_CC"] for frame in films.frames_of(path)]
        for path in (source, tmp_path / "color.mkv")
    )
    assert after == before
    note = color_video(source, tmp_path / "color.webm", colorizer).note
    assert note == "without its captions, which only libx264 writes"


@pytest.mark.parametrize("suffix", [".ts", ".m2ts"])
def test_how_a_film_is_turned_is_named(suffix: str, colorizer: Colorizer, tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "gray.mp4", codec="libx264", rotation=90)
    note = color_video(source, tmp_path / f"color{suffix}", colorizer).note
    assert note == "without how players turn or mirror it, which an .mp4 or .mkv holds"
