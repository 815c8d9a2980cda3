import itertools
import random
from collections import Counter

import pytest

from pipeline.dataset.split_assignment import LEFT_OUT, TEST, TRAIN, VAL, GroupedPhoto, assign
from pipeline.errors import ColorpipeError


def photos(count: int, category: str = "forest", start: int = 0) -> list[GroupedPhoto]:
    return [GroupedPhoto(category, f"{n:04}", (category, n)) for n in range(start, start + count)]


def in_test(assigned: list[GroupedPhoto], sides: list[str]) -> set[tuple[str, str]]:
    return {(c.category, c.name) for c, side in zip(assigned, sides, strict=True) if side == TEST}


def test_each_category_has_exactly_as_many_test_photos() -> None:
    everything = photos(30) + photos(25, "sea") + photos(11, "street")
    sides = assign(everything, 10)
    found = Counter(c.category for c, side in zip(everything, sides, strict=True) if side == TEST)
    assert found == {"forest": 10, "sea": 10, "street": 10}
    assert set(sides) == {TEST, TRAIN}


def test_the_order_of_photos_does_not_matter_but_the_seed_does() -> None:
    everything = photos(40)
    shuffled = random.Random(0).sample(everything, len(everything))
    first = in_test(everything, assign(everything, 10))
    assert in_test(shuffled, assign(shuffled, 10)) == first
    assert in_test(everything, assign(everything, 10, seed=1)) != first


def test_adding_photos_moves_none_between_train_and_test() -> None:
    locked: set[tuple[str, str]] = set()
    before: dict[str, str] = {}
    draw = random.Random(1)
    for count in (20, 21, 40, 100, 300):
        # Some of the new photos belong to photos that are there already.
        now = [
            GroupedPhoto("forest", f"{n:04}", draw.choice([n, n, max(0, n - 15)]) // 1)
            for n in range(count)
        ]
        sides = assign(now, 10, locked=locked)
        after = {c.name: side for c, side in zip(now, sides, strict=True)}
        for name, side in before.items():
            assert {side, after[name]} != {TRAIN, TEST}
        assert sides.count(TEST) == 10
        locked, before = in_test(now, sides), after


def test_without_the_lock_adding_photos_would_move_some() -> None:
    few, many = photos(30), photos(300)
    kept = in_test(few, assign(few, 10)) & in_test(many, assign(many, 10))
    assert len(kept) < 10
    assert in_test(few, assign(few, 10)) == in_test(
        many, assign(many, 10, locked=in_test(few, assign(few, 10)))
    )


def test_removed_test_photos_are_replaced_and_the_others_stay() -> None:
    everything = photos(40)
    locked = in_test(everything, assign(everything, 10))
    gone = set(sorted(locked)[:3])
    left = [c for c in everything if (c.category, c.name) not in gone]
    again = in_test(left, assign(left, 10, locked=locked))
    assert len(again) == 10
    assert locked - gone <= again


def test_groups_stay_on_one_side_also_across_categories() -> None:
    draw = random.Random(2)
    everything = [
        GroupedPhoto(category, f"{n:03}", draw.randrange(70))
        for category, n in itertools.product(("forest", "sea"), range(60))
    ]
    for seed in range(20):
        sides = assign(everything, 10, seed=seed)
        by_group: dict[object, set[str]] = {}
        for photo, side in zip(everything, sides, strict=True):
            by_group.setdefault(photo.group, set()).add(side)
        assert not any({TRAIN, TEST} <= found for found in by_group.values())
        assert sides.count(TEST) == 20


def test_a_group_that_does_not_fit_leaves_its_rest_out() -> None:
    pairs = [GroupedPhoto("sea", f"{n:02}", n // 2) for n in range(20)]
    sides = assign(pairs, 3)
    assert (sides.count(TEST), sides.count(LEFT_OUT)) == (3, 1)


def test_what_is_added_to_a_full_group_is_left_out() -> None:
    everything = photos(30)
    locked = in_test(everything, assign(everything, 10))
    category, name = sorted(locked)[0]
    group = next(c.group for c in everything if c.name == name)
    more = [*everything, GroupedPhoto(category, "twin", group)]
    sides = assign(more, 10, locked=locked)
    assert sides[-1] == LEFT_OUT
    assert in_test(more, sides) == locked


def test_locked_photos_beyond_the_test_are_left_out() -> None:
    everything = photos(40)
    locked = in_test(everything, assign(everything, 10))
    sides = assign(everything, 4, locked=locked, val_fraction=0.3)
    assert in_test(everything, sides) < locked
    assert (sides.count(TEST), sides.count(LEFT_OUT)) == (4, 6)
    assert locked == in_test(everything, assign(everything, 10, locked=locked))


def test_what_belongs_to_test_photos_fills_the_test_first() -> None:
    everything = [*photos(30), GroupedPhoto("forest", "copy", ("forest", 7))]
    barred = {("forest", n) for n in (3, 5, 7)}
    ours = {("forest", name) for name in ("0003", "0005", "0007", "copy")}
    assert ours < in_test(everything, assign(everything, 10, barred=barred))
    sides = assign(everything, 2, barred=barred, val_fraction=0.3)
    assert in_test(everything, sides) < ours
    assert (sides.count(TEST), sides.count(LEFT_OUT)) == (2, 2)


def test_validation_takes_whole_groups_and_no_test_photo() -> None:
    everything = [GroupedPhoto("sea", f"{n:04}", n // 2) for n in range(2000)]
    plain = assign(everything, 10)
    sides = assign(everything, 10, val_fraction=0.25)
    assert [s == TEST for s in plain] == [s == TEST for s in sides]
    assert 0.2 < sides.count(VAL) / 2000 < 0.3
    assert all((sides[n] == VAL) == (sides[n + 1] == VAL) for n in range(0, 2000, 2))


def test_validation_is_never_empty_and_empties_no_category() -> None:
    for count, seed in itertools.product((12, 13), range(30)):
        sides = assign(photos(count), 10, seed=seed, val_fraction=0.01)
        assert (sides.count(VAL), sides.count(TRAIN)) == (1, count - 11)
    sides = assign(photos(11) + photos(40, "sea"), 10, val_fraction=0.9)
    assert sides[:11].count(TRAIN) == 1
    assert sides[11:].count(TRAIN) >= 1


def test_too_few_photos_are_named_by_category() -> None:
    with pytest.raises(ColorpipeError, match=r"'sea' has 10, 'street' has 3") as caught:
        assign(photos(30) + photos(10, "sea") + photos(3, "street"), 10)
    assert "at least 11" in str(caught.value)
    one_page = [GroupedPhoto("sea", f"{n:02}", "page") for n in range(30)]
    with pytest.raises(ColorpipeError, match="No photo of 'sea' is left to train on"):
        assign(one_page, 10)
