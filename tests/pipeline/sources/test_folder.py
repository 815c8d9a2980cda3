from __future__ import annotations

from pathlib import Path

import pytest
from permissions import unprivileged_folder

from pipeline.download import rejections
from pipeline.errors import ColorpipeError, Failure
from pipeline.params import ScrapeParams
from pipeline.sources import find_photos
from pipeline.sources.base import FoundPhoto, Item, RejectedPhoto, UnreadPhoto


def find(root: Path) -> list[Item]:
    return [read(item) for item in find_photos(ScrapeParams(source="folder", path=root))]


def read(item: Item) -> Item:
    return item.read() if isinstance(item, UnreadPhoto) else item


def urls(items: list[Item]) -> list[str]:
    return [item.url for item in items if isinstance(item, FoundPhoto)]


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def test_folders_are_categories_and_paths_set_the_order(tmp_path: Path) -> None:
    write(tmp_path, "sea/b.JPG", "sea/a/c.webp", "Dos & don'ts/x.png", "sea/notes.txt")
    write(tmp_path, "sea/.hidden.jpg", ".git/x.jpg", "sea/.thumbnails/x.jpg", "sea/a/.b/c/x.jpg")
    write(tmp_path, "sea/@eaDir/x.jpg/SYNOPHOTO_THUMB_M.jpg", "@eaDir/x.jpg", "__MACOSX/sea/x.jpg")
    write(tmp_path, "lost+found/x.jpg", "sea/$RECYCLE.BIN/x.jpg")
    photos = [item for item in find(tmp_path) if isinstance(item, FoundPhoto)]
    assert [(photo.category, photo.url) for photo in photos] == [
        ("Dos-don-ts", "Dos & don'ts/x.png"),
        ("sea", "sea/a/c.webp"),
        ("sea", "sea/b.JPG"),
    ]
    assert photos[1].data == b"sea/a/c.webp"


def test_loose_photos_get_a_category_named_like_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "my photos", "a.jpg", "sea/b.jpg")
    photos = [item for item in find(tmp_path / "my photos") if isinstance(item, FoundPhoto)]
    assert [photo.category for photo in photos] == ["sea", "my-photos"]


def test_a_photo_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    write(tmp_path, "sea/a.jpg", "sea/b.jpg", "sea/c.jpg")
    (tmp_path / "sea/b.jpg").write_bytes(bytes(2000))
    source = iter(find_photos(ScrapeParams(source="folder", path=tmp_path, max_bytes=1000)))
    assert isinstance(read(next(source)), FoundPhoto)
    large = read(next(source))
    (tmp_path / "sea/c.jpg").unlink()
    gone = read(next(source))
    assert large == RejectedPhoto("sea", "sea/b.jpg", rejections.TOO_LARGE, "2000 bytes")
    assert isinstance(gone, Failure)
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
def test_a_folder_that_cannot_be_used_is_an_error(
    tmp_path: Path, names: tuple[str, ...], part: str
) -> None:
    write(tmp_path, *names)
    with pytest.raises(ColorpipeError, match=part):
        find(tmp_path)


@pytest.mark.parametrize("late", ["a Lake/b.jpg", "~/b.jpg", "z.jpg"])
def test_names_are_checked_before_any_photo_is_read(tmp_path: Path, late: str) -> None:
    write(tmp_path / "a-lake", "1/a.jpg", "a-lake/a.jpg", late)
    with pytest.raises(ColorpipeError, match=r"rename one|has no letter|lies outside"):
        next(find_photos(ScrapeParams(source="folder", path=tmp_path / "a-lake")))


def test_a_hidden_folder_can_be_named_explicitly(tmp_path: Path) -> None:
    write(tmp_path / ".photos", "sea/a.jpg")
    assert len(find(tmp_path / ".photos")) == 1


def test_an_unreadable_folder_is_an_error() -> None:
    with unprivileged_folder() as folder:
        (folder / "photos").mkdir(mode=0)
        with pytest.raises(ColorpipeError, match=r"could not be read \(Permission denied\)"):
            find(folder / "photos")


def test_of_a_file_the_sources_that_read_files_are_named(tmp_path: Path) -> None:
    write(tmp_path, "list.txt")
    with pytest.raises(ColorpipeError, match=r"list\.txt is not a folder; .* --source urls"):
        find(tmp_path / "list.txt")


def test_a_missing_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ColorpipeError, match="inbox is not a folder; --path"):
        list(find_photos(ScrapeParams(source="folder")))


def test_unreadable_folders_and_broken_links_are_failures() -> None:
    with unprivileged_folder() as folder:
        root = folder / "photos"
        write(root, "sea/a.jpg", "sea/locked/b.jpg", "hills/a.jpg", "hills/.trash/b.jpg")
        (root / "hills/gone.jpg").symlink_to(folder / "none.jpg")
        (root / "woods").symlink_to(folder / "unplugged")
        for locked in ("sea/locked", "hills/.trash"):
            (root / locked).chmod(0)
        found = find(root)
        assert urls(found) == ["hills/a.jpg", "sea/a.jpg"]
        assert [item for item in found if isinstance(item, Failure)] == [
            Failure(
                "hills", f"{root}/hills/gone.jpg could not be read (No such file or directory)"
            ),
            Failure("sea", f"{root}/sea/locked could not be read (Permission denied)"),
            Failure("photos", f"{root}/woods could not be read (No such file or directory)"),
        ]


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write(tmp_path, "photos/sea/a.jpg", "elsewhere/b.jpg", "elsewhere/c/d.jpg")
    (tmp_path / "photos/sea/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/c/back").symlink_to(tmp_path / "photos/sea")
    (tmp_path / "elsewhere/again").symlink_to(tmp_path / "elsewhere")
    assert urls(find(tmp_path / "photos")) == [
        "sea/a.jpg",
        "sea/linked/b.jpg",
        "sea/linked/c/d.jpg",
    ]
