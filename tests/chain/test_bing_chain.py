"""The whole chain on photos that a search engine finds: a local server that speaks Bing's page."""

from __future__ import annotations

import csv
import hashlib
import io

import pytest
import skimage.data
from bing_server import BingServer
from PIL import Image
from scratch import Scratch

STAGES = ["scrape", "clean", "resize", "split", "train", "evaluate", "colorize"]


def tiles(name: str, side: int) -> list[bytes]:
    """Parts of a photo that share no pixel, as JPEG files."""
    photo = Image.fromarray(getattr(skimage.data, name)())
    files = []
    for top in range(0, photo.height - side + 1, side):
        for left in range(0, photo.width - side + 1, side):
            stream = io.BytesIO()
            photo.crop((left, top, left + side, top + side)).save(stream, "JPEG", quality=95)
            files.append(stream.getvalue())
    return files


@pytest.fixture
def server() -> BingServer:
    photos = {"portrait": tiles("astronaut", 256), "a cup of coffee": tiles("coffee", 200)}
    return BingServer(photos, bad=("missing", "html", "to-file"))


def test_from_a_file_of_categories_to_colorized_photos(chain: Scratch, server: BingServer) -> None:
    chain.path("cats.txt").write_text("portrait\nstill-life: a cup of coffee  # the query\n")
    chain.set_params("split", test_per_category=1, val_fraction=0)
    chain.set_params("train", batch_size=2)
    with server:
        chain.set_params(
            "scrape",
            source="bing",
            search_url=server.search_url,
            allow_hosts=[server.host],
            retries=0,
            limit=4,
        )
        assert chain.repro() == STAGES
        asked = sum(server.requests.values())
        assert chain.repro() == []
        assert sum(server.requests.values()) == asked

    with chain.path("data/raw/manifest.csv").open(newline="") as stream:
        manifest = list(csv.DictReader(stream))
    assert {row["category"] for row in manifest} == {"portrait", "still-life"}
    assert len(manifest) == 8
    for row in manifest:
        data = chain.path(f"data/raw/{row['category']}/{row['name']}").read_bytes()
        assert data in server.photos["portrait"] + server.photos["a cup of coffee"]
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert row["url"].startswith(f"http://{server.host}/photo/")
        assert row["page"].startswith(f"http://{server.host}/page/")

    colorized = [path.name for path in chain.path("data/colorized").glob("*.png")]
    assert {name.rpartition("-")[0] for name in colorized} == {"portrait", "still-life"}
    assert len(colorized) == 2


def test_what_was_downloaded_is_not_asked_for_again(chain: Scratch, server: BingServer) -> None:
    chain.path("cats.txt").write_text("portrait\n")
    with server:
        chain.set_params(
            "scrape",
            source="bing",
            search_url=server.search_url,
            allow_hosts=[server.host],
            retries=0,
            limit=2,
        )
        assert chain.repro("scrape") == ["scrape"]
        chain.set_params("scrape", limit=4)
        # dvc deletes data/raw before the stage runs: what it held comes from .colorpipe.
        assert chain.repro("scrape") == ["scrape"]
        assert len(list(chain.path("data/raw/portrait").glob("*.jpg"))) == 4
        served = {path: count for path, count in server.served.items() if "/photo/" in path}
        assert served
        assert set(served.values()) == {1}
