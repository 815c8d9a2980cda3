from __future__ import annotations

import asyncio
import gc
import hashlib
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest
from bing_image_downloader import bing as library
from bing_server import FOREIGN, HOSTILE, BingServer

from pipeline.download import rejections
from pipeline.errors import ColorpipeError, Failure
from pipeline.params import ScrapeParams
from pipeline.sources import bing, find_photos
from pipeline.sources.base import FoundPhoto, Item, RejectedPhoto
from pipeline.sources.bing import ResultPage
from pipeline.sources.remote import MAX_CATEGORIES


def photos(word: str, count: int) -> list[bytes]:
    return [b"\xff\xd8\xff" + f"{word} {index}".encode() for index in range(count)]


SEA = photos("sea", 40)


def params(server: BingServer, folder: Path, **changes: object) -> ScrapeParams:
    (folder / "cats.txt").write_text("sea\nhills: green hills\n")
    settings: dict[str, object] = {
        "source": "bing",
        "categories": folder / "cats.txt",
        "search_url": server.search_url,
        "allow_hosts": (server.host,),
        "limit": 10,
        "timeout": 20.0,
        "retries": 1,
        "max_bytes": 100_000,
        **changes,
    }
    return ScrapeParams.model_validate(settings)


def names(found: Sequence[Item], category: str) -> list[str]:
    return [
        item.url.rpartition("/")[2]
        for item in found
        if isinstance(item, FoundPhoto) and item.category == category
    ]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_photos_come_in_the_order_of_the_search(tmp_path: Path) -> None:
    with BingServer({"sea": SEA, "green hills": photos("hill", 4)}) as server:
        found = list(find_photos(params(server, tmp_path, limit=20)))
        assert names(found, "sea") == [f"{index}.jpg" for index in range(20)]
        assert names(found, "hills") == [f"{index}.jpg" for index in range(4)]
        assert found[8] == FoundPhoto(
            category="sea",
            url=server.url_of("sea", 8),
            data=SEA[8],
            page=f"http://{server.host}/page/8?a=1&b=2",
            query="sea",
            license="Bing's filter: any",
        )


def test_pages_do_not_overlap(tmp_path: Path) -> None:
    with BingServer({"sea": SEA, "green hills": []}, page_size=7) as server:
        list(find_photos(params(server, tmp_path, limit=40)))
        asked = [int(form["first"]) for form in server.searches if form["q"] == "sea"]
    # The last page is empty: the search is at its end.
    assert asked == [0, 7, 14, 21, 28, 35]


def test_the_request_is_the_library_s_plus_our_filters(tmp_path: Path) -> None:
    with BingServer({"sea": SEA}) as server:
        for changes in ({}, {"safe_search": False, "license": "modify_commercially"}):
            url = ResultPage("süße Hügel & so", 35, params(server, tmp_path, **changes)).url
            base, _, form = url.partition("?")
            assert base == server.search_url
            asked = dict(urllib.parse.parse_qsl(form))
            assert (asked["q"], asked["first"], asked["count"]) == ("süße Hügel & so", "35", "100")
            if not changes:
                assert (asked["adlt"], asked["qft"]) == ("on", "+filterui:photo-photo")
            else:
                license = "+filterui:photo-photo+filterui:license-L2_L3"
                assert (asked["adlt"], asked["qft"]) == ("off", license)


def test_every_license_has_its_filter(tmp_path: Path) -> None:
    with BingServer({}) as server:
        allowed = ScrapeParams.model_fields["license"].annotation
        filters = {
            license: ResultPage("x", 0, params(server, tmp_path, license=license)).url
            for license in allowed.__args__  # type: ignore[union-attr]
        }
    assert len(set(filters.values())) == 6


def test_the_search_address_may_have_a_query_of_its_own(tmp_path: Path) -> None:
    with BingServer({}) as server:
        url = ResultPage("x", 0, params(server, tmp_path, search_url="http://m/?a=b")).url
    assert url.startswith("http://m/?a=b&q=x&first=0")


