"""Time codes that move with a film's beginning."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pipeline.video.timecode import later

NTSC = Fraction(30_000, 1001)


@pytest.mark.parametrize(
    ("code", "seconds", "rate", "moved"),
    [
        ("01:00:00:00", Fraction(0), Fraction(25), "01:00:00:00"),
        ("01:00:00:00", Fraction(61, 1), Fraction(25), "01:01:01:00"),
        ("01:00:00:24", Fraction(1, 100), Fraction(25), "01:00:01:00"),
        ("23:59:59:00", Fraction(2), Fraction(24), "00:00:01:00"),
        ("00:00:59;29", 1 / NTSC, NTSC, "00:01:00;02"),
        ("00:09:59;29", 1 / NTSC, NTSC, "00:10:00;00"),
        ("00:00:00;00", 17_982 / NTSC, NTSC, "00:10:00;00"),
        ("00:00:59;59", 1 / (2 * NTSC), 2 * NTSC, "00:01:00;04"),
        ("01:00:59:29", 1 / NTSC, NTSC, "01:01:00:00"),
        ("reel 7", Fraction(1), Fraction(25), "reel 7"),
    ],
)
def test_the_code_is_that_of_the_first_frame(
    code: str, seconds: Fraction, rate: Fraction, moved: str
) -> None:
    assert later(code, seconds, rate) == moved
