"""Hints: what they look like, and what they do to a photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from predictors import Rainbow
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from pipeline.errors import ColorpipeError
from pipeline.evaluation.metrics import ciede2000
from pipeline.imaging import color
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.hints import (
    MOST,
    Hint,
    as_json,
    for_network,
    hints_of,
    parse_hint,
    read_hints,
)
from pipeline.networks.lite_unet import LiteUNet

PHOTO = skimage.data.astronaut()
GRAY = color.luma(PHOTO)


@pytest.fixture(scope="module")
def networks() -> dict[str, Colorizer]:
    """One that takes hints, and one that does not."""
    return {"hints": Colorizer.load("pretrained", "cpu"), "none": Colorizer(Rainbow())}


def difference(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """CIEDE2000 of sRGB pixels (..., 3)."""
    first, second = (
        color.rgb_to_lab(np.atleast_3d(each).reshape(1, -1, 3)) for each in (found, wanted)
    )
    return ciede2000(first, second)[0]


def test_a_hint_is_checked() -> None:
    assert Hint(1, 2, "#3a6b35").rgb() == Hint(1, 2, "rgb(58,107,53)").rgb() == (58, 107, 53)
    assert Hint(1, 2, "navy").rgb() == (0, 0, 128)
    with pytest.raises(ValueError, match="color is 'greenish'"):
        Hint(1, 2, "greenish")
    with pytest.raises(ValueError, match="x is -1"):
        Hint(-1, 2, "red")
    with pytest.raises(ValueError, match="radius is nan"):
        Hint(1, 2, "red", float("nan"))


def test_a_hint_may_have_numbers_of_numpy() -> None:
    row, column = np.unravel_index(GRAY.argmax(), GRAY.shape)
    hint = Hint(column, row, "navy", np.float32(2.5))
    assert hint == Hint(int(column), int(row), "navy", 2.5)
    assert hints_of(as_json([hint]).encode(), "it") == (hint,)
    with pytest.raises(ValueError, match="a hint's x is"):
        Hint(np.bool_(True), 1, "navy")


def test_the_command_lines_form_is_read() -> None:
    assert parse_hint("120,340=#3a6b35") == Hint(120, 340, "#3a6b35")
    assert parse_hint(" 1.5,2,8=navy") == Hint(1.5, 2, "navy", 8)
    for wrong in ("", "1=red", "1,2", "1,2=", "1,2,3,4=red", "a,b=red", "1,2=reddish"):
        with pytest.raises(ColorpipeError, match=r"X,Y=COLOR, such as 120,340=#3a6b35"):
            parse_hint(wrong)


def test_a_file_of_hints_comes_back(tmp_path: Path) -> None:
    hints = (Hint(120, 340, "#3a6b35"), Hint(5.5, 6, "navy", 8))
    path = tmp_path / "photo.jpg.hints.json"
    path.write_text(as_json(hints))
    assert read_hints(path) == hints
    with pytest.raises(ColorpipeError, match="could not be read"):
        read_hints(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "it is not"),
        (b"[]", "no list 'hints'"),
        (b'{"hints": 5}', "no list 'hints'"),
        (b'{"hints": [5]}', "the keys x, y and color"),
        (b'{"hints": [{"x": 1, "y": 2}]}', "the keys x, y and color"),
        (b'{"hints": [{"x": "1", "y": 2, "color": "red"}]}', "x is '1'"),
        (b'{"hints": [{"x": 1, "y": 2, "color": 3}]}', "color is 3"),
        (b'{"hints": [{"x": 1, "y": 2, "color": "rgb(300,0,0)"}]}', "color is 'rgb"),
        (b'{"hints": [{"x": ' + b"9" * 400 + b', "y": 2, "color": "red"}]}', "too large"),
        (b'{"hints": [{"x": NaN, "y": 2, "color": "red"}]}', "x is nan"),
        (as_json([Hint(1, 1, "red")] * (MOST + 1)).encode(), f"{MOST} are the most"),
        (b"[" * 100_000, "recursion"),
        (b" " * 1_000_001, "more than 1 MB"),
    ],
)
def test_a_file_of_something_else_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ColorpipeError, match=rf"given\.json is not a file of hints.*{reason}"):
        hints_of(content, "given.json")


@pytest.mark.parametrize("name", ["hints", "none"])
def test_the_place_has_the_color_that_is_wanted(name: str, networks: dict[str, Colorizer]) -> None:
    draw = np.random.default_rng(0)
    gray = GRAY[:300, :400]
    for _ in range(8):
        x, y = int(draw.integers(400)), int(draw.integers(300))
        while True:  # a color that the place can have
            wanted = draw.integers(0, 256, 3).astype(np.uint8)
            if color.luma(wanted[None, None])[0, 0] == gray[y, x]:
                break
        result = networks[name](gray, hints=[Hint(x, y, f"#{bytes(wanted).hex()}")])
        assert difference(result[y, x], wanted) < 3
        assert np.array_equal(color.luma(result), gray)


@pytest.mark.parametrize("name", ["hints", "none"])
def test_nothing_behind_an_edge_is_changed(name: str, networks: dict[str, Colorizer]) -> None:
    gray = np.full((200, 300), 90, np.uint8)
    gray[:, 150:] = 190
    before = networks[name](gray)
    after = networks[name](gray, hints=[Hint(60, 100, "#803030")])
    change = difference(after, before).reshape(gray.shape)
    assert change[:, 165:].max() < 1
    assert change[90:110, 50:70].min() > 5


def test_a_color_that_the_tone_has_not_comes_with_less_chroma(
    networks: dict[str, Colorizer],
) -> None:
    gray = np.full((100, 100), 235, np.uint8)
    found = networks["none"](gray, hints=[Hint(50, 50, "#0000ff")])[50, 50].astype(int)
    assert found[2] >= 253
    assert found[2] > found[0] > 200


def test_a_radius_holds_whatever_is_in_it(networks: dict[str, Colorizer]) -> None:
    gray = np.full((100, 100), 90, np.uint8)
    gray[:, 50:] = 160
    result = networks["none"](gray, hints=[Hint(50, 50, "#206020", 12)])
    lab = color.rgb_to_lab(result)
    assert (lab[45:56, 42:59, 1] < -8).all()


def test_a_radius_of_any_size_is_the_whole_picture(networks: dict[str, Colorizer]) -> None:
    gray = np.full((100, 100), 120, np.uint8)
    large, huge = (
        networks["none"](gray, hints=[Hint(50, 50, "#206020", radius)]) for radius in (200, 1e200)
    )
    assert np.array_equal(large, huge)


def test_two_hints_on_one_thing_share_it(networks: dict[str, Colorizer]) -> None:
    gray = np.full((100, 200), 120, np.uint8)
    hints = [Hint(30, 50, "#a06060"), Hint(170, 50, "#4070a0")]
    lab = color.rgb_to_lab(networks["none"](gray, hints=hints))
    assert lab[50, 30, 1] > 15 > lab[50, 170, 1]
    assert lab[50, 170, 2] < -15


@pytest.mark.parametrize("name", ["hints", "none"])
def test_of_two_hints_at_one_place_the_last_counts(
    name: str, networks: dict[str, Colorizer]
) -> None:
    first, last = Hint(150, 80, "#905050"), Hint(150, 80, "#507090")
    both = networks[name](GRAY, hints=[first, last])
    assert np.array_equal(both, networks[name](GRAY, hints=[last]))
    # In the picture that hints are spread in, neighbors of a large photo are one pixel.
    gray = np.full((1000, 1200), 106, np.uint8)
    near = [Hint(600, 500, "#905050"), Hint(601, 500, "#507090")]
    found = networks[name](gray, hints=near)[500, 601]
    assert difference(found, np.array(near[1].rgb(), np.uint8)) < 3


def test_places_are_those_of_the_upright_picture(
    networks: dict[str, Colorizer], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = Image.new("L", (120, 80), 120)
    upright.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif)
    with Image.open(tmp_path / "turned.jpg") as turned:
        found = networks["none"](turned, hints=[Hint(100, 20, "#206020")])
    assert found.size == (120, 80)
    expected = networks["none"](np.asarray(upright), hints=[Hint(100, 20, "#206020")])
    assert np.abs(np.asarray(found).astype(int) - expected).max() < 6


def test_others_in_a_batch_are_as_without(networks: dict[str, Colorizer]) -> None:
    colorizer = networks["hints"]
    pictures = [GRAY[:200, :200], GRAY[100:300, 100:300]]
    alone = colorizer.colorize_many(pictures)
    hints = [[], [Hint(100, 100, "#803030")]]
    together = colorizer.colorize_many(pictures, hints=hints)
    # How a processor sums depends on how many pictures there are.
    assert np.abs(together[0].astype(int) - alone[0]).max() <= 1
    hinted = colorizer(pictures[1], hints=hints[1])
    assert np.abs(together[1].astype(int) - hinted).max() <= 1


def test_the_network_runs_once_without_hints_and_once_by_what_is_known(
    networks: dict[str, Colorizer],
) -> None:
    runs = 0

    def count(module: nn.Module, *_: object) -> None:
        nonlocal runs
        runs += isinstance(module, LiteUNet)

    reference = networks["hints"].reference(PHOTO)
    hook = register_module_forward_hook(count)
    try:
        networks["hints"](GRAY[:200, :200], hints=[Hint(60, 100, "#803030")])
        assert runs == 2
        networks["hints"](GRAY, hints=[Hint(60, 100, "#803030")], reference=reference)
        assert runs == 2 + 3
    finally:
        hook.remove()


def test_a_mirror_image_has_its_hints_mirrored() -> None:
    colorizer = Colorizer.load("pretrained", "cpu", tta=True)
    gray, width = GRAY[:192, :192], 192
    mirrored = np.ascontiguousarray(gray[:, ::-1])
    one = colorizer(gray, hints=[Hint(40, 60, "#803030")])
    other = colorizer(mirrored, hints=[Hint(width - 1 - 40, 60, "#803030")])
    assert np.abs(one.astype(int) - other[:, ::-1]).mean() < 1


def test_a_hint_beside_the_picture_is_refused(networks: dict[str, Colorizer]) -> None:
    with pytest.raises(ValueError, match=r"at 100,5 is outside of the photo, which has 100 x 50"):
        networks["none"](GRAY[:50, :100], hints=[Hint(100, 5, "red")])


def test_the_network_is_given_the_cell_that_a_place_lies_in() -> None:
    gray = np.full((64, 64), 100, np.uint8)
    known = for_network([Hint(100, 300, "#803030")], (640, 320), gray)
    assert known.shape == (32, 32, 3)
    assert np.argwhere(known[..., 2]).tolist() == [[15, 10]]
