"""The page as people use it: in Chromium, from a server in a process of its own."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import films
import gradio
import numpy as np
import pytest
import skimage.data
import stand_ins
from browser import CHROMIUM
from PIL import Image
from playwright.sync_api import Browser, FileChooser, Page, Request, expect, sync_playwright

import pipeline
from pipeline.app.page import files_only, upload
from pipeline.imaging import color
from pipeline.inference.colorizer import Colorizer
from pipeline.models.pretrained import PRETRAINED
from pipeline.params import ColorizeParams
from pipeline.video.color_video import color_video
from stages.colorize import colorize

PROJECT = Path(pipeline.__file__).parents[1]
SOON = 180_000
"""Milliseconds: on a busy machine everything takes long."""


CONTRAST = """element => {
    const luminance = (color) => {
        const [red, green, blue] = color.match(/[0-9.]+/g).map((value) =>
            value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
    };
    let behind = element;
    while (getComputedStyle(behind).backgroundColor.endsWith(", 0)")) behind = behind.parentElement;
    const text = luminance(getComputedStyle(element).color);
    const ground = luminance(getComputedStyle(behind).backgroundColor);
    return Math.max(text / ground, ground / text);
}"""
"""WCAG's ratio of an element's text to what is behind it."""


@dataclass
class Served:
    address: str
    folder: Path
    """Where the server has its temporary folder."""
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_ins.generator(tmp_path_factory.mktemp("model") / "generator.safetensors")


@pytest.fixture(scope="module")
def served(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("temporary")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(folder)}
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "app", "--model", str(model)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line
        yield Served(found[0], folder, process)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert not list(folder.glob("colorpipe-*"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    with opened(browser, served) as one:
        yield one


def opened(browser: Browser, served: Served, scheme: Literal["light", "dark"] = "light") -> Page:
    one = browser.new_page(viewport={"width": 1280, "height": 1000}, color_scheme=scheme)
    one.set_default_timeout(SOON)
    expect.set_options(timeout=SOON)
    one.goto(served.address)
    one.wait_for_selector("#photo input[type=file]", state="attached")
    return one


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "portrait.jpg"
    gray = Image.fromarray(skimage.data.astronaut()).convert("L")
    exif = Image.Exif()
    exif[0x010E] = "A caption"
    gray.save(path, quality=92, exif=exif, comment=b"a comment")
    return path


def drop(page: Page, path: Path, on: str = "#photo button") -> None:
    """Drop a file, as from a folder's window."""
    dropped = page.evaluate_handle(
        """([bytes, name]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name));
            return transfer;
        }""",
        [list(path.read_bytes()), path.name],
    )
    page.dispatch_event(on, "drop", {"dataTransfer": dropped})


def paste(page: Page, *paths: Path) -> None:
    """Paste a file from the clipboard, or several, one right after the other."""
    page.evaluate(
        """files => {
            for (const [bytes, name] of files) {
                const clipboardData = new DataTransfer();
                clipboardData.items.add(new File([new Uint8Array(bytes)], name));
                const paste = new ClipboardEvent('paste', {clipboardData, bubbles: true});
                document.body.dispatchEvent(paste);
            }
        }""",
        [[list(path.read_bytes()), path.name] for path in paths],
    )


def shown(page: Page, selector: str) -> np.ndarray:
    """The pixels of a picture on the page, without what is drawn over it."""
    address = page.locator(selector).first.get_attribute("src")
    assert address
    with urllib.request.urlopen(address) as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGB")).astype(int)


def png_of(width: int, height: int) -> bytes:
    """A small file that says it has that many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def changed(page: Page, before: np.ndarray, enough: Callable[[np.ndarray], bool]) -> np.ndarray:
    """Wait until the picture to click has changed enough; it is drawn after what is said of it."""
    end = time.monotonic() + SOON / 1000
    while not enough(change := shown(page, "#canvas img") - before):
        assert time.monotonic() < end, np.abs(change).max()
        page.wait_for_timeout(100)
    return change


def click(page: Page, x: int, y: int) -> None:
    """Click a pixel of the picture, which stands in the middle of its box, no larger than it is."""
    picture = page.locator("#canvas img")
    box = picture.bounding_box()
    assert box
    width, height = picture.evaluate("each => [each.naturalWidth, each.naturalHeight]")
    scale = min(box["width"] / width, box["height"] / height, 1)
    left, top = (box["width"] - scale * width) / 2, (box["height"] - scale * height) / 2
    picture.click(position={"x": left + scale * (x + 0.5), "y": top + scale * (y + 0.5)})


def downloaded(page: Page, selector: str) -> tuple[str, bytes]:
    expect(page.locator(selector)).to_be_enabled()
    with page.expect_download() as download:
        page.locator(selector).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_a_photo_is_dropped_and_taken_home(
    page: Page, photo: Path, model: Path, tmp_path: Path
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_selector("#photo input[type=file]", state="attached")
    drop(page, photo)
    page.wait_for_selector("#slider img")
    colorize(photo, tmp_path / "plain", model, ColorizeParams())
    assert downloaded(page, "#download") == (
        "portrait.jpg",
        (tmp_path / "plain/portrait.jpg").read_bytes(),
    )

    handle = page.locator("#slider .inner")
    box = handle.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] - 100, box["y"] + box["height"] / 2)
    page.mouse.up()
    moved = handle.bounding_box()
    assert moved
    assert moved["x"] < box["x"] - 50

    elsewhere = [url for url in asked if not re.match(r"(https?://127\.0\.0\.1:|blob:|data:)", url)]
    assert elsewhere == []


def test_a_click_and_a_color_change_the_place_alone(
    page: Page, photo: Path, model: Path, tmp_path: Path
) -> None:
    page.set_input_files("#photo input[type=file]", photo)
    page.wait_for_selector("#slider img")
    page.get_by_role("tab", name="Choose colors").click()
    page.wait_for_selector("#canvas img")
    before = shown(page, "#canvas img")
    click(page, 160, 330)
    expect(page.locator("#said")).to_contain_text("Choose the color of 160, 330")
    offered = page.locator("#swatches button:visible")
    colors = offered.evaluate_all(
        "all => all.map(each => getComputedStyle(each).backgroundColor.match(/\\d+/g).map(Number))"
    )
    # Each has a name for screen readers.
    expect(page.locator("#swatch-0")).to_have_attribute("aria-label", re.compile("as it is, #"))
    redness = [red - (green + blue) / 2 for red, green, blue, *_ in colors]
    offered.nth(redness.index(max(redness))).click()
    so_far = page.locator("#listed input")
    expect(so_far).to_have_value(re.compile("at 160, 330"))
    # Another color for the same place would take its place.
    expect(page.locator("#said")).to_contain_text("choose another color for 160, 330")
    # Beside the ring, it is redder.
    change = changed(page, before, lambda change: change[336:342, 168:176, 0].mean() > 15)
    assert np.abs(change[5:60, 5:60]).mean() < 1

    with page.expect_download() as saved:
        page.get_by_role("button", name="Save colors").click()
    beside = photo.with_name("portrait.jpg.hints.json")
    beside.write_bytes(Path(saved.value.path()).read_bytes())
    colorize(photo, tmp_path / "hinted", model, ColorizeParams())
    expected = (tmp_path / "hinted/portrait.jpg").read_bytes()
    assert downloaded(page, "#download") == ("portrait.jpg", expected)

    page.locator("#undo").click()
    expect(so_far).to_have_value("")
    # The first picture came from the file, and has been through JPEG.
    changed(page, before, lambda change: np.abs(change[336:342, 168:176]).mean() < 5)


def test_colors_for_a_pasted_photo_are_loaded_and_moved(
    page: Page, photo: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "colors.json"
    saved.write_text('{"hints": [{"x": 160, "y": 330, "color": "#b03020"}]}')
    paste(page, photo)
    page.wait_for_selector("#slider img")
    page.get_by_role("tab", name="Choose colors").click()
    page.wait_for_selector("#canvas img")
    before = shown(page, "#canvas img")
    with page.expect_file_chooser() as chosen:
        page.locator("#load").click()
    chosen.value.set_files(saved)
    so_far = page.locator("#listed input")
    expect(so_far).to_have_value("#b03020 at 160, 330")
    # Beside the ring.
    changed(page, before, lambda change: change[336:342, 168:176, 0].mean() > 15)

    click(page, 420, 60)
    expect(page.locator("#said")).to_contain_text("Choose the color of 420, 60")
    page.locator("#move").click()
    expect(so_far).to_have_value("#b03020 at 420, 60")
    # The first picture came from the file, and has been through JPEG.
    changed(page, before, lambda change: np.abs(change[336:342, 168:176]).mean() < 5)
    changed(page, before, lambda change: change[50:56, 428:436, 0].mean() > 5)


def test_another_photo_takes_the_place_of_the_one_before(page: Page, tmp_path: Path) -> None:
    names = [f"photo-{number}.png" for number in range(4)]
    for number, name in enumerate(names):
        Image.new("L", (60 + number, 40), 90).save(tmp_path / name)
    paste(page, tmp_path / names[0])
    page.wait_for_selector("#slider img")
    # Two at once: the last one counts, also while the first is on its way.
    paste(page, tmp_path / names[1])
    paste(page, tmp_path / names[2])
    expect(page.locator("#photo")).to_contain_text("photo-2")
    page.wait_for_function("document.querySelector('#slider img')?.naturalWidth === 62")
    # Beside the place for it, where a browser would leave the page and show the file.
    drop(page, tmp_path / names[3], on="h1")
    page.wait_for_function("document.querySelector('#slider img')?.naturalWidth === 63")
    assert downloaded(page, "#download")[0] == "photo-3.png"

    # What is meant for another tab does not become the photo.
    page.get_by_role("tab", name="Model").click()
    drop(page, tmp_path / names[0], on="h1")
    paste(page, tmp_path / names[0])
    page.get_by_role("tab", name="Photo").click()
    expect(page.locator("#photo")).to_contain_text("photo-3")


def test_of_two_photos_pasted_at_once_the_last_one_counts(page: Page, tmp_path: Path) -> None:
    paths = [tmp_path / f"photo-{number}.png" for number in range(2)]
    for number, path in enumerate(paths):
        Image.new("L", (60 + number, 40), 90).save(path)
    paste(page, *paths)
    page.wait_for_function("document.querySelector('#slider img')?.naturalWidth === 61")
    expect(page.locator("#photo")).to_contain_text("photo-1")
    assert downloaded(page, "#download")[0] == "photo-1.png"


def test_another_photo_gives_its_colors(
    page: Page, photo: Path, model: Path, tmp_path: Path
) -> None:
    reference = tmp_path / "reference.png"
    Image.fromarray(skimage.data.astronaut()).save(reference)
    page.set_input_files("#photo input[type=file]", photo)
    page.wait_for_selector("#slider img")
    _, plain = downloaded(page, "#download")
    page.get_by_role("button", name="Colors from another photo").click()
    with page.expect_response(lambda answer: "/upload" in answer.url):
        page.set_input_files("#reference input[type=file]", reference)
    expect(page.locator("#reference")).to_contain_text("reference")
    colorize(photo, tmp_path / "referred", model, ColorizeParams(), reference=reference)
    expected = (tmp_path / "referred/portrait.jpg").read_bytes()
    assert expected != plain
    wait_for_download(page, "portrait.jpg", expected)


def test_the_keyboard_alone_does_it_all(page: Page, photo: Path) -> None:
    def tab_to(selector: str) -> None:
        # A button that is disabled while the photo is colored is passed by, and met the next time.
        end = time.monotonic() + SOON / 1000
        while time.monotonic() < end:
            if page.evaluate("selector => !!document.activeElement?.matches(selector)", selector):
                return
            page.keyboard.press("Tab")
        pytest.fail(f"Tab does not lead to {selector}")

    choosers: list[FileChooser] = []

    def opens(chooser: FileChooser) -> None:
        choosers.append(chooser)

    page.on("filechooser", opens)
    # The page is seen before its buttons do anything.
    end = time.monotonic() + SOON / 1000
    while not choosers:
        assert time.monotonic() < end
        tab_to("#photo button")
        page.keyboard.press("Enter")
        page.wait_for_timeout(200)
    choosers[0].set_files(photo)
    page.wait_for_selector("#slider img")

    tab_to("#slider [role=slider]")
    handle = page.locator("#slider [role=slider]")
    before = handle.get_attribute("aria-valuenow")
    page.keyboard.press("Shift+ArrowRight")
    expect(handle).not_to_have_attribute("aria-valuenow", str(before))
    assert int(str(handle.get_attribute("aria-valuenow"))) == int(str(before)) + 10

    page.get_by_role("tab", name="Before and after").focus()
    page.keyboard.press("Shift+Tab")
    page.get_by_role("tab", name="Choose colors").press("Enter")
    page.wait_for_selector("#canvas img")
    tab_to("#canvas button")
    for key in ("Shift+ArrowLeft", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    # From the middle 5 % to the left and 1 % up, which is between two pixels.
    expect(page.locator("#said")).to_contain_text(re.compile("Choose the color of 230, 25[01]"))
    page.locator("#photo").focus()
    tab_to("#swatch-1")
    page.keyboard.press("Enter")
    expect(page.locator("#listed input")).to_have_value(re.compile("at 230, 25[01]"))
    expect(page.locator("#download")).to_be_enabled()
    tab_to("#download")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "portrait.jpg"


def test_a_typed_number_is_one_move_of_the_slider(
    page: Page, photo: Path, model: Path, tmp_path: Path
) -> None:
    page.set_input_files("#photo input[type=file]", photo)
    expect(page.locator("#download")).to_be_enabled()
    moved = moves(page)
    field = page.get_by_label("number input for Strength").and_(page.locator(":visible"))
    field.click()  # which moves nothing
    for typed, shown_then in (("1.3", "1.3"), ("9", "1.5"), ("-2", "0"), ("1.25", "1.25")):
        with page.expect_request(finishing):
            field.fill(typed)
            field.press("Enter")
        expect(field).to_have_value(shown_then)
        page.locator("h1").click()
    assert moved == [1.3, 1.5, 0, 1.25]
    colorize(photo, tmp_path / "vivid", model, ColorizeParams(strength=1.25))
    wait_for_download(page, "portrait.jpg", (tmp_path / "vivid/portrait.jpg").read_bytes())
    # Without a number, the one before.
    field.fill("")
    field.press("Tab")
    expect(field).to_have_value("1.25")
    page.get_by_role("tab", name="Many files").click()
    field.fill("7")
    field.press("Enter")
    expect(field).to_have_value("1.5")


def finishing(request: Request) -> bool:
    """Whether a request asks for the whole file: nobody's click or key asks for that itself."""
    return is_asking(request) and request.post_data_json["event_data"] is None


def is_asking(request: Request) -> bool:
    return request.url.endswith("/queue/join?")


def moves(page: Page) -> list[float]:
    """The numbers that sliders are moved to from now on."""
    found: list[float] = []

    def note(request: Request) -> None:
        if is_asking(request) and request.post_data_json["event_data"] is not None:
            found.append(request.post_data_json["event_data"])

    page.on("request", note)
    return found


def wait_for_download(page: Page, name: str, expected: bytes) -> None:
    assert soon(lambda: downloaded(page, "#download") == (name, expected))


def test_the_download_has_the_last_of_several_quick_changes(
    page: Page, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "large.jpg"
    Image.fromarray(skimage.data.astronaut()).convert("L").resize((3000, 3000)).save(path)
    page.set_input_files("#photo input[type=file]", path)
    expect(page.locator("#download")).to_be_enabled()
    field = page.get_by_label("number input for Strength").and_(page.locator(":visible"))
    for number in ("0.2", "1.4"):
        # The second one comes while the file is colored by the first.
        with page.expect_request(finishing):
            field.fill(number)
            field.press("Enter")
    colorize(path, tmp_path / "vivid", model, ColorizeParams(strength=1.4))
    wait_for_download(page, "large.jpg", (tmp_path / "vivid/large.jpg").read_bytes())


def test_two_quick_clicks_undo_two_changes(page: Page, photo: Path) -> None:
    page.set_input_files("#photo input[type=file]", photo)
    page.wait_for_selector("#slider img")
    page.get_by_role("tab", name="Choose colors").click()
    page.wait_for_selector("#canvas img")
    click(page, 160, 330)
    so_far = page.locator("#listed input")
    for button in ("#swatch-1", "#use"):
        before = so_far.input_value()
        page.locator(button).click()
        expect(so_far).not_to_have_value(before)
    page.locator("#undo").dblclick()
    expect(so_far).to_have_value("")


def test_lists_of_choices_close_when_the_tab_key_leaves_them(page: Page) -> None:
    lists = page.get_by_role("listbox")
    end = time.monotonic() + SOON / 1000
    for label in ("Working size, px", "Model"):
        field = page.locator("#work").get_by_role("combobox", name=label)
        # The page is seen before its fields do anything.
        while not lists.count():
            assert time.monotonic() < end
            field.blur()
            field.focus()
            page.wait_for_timeout(200)
        field.press("Tab")
    expect(page.get_by_role("button", name="Colors from another photo")).to_be_focused()
    expect(lists).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_in_color_can_be_read(
    scheme: Literal["light", "dark"], browser: Browser, served: Served
) -> None:
    with opened(browser, served, scheme) as page:
        tab = page.get_by_role("tab", name="Many files")
        end = time.monotonic() + SOON / 1000
        while tab.get_attribute("aria-selected") != "true":
            assert time.monotonic() < end
            tab.click()
            page.wait_for_timeout(200)
        page.mouse.move(0, 0)
        # WCAG's least for text.
        for text in (tab, page.locator("#many-start")):
            while (contrast := text.evaluate(CONTRAST)) < 4.5 and time.monotonic() < end:
                page.wait_for_timeout(200)  # colors change by and by
            assert contrast >= 4.5


def test_hostile_uploads_are_refused_and_the_page_goes_on(
    page: Page, photo: Path, served: Served, tmp_path: Path
) -> None:
    (tmp_path / "no.jpg").write_text("<script>alert(1)</script>")
    (tmp_path / "bomb.png").write_bytes(png_of(60_000, 60_000))
    for name, reason in (("no.jpg", "no.jpg could not be colored"), ("bomb.png", "pixels")):
        page.set_input_files("#photo input[type=file]", tmp_path / name)
        expect(page.locator(".toast-body").first).to_contain_text(reason)
        page.reload()
        page.wait_for_selector("#photo input[type=file]", state="attached")
    for path in ("/etc/hostname", str(PROJECT / "pyproject.toml")):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{served.address}/gradio_api/file={path}")
        assert error.value.code in {403, 404}
    page.set_input_files("#photo input[type=file]", photo)
    page.wait_for_selector("#slider img")


def asked(url: str, data: bytes | None = None, **headers: str) -> int:
    """The status of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_other_sites_pages_get_nothing(served: Served) -> None:
    upload_at = f"{served.address}/gradio_api/upload"
    head = b'Content-Disposition: form-data; name="files"; filename="a.jpg"'
    form = b"--b\r\n" + head + b"\r\n\r\na\r\n--b--"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    port = served.address.rpartition(":")[2]
    assert asked(upload_at, form, **kind, Origin=served.address) == 200
    for origin in ("https://example.org", "null", "http://[1"):
        assert asked(upload_at, form, **kind, Origin=origin) == 403
    # A name that its owner lets lead to this computer once the browser trusts his page.
    assert asked(served.address, Host=f"example.org:{port}") == 403
    assert asked(served.address, Host=f"localhost:{port}") == 200


def test_what_is_wrong_with_a_photo_is_said_where_its_result_is(
    page: Page, photo: Path, tmp_path: Path
) -> None:
    data = bytearray(photo.read_bytes())
    data[len(data) // 2 : len(data) * 3 // 4] = bytes(len(data) // 4)
    (tmp_path / "zeroed.jpg").write_bytes(data)
    (tmp_path / "no.jpg").write_text("no photo")
    page.set_input_files("#photo input[type=file]", tmp_path / "zeroed.jpg")
    expect(page.locator("#note")).to_contain_text("zeroed.jpg: damaged")
    expect(page.locator("#note")).to_be_visible()
    expect(page.get_by_role("status").and_(page.locator("#heard"))).to_contain_text("damaged")
    page.locator("#photo button[aria-label=Clear]").click()
    expect(page.locator("#note")).to_have_text("")
    # Of one that is refused, nothing stays.
    page.set_input_files("#photo input[type=file]", tmp_path / "no.jpg")
    expect(page.locator(".toast-body").first).to_contain_text("no.jpg could not be colored")
    expect(page.locator("#photo input[type=file]")).to_be_attached()


def test_two_people_at_once_get_their_own(browser: Browser, served: Served, tmp_path: Path) -> None:
    names = ("one.png", "two.png")
    for tone, name in zip((60, 180), names, strict=True):
        Image.new("L", (120, 90), tone).save(tmp_path / name)
    pages = [opened(browser, served) for _ in names]
    for each, name in zip(pages, names, strict=True):
        each.set_input_files("#photo input[type=file]", tmp_path / name)
    for tone, each, name in zip((60, 180), pages, names, strict=True):
        each.wait_for_selector("#slider img")
        found, data = downloaded(each, "#download")
        assert found == name
        with Image.open(io.BytesIO(data)) as result:
            assert result.convert("L").getextrema() == (tone, tone)
        each.close()


def test_many_files_come_as_a_zip(page: Page, tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg"):
        Image.new("L", (60, 40), 90).save(tmp_path / name)
    (tmp_path / "bad.png").write_text("no photo")
    bring_many(page, [tmp_path / name for name in ("a.png", "b.jpg", "bad.png")])
    page.locator("#many-start").click()
    expect(page.locator("#report")).to_contain_text("3 of 3 files are done")
    expect(page.locator("#report")).to_contain_text("bad.png")
    name, data = downloaded(page, "#archive")
    assert name == "colorized.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert packed.namelist() == ["a.png", "b.jpg"]


def test_a_film_is_colored_as_from_python(page: Page, tmp_path: Path) -> None:
    face = color.luma(skimage.data.astronaut()[:256, 128:320])
    film = films.write_film(
        tmp_path / "film.mkv", size=face.shape, pictures=[face] * 4, times=range(0, 160, 40)
    )
    page.get_by_role("tab", name="Film").click()
    page.set_input_files("#film input[type=file]", film)
    expect(page.locator("#film")).to_contain_text("film")
    page.get_by_label("Model").and_(page.locator(":visible")).click()
    page.get_by_role("option", name=PRETRAINED).click()
    page.locator("#film-start").click()
    expect(page.locator("#film-report")).to_contain_text("The film is done")
    name, data = downloaded(page, "#colored-film")
    assert name == "film.mkv"
    (tmp_path / "page.mkv").write_bytes(data)
    color_video(film, tmp_path / "python.mkv", Colorizer.load(PRETRAINED))
    frames = [films.frames_of(tmp_path / each) for each in ("page.mkv", "python.mkv")]
    for one, other in zip(*frames, strict=True):
        planes = list(zip(films.planes_of(one), films.planes_of(other), strict=True))
        # The encoder does not always come to the same bytes.
        assert all(np.abs(a.astype(int) - b).mean() < 0.5 for a, b in planes)
        assert np.abs(planes[1][0].astype(int) - 128).max() > 5


def test_a_film_that_is_cancelled_leaves_the_page_to_the_next(
    page: Page, served: Served, tmp_path: Path
) -> None:
    long = films.write_film(tmp_path / "long.mkv", times=range(0, 3000 * 40, 40))
    (tmp_path / "bad.mp4").write_text("no film")
    page.get_by_role("tab", name="Film").click()
    page.set_input_files("#film input[type=file]", long)
    expect(page.locator("#film")).to_contain_text("long")
    expect(page.locator("#film-cancel")).to_be_disabled()
    page.locator("#film-start").click()
    expect(page.locator("#film-report")).to_contain_text("pictures are done")
    assert written(served, ".long*")
    page.locator("#film-cancel").click()
    expect(page.locator("#film-report")).to_contain_text("Cancelled")
    expect(page.locator("#film-start")).to_be_enabled()

    page.locator("#film button[aria-label=Clear]").click()
    page.set_input_files("#film input[type=file]", tmp_path / "bad.mp4")
    expect(page.locator("#film")).to_contain_text("bad")
    page.locator("#film-start").click()
    expect(page.locator("#film-report")).to_contain_text("bad.mp4 could not be colored")
    expect(page.locator("#film-start")).to_be_enabled()
    # The parts of the first film went when its work was given up.
    assert is_cleared(served, ".long*")


def test_whoever_waits_behind_another_may_cancel_and_start_again(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    film = films.write_film(tmp_path / "film.mkv", times=range(0, 3000 * 40, 40))
    Image.new("L", (60, 40), 90).save(tmp_path / "small.png")
    first, second = opened(browser, served), opened(browser, served)
    for one in (first, second):  # drawing two clocks without a GPU leaves little to the film
        one.set_viewport_size({"width": 400, "height": 300})
    first.get_by_role("tab", name="Film").click()
    first.set_input_files("#film input[type=file]", film)
    expect(first.locator("#film")).to_contain_text("film")
    first.locator("#film-start").click()
    expect(first.locator("#film-report")).to_contain_text("pictures are done")
    bring_many(second, [tmp_path / "small.png"])
    second.locator("#many-start").click()
    second.locator("#many-cancel").click()
    expect(second.locator("#report")).to_contain_text("Cancelled")
    expect(first.locator("#film-cancel")).to_be_enabled()

    # Only what was started after that is wanted, and the first person's film is not.
    second.locator("#many-start").click()
    expect(second.locator("#many-cancel")).to_be_enabled()
    first.locator("#film-cancel").click()
    expect(second.locator("#report")).to_contain_text("1 of 1 files are done")
    expect(second.locator("#many-start")).to_be_enabled()
    assert downloaded(second, "#archive")[0].endswith(".zip")
    first.close()
    second.close()


def test_work_that_finds_the_queue_full_may_be_tried_again(page: Page, tmp_path: Path) -> None:
    Image.new("L", (60, 40), 90).save(tmp_path / "small.png")
    bring_many(page, [tmp_path / "small.png"])
    # What Gradio answers then.
    full = {"detail": "Queue is full. Please try again."}
    page.route("**/queue/join*", lambda route: route.fulfill(status=503, json=full))
    page.locator("#many-start").click()
    expect(page.get_by_text("busy")).to_be_visible()
    page.unroute("**/queue/join*")
    expect(page.locator("#many-start")).to_be_enabled()
    page.locator("#many-start").click()
    expect(page.locator("#report")).to_contain_text("1 of 1 files are done")


def workers(served: Served) -> set[str]:
    """The processes that the server has started."""
    children = Path(f"/proc/{served.process.pid}/task").glob("*/children")
    found = {child for each in children for child in each.read_text().split()}
    # Python's own, which stays.
    return {each for each in found if b"resource_tracker" not in command(each)}


def command(process: str) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def started(served: Served, before: set[str]) -> set[str]:
    """The one process of long work."""
    new = workers(served) - before
    assert len(new) == 1
    return new


def has_ended(served: Served, processes: set[str]) -> bool:
    return soon(lambda: not processes & workers(served))


def soon(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + SOON / 1000
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def written(served: Served, pattern: str) -> list[Path]:
    """The server's files and folders of such a name; `rglob` fails while it removes some."""
    return [
        path
        for folder, folders, files in os.walk(served.folder)
        for path in (Path(folder, name) for name in [*folders, *files])
        if path.match(pattern)
    ]


def is_cleared(served: Served, pattern: str) -> bool:
    """Whether nothing of such a name is left; the server removes it after the process has ended."""
    return soon(lambda: not written(served, pattern))


def bring_many(page: Page, paths: Sequence[Path]) -> None:
    page.get_by_role("tab", name="Many files").click()
    page.set_input_files("#photos input[type=file]", paths)
    # The upload is over when its files are listed.
    expect(page.locator("#photos")).to_contain_text(paths[-1].stem)


def test_many_files_that_are_cancelled_leave_the_page_to_the_next(
    page: Page, served: Served, tmp_path: Path
) -> None:
    # Slow enough to be cancelled on a fast machine.
    paths = [tmp_path / f"large-{number:02}.png" for number in range(60)]
    large = Image.linear_gradient("L").resize((6000, 4000))
    large.save(paths[0])
    for path in paths[1:]:
        path.hardlink_to(paths[0])
    before = workers(served)
    bring_many(page, paths)
    expect(page.locator("#many-cancel")).to_be_disabled()
    page.locator("#many-start").click()
    expect(page.locator("#report")).to_contain_text("of 60 files are done")
    process = started(served, before)
    assert written(served, "colored/large-*")
    page.locator("#many-cancel").click()
    expect(page.locator("#report")).to_contain_text("Cancelled")
    expect(page.locator("#archive")).to_be_disabled()
    assert has_ended(served, process)
    assert is_cleared(served, "colored/large-*")

    expect(page.locator("#many-start")).to_be_enabled()
    page.locator("#photos button[aria-label=Clear]").click()
    Image.new("L", (60, 40), 90).save(tmp_path / "small.png")
    bring_many(page, [tmp_path / "small.png"])
    page.locator("#many-start").click()
    expect(page.locator("#report")).to_contain_text("1 of 1 files are done")
    with zipfile.ZipFile(io.BytesIO(downloaded(page, "#archive")[1])) as packed:
        assert packed.namelist() == ["small.png"]


def test_long_work_ends_when_its_tab_is_closed(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    film = films.write_film(tmp_path / "film.mkv", times=range(0, 3000 * 40, 40))
    before = workers(served)
    closed = opened(browser, served)
    closed.get_by_role("tab", name="Film").click()
    closed.set_input_files("#film input[type=file]", film)
    expect(closed.locator("#film")).to_contain_text("film")
    closed.locator("#film-start").click()
    expect(closed.locator("#film-report")).to_contain_text("pictures are done")
    process = started(served, before)
    closed.close()
    assert has_ended(served, process)
    assert is_cleared(served, ".film*")

    # The next person need not wait for it.
    page = opened(browser, served)
    Image.new("L", (60, 40), 90).save(tmp_path / "small.png")
    bring_many(page, [tmp_path / "small.png"])
    page.locator("#many-start").click()
    expect(page.locator("#report")).to_contain_text("1 of 1 files are done")
    page.close()


def test_the_model_tab_has_the_card(page: Page) -> None:
    page.get_by_role("tab", name="Model", exact=True).click()
    expect(page.get_by_role("heading", name="What they get wrong")).to_be_visible()


def test_a_wide_table_is_scrolled_by_the_keyboard(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    # All tabs can be seen on a phone.
    page.get_by_role("tab", name="Model", exact=True).click()
    page.get_by_role("tab", name="Model", exact=True).focus()
    page.keyboard.press("Tab")
    table = page.get_by_role("table", name="Table of predicted chroma, 2.2, 3.6")
    expect(table).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(table).not_to_have_js_property("scrollLeft", 0)
    # Where there is nothing to scroll, the Tab key need not stop.
    page.set_viewport_size({"width": 1280, "height": 740})
    expect(table).not_to_have_attribute("tabindex", "0")


def test_what_is_chosen_stands_beside_its_arrow_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.get_by_role("tab", name="Film").click()
    field = page.get_by_label("Model").and_(page.locator("input:visible"))
    field.click()
    page.get_by_role("option", name=PRETRAINED).click()
    expect(field).to_have_value(PRETRAINED)
    box = field.bounding_box()
    arrow = page.locator(".icon-wrap path:visible").last.bounding_box()
    assert box
    assert arrow
    width = field.evaluate(
        """field => {
            const pen = document.createElement('canvas').getContext('2d');
            pen.font = getComputedStyle(field).font;
            return pen.measureText(field.value).width;
        }"""
    )
    assert box["x"] + width < arrow["x"]


@pytest.mark.parametrize("place", [upload(label="Photos"), files_only(gradio.UploadButton())])
def test_addresses_are_not_fetched(place: gradio.File | gradio.UploadButton) -> None:
    # The browser of the other tests has an event loop running in this thread.
    with ThreadPoolExecutor(1) as apart:
        for address in ("http://127.0.0.1:1/a.png", "https://example.org/a.png"):
            with pytest.raises(gradio.Error, match="takes files, no addresses"):
                apart.submit(
                    asyncio.run, place.async_move_resource_to_block_cache(address)
                ).result()
            with pytest.raises(gradio.Error, match="takes files, no addresses"):
                place.move_resource_to_block_cache(address)
