from pipeline.files.names import distinct_stems, printable


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
