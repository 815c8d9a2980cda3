from __future__ import annotations

import pytest

from pipeline.web.robots import RobotsRules, forbids_ai, product_token

AGENT = "colorpipe/1.0 (+https://example.org/me)"


@pytest.mark.parametrize(
    ("content", "allowed"),
    [
        (b"", True),
        (b"User-agent: *\nDisallow: /", False),
        (b"User-agent: *\nDisallow: /private/", True),
        (b"User-agent: *\nDisallow: /*.jpg$", False),
        (b"User-agent: *\nDisallow: /\nAllow: /photos/", True),
        (b"User-agent: *\nDisallow:\n\nUser-agent: ColorPipe\nDisallow: /photos", False),
        (b"User-agent: otherbot\nDisallow: /", True),
        (b"\xff\xfe not text \x00", True),
        (None, False),
    ],
)
def test_robots_txt(content: bytes | None, allowed: bool) -> None:
    assert RobotsRules(content).allow("http://example.org/photos/a.jpg", AGENT) is allowed


@pytest.mark.parametrize(
    ("headers", "forbidden"),
    [
        ([], False),
        (["noindex"], False),
        (["noai"], True),
        (["noindex, NoImageAI"], True),
        (["noindex", "noai, noimageai"], True),
        (["otherbot: noai"], False),
        (["colorpipe: noai"], True),
        (["*: noai"], True),
        (["noai, unavailable_after: 25 Jun 2030 15:00:00 PST"], True),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], True),
        (["noaibutmore"], False),
    ],
)
def test_x_robots_tag(headers: list[str], forbidden: bool) -> None:
    assert forbids_ai(headers, AGENT) is forbidden


def test_the_product_token_has_no_version() -> None:
    assert product_token(AGENT) == product_token("Colorpipe") == "colorpipe"