def test_the_library_is_restored_after_use(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with BingServer({"sea": SEA, "green hills": []}) as server:
        list(find_photos(params(server, tmp_path)))
        page = ResultPage("sea", 0, params(server, tmp_path))
        assert page.results("").urls == []
        assert page.results("<html>no results</html>").count == 0
    assert library.urllib.request is urllib.request
    assert capfd.readouterr().out == ""


def test_an_unsupported_library_version_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BingServer({"sea": SEA}) as server:
        text = server.page("sea", 0)
        page = ResultPage("sea", 0, params(server, tmp_path))
        assert len(page.results(text).urls) == 7
        monkeypatch.setattr(library.Bing, "run", lambda self: None)
        with pytest.raises(ColorpipeError, match=r"==1\.1\.3"):
            page.results(text)
        with pytest.raises(ColorpipeError, match=r"==1\.1\.3"):
            ResultPage("sea", 0, params(server, tmp_path))


def test_malformed_results_are_read_as_far_as_possible(tmp_path: Path) -> None:
    with BingServer({}) as server:
        page = ResultPage("sea", 0, params(server, tmp_path))
    text = (
        '<a m="{&quot;murl&quot;:&quot;http://h/a b.jpg?x=1&amp;y=2&quot;,&quot;purl&quot;:5}">'
        '<a m="{&quot;murl&quot;:&quot;http://h/c.jpg&quot;}"><a m="[]"><a m="{"><a m>'
        '<a m="{&quot;murl&quot;:&quot;http://h/c.jpg&quot;,&quot;purl&quot;:&quot;p&quot;}">'
    )
    results = page.results(text)
    assert results.urls == ["http://h/a%20b.jpg?x=1&y=2", "http://h/c.jpg"]
    assert results.count == 3
    assert results.pages == {"http://h/c.jpg": "p"}


@pytest.mark.parametrize(
    "mark", ['<a m="' + "[" * 100_000 + '">', "<![x[", "murl&quot;:&quot;never ends\n"]
)
def test_input_that_breaks_the_parsers_costs_no_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    with BingServer({"sea": SEA, "green hills": []}) as server:
        honest = server.page
        monkeypatch.setattr(server, "page", lambda query, first: mark + honest(query, first))
        found = list(find_photos(params(server, tmp_path)))
        assert [found.reason for found in found if isinstance(found, RejectedPhoto)] == []
        assert len(names(found, "sea")) == 10
        assert found[-1] == Failure("hills", f"{server.host} shows no results for 'green hills'")


def test_hostile_results_cost_no_photo_and_do_no_harm(tmp_path: Path) -> None:
    with BingServer(
        {"sea": SEA, "green hills": photos("hill", 20)}, bad=[*HOSTILE, *FOREIGN]
    ) as server:
        found = list(find_photos(params(server, tmp_path, timeout=2.0)))
        assert names(found, "sea") == names(found, "hills") == [f"{n}.jpg" for n in range(10)]
        rejected = {
            item.url: item.reason
            for item in found
            if isinstance(item, RejectedPhoto) and item.category == "sea"
        }
    assert len(rejected) == len(HOSTILE) + len(FOREIGN)
    assert rejected["file:///etc/passwd"] == rejections.SCHEME
    assert rejected["http://169.254.169.254/latest/meta-data/photo.jpg"] == rejections.PRIVATE
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path).parts[0] for path in written} == {".colorpipe", "cats.txt"}


def test_the_result_does_not_depend_on_the_number_of_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    for workers in (1, 3, 16):
        folder = tmp_path / str(workers)
        folder.mkdir()
        monkeypatch.chdir(folder)
        bad = ["missing", "cut-off", "html", "noai"]
        with BingServer({"sea": SEA[:1] * 3 + SEA, "green hills": []}, bad=bad) as server:
            found = list(find_photos(params(server, folder, workers=workers, per_host=workers)))
            kept.append([item.data for item in found if isinstance(item, FoundPhoto)])
            asked = [path for path in server.requests if path.startswith("/photo")]
            # Three of the first four are one photo: thirteen URLs give ten photos.
            assert len(asked) == 13
    assert kept[0] == kept[1] == kept[2]
    assert len(set(kept[0])) == 10


def test_a_higher_limit_fetches_only_what_is_missing(
    tmp_path: Path,
) -> None:
    with BingServer({"sea": SEA, "green hills": photos("hill", 40)}) as server:
        first = list(find_photos(params(server, tmp_path)))
        asked = dict(server.requests)
        assert list(find_photos(params(server, tmp_path))) == first
        assert dict(server.requests) == asked
        more = list(find_photos(params(server, tmp_path, limit=25)))
        assert len(names(more, "sea")) == 25
        assert names(more, "sea")[:10] == names(first, "sea")
        counts = {path: n for path, n in server.requests.items() if path != "/robots.txt"}
        assert set(counts.values()) == {1}


def test_rejections_and_searches_expire_but_photos_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    with BingServer({"sea": SEA[:5], "green hills": []}, bad=["forbidden"]) as server:
        settings = params(server, tmp_path)
        first = list(find_photos(settings))
        assert isinstance(first[0], RejectedPhoto)
        # The host changes its mind, and the search finds one more photo.
        server.forgiven = True
        monkeypatch.setattr("time.time", lambda: now + 23 * 3600)
        assert list(find_photos(settings)) == first
        server.photos = {"sea": SEA[1:7], "green hills": []}
        monkeypatch.setattr("time.time", lambda: now + 25 * 3600)
        later = list(find_photos(settings))
        assert later[0] == FoundPhoto(
            "sea",
            f"http://{server.host}/bad/forbidden",
            SEA[1],
            f"http://{server.host}/page/0?a=1&b=2",
            "sea",
            "Bing's filter: any",
        )
        assert names(later, "sea") == ["forbidden", *(f"{index}.jpg" for index in range(6))]
        photos = {path: n for path, n in server.requests.items() if path.startswith("/photo/")}
        assert photos == {f"/photo/sea/{index}.jpg": 1 for index in range(6)}
    # Without the server, its last results are used.
    monkeypatch.setattr("time.time", lambda: now + 100 * 3600)
    gone = list(find_photos(settings))
    assert names(gone, "sea") == names(later, "sea")
    assert isinstance(gone[-1], Failure)
    assert gone[-1].what == "hills"


