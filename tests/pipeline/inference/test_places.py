"""Photos from and to object storage, colored by the stage: what is read, written and said."""

from __future__ import annotations

import functools
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import films
import fsspec
import numpy as np
import object_storage
import pytest
import skimage.data
import stand_ins
from fsspec.config import conf
from fsspec.implementations.http import HTTPFileSystem
from here import HERE
from object_storage import BUCKET, clients_of, door, in_memory
from PIL import Image
from predictors import Rainbow
from s3fs import S3FileSystem

from pipeline.engines import process
from pipeline.engines.base import KILLED
from pipeline.errors import ColorpipeError
from pipeline.imaging.formats import photo_file
from pipeline.imaging.formats.page import PhotoFile
from pipeline.inference import places
from pipeline.inference.colorizer import Colorizer
from pipeline.location import Location, parse_location
from pipeline.locations import storage as locations_storage
from pipeline.params import ColorizeParams
from pipeline.video.settings import Encoding, FilmSettings
from stages.colorize import colorize as colorize_apart

colorize = functools.partial(colorize_apart, engine=HERE)
PARAMS = ColorizeParams(device="cpu", size=64)
GRAY = Image.fromarray(skimage.data.camera()[100:180, 200:300])


def encoded(number: int = 0, format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    GRAY.rotate(90 * number).save(stream, format)
    return stream.getvalue()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_storage.object_storage() as endpoint:
        yield endpoint


@pytest.fixture
def storage(endpoint: str) -> object_storage.Storage:
    return object_storage.Storage(endpoint)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_ins.generator(tmp_path_factory.mktemp("model") / "generator.safetensors")


@pytest.fixture
def photos(storage: object_storage.Storage, tmp_path: Path) -> Path:
    """The same photos in a folder and behind ``s3://photos/in``."""
    content = {"a.png": 0, "b.png": 1, "sub folder/ü.png": 2, "sub folder/deep/d.png": 3}
    folder = tmp_path / "in"
    for name, number in content.items():
        data = encoded(number)
        storage.put(f"in/{name}", data)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def url(name: str) -> Location:
    return parse_location(f"s3://{BUCKET}/{name}")


def test_storage_and_folders_give_the_same_bytes(
    storage: object_storage.Storage,
    photos: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(places, "BATCH", 2)
    storage.put("in/notes.txt", b"no photo")
    before = storage.files("in/")
    report = tmp_path / "report.jsonl"
    assert colorize(photos, tmp_path / "out", model, PARAMS) == []
    expected = files(tmp_path / "out")
    assert len(expected) == 4
    assert colorize_apart(url("in"), url("out"), model, PARAMS, report=report) == []
    assert storage.files("out/") == expected
    rows = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    assert [(row["photo"], row["output"]) for row in rows] == [
        (f"s3://photos/in/{name}", f"s3://photos/out/{name}") for name in expected
    ]
    assert colorize(photos, url("from-folder"), model, PARAMS) == []
    assert storage.files("from-folder/") == expected
    assert colorize(url("in"), tmp_path / "to-folder", model, PARAMS) == []
    assert files(tmp_path / "to-folder") == expected
    assert storage.files("in/") == before


def test_what_is_there_is_skipped_without_reading_or_refused(
    storage: object_storage.Storage, photos: Path, model: Path
) -> None:
    storage.put("in/lies.jpg", encoded(1))  # becomes lies.png
    storage.put("out/a.png", b"result")
    storage.put("out/lies.png", b"result")
    requests: list[tuple[str, str]] = []

    def note(method: str, path: str) -> int:
        requests.append((method, path))
        return 0

    with door(storage.endpoint, note):
        failures = colorize(url("in"), url("out"), model, PARAMS)
        assert {failure.what for failure in failures} == {
            "s3://photos/in/a.png",
            "s3://photos/in/lies.jpg",
        }
        assert "s3://photos/out/a.png is there already" in failures[0].reason
        assert colorize(url("in"), url("out"), model, PARAMS, skip_existing=True) == []
        assert ("GET", "/photos/in/a.png") not in requests
        assert sum(method == "PUT" for method, _ in requests) == 3
    assert storage.get("out/a.png") == storage.get("out/lies.png") == b"result"
    assert colorize(url("in"), url("out"), model, PARAMS, overwrite=True) == []
    assert len(storage.get("out/a.png")) > 1000


def test_one_object_can_be_named_and_read_from_the_web(
    storage: object_storage.Storage, model: Path, tmp_path: Path
) -> None:
    storage.put("in/a.png", encoded())
    storage.put(
        "in/a.png.hints.json", b'{"hints": [{"x": 50, "y": 40, "color": "#ff0000", "radius": 30}]}'
    )
    assert colorize(url("in/a.png"), url("one/b.png"), model, PARAMS) == []
    assert storage.names("one/") == ["one/b.png"]
    busy = [503, 0]
    with door(storage.endpoint, lambda *_: busy.pop(0)) as endpoint:
        web = parse_location(f"{endpoint}/{BUCKET}/in/a.png?signature=of-somebody")
        assert colorize(web, tmp_path, model, PARAMS) == []
    assert (tmp_path / "a.png").read_bytes() == storage.get("one/b.png")
    # In a folder, hints beside a photo are found.
    assert colorize(url("in"), url("hinted"), model, PARAMS) == []
    hinted = np.asarray(Image.open(io.BytesIO(storage.get("hinted/a.png")))).astype(int)
    plain = np.asarray(Image.open(tmp_path / "a.png")).astype(int)
    assert (hinted[40, 50, 0] - hinted[40, 50, 2]) > 40 + (plain[40, 50, 0] - plain[40, 50, 2])


def test_pages_of_a_named_photo_take_no_objects_place(
    storage: object_storage.Storage, model: Path, tmp_path: Path
) -> None:
    scan = tmp_path / "scan.tif"
    GRAY.copy().save(scan, save_all=True, append_images=[GRAY.rotate(180)])
    storage.put("one/photo-2.png", b"mine")
    (failure,) = colorize(scan, url("one/photo.png"), model, PARAMS)
    assert "one/photo-2.png is there already" in str(failure)
    assert storage.names("one/") == ["one/photo-2.png"]
    assert storage.get("one/photo-2.png") == b"mine"
    assert colorize(scan, url("one/photo.png"), model, PARAMS, overwrite=True) == []
    assert storage.names("one/") == ["one/photo-1.png", "one/photo-2.png"]


def test_a_name_that_two_photos_would_get_is_given_once(
    storage: object_storage.Storage, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "BATCH", 1)
    for name in ("a.bmp", "a.bmp.txt", "a.png", "b.png"):
        storage.put(f"in/{name}", encoded(format="BMP" if name == "a.bmp" else "PNG"))
    frames = [GRAY, GRAY.rotate(180)]
    stream = io.BytesIO()
    frames[0].save(stream, "TIFF", save_all=True, append_images=frames[1:])
    storage.put("in/z.tif", stream.getvalue())
    storage.put("in/z-1.png", encoded())
    failures = colorize(url("in"), url("out"), model, PARAMS, format="png", overwrite=True)
    assert [failure.what for failure in failures] == [
        "s3://photos/in/a.png",
        "s3://photos/in/z.tif",
    ]
    assert failures[1].reason == "would be written to z-1.png, as another photo is"
    assert storage.names("out/") == ["out/a.png", "out/b.png", "out/z-1.png"]


def test_of_photos_whose_content_wants_one_name_the_first_gets_it(
    storage: object_storage.Storage, model: Path, tmp_path: Path
) -> None:
    # Their content is PNG, so all want to become a.png.
    for number, name in enumerate(("a.bmp", "a.jpg", "a.webp")):
        storage.put(f"in/{name}", encoded(number))
    storage.put("in/b.png", encoded(3))
    for _ in range(2):
        failures = colorize(url("in"), url("out"), model, PARAMS, overwrite=True)
        assert [str(failure) for failure in failures] == [
            f"s3://photos/in/{name}: would be written to a.png, as another photo is"
            for name in ("a.jpg", "a.webp")
        ]
        assert storage.names("out/") == ["out/a.png", "out/b.png"]
    storage.put("alone/a.bmp", encoded(0))
    assert colorize(url("alone"), tmp_path / "out", model, PARAMS) == []
    assert storage.get("out/a.png") == (tmp_path / "out/a.png").read_bytes()


def test_pages_that_are_there_stay_and_the_others_are_uploaded(
    storage: object_storage.Storage, model: Path
) -> None:
    stream = io.BytesIO()
    GRAY.save(stream, "TIFF", save_all=True, append_images=[GRAY.rotate(180), GRAY.rotate(90)])
    storage.put("in/scan.tif", stream.getvalue())
    assert colorize(url("in"), url("out"), model, PARAMS, format="png") == []
    whole = storage.files("out/")
    assert list(whole) == ["scan-1.png", "scan-2.png", "scan-3.png"]
    storage.delete("out/scan-1.png")
    storage.put("out/scan-2.png", b"mine")
    (failure,) = colorize(url("in"), url("out"), model, PARAMS, format="png")
    assert "s3://photos/out/scan-2.png is there already" in failure.reason
    assert storage.names("out/") == ["out/scan-2.png", "out/scan-3.png"]
    options = {"format": "png", "skip_existing": True}
    assert colorize(url("in"), url("out"), model, PARAMS, **options) == []
    assert storage.files("out/") == {**whole, "scan-2.png": b"mine"}


def test_a_page_of_the_report_shows_what_was_uploaded(
    storage: object_storage.Storage, photos: Path, model: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    colorize(url("in"), url("out"), model, PARAMS, report=report)
    content = report.read_text("utf-8")
    assert "4 files: 4 colorized." in content
    assert content.count("data:image/") >= 8
    assert "s3://photos/in/sub folder/deep/d.png" in content


def test_a_photo_that_kills_its_process_has_failed_and_nothing_is_left(
    storage: object_storage.Storage,
    photos: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What this test defines reaches a forked process only.
    monkeypatch.setattr(process, "_may_fork", lambda: True)
    storage.put("in/bomb.png", b"bomb")
    storage.put("in/a.jpg", encoded(1))  # wants to become a.png, which is there
    storage.put("in/sub/a.jpg", encoded(1))  # becomes a.png
    open_file = photo_file.open_file

    def open_or_crash(source: Path | bytes) -> PhotoFile:
        if source == b"bomb":
            # As if it had been uploaded by the process that is killed.
            storage.put("out/sub/a.png", b"half a result")
            os.kill(os.getpid(), signal.SIGKILL)
        return open_file(source)

    def load(*_: object, **__: object) -> Colorizer:
        photo_file.open_file = open_or_crash
        return Colorizer(Rainbow())

    monkeypatch.setattr(Colorizer, "load", load)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    failures = colorize_apart(url("in"), url("out"), model, PARAMS)
    assert [str(failure) for failure in failures] == [
        "s3://photos/in/a.jpg: would be written to a.png, as another photo is",
        f"s3://photos/in/bomb.png: {KILLED}",
    ]
    assert len(storage.names("out/")) == 5
    assert len(storage.get("out/sub/a.png")) > 1000
    assert list(folder.iterdir()) == []


def test_a_film_beside_a_photo_is_uploaded_too(
    storage: object_storage.Storage, model: Path, tmp_path: Path
) -> None:
    film = films.write_film(tmp_path / "film.mkv", times=range(0, 3 * 40, 40))
    storage.put("in/film.mkv", film.read_bytes())
    storage.put("in/photo.png", encoded())
    settings = FilmSettings(Encoding(codec="ffv1"))
    assert colorize_apart(url("in"), url("out"), model, PARAMS, films=settings) == []
    assert storage.names("out/") == ["out/film.mkv", "out/photo.png"]
    film.write_bytes(storage.get("out/film.mkv"))
    with av.open(str(film)) as container:
        assert len(list(container.decode(video=0))) == 3


def test_hostile_names_reach_no_other_folder(
    storage: object_storage.Storage, model: Path, tmp_path: Path
) -> None:
    for name in (
        "../up.png",
        "a//b.png",
        "/b.png",
        "c.png/d.png",
        "x/.hidden.png",
        "c.png",
        "folder/",
    ):
        storage.put(f"in/{name}", encoded())
    failures = colorize(url("in"), tmp_path / "out", model, PARAMS)
    assert sorted(failure.what for failure in failures) == [
        "s3://photos/in/../up.png",
        "s3://photos/in//b.png",
        "s3://photos/in/a//b.png",
        "s3://photos/in/c.png/d.png",
    ]
    assert list(files(tmp_path)) == ["out/c.png"]


def test_results_inside_the_source_are_not_colored_again(
    storage: object_storage.Storage, photos: Path, model: Path
) -> None:
    for _ in range(2):
        assert colorize(url("in"), url("in/colored"), model, PARAMS, overwrite=True) == []
    assert len(storage.names("in/colored/")) == 4


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_busy_storage_is_asked_again_then_named(
    method: str,
    storage: object_storage.Storage,
    photos: Path,
    model: Path,
) -> None:
    asked: dict[str, int] = {}
    lock = threading.Lock()

    def status(asked_method: str, path: str) -> int:
        if asked_method != method or "list-type" in path:
            return 0
        with lock:
            asked[path] = asked.get(path, 0) + 1
        is_first = asked[path] == 1
        return 503 if path.endswith("/b.png") or (path.endswith("/a.png") and is_first) else 0

    with door(storage.endpoint, status):
        [failure] = colorize(url("in"), url("out"), model, PARAMS)
    assert failure.what == "s3://photos/in/b.png"
    assert "503" in failure.reason or "ServiceUnavailable" in failure.reason
    assert len(storage.names("out/")) == 3
    assert sorted(asked.values()) == [1, 1, 2, 2]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_storage_that_does_not_answer_is_asked_again_then_named(
    method: str,
    storage: object_storage.Storage,
    photos: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(conf, "s3", {"config_kwargs": {"read_timeout": 1}})
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    asked: list[str] = []
    over = threading.Event()

    def status(asked_method: str, path: str) -> int:
        if asked_method == method and ".png" in path:
            asked.append(path)
            is_slow = "/b.png" in path or ("/a.png" in path and asked.count(path) == 1)
            over.wait(60 if is_slow else 0)
        return 0

    with door(storage.endpoint, status):
        [failure] = colorize(url("in"), url("out"), model, PARAMS)
        done = storage.names("out/")
        over.set()
    assert failure.what == "s3://photos/in/b.png"
    undone = "could not be read" if method == "GET" else "the result could not be uploaded"
    assert failure.reason.startswith(f"{undone} (Read timeout on endpoint URL: ")
    assert len(done) == 3
    assert sum("/a.png" in path for path in asked) >= 2
    assert sum("/b.png" in path for path in asked) == 2


def test_a_web_server_that_does_not_answer_is_asked_again_then_named(
    storage: object_storage.Storage, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put("in/a.png", encoded())
    monkeypatch.setattr(locations_storage, "WEB_TIMEOUT", 0.5)
    monkeypatch.setattr(locations_storage, "WEB_ATTEMPTS", 2)
    asked = 0
    over = threading.Event()

    def status(*_: str) -> int:
        nonlocal asked
        asked += 1
        over.wait(60)
        return 0

    HTTPFileSystem.clear_instance_cache()
    with door(storage.endpoint, status) as endpoint:
        web = parse_location(f"{endpoint}/{BUCKET}/in/a.png?signature=of-somebody")
        [failure] = colorize(web, tmp_path / "out", model, PARAMS)
        over.set()
    HTTPFileSystem.clear_instance_cache()
    assert str(failure).startswith(f"{endpoint}/{BUCKET}/in/a.png: could not be read (")
    assert "signature" not in str(failure)
    assert asked == 2
    assert not (tmp_path / "out").exists()


def test_nothing_of_it_is_of_one_provider(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "BATCH", 2)
    assert colorize(photos, tmp_path / "out", model, PARAMS) == []
    source, out = parse_location("gs://bucket/in"), parse_location("az://container/out")
    with in_memory("gs"), in_memory("az"):
        for name, content in files(photos).items():
            fsspec.filesystem("gs").pipe(f"/bucket/in/{name}", content)
        fsspec.filesystem("gs").pipe("/bucket/in/bad.png", b"no photo")
        failures = colorize(source, out, model, PARAMS)
        assert [str(failure) for failure in failures] == [
            "gs://bucket/in/bad.png: not an image of a known format"
        ]
        storage = fsspec.filesystem("az")
        for name, content in files(tmp_path / "out").items():
            assert storage.cat(f"/container/out/{name}") == content
        assert len(storage.find("/container/out")) == 4
        assert colorize(source, out, model, PARAMS, skip_existing=True) == failures


def test_a_killed_run_goes_on_where_it_was(
    storage: object_storage.Storage,
    photos: Path,
    model: Path,
    tmp_path: Path,
) -> None:
    assert colorize(photos, tmp_path / "out", model, PARAMS) == []
    holding, released = threading.Event(), threading.Event()
    stored: list[str] = []

    def status(method: str, path: str) -> int:
        if method == "PUT":
            if len(stored) == 2:
                holding.set()
                released.wait(60)
                return 503
            stored.append(path)
        return 0

    command = [sys.executable, "-m", "pipeline", "colorize", "s3://photos/in", "s3://photos/out"]
    command += ["--model", str(model), "--size", "64", "--device", "cpu"]
    with door(storage.endpoint, status):
        # What a kill leaves there goes with the test.
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        run = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
        assert holding.wait(60)
        run.send_signal(signal.SIGKILL)
        run.wait()
        released.set()
        assert len(storage.names("out/")) == 2
    assert colorize(url("in"), url("out"), model, PARAMS, skip_existing=True) == []
    assert storage.files("out/") == files(tmp_path / "out")


UNUSABLE = {
    ("s3://no-such-bucket/in", "out"): "s3://no-such-bucket/in could not be listed: it does not",
    ("in", "s3://no-such-bucket"): "s3://no-such-bucket could not be listed: it does not exist",
    ("s3://photos/nothing", "out"): "no photos in s3://photos/nothing",
    ("s3://photos/in", "s3://photos/in"): "s3://photos/in holds the photos themselves",
    ("s3://photos/in", "s3://photos"): "s3://photos holds the photos themselves",
    ("s3://photos/in", "https://example.com/out"): "https://example.com/out is on a web server",
    ("gs://bucket/in", "out"): "need the package gcsfs, which is not installed",
    ("in", "az://container/out"): "need the package adlfs, which is not installed",
}


@pytest.mark.parametrize("given", UNUSABLE)
def test_what_cannot_be_used_is_said_in_a_sentence(
    given: tuple[str, str], photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    source, out = map(parse_location, given)
    with pytest.raises(ColorpipeError) as raised:
        colorize(source, out, model, PARAMS)
    assert UNUSABLE[given] in str(raised.value)
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")


def test_where_nothing_may_be_written_the_work_ends(
    storage: object_storage.Storage, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        door(storage.endpoint, lambda method, _: 403 if method == "PUT" else 0),
        pytest.raises(ColorpipeError, match="s3://photos/out could not be written to: there is no"),
    ):
        colorize(url("in"), url("out"), model, PARAMS)
    nowhere = parse_location("s3://no-such-bucket/out")
    with pytest.raises(ColorpipeError, match="no-such-bucket/out could not be written to: it does"):
        colorize(url("in"), nowhere, model, PARAMS, overwrite=True)
    with (
        clients_of("http://127.0.0.1:9"),
        pytest.raises(ColorpipeError, match="s3://photos/out could not be written to: Could not c"),
    ):
        colorize(photos, url("out"), model, PARAMS, overwrite=True)
    # A single object that is barred is that photo's failure.
    monkeypatch.setattr(places, "BATCH", 1)
    with door(
        storage.endpoint,
        lambda method, path: 403 if method == "PUT" and path.endswith("/d.png") else 0,
    ):
        [failure] = colorize(url("in"), url("out"), model, PARAMS)
    assert failure.what == "s3://photos/in/sub folder/deep/d.png"
    assert failure.reason.startswith("the result could not be uploaded (there is no permission")
    assert len(storage.names("out/")) == 3


def test_no_permission_and_no_endpoint_are_said(
    storage: object_storage.Storage, photos: Path, model: Path
) -> None:
    with (
        door(storage.endpoint, lambda *_: 403),
        pytest.raises(ColorpipeError, match="s3://photos/in could not be read: there is no perm"),
    ):
        colorize(url("in"), photos / "out", model, PARAMS)
    with (
        clients_of("http://127.0.0.1:9"),
        pytest.raises(ColorpipeError, match="could not be read: Could not connect"),
    ):
        colorize(url("in"), photos / "out", model, PARAMS)
