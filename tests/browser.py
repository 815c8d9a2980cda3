"""Chromium, as a person uses it, but driven by the tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
"""Debian's; `.ci/run` installs it where it is missing."""


@contextlib.contextmanager
def opened(
    page_file: Path, *, width: int = 1000, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Page]:
    """Open a file with the network off; an error or a request that leaves the file fails."""
    address = page_file.resolve().as_uri()
    said: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
        )
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        yield page
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [address]
