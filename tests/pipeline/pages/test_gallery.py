"""The gallery in a browser: sliders, sorting, the filter; by mouse and by keyboard."""

from __future__ import annotations

from pathlib import Path

import browser
import numpy as np
import pytest
from PIL import Image

from pipeline.pages.gallery import Gallery, GalleryPhoto, Order
from pipeline.pages.rendering import picture, render

HOSTILE = "<img src=x onerror=alert(1)>'\".png"
COLORS = {"gray": (128, 128, 128), "red": (200, 30, 30), "blue": (30, 30, 200)}
ERRORS = {"b.png": 3.0, "a.png": 10.0, HOSTILE: 5.0}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos of two categories, each gray, red and blue."""
    pictures = {
        name: picture(np.full((40, 60, 3), color, np.uint8)) for name, color in COLORS.items()
    }
    photos = [
        GalleryPhoto(name, f"kind {name[0]}", pictures, name, values={"error": error})
        for name, error in ERRORS.items()
    ]
    orders = [Order("worst first", "error", -1), Order("best first", "error"), Order("by name")]
    page = render(
        "photos.html",
        summary="3 photos.",
        model="By hand.",
        failed=[],
        damaged=[],
        gallery=Gallery(photos, list(COLORS), "gray", "red", orders),
        others=[],
        limit=3,
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def names(page: browser.Page) -> list[str]:
    shown = page.locator(".photo:visible")
    return [str(each.get_attribute("data-name")) for each in shown.all()]


def colors(page: browser.Page, at: float, folder: Path) -> tuple[int, ...]:
    """The color of the first photo at a share of its width."""
    path = folder / "shot.png"
    page.locator(".slider").first.screenshot(path=path)
    with Image.open(path) as shot:
        pixel = shot.convert("RGB").getpixel((round(at * shot.width), shot.height // 4))
    assert isinstance(pixel, tuple)
    return pixel


def near(color: tuple[int, ...], name: str) -> bool:
    return bool(np.abs(np.subtract(color, COLORS[name])).max() < 12)


def test_photos_are_sorted_and_filtered(page_file: Path) -> None:
    with browser.opened(page_file) as page:
        assert names(page) == ["a.png", HOSTILE, "b.png"]
        page.locator("select[name=sort]").select_option("best first")
        assert names(page) == ["b.png", HOSTILE, "a.png"]
        page.locator("select[name=category]").select_option("kind a")
        assert names(page) == ["a.png"]
        assert page.locator("output").text_content() == "1 photo"
        page.locator("select[name=category]").select_option("all")
        assert page.locator("output").text_content() == "3 photos"


def test_the_slider_moves_by_mouse_and_by_keyboard(page_file: Path, tmp_path: Path) -> None:
    with browser.opened(page_file) as page:
        slider = page.locator(".slider").first
        assert near(colors(page, 0.25, tmp_path), "gray")
        assert near(colors(page, 0.75, tmp_path), "red")
        box = slider.bounding_box()
        assert box is not None
        slider.click(position={"x": 0.1 * box["width"], "y": 0.9 * box["height"]})
        assert near(colors(page, 0.25, tmp_path), "red")
        page.keyboard.press("End")
        assert near(colors(page, 0.75, tmp_path), "gray")
        page.keyboard.press("Home")
        assert near(colors(page, 0.25, tmp_path), "red")


def test_either_side_shows_any_version(page_file: Path, tmp_path: Path) -> None:
    with browser.opened(page_file) as page:
        page.locator("select[name=left]").select_option("blue")
        assert near(colors(page, 0.25, tmp_path), "blue")
        assert near(colors(page, 0.75, tmp_path), "red")
        page.locator("select[name=right]").select_option("blue")
        assert near(colors(page, 0.75, tmp_path), "blue")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_dark(page_file: Path, scheme: str) -> None:
    with browser.opened(page_file, width=390, scheme=scheme) as page:  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
