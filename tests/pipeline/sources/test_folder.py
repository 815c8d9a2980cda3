from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pipeline.download import rejections as reasons
from pipeline.errors import ColorpipeError
from pipeline.params import ScrapeParams
from pipeline.sources import Found, Later, Offer, Refusal, Shortfall, open_source


def find(root: Path) -> list[Found]:
    return [look(found) for found in open_source(ScrapeParams(source="folder", path=root))]


def look(found: Found) -> Found:
    return found.read() if isinstance(found, Later) else found


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def test_folders_are_categories_and_paths_their_order(tmp_path: Path) -> None:
    write(tmp_path, "sea/b.JPG", "sea/a/c.webp", "Dos & don'ts/x.png", "sea/notes.txt")
    write(tmp_path, "sea/.hidden.jpg", ".git/x.jpg", "sea/.thumbnails/x.jpg", "sea/a/.b/c/x.jpg")
    write(tmp_path, "sea/@eaDir/x.jpg/SYNOPHOTO_THUMB_M.jpg", "@eaDir/x.jpg", "__MACOSX/sea/x.jpg")
    write(tmp_path, "lost+found/x.jpg", "sea/$RECYCLE.BIN/x.jpg")
    offers = [offer for offer in find(tmp_path) if isinstance(offer, Offer)]
    assert [(offer.category, offer.url) for offer in offers] == [
        ("Dos-don-ts", "Dos & don'ts/x.png"),
        ("sea", "sea/a/c.webp"),
        ("sea", "sea/b.JPG"),
    ]
    assert offers[1].data == b"sea/a/c.webp"


def test_photos_in_the_folder_itself_are_a_category_of_its_name(tmp_path: Path) -> None:
    write(tmp_path / "my photos", "a.jpg", "sea/b.jpg")
    found = find(tmp_path / "my photos")
    assert [offer.category for offer in found] == ["sea", "my-photos"]


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    write(tmp_path, "sea/a.jpg", "sea/b.jpg", "sea/c.jpg")
    (tmp_path / "sea/b.jpg").write_bytes(bytes(2000))
    source = iter(open_source(ScrapeParams(source="folder", path=tmp_path, max_bytes=1000)))
    assert isinstance(look(next(source)), Offer)
    refusal = look(next(source))
    (tmp_path / "sea/c.jpg").unlink()
    gone = look(next(source))
    assert refusal == Refusal("sea", "sea/b.jpg", reasons.TOO_LARGE, "2000 bytes")
    assert isinstance(gone, Shortfall)
    assert "c.jpg could not be read" in gone.reason


@pytest.mark.parametrize(
    ("names", "part"),
    [
        ((), "holds no photos"),
        (("sea/notes.txt",), "holds no photos"),
        (("sea side/a.jpg", "sea-side/b.jpg"), "both become the category 'sea-side'"),
        (("Sea/a.jpg", "sea/b.jpg"), "both become the category"),
        (("!!!/a.jpg",), "/!!!: '!!!' has no letter"),
    ],
)
def test_a_folder_that_will_not_do_is_told(
    tmp_path: Path, names: tuple[str, ...], part: str
) -> None:
    write(tmp_path, *names)
    with pytest.raises(ColorpipeError, match=part):
        find(tmp_path)


def test_a_hidden_folder_that_is_named_is_meant(tmp_path: Path) -> None:
    write(tmp_path / ".photos", "sea/a.jpg")
    assert len(find(tmp_path / ".photos")) == 1


def test_a_folder_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(ColorpipeError, match=r"could not be read \(Permission denied\)"):
        find(tmp_path)


def test_a_missing_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ColorpipeError, match="inbox is not a folder; --path"):
        list(open_source(ScrapeParams(source="folder")))


def test_folders_that_may_not_be_read_and_links_to_nowhere_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "photos"
    write(root, "sea/a.jpg", "sea/locked/b.jpg", "hills/a.jpg", "hills/.trash/b.jpg")
    (root / "hills/gone.jpg").symlink_to(tmp_path / "none.jpg")
    (root / "woods").symlink_to(tmp_path / "unplugged")
    real = os.scandir

    def denied(path: str) -> object:
        if Path(path).name in {"locked", ".trash"}:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    # Tests may run as root, who may read everything.
    monkeypatch.setattr(os, "scandir", denied)
    found = find(root)
    assert [offer.url for offer in found if isinstance(offer, Offer)] == [
        "hills/a.jpg",
        "sea/a.jpg",
    ]
    assert [fall for fall in found if isinstance(fall, Shortfall)] == [
        Shortfall("hills", f"{root}/hills/gone.jpg could not be read (No such file or directory)"),
        Shortfall("sea", f"{root}/sea/locked could not be read (Permission denied)"),
        Shortfall("photos", f"{root}/woods could not be read (No such file or directory)"),
    ]


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write(tmp_path, "photos/sea/a.jpg", "elsewhere/b.jpg", "elsewhere/c/d.jpg")
    (tmp_path / "photos/sea/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/c/back").symlink_to(tmp_path / "photos/sea")
    (tmp_path / "elsewhere/again").symlink_to(tmp_path / "elsewhere")
    offers = [offer.url for offer in find(tmp_path / "photos") if isinstance(offer, Offer)]
    assert offers == ["sea/a.jpg", "sea/linked/b.jpg", "sea/linked/c/d.jpg"]