def test_stricter_terms_do_not_use_the_cache(tmp_path: Path) -> None:
    with BingServer({"sea": SEA, "green hills": []}, bad=["robots"]) as server:
        easy = list(find_photos(params(server, tmp_path, robots=False)))
        assert isinstance(easy[0], FoundPhoto)
        strict = list(find_photos(params(server, tmp_path)))
        assert isinstance(strict[0], RejectedPhoto)
        assert strict[0].reason == rejections.ROBOTS
        small = list(find_photos(params(server, tmp_path, max_bytes=5)))
        assert {found.reason for found in small if isinstance(found, RejectedPhoto)} == {
            rejections.ROBOTS,
            rejections.TOO_LARGE,
        }


def test_one_url_in_several_categories_is_fetched_once(tmp_path: Path) -> None:
    with BingServer({"sea": SEA, "green hills": []}, delay=0.05) as server:
        (tmp_path / "list.csv").write_text(
            "url,category\n" + "".join(f"{server.url_of('sea', 0)},{name}\n" for name in "abc")
        )
        urls = params(server, tmp_path, source="urls", path=tmp_path / "list.csv", limit=None)
        found = list(find_photos(urls))
        assert [item.category for item in found if isinstance(item, FoundPhoto)] == ["a", "b", "c"]
        assert server.requests["/photo/sea/0.jpg"] == 1


def test_of_many_categories_some_are_under_way_at_a_time(tmp_path: Path) -> None:
    """Otherwise thousands of them would fill the memory with links and waiting fetches."""
    words = [f"sea {index}" for index in range(3 * MAX_CATEGORIES)]
    with BingServer({word: photos(word, 1) for word in words}) as server:
        settings = params(server, tmp_path, limit=1, robots=False)
        (tmp_path / "cats.txt").write_text("\n".join(words))
        found = list(bing.photos(settings))
    assert [item.query for item in found if isinstance(item, FoundPhoto)] == words
    requested = [path.startswith("/photo/") for path in server.requests]
    assert requested.index(True) < 2 * MAX_CATEGORIES


def test_a_category_without_results_is_a_failure(tmp_path: Path) -> None:
    with BingServer({"sea": SEA}) as server:
        found = list(find_photos(params(server, tmp_path)))
        assert found[-1] == Failure("hills", f"{server.host} shows no results for 'green hills'")


def test_without_a_network_the_error_suggests_a_folder(tmp_path: Path) -> None:
    with BingServer({}) as server:
        settings = params(server, tmp_path)
    with pytest.raises(ColorpipeError) as caught:
        list(find_photos(settings))
    assert f"the search at {server.host} fails: host not reachable" in str(caught.value)
    assert "--source folder" in str(caught.value)


def test_of_a_search_with_a_private_address_it_is_said_how_to_allow_it(tmp_path: Path) -> None:
    with BingServer({"sea": SEA}) as server:
        settings = params(server, tmp_path, allow_hosts=())
        with pytest.raises(ColorpipeError, match=r"not public.* belongs in scrape\.allow_hosts"):
            list(find_photos(settings))


def test_a_search_that_repeats_itself_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with BingServer({"sea": SEA[:5], "green hills": []}) as server:
        page = server.page("sea", 0)
        monkeypatch.setattr(server, "page", lambda query, first: page)
        found = list(find_photos(params(server, tmp_path)))
        assert names(found, "sea") == [f"{index}.jpg" for index in range(5)]
        assert len(server.searches) == 4  # of each query, the second page shows nothing new


def test_a_search_without_end_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bing, "MAX_PAGES", 3)
    with BingServer({"sea": [b"<html>"] * 1000, "green hills": []}) as server:
        found = list(find_photos(params(server, tmp_path)))
        assert len([item for item in found if isinstance(item, RejectedPhoto)]) == 21


def test_a_failing_cache_stops_all_downloads(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with BingServer({"sea": SEA, "green hills": SEA}, delay=0.02) as server:
        for data in SEA[20:]:
            # A file where the cache needs a folder.
            blocked = tmp_path / ".colorpipe/downloads" / hashlib.sha256(data).hexdigest()[:2]
            blocked.parent.mkdir(parents=True, exist_ok=True)
            blocked.touch()
        with pytest.raises(ColorpipeError, match=r"The download cache .* cannot be used"):
            list(find_photos(params(server, tmp_path, limit=40)))
        assert sum(server.requests.values()) < 80
    gc.collect()
    assert "Task" not in capfd.readouterr().err


def test_it_works_in_a_notebook(tmp_path: Path) -> None:
    async def cell() -> list[Item]:
        return list(find_photos(params(server, tmp_path)))

    with BingServer({"sea": SEA, "green hills": SEA}) as server:
        assert len(asyncio.run(cell())) == 20


def test_importing_it_needs_no_torch() -> None:
    code = "import sys, pipeline.sources.bing; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
