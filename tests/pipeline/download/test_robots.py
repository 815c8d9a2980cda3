from __future__ import annotations

import pytest

from pipeline.download.robots import RobotsRules, forbids_ai, product_token

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
    ],
)
def test_robots_txt(content: bytes, allowed: bool) -> None:
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
        (["max-image-preview:large, noai"], True),
        (["max-snippet: -1, noai"], True),
        (["Max-Video-Preview: 0, max-snippet:-1, NoAI"], True),
        (["unavailable_after: Tuesday, 25-Jun-30 15:00:00 PST, noai"], True),
        (["unavailable_after: Tue, 25 Jun 2030 15:00:00 PST, noai"], True),
        (["noai: yes"], True),
        (["max-image-preview: none"], False),
        (["otherbot: noindex, noai"], False),
        (["otherbot/2.0: max-snippet: 5, noai"], False),
        (["noindex, otherbot: noai"], False),
        (["noai, otherbot: noindex"], True),
        (["otherbot: noindex, colorpipe: noai"], True),
        (["otherbot: noai", "noai"], True),
        (["colorpipe: max-snippet: 5, noai"], True),
    ],
)
def test_x_robots_tag(headers: list[str], forbidden: bool) -> None:
    assert forbids_ai(headers, AGENT) is forbidden


def test_the_product_token_has_no_version() -> None:
    assert product_token(AGENT) == product_token("Colorpipe") == "colorpipe"


def test_a_leading_blank_is_not_part_of_the_token() -> None:
    assert product_token(" mybot/1.0") == "mybot"
    rules = RobotsRules(b"User-agent: mybot\nDisallow: /")
    assert not rules.allow("http://example.org/a.jpg", " mybot/1.0")


def test_wildcards_do_not_make_matching_slow() -> None:
    # A regular expression would try every way to divide the letters among the wildcards.
    rules = RobotsRules(b"User-agent: *\nDisallow: /" + b"*a" * 12 + b"*b$\n")
    assert rules.allow("http://example.org/" + "a" * 5000, AGENT)
