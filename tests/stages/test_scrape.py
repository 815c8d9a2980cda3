from __future__ import annotations

import csv
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bing_server import FOREIGN, HOSTILE, BingServer, wait_until
from scratch import PROJECT

from pipeline.dataset.manifest import MANIFEST, REFUSED, RawPhoto, RefusedPhoto, read_table
from pipeline.download import rejections as reasons
from pipeline.errors import ColorpipeError, Failure
from pipeline.params import ScrapeParams
from pipeline.sources import Offer, Refusal
from pipeline.sources.base import INBOX
from pipeline.sources.sample import SampleSource
from stages.scrape import Harvest, scrape


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def tiles() -> list[bytes]:
    """Real photos, small ones."""
    return [offer.data for offer in SampleSource() if offer.url.endswith(",96,96")]


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


def test_the_default_needs_nothing_and_gives_the_same_bytes_again(tmp_path: Path) -> None:
    assert scrape(Path("a"), ScrapeParams()) == []
    assert scrape(Path("b"), ScrapeParams()) == []
    assert contents(Path("a")) == contents(Path("b"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_the_manifest_tells_every_photo() -> None:
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


def test_the_inbox_is_where_params_point() -> None:
    assert ScrapeParams().path == INBOX


def test_a_folder_s_names_types_and_duplicates_do_not_matter(tiles: list[bytes]) -> None:
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
    refused = read_table(Path("raw") / REFUSED, RefusedPhoto)
    assert [(row.url, row.reason, row.detail) for row in refused] == [
        ("sea/b.webp", reasons.DUPLICATE, f"same bytes as {rows[0].name}"),
        ("sea/c.png", reasons.NOT_AN_IMAGE, "an HTML page"),
    ]


def test_the_limit_holds_for_every_source(capsys: pytest.CaptureFixture[str]) -> None:
    scrape(Path("raw"), ScrapeParams(limit=3))
    rows = read_table(Path("raw") / MANIFEST, RawPhoto)
    assert len(rows) == 12
    assert "beyond limit" in capsys.readouterr().out


def test_files_beyond_the_limit_are_not_read(
    tiles: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("photos/sea").mkdir(parents=True)
    for name, data in zip("abcdef", [b"no", tiles[0], tiles[0], *tiles[1:4]], strict=True):
        Path(f"photos/sea/{name}.png").write_bytes(data)
    read: list[str] = []
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    scrape(Path("raw"), ScrapeParams(source="folder", path=Path("photos"), limit=2))
    assert read == ["a.png", "b.png", "c.png", "d.png"]
    rows = read_table(Path("raw") / MANIFEST, RawPhoto)
    assert {row.url for row in rows} == {"sea/b.png", "sea/d.png"}
    refused = read_table(Path("raw") / REFUSED, RefusedPhoto)
    assert [row.url for row in refused] == ["sea/a.png", "sea/c.png"]


def test_a_category_of_which_nothing_was_kept_is_a_failure(tiles: list[bytes]) -> None:
    for name, data in {"sea/a.png": tiles[0], "hills/a.jpg": b"no", "hills/b.jpg": b""}.items():
        (Path("photos") / name).parent.mkdir(parents=True, exist_ok=True)
        (Path("photos") / name).write_bytes(data)
    failures = scrape(Path("raw"), ScrapeParams(source="folder", path=Path("photos")))
    assert failures == [Failure("hills", "none of 2 photos could be kept; refused.csv tells why")]
    assert len(read_table(Path("raw") / MANIFEST, RawPhoto)) == 1


def test_names_that_are_no_text_do_not_stop_the_rest(tiles: list[bytes]) -> None:
    Path("photos/sea").mkdir(parents=True)
    try:
        Path(os.fsdecode(b"photos/sea/caf\xe9.png")).write_bytes(tiles[0])
    except OSError:  # macOS takes names in UTF-8 only
        Path("photos/sea/caf\ufffd.png").write_bytes(tiles[0])
    assert scrape(Path("raw"), ScrapeParams(source="folder", path=Path("photos"))) == []
    [row] = read_table(Path("raw") / MANIFEST, RawPhoto)
    assert row.url.startswith("sea/caf")


def test_photos_of_a_data_set_beyond_the_limit_are_not_read(
    tiles: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("photos").mkdir()
    for index in range(20):
        Path(f"photos/{index:02}.png").write_bytes(tiles[index])
    read: list[str] = []
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    scrape(Path("raw"), ScrapeParams(source="landscapes", path=Path("photos"), limit=2))
    assert read == ["00.png", "01.png"]


def test_what_a_stranger_wrote_is_no_formula(tiles: list[bytes]) -> None:
    harvest = Harvest(Path(), None)
    harvest.take(Offer("sea", "http://h/a.png", tiles[0], "=1+1", "@q", "-l"))
    harvest.take(Refusal("sea", "http://h/b.png", reasons.NO_AI, "=1+1", "=1+1", "=1+1"))
    harvest.close()
    [row] = read_table(Path(MANIFEST), RawPhoto)
    assert (row.page, row.query, row.license) == ("'=1+1", "'@q", "'-l")
    [refused] = read_table(Path(REFUSED), RefusedPhoto)
    assert (refused.detail, refused.page, refused.query) == ("'=1+1",) * 3


def test_a_url_of_any_length_leaves_tables_that_can_be_read(tiles: list[bytes]) -> None:
    with BingServer({"sea": tiles[:1]}) as server:
        Path("list.txt").write_text(
            f"http://{server.host}/{'a' * 140_000}\n{server.url_of('sea', 0)}"
        )
        settings = params(server, source="urls", path=Path("list.txt"))
        for _ in range(2):
            assert scrape(Path("raw"), settings) == []
    [refused] = read_table(Path("raw") / REFUSED, RefusedPhoto)
    assert refused.reason == reasons.MALFORMED
    assert int(refused.detail.removesuffix(" characters")) > 140_000


def test_when_nothing_can_be_had_an_example_of_each_reason_is_told(tiles: list[bytes]) -> None:
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
            f"No photo could be had: 2 × HTTP error (http://{server.host}/bad/missing?a: 404);"
            f" 2 × not an image (http://{server.host}/bad/html?a: an HTML page)."
        )
        host = server.host
    Path("list.txt").write_text(f"http://{host}/a.jpg\nhttp://{host}/b.jpg\n")
    with pytest.raises(ColorpipeError) as caught:
        scrape(Path("raw"), settings)
    assert str(caught.value) == (
        f"No photo could be had: 2 × host not reachable (http://{host}/a.jpg: 127.0.0.1 hangs up or"
        " refuses); check the network, or take photos from disk with --source folder --path FOLDER."
    )


def test_a_row_stays_on_its_line_whatever_a_stranger_writes(tiles: list[bytes]) -> None:
    strange = "a\r\n\0b"
    harvest = Harvest(Path(), None)
    harvest.take(Offer("sea", strange, tiles[0], strange, strange, strange))
    harvest.take(Refusal("sea", strange, reasons.DAMAGED, strange, strange, strange))
    harvest.close()
    [row] = read_table(Path(MANIFEST), RawPhoto)
    assert (row.url, row.page, row.query, row.license) == ("a   b",) * 4
    [refused] = read_table(Path(REFUSED), RefusedPhoto)
    assert (refused.url, refused.detail, refused.page, refused.query) == ("a   b",) * 4


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
    refused = read_table(Path("data/raw") / REFUSED, RefusedPhoto)
    assert [row.category for row in rows] == ["hills"] * 10 + ["sea"] * 10
    assert {row.media_type for row in rows} == {"image/png"}
    assert {row.license for row in rows} == {"Bing's filter: any"}
    assert {row.query for row in rows} == {"sea", "green hills"}
    assert all(row.page.startswith(f"http://{host}/page/") for row in rows)
    assert len(refused) == 2 * (len(HOSTILE) + len(FOREIGN))
    assert {Path(name).parts[0] for name in contents(Path())} == {"cats.txt", "data", ".colorpipe"}
    table = capsys.readouterr().out
    for reason in {row.reason for row in refused}:
        assert reason in table
    assert ".colorpipe/downloads is deleted" in table


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


@pytest.mark.parametrize("raw", ["photos", "photos/sea", "."])
def test_photos_are_never_replaced_by_what_is_made_of_them(raw: str, tiles: list[bytes]) -> None:
    Path("photos/sea").mkdir(parents=True)
    Path("photos/sea/a.png").write_bytes(tiles[0])
    with pytest.raises(ColorpipeError, match="overlap"):
        scrape(Path(raw), ScrapeParams(source="folder", path=Path("photos")))
    assert Path("photos/sea/a.png").read_bytes() == tiles[0]


def test_a_folder_that_no_scrape_made_is_not_replaced() -> None:
    Path("holidays").mkdir()
    Path("holidays/beach.jpg").write_bytes(b"mine")
    with pytest.raises(
        ColorpipeError, match=r"holds beach\.jpg, which is not in a manifest.*--raw"
    ):
        scrape(Path("holidays"), ScrapeParams())
    assert contents(Path("holidays")) == {"beach.jpg": b"mine"}


def test_a_photo_that_was_put_among_the_scraped_ones_is_not_lost() -> None:
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


def test_an_output_that_cannot_be_written_is_told() -> None:
    Path("file").touch()
    with pytest.raises(ColorpipeError, match=r"file/raw was not written"):
        scrape(Path("file/raw"), ScrapeParams())


def test_a_manifest_can_be_scraped_again(tiles: list[bytes]) -> None:
    """A list that was published is enough to have its photos."""
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
def test_killed_and_started_again_it_fetches_nothing_twice_and_ends_with_the_same(
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
        # A photo on its way when the process was stopped is lost: at most two at one host.
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
        server.asked.clear()
        assert start(server).wait(60) == 0
        assert contents(Path("data/raw")) == resumed
    assert list(Path("data").iterdir()) == [Path("data/raw")]


def test_the_default_imports_neither_torch_nor_an_http_client() -> None:
    code = (
        "import sys, pathlib, stages.scrape, pipeline.params\n"
        "stages.scrape.scrape(pathlib.Path('raw'), pipeline.params.ScrapeParams(limit=1))\n"
        "sys.exit(str({'torch', 'aiohttp', 'pooch', 'skimage'} & set(sys.modules) or ''))"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip().splitlines()[-1].startswith("Collecting")
