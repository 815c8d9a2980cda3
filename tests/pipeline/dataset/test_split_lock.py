from pathlib import Path

import pytest

from pipeline.dataset.near_duplicates import HashedPhoto, photos_like
from pipeline.dataset.split_lock import (
    Claims,
    LockRow,
    find_claims,
    read_lock,
    with_tested,
    write_lock,
)
from pipeline.errors import ColorpipeError

A, B, C = 0x0F0F0F0F0F0F0F0F, 0x3333CCCC3333CCCC, 0x5555AAAA5555AAAA
NOTHING = 0xFF00FF00FF00FF00


def photo(name: str, hash_: int, category: str = "sea", mirrored: int = NOTHING) -> HashedPhoto:
    return HashedPhoto(category, name, hash_, mirrored)


def row(name: str, hash_: int, category: str = "sea", seed: int = 0) -> LockRow:
    return LockRow(category, name, seed, f"{hash_:016x}")


def claims(rows: list[LockRow], photos: list[HashedPhoto], most: int = 4) -> Claims:
    known = [row.value for row in rows if row.value is not None]
    return find_claims(rows, photos, photos_like(known, photos, most))


def test_a_photo_is_known_by_its_name_and_by_its_hash() -> None:
    photos = [photo("a", A), photo("larger", B ^ 3), photo("c", C)]
    assert claims([row("a", A), row("b", B)], photos).locked == {0, 1}


def test_a_new_photo_of_a_locked_name_does_not_take_its_place() -> None:
    photos = [photo("a", C), photo("a_png", A)]
    found = claims([row("a", A)], photos)
    assert (found.locked, found.alike) == ({1}, {0, 1})


def test_a_photo_that_is_cropped_otherwise_is_known_by_its_name() -> None:
    assert claims([row("a", A)], [photo("a", B), photo("c", C)]).locked == {0}


def test_of_several_copies_one_takes_the_place() -> None:
    photos = [photo("near", A ^ 0b111), photo("nearer", A ^ 0b1), photo("b", B ^ 1)]
    found = claims([row("a", A), row("a_before", A ^ 0b10), row("b", B)], photos)
    assert (found.locked, found.alike) == ({1, 2}, {0, 1, 2})
    found = claims([row("nearer", A), row("b", B)], photos)
    assert (found.locked, found.alike) == ({1, 2}, {0, 1, 2})


def test_a_mirrored_copy_is_known() -> None:
    photos = [photo("turned", NOTHING, mirrored=A ^ 1), photo("b", B)]
    assert claims([row("a", A)], photos).locked == {0}


def test_photos_like_a_missing_one_of_another_category() -> None:
    rows, photos = [row("a", A, "sky")], [photo("x", A ^ 0b11), photo("b", B)]
    assert claims(rows, photos) == Claims(frozenset(), frozenset(), {0: 2})
    there = [*photos, photo("a", A, "sky")]
    assert claims(rows, there) == Claims(frozenset({2}), frozenset({0, 2}), {})


def test_photos_that_are_one_of_another_category() -> None:
    photos = [photo("x", A), photo("turned", NOTHING, mirrored=A), photo("a", A ^ 1), photo("a", B)]
    found = claims([row("a", A, "sky"), row("c", A ^ 0b110, "sky")], photos)
    assert found == Claims(frozenset(), frozenset({0, 1, 2}), {})


def test_rows_without_a_hash_get_that_of_the_photo_of_their_name() -> None:
    rows, photos = [LockRow("sea", "a", 0), LockRow("sea", "gone", 0)], [photo("a", A)]
    assert claims(rows, photos).locked == {0}
    assert with_tested(rows, photos, [0], 0, 4) == [row("a", A), LockRow("sea", "gone", 0)]


def test_rows_are_only_added() -> None:
    rows = [row("gone", C), row("b", B), row("b", B, seed=1), row("x", A, "sky")]
    photos = [photo("b", B ^ 1), photo("a", A)]
    assert with_tested(rows, photos, [0, 1], 0, 4) == [row("a", A), *sorted(rows)]
    assert with_tested(rows, photos, [0], 2, 4) == sorted([*rows, row("b", B ^ 1, seed=2)])


def test_a_name_that_looks_different_gets_another_row() -> None:
    assert with_tested([row("a", A)], [photo("a", B)], [0], 0, 4) == [row("a", A), row("a", B)]


def test_a_lock_is_read_as_written_and_so_is_one_without_hashes(tmp_path: Path) -> None:
    path = tmp_path / "split.lock"
    assert read_lock(path) == []
    path.write_text("category,name,seed\nsea,a,0\n")
    assert read_lock(path) == [LockRow("sea", "a", 0)]
    write_lock(path, [row("a", A)])
    assert path.read_text() == "category,name,seed,hash\nsea,a,0,0f0f0f0f0f0f0f0f\n"
    assert read_lock(path) == [row("a", A)]


def test_a_hash_that_is_not_one_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "split.lock"
    path.write_text("category,name,seed,hash\nsea,a,0,1.2E+15\n")
    with pytest.raises(ColorpipeError, match=r"'1\.2E\+15' as the hash of 'a'"):
        read_lock(path)


def test_a_conflict_is_not_solved_by_making_the_lock_again(tmp_path: Path) -> None:
    path = tmp_path / "split.lock"
    header, ours, theirs = "category,name,seed,hash\n", "sea,a,0,\n", "sea,b,0,\n"
    conflict = f"<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> other\n"
    for text in (f"{header}{conflict}", f"{conflict}{header}"):
        path.write_text(text)
        with pytest.raises(ColorpipeError, match="keep the rows of both") as said:
            read_lock(path)
        assert "Do not delete it" in str(said.value)


def test_a_lock_that_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match=r"\(Is a directory\).* another one with --lock\."):
        read_lock(tmp_path)


def test_an_empty_lock_is_not_said_to_have_wrong_lines(tmp_path: Path) -> None:
    path = tmp_path / "split.lock"
    path.touch()
    with pytest.raises(ColorpipeError, match=r"is empty.* says category,name,seed,hash") as said:
        read_lock(path)
    assert "conflict" not in str(said.value)


def test_a_lock_that_a_link_leads_to_is_added_to(tmp_path: Path) -> None:
    shared, link = tmp_path / "shared.lock", tmp_path / "split.lock"
    write_lock(shared, [row("a", A)])
    link.symlink_to(shared.name)
    write_lock(link, [row("a", A), row("b", B)])
    assert link.is_symlink()
    assert read_lock(shared) == [row("a", A), row("b", B)]
