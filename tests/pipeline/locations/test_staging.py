"""Stages between URLs, by their commands: the same bytes as between folders."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import object_storage
import pytest
from object_storage import door
from photos import real_photos
from splits import fill

from pipeline import cli
from pipeline.locations.folders import LISTING

DONE, SOME_FAILED, NOTHING_DONE = 0, 1, 2
CHAIN = {
    "scrape": ["--source", "folder", "--path", "{}/in", "--raw", "{}/raw"],
    "clean": ["--raw", "{}/raw", "--clean", "{}/clean"],
    "resize": ["--clean", "{}/clean", "--resized", "{}/resized", "--size", "32"],
    "split": [
        *("--resized", "{}/resized", "--split", "{}/split", "--manifest", "{}/raw/manifest.csv"),
        *("--test-per-category", "1", "--val-fraction", "0"),
    ],
}


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs a command in an empty folder; returns its exit code and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["colorpipe", *arguments])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        assert isinstance(exited.value.code, int)
        return exited.value.code, capsys.readouterr().err

    return call


@pytest.fixture
def photos(storage: object_storage.Storage, tmp_path: Path) -> None:
    """Two categories of photos, in the folder ``here/in`` and behind ``s3://photos/in``."""
    for number, photo in enumerate(real_photos(8)):
        name = f"in/{'ab'[number % 2]}/{photo.name}"
        storage.put(name, photo.read_bytes())
        (tmp_path / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / name).write_bytes(photo.read_bytes())


def test_the_stages_give_the_same_bytes_from_and_to_storage(
    storage: object_storage.Storage, photos: None, run: Callable[..., tuple[int, str]]
) -> None:
    for place in ("here", "s3://photos"):
        for stage, options in CHAIN.items():
            given = [option.format(place) for option in options]
            assert run(stage, *given)[0] == DONE, (place, stage)
        Path("split.lock").rename(f"lock-of-{place.partition(':')[0]}")
    assert Path("lock-of-here").read_bytes() == Path("lock-of-s3").read_bytes()
    for out in ("raw", "clean", "resized", "split"):
        local = {
            path.relative_to("here", out).as_posix(): path.read_bytes()
            for path in Path("here", out).rglob("*")
            if path.is_file()
        }
        found = storage.files(f"{out}/")
        listing = found.pop(LISTING)
        assert found == local, out
        assert run("list", f"s3://photos/{out}", "listing.csv")[0] == DONE
        assert Path("listing.csv").read_bytes() == listing


def test_without_urls_nothing_is_put_where_temporary_files_are(
    photos: None, run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert run("scrape", "--source", "folder", "--path", "here/in", "--raw", "raw")[0] == DONE


def test_a_source_that_reads_no_path_fetches_none(run: Callable[..., tuple[int, str]]) -> None:
    options = ("--source", "sample", "--limit", "1", "--raw", "raw")
    assert run("scrape", *options, "--path", "s3://nowhere/in")[0] == DONE


def test_a_list_of_urls_may_lie_in_storage(
    storage: object_storage.Storage, photos: None, run: Callable[..., tuple[int, str]]
) -> None:
    host = storage.endpoint.removeprefix("http://")
    name = storage.names("in/a/")[0]
    storage.put("lists/harbors.txt", f"{storage.endpoint}/photos/{name}\n".encode())
    options = ("--source", "urls", "--allow-hosts", host, "--no-robots", "--raw", "raw")
    for place in ("s3://photos", f"{storage.endpoint}/photos"):
        assert run("scrape", *options, "--path", f"{place}/lists/harbors.txt")[0] == DONE
        [photo] = Path("raw/harbors").iterdir()
        assert photo.read_bytes() == storage.get(name)


def test_a_photo_that_cannot_be_read_is_named_and_the_rest_is_done(
    storage: object_storage.Storage, photos: None, run: Callable[..., tuple[int, str]]
) -> None:
    lost = storage.names("in/a/")[0]
    storage.put("in/b/broken.jpg", b"\xff\xd8\xff broken")
    with door(storage.endpoint, lambda _, path: 503 if path.endswith(lost) else 0):
        code, said = run("resize", "--clean", "s3://photos/in", "--resized", "s3://photos/out")
    assert code == SOME_FAILED
    assert f"colorpipe: s3://photos/{lost}: could not be read" in said
    assert "colorpipe: s3://photos/in/b/broken.jpg: " in said
    assert len(storage.names("out/")) == 7 + 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--clean", "s3://photos/in", "--resized", "s3://photos/in/b"), "overlap"),
        (("--clean", "s3://nowhere/in"), "s3://nowhere/in could not be listed: it does not exist"),
        (("--clean", "s3://name:hunter2@photos/in"), "user name or password"),
        (("--clean", "https://127.0.0.1:9/in"), "127.0.0.1:9/in could not be read"),
        (("--clean", "here/in", "--resized", "s3://photos/in"), "which is not in its .listing.csv"),
        (("--clean", "s3://photos/in/a"), "s3://photos/in/a has no photos in folders"),
        (("--clean", "here/in", "--resized", "ftp://host/out"), "begin with ftp:// cannot be"),
    ],
)
def test_what_cannot_be_used_is_said_and_nothing_written(
    arguments: tuple[str, ...],
    said: str,
    storage: object_storage.Storage,
    photos: None,
    run: Callable[..., tuple[int, str]],
) -> None:
    before = storage.names()
    code, error = run("resize", *arguments)
    assert code == NOTHING_DONE
    assert said in error
    assert error.count("\n") == 1
    assert "hunter2" not in error
    assert "/tmp" not in error
    assert storage.names() == before
    assert not Path("data").exists()


def test_a_split_that_leaves_nothing_to_train_on_is_one_sentence(
    run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    fill(tmp_path / "resized", "sea", range(4))
    split = ("split", "--resized", "resized", "--val-fraction", "0", "--test-per-category")
    assert run(*split, "3")[0] == DONE
    (last,) = (tmp_path / "data/split/train_y").iterdir()
    (tmp_path / "resized" / last.name.replace("-", "/")).unlink()
    code, error = run(*split, "2")
    assert code == NOTHING_DONE
    assert error.count("is left to train on") == 1
