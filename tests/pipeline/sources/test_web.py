from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.params import ScrapeParams
from pipeline.sources import Refusal, Shortfall, reasons
from pipeline.sources.web import Candidate, Candidates, Session, WebSource
from pipeline.web.fetch import Fetcher


def given(*urls: str, error: Exception | None = None) -> Candidates:
    async def candidates(_: Session) -> AsyncIterator[Candidate]:
        for url in urls:
            yield Candidate(url)
        if error is not None:
            raise error

    return candidates


def test_an_error_that_nobody_thought_of_costs_one_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(Fetcher, "get_photo", fails)
    categories = {"sea": given("http://a/1.jpg", "http://a/\ud800.jpg"), "hills": given()}
    found = list(WebSource(categories, None, ScrapeParams(), tmp_path))
    assert found == [
        Refusal("sea", "http://a/1.jpg", reasons.UNEXPECTED, "ZeroDivisionError"),
        Refusal("sea", "http://a/\ud800.jpg", reasons.UNEXPECTED, "UnicodeEncodeError"),
    ]


def test_a_search_that_fails_in_a_way_that_nobody_thought_of_costs_one_category(
    tmp_path: Path,
) -> None:
    categories = {"sea": given(error=ZeroDivisionError()), "hills": given("file:///x.jpg")}
    found = list(WebSource(categories, None, ScrapeParams(), tmp_path))
    assert found == [
        Shortfall("sea", "unexpected error, ZeroDivisionError"),
        Refusal("hills", "file:///x.jpg", reasons.SCHEME, "file"),
    ]
