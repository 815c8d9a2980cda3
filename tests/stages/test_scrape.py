from __future__ import annotations

import csv
import hashlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bing_server import FOREIGN, HOSTILE, BingServer, wait_until
from permissions import unprivileged_folder
from scratch import PROJECT

from pipeline.dataset.manifest import MANIFEST, REJECTED, RawPhoto
from pipeline.download import rejections
from pipeline.errors import ColorpipeError, Failure
from pipeline.files.csv_tables import read_table
from pipeline.params import ScrapeParams
from pipeline.sources import find_photos
from pipeline.sources.base import FoundPhoto, RejectedPhoto
from stages.scrape import Collector, scrape


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def tiles() -> list[bytes]:
    """Small real photos."""
    photos = [item for item in find_photos(ScrapeParams()) if isinstance(item, FoundPhoto)]
    return [photo.data for photo in photos if photo.url.endswith(",96,96")]


def read_rejected() -> list[RejectedPhoto]:
    return read_table(Path("raw") / REJECTED, RejectedPhoto)


def params(server: BingServer, **changes: object) -> ScrapeParams:
    settings: dict[str, object] = {
        "source": "bing",
        "search_url": server.search_url,
        "allow_hosts": (server.host,),
        "limit": 10,
        "timeout": 20.0,
        "retries": 1,
        "max_bytes": 1_000_000,
        **changes,
    }
    return ScrapeParams.model_validate(settings)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_default_gives_the_same_bytes_every_time(tmp_path: Path) -> None:
    assert scrape(Path("a"), ScrapeParams()) == []
    assert scrape(Path("b"), ScrapeParams()) == []
    assert contents(Path("a")) == contents(Path("b"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_the_manifest_lists_every_photo() -> None:
    scrape(Path("raw"), ScrapeParams())
    rows = read_table(Path("raw") / MANIFEST, RawPhoto)
    photos = {name for name in contents(Path("raw")) if "/" in name}
    assert photos == {f"{row.category}/{row.name}" for row in rows}
    for row in rows:
        data = (Path("raw") / row.category / row.name).read_bytes()
        assert row.sha256 == hashlib.sha256(data).hexdigest()
        assert row.name.startswith(row.sha256[:16])
        assert row.bytes == len(data)
        assert row.media_type in {"image/png", "image/gif", "image/tiff"}


def test_contents_count_but_not_names_and_extensions(tiles: list[bytes]) -> None:
    for name, data in {
        "sea/a.jpg": tiles[0],
        "sea/b.webp": tiles[0],
        "sea/c.png": b"<html>sorry</html>",
        "hills/a.jpg": tiles[0],
    }.items():
        (Path("photos") / name).parent.mkdir(parents=True, exist_ok=True)
        (Path("photos") / name).write_bytes(data)
    before = contents(Path("photos"))
    assert scrape(Path("raw"), ScrapeParams(source="folder", path=Path("photos"))) == []
    assert contents(Path("photos")) == before
    rows = read_table(Path("raw") / MANIFEST, RawPhoto)
    assert [(row.category, row.url) for row in rows] == [
        ("hills", "hills/a.jpg"),
        ("sea", "sea/a.jpg"),
    ]
    assert {row.name for row in rows} == {hashlib.sha256(tiles[0]).hexdigest()[:16] + ".png"}
    rejected = read_rejected()
    assert [(row.url, row.reason, row.detail) for row in rejected] == [
        ("sea/b.webp", rejections.DUPLICATE, f"same bytes as {rows[0].name}"),
        ("sea/c.png", rejections.NOT_AN_IMAGE, "an HTML page"),
    ]


@pytest.mark.parametrize(
    ("kind", "again"), [("missing", False), ("hangs-up", True), ("to-photo", False)]
)
def test_when_rejected_urls_are_tried_again_is_said(
    kind: str, again: bool, tiles: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cats.txt").write_text("sea")
    with BingServer({"sea": tiles[:1]}) as server:
        server.bad = [f"http://{server.host}/bad/{kind}"]
        scrape(Path("raw"), params(server))
        said = "The next run asks hosts again that were busy or" in capsys.readouterr().out
        asked = server.requests[f"/bad/{kind}"]
        scrape(Path("raw"), params(server))
    [rejected] = read_rejected()
    # A duplicate is in the cache, as every photo is.
    assert said is (rejected.reason != rejections.DUPLICATE)
    assert (server.requests[f"/bad/{kind}"] > asked) is again


def test_the_limit_holds_for_every_source(capsys: pytest.CaptureFixture[str]) -> None:
    scrape(Path("raw"), ScrapeParams(limit=3))
    rows = read_table(Path("raw") / MANIFEST, RawPhoto)
    assert len(rows) == 12
    assert "beyond limit" in capsys.readouterr().out


def test_files_beyond_the_limit_are_not_read(tiles: list[bytes]) -> None:
    with unprivileged_folder() as folder:
        (folder / "photos/sea").mkdir(parents=True)
        for name, data in zip("abcdef", [b"no", tiles[0], tiles[0], *tiles[1:4]], strict=True):
            (folder / f"photos/sea/{name}.png").write_bytes(data)
        for name in "ef":
            (folder / f"photos/sea/{name}.png").chmod(0)
        settings = ScrapeParams(source="folder", path=Path("photos"), limit=2)
        assert scrape(Path("raw"), settings) == []
        rows = read_table(Path("raw") / MANIFEST, RawPhoto)
        assert {row.url for row in rows} == {"sea/b.png", "sea/d.png"}
        assert [photo.url for photo in read_rejected()] == ["sea/a.png", "sea/c.png"]


def test_a_category_without_kept_photos_is_a_failure(tiles: list[bytes]) -> None:
    for name, data in {"sea/a.png": tiles[0], "hills/a.jpg": b"no", "hills/b.jpg": b""}.items():
        (Path("photos") / name).parent.mkdir(parents=True, exist_ok=True)
        (Path("photos") / name).write_bytes(data)
    failures = scrape(Path("raw"), ScrapeParams(source="folder", path=Path("photos")))
    assert failures == [Failure("hills", "none of 2 photos could be kept; see rejected.csv")]
    assert len(read_table(Path("raw") / MANIFEST, RawPhoto)) == 1


def test_file_names_that_are_not_utf8_are_allowed(tiles: list[bytes]) -> None:
    Path("photos/sea").mkdir(parents=True)
    try:
        Path(os.fsdecode(b"photos/sea/caf\xe9.png")).write_bytes(tiles[0])
    except OSError:  # macOS takes names in UTF-8 only
        Path("photos/sea/caf\ufffd.png").write_bytes(tiles[0])
    assert scrape(Path("raw"), ScrapeParams(source="folder", path=Path("photos"))) == []
    [row] = read_table(Path("raw") / MANIFEST, RawPhoto)
    assert row.url.startswith("sea/caf")


def test_archive_members_beyond_the_limit_are_not_read(tiles: list[bytes]) -> None:
    # Without root's privileges, root's Python may not be readable.
    importlib.import_module("pipeline.sources.landscapes")
    with unprivileged_folder() as folder:
        (folder / "photos").mkdir()
        for index in range(4):
            (folder / f"photos/{index}.png").write_bytes(tiles[index])
        for index in (2, 3):
            (folder / f"photos/{index}.png").chmod(0)
        landscapes = ScrapeParams(source="landscapes", path=Path("photos"), limit=2)
        assert scrape(Path("raw"), landscapes) == []
        assert len(read_table(Path("raw") / MANIFEST, RawPhoto)) == 2
        assert read_rejected() == []


def test_untrusted_text_does_not_become_a_formula(tiles: list[bytes]) -> None:
    collector = Collector(Path(), None)
    collector.take(FoundPhoto("sea", "http://h/a.png", tiles[0], "=1+1", "@q", "-l"))
    collector.take(RejectedPhoto("sea", "http://h/b.png", rejections.NO_AI, "=1+1", "=1+1", "=1+1"))
    collector.write_tables()
    [row] = read_table(Path(MANIFEST), RawPhoto)
    assert (row.page, row.query, row.license) == ("'=1+1", "'@q", "'-l")
    [rejected] = read_table(Path(REJECTED), RejectedPhoto)
    assert (rejected.detail, rejected.page, rejected.query) == ("'=1+1",) * 3


def test_a_very_long_url_leaves_tables_readable(tiles: list[bytes]) -> None:
    with BingServer({"sea": tiles[:1]}) as server:
        Path("list.txt").write_text(
            f"http://{server.host}/{'a' * 140_000}\n{server.url_of('sea', 0)}"
        )
        settings = params(server, source="urls", path=Path("list.txt"))
        for _ in range(2):
            assert scrape(Path("raw"), settings) == []
    [rejected] = read_rejected()
    assert rejected.reason == rejections.MALFORMED
    assert int(rejected.detail.removesuffix(" characters")) > 140_000


def test_if_nothing_is_kept_the_error_gives_each_reason(tiles: list[bytes]) -> None:
    with BingServer({"sea": tiles[:1]}) as server:
        Path("list.txt").write_text(
            "".join(
                f"http://{server.host}/bad/{kind}?{n}\n"
                for n in "ab"
                for kind in ("missing", "html")
            )
        )
        settings = params(server, source="urls", path=Path("list.txt"), retries=0)
        with pytest.raises(ColorpipeError) as caught:
            scrape(Path("raw"), settings)
        assert str(caught.value) == (
            f"No photos were kept: 2 × HTTP error (http://{server.host}/bad/missing?a: 404);"
            f" 2 × not an image (http://{server.host}/bad/html?a: an HTML page)."
        )
        host = server.host
    Path("list.txt").write_text(f"http://{host}/a.jpg\nhttp://{host}/b.jpg\n")
    with pytest.raises(ColorpipeError) as caught:
        scrape(Path("raw"), settings)
    assert str(caught.value) == (
        f"No photos were kept: 2 × host not reachable (http://{host}/a.jpg: 127.0.0.1 hangs up or"
        " refuses); check the network, or use photos on disk with --source folder --path FOLDER."
    )


def test_if_nothing_is_kept_the_error_names_what_could_not_be_read_too() -> None:
    Path("photos/sea").mkdir(parents=True)
    Path("photos/sea/notes.jpg").write_text("notes")
    for number in range(7):
        Path(f"photos/sea/{number}.jpg").symlink_to("gone.jpg")
    with pytest.raises(ColorpipeError) as caught:
        scrape(Path("raw"), ScrapeParams(source="folder", path=Path("photos")))
    said = str(caught.value)
    assert said.startswith("No photos were kept: 1 × not an image (sea/notes.jpg: ")
    assert "; sea: photos/sea/4.jpg could not be read (No such file or directory); " in said
    assert said.endswith("; and so on, 2 more.")


def test_untrusted_text_stays_on_one_line_of_a_table(tiles: list[bytes]) -> None:
    untrusted = "a\r\n\0b"
    collector = Collector(Path(), None)
    collector.take(FoundPhoto("sea", untrusted, tiles[0], untrusted, untrusted, untrusted))
    collector.take(
        RejectedPhoto("sea", untrusted, rejections.DAMAGED, untrusted, untrusted, untrusted)
    )
    collector.write_tables()
    [row] = read_table(Path(MANIFEST), RawPhoto)
    assert (row.url, row.page, row.query, row.license) == ("a   b",) * 4
    [rejected] = read_table(Path(REJECTED), RejectedPhoto)
    assert (rejected.url, rejected.detail, rejected.page, rejected.query) == ("a   b",) * 4


def test_hostile_servers_get_nowhere(
    tiles: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cats.txt").write_text("sea\n../../hills: green hills\n")
    with BingServer(
        {"sea": tiles[:30], "green hills": tiles[30:60]}, bad=[*HOSTILE, *FOREIGN]
    ) as server:
        assert scrape(Path("data/raw"), params(server, timeout=2.0)) == []
        host = server.host
    rows = read_table(Path("data/raw") / MANIFEST, RawPhoto)
    rejected = read_table(Path("data/raw") / REJECTED, RejectedPhoto)
    assert [row.category for row in rows] == ["hills"] * 10 + ["sea"] * 10
    assert {row.media_type for row in rows} == {"image/png"}
    assert {row.license for row in rows} == {"Bing's filter: any"}
    assert {row.query for row in rows} == {"sea", "green hills"}
    assert all(row.page.startswith(f"http://{host}/page/") for row in rows)
    assert len(rejected) == 2 * (len(HOSTILE) + len(FOREIGN))
    assert {Path(name).parts[0] for name in contents(Path())} == {"cats.txt", "data", ".colorpipe"}
    table = capsys.readouterr().out
    for reason in {row.reason for row in rejected}:
        assert reason in table
    assert "once .colorpipe/downloads is deleted" in " ".join(table.split())


def test_a_failure_leaves_what_was_there() -> None:
    scrape(Path("raw"), ScrapeParams(limit=2))
    before = contents(Path("raw"))
    Path("photos/sea").mkdir(parents=True)
    Path("photos/sea/a.jpg").write_bytes(b"no photo")
    with pytest.raises(ColorpipeError, match=r"1 × not an image \(sea/a\.jpg: unknown bytes\)\."):
        scrape(Path("raw"), ScrapeParams(source="folder", path=Path("photos")))
    with pytest.raises(ColorpipeError, match="is missing"):
        scrape(Path("raw"), ScrapeParams(source="bing"))
    assert contents(Path("raw")) == before


def test_a_name_gives_the_terminal_no_commands(tiles: list[bytes]) -> None:
    Path("photos/sea").mkdir(parents=True)
    file = Path("photos/sea/a\x1b]0;title\x07\x9b2J\u2028\t.png")
    file.write_bytes(b"no photo")
    with pytest.raises(ColorpipeError, match=r"sea/a \]0;title  2J  \.png: unknown bytes"):
        scrape(Path("raw"), ScrapeParams(source="folder", path=Path("photos")))
    file.write_bytes(tiles[0])
    scrape(Path("raw"), ScrapeParams(source="folder", path=Path("photos")))
    [row] = read_table(Path("raw") / MANIFEST, RawPhoto)
    assert row.url == "sea/a ]0;title  2J  .png"


@pytest.mark.parametrize("raw", ["photos", "photos/sea", "."])
def test_the_folder_that_photos_come_from_is_not_replaced(raw: str, tiles: list[bytes]) -> None:
    Path("photos/sea").mkdir(parents=True)
    Path("photos/sea/a.png").write_bytes(tiles[0])
    with pytest.raises(ColorpipeError, match="overlap"):
        scrape(Path(raw), ScrapeParams(source="folder", path=Path("photos")))
    assert Path("photos/sea/a.png").read_bytes() == tiles[0]


def test_a_folder_that_no_scrape_wrote_is_not_replaced() -> None:
    Path("holidays").mkdir()
    Path("holidays/beach.jpg").write_bytes(b"mine")
    with pytest.raises(
        ColorpipeError, match=r"holds beach\.jpg, which is not in a manifest.*--raw"
    ):
        scrape(Path("holidays"), ScrapeParams())
    assert contents(Path("holidays")) == {"beach.jpg": b"mine"}


def test_a_folder_with_an_unlisted_photo_is_not_replaced() -> None:
    scrape(Path("raw"), ScrapeParams())
    before = contents(Path("raw"))
    category = next(path for path in Path("raw").iterdir() if path.is_dir())
    own = category / "mine.jpg"
    own.write_bytes(b"mine")
    with pytest.raises(
        ColorpipeError, match=rf"holds {category.name}/mine\.jpg, which is not in a manifest"
    ):
        scrape(Path("raw"), ScrapeParams())
    own.unlink()
    (Path("raw") / "manifest.csv").write_text("photo,year\n")
    with pytest.raises(ColorpipeError, match="is not in a manifest"):
        scrape(Path("raw"), ScrapeParams())
    (Path("raw") / "manifest.csv").write_bytes(before["manifest.csv"])
    scrape(Path("raw"), ScrapeParams())
    assert contents(Path("raw")) == before


def test_an_output_that_cannot_be_written_is_an_error() -> None:
    Path("file").touch()
    with pytest.raises(ColorpipeError, match=r"file/raw cannot be written, because .*/file is no"):
        scrape(Path("file/raw"), ScrapeParams())


def test_a_manifest_can_be_scraped_again(tiles: list[bytes]) -> None:
    Path("cats.txt").write_text("sea\n")
    with BingServer({"sea": tiles[:12]}, bad=["missing"]) as server:
        scrape(Path("first"), params(server))
        shutil.rmtree(".colorpipe")
        server.searches.clear()
        again = params(server, source="urls", path=Path("first") / MANIFEST, limit=None)
        scrape(Path("second"), again)
        assert not server.searches
    assert contents(Path("first/sea")) == contents(Path("second/sea"))
    first, second = (
        [{**row} for row in csv.DictReader((Path(name) / MANIFEST).open(encoding="utf-8"))]
        for name in ("first", "second")
    )
    assert first == second


def start(server: BingServer) -> subprocess.Popen[bytes]:
    given = ["--source", "bing", "--search-url", server.search_url, "--allow-hosts", server.host]
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", "scrape", *given, "--limit", "40"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def photos_served(server: BingServer) -> int:
    return sum(count for path, count in server.served.items() if path.startswith("/photo/"))


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_resumes_and_ends_with_the_same_result(
    tiles: list[bytes], stop: signal.Signals
) -> None:
    Path("cats.txt").write_text("sea\nhills\n")
    bad = ["missing", "html", "later", "noai"]
    with BingServer({"sea": tiles[:50], "hills": tiles[50:100]}, bad=bad, delay=0.03) as server:
        for part in (10, 45):
            process = start(server)
            wait_until(lambda part=part: photos_served(server) >= part)
            process.send_signal(stop)
            error = process.communicate()[1].decode()
            assert process.returncode != 0
            assert "Traceback" not in error
            assert not Path("data").exists()
        # What is under way at the kill is lost: at most two photos each time.
        assert photos_served(server) <= 45 + 4
        process = start(server)
        assert process.wait(60) == 0
        resumed = contents(Path("data/raw"))
        assert len(resumed) == 82
        photos = {path: n for path, n in server.served.items() if path.startswith("/photo/")}
        twice = [path for path, count in photos.items() if count > 1]
        assert len(twice) <= 4
        assert max(photos.values()) <= 2

        shutil.rmtree(".colorpipe")
        shutil.rmtree("data")
        server.requests.clear()
        assert start(server).wait(60) == 0
        assert contents(Path("data/raw")) == resumed
    assert list(Path("data").iterdir()) == [Path("data/raw")]


def test_the_default_imports_neither_torch_nor_an_http_client() -> None:
    code = (
        "import sys, pathlib, stages.scrape, pipeline.params\n"
        "stages.scrape.scrape(pathlib.Path('raw'), pipeline.params.ScrapeParams(limit=1))\n"
        "sys.exit(not {'torch', 'aiohttp', 'pooch', 'skimage'}.isdisjoint(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
