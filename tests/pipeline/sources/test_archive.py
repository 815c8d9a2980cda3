from __future__ import annotations

from pathlib import Path

import pytest
from archives import write_tar
from permissions import unprivileged_folder

from pipeline.download import rejections
from pipeline.errors import ColorpipeError
from pipeline.sources.archive import copy_on_disk, photos_in_archive
from pipeline.sources.base import FoundPhoto, Item, RejectedPhoto, UnreadPhoto


def read(path: Path, max_bytes: int = 1000) -> list[Item]:
    items = photos_in_archive(path, lambda _: "sea", max_bytes, page="https://p", license="CC0")
    return [item.read() if isinstance(item, UnreadPhoto) else item for item in items]


def test_photos_are_read_and_other_files_skipped(tmp_path: Path) -> None:
    files = {
        "set/a.jpg": b"photo",
        "set/notes.json": b"{}",
        "set/._a.jpg": b"made by macOS",
        "set/.thumbnails/a.jpg": b"made by a file manager",
        "set/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg": b"made by a NAS",
        "set/large.JPG": bytes(1001),
    }
    assert read(write_tar(tmp_path / "set.tar", files)) == [
        FoundPhoto("sea", "set.tar#set/a.jpg", b"photo", license="CC0"),
        RejectedPhoto("sea", "set.tar#set/large.JPG", rejections.TOO_LARGE, "1001 bytes"),
    ]


def test_an_archive_without_photos_is_an_error(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "set.tar", {"notes.txt": b""})
    with pytest.raises(ColorpipeError, match="holds no photos of this data set; see https://p"):
        read(path)


def test_an_unreadable_folder_of_a_data_set_is_an_error() -> None:
    with unprivileged_folder() as folder:
        (folder / "photos").mkdir(mode=0)
        with pytest.raises(ColorpipeError, match=r"photos could not be read \(Permission denied\)"):
            read(folder)


def test_only_an_empty_inbox_means_that_there_is_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inbox = Path("data/inbox")
    assert copy_on_disk(inbox, "set.tar") is None
    assert copy_on_disk(Path("mine"), "set.tar") == Path("mine")
    inbox.mkdir(parents=True)
    (inbox / ".gitignore").touch()
    (inbox / "README.md").touch()
    assert copy_on_disk(inbox, "set.tar") is None
    (inbox / "a.jpg").touch()
    assert copy_on_disk(inbox, "set.tar") == inbox
    (inbox / "set.tar").touch()
    assert copy_on_disk(inbox, "set.tar") == inbox / "set.tar"
