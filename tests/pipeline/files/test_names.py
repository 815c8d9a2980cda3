from pipeline.files.names import (
    MOST_PAGES,
    distinct_stems,
    numbered,
    printable,
    stems_for_pages,
    without_number,
)


def stems(*files: str, longest: int = 100) -> list[str]:
    return list(distinct_stems(sorted(files), ".jpg", longest, lambda stem: stem).values())


def test_a_file_keeps_its_stem_whatever_other_files_come() -> None:
    assert stems("a.png", "b.jpg", "c") == ["a", "b", "c"]
    jpeg, jpg, upper = stems("a.jpeg", "a.jpg", "b.JPG")
    assert (jpg, upper) == ("a", "b")
    assert jpeg.startswith("a_")
    first, *others = stems("A.jpeg", "A.png", "a.jpg", "a.webp")[::-1]
    assert stems("A.jpeg", "a.jpg")[0] in others
    assert len({stem.casefold() for stem in (first, *others)}) == 4
    assert "a" in others


def test_a_long_stem_is_cut_between_characters_and_marked() -> None:
    long = "城市" * 40
    one, other = stems(f"{long}1.jpg", f"{long}2.jpg", longest=100)
    assert one != other
    for stem in (one, other):
        assert 95 < len(stem.encode()) <= 100
        assert long.startswith(stem.rpartition("_")[0])


def test_what_is_not_text_is_replaced() -> None:
    assert printable("caf\udce9 城") == "caf? 城"
    assert printable("caf\udce9", "_") == "caf_"
    assert printable("two\r\nlines\0") == "two  lines "


def test_pages_have_names_that_no_other_file_has() -> None:
    own = {
        "a.tif": "a",
        "a-1.jpg": "a-1",
        "A-1.tif": "A-1_12345678",
        "b.tif": "b",
        "b-x": "b-x",
    }
    of_pages = stems_for_pages(own, 100)
    assert of_pages["a.tif"].startswith("a_")
    assert [of_pages[file] for file in ("a-1.jpg", "b.tif", "b-x")] == ["a-1", "b", "b-x"]
    pages = {numbered(stem, page).casefold() for stem in of_pages.values() for page in (1, 2)}
    assert len(pages) == 2 * len(own)
    assert not pages & {stem.casefold() for stem in own.values()}


def test_a_page_of_a_long_name_still_has_a_name() -> None:
    (stem,) = stems_for_pages({"c.tif": "c" * 100}, 100).values()
    assert len(numbered(stem, MOST_PAGES)) == 100
    assert without_number(numbered(stem, MOST_PAGES)) == stem
    assert (without_number("scan"), without_number("scan-0"), without_number("-x-12")) == (
        "",
        "",
        "-x",
    )
