"""A set of names in few bytes."""

from __future__ import annotations

import tracemalloc

from pipeline.locations.name_set import NameSet


def test_names_are_found_and_others_are_not() -> None:
    names = NameSet(f"photo-{number}.jpg" for number in range(0, 100_000, 2))
    assert all(f"photo-{number}.jpg" in names for number in range(0, 100_000, 999 * 2))
    assert not any(f"photo-{number}.jpg" in names for number in range(1, 100_000, 2))
    names.add("odd \udcff")
    assert "odd \udcff" in names
    assert len(names) == 50_001
    assert "a" not in NameSet()


def test_a_name_takes_few_bytes() -> None:
    tracemalloc.start()
    try:
        names = NameSet(f"photo-{number}.jpg" for number in range(60_000))
        assert tracemalloc.get_traced_memory()[0] < 32 * len(names)
    finally:
        tracemalloc.stop()
