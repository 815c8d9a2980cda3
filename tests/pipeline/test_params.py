"""The typed form of params.yaml: defaults, sentences about what is wrong, overriding."""

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pipeline.errors import ColorpipeError
from pipeline.params import Params, ResizeParams, ScrapeParams, TrainParams, override, read_params

SECTIONS = {
    name: field.annotation
    for name, field in Params.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
KEYS = [
    pytest.param(section, key, id=f"{name}.{key}")
    for name, section in SECTIONS.items()
    for key in section.model_fields
]


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ColorpipeError) as raised:
        read_params(written(folder, text))
    return str(raised.value)


def test_a_missing_file_gives_the_defaults(tmp_path: Path) -> None:
    assert read_params(tmp_path / "params.yaml") == Params()


@pytest.mark.parametrize("text", ["", "# nothing\n", "train:\n", "train: {}\n"])
def test_what_a_file_leaves_out_has_its_default(tmp_path: Path, text: str) -> None:
    assert read_params(written(tmp_path, text)) == Params()


def test_options_that_are_all_commented_out_are_none(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train:\n  options:\n    # draw: {sea: 2}\n")
    assert read_params(tmp_path / "params.yaml") == Params()


def test_a_file_s_values_are_taken_and_the_rest_stays(tmp_path: Path) -> None:
    params = read_params(written(tmp_path, "resize: {size: 64}\n"))
    assert params.resize == ResizeParams(size=64)
    assert params.train == TrainParams()


def test_of_another_project_s_file_only_the_section_that_is_asked_for_is_read(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, "train: {lr: 0.1}\nmodel: big\nresize: {size: 64}\n")
    assert read_params(path, only="resize") == Params(resize=ResizeParams(size=64))
    assert read_params(path, only="colorize") == Params()
    with pytest.raises(ColorpipeError, match=r"'train\.lr' is not a known key"):
        read_params(path, only="train")


def test_a_learning_rate_that_yaml_reads_as_text_is_a_number(tmp_path: Path) -> None:
    # `dvc exp run -S` writes 0.00001 as 1e-05, without the point that YAML 1.1 wants in a float.
    path = written(tmp_path, "train: {learning_rate: 1e-05}\n")
    assert isinstance(yaml.safe_load(path.read_text())["train"]["learning_rate"], str)
    assert read_params(path).train.learning_rate == 1e-5


def test_an_unknown_key_is_named_with_its_file_the_known_ones_and_a_guess(tmp_path: Path) -> None:
    sentence = refusal(tmp_path, "train: {epoch: 3}\n")
    assert sentence.startswith(str(tmp_path / "params.yaml"))
    assert "'train.epoch' is not a known key" in sentence
    assert "batch_size" in sentence
    assert "Did you mean 'epochs'?" in sentence


def test_an_unknown_section_is_named_with_the_known_ones(tmp_path: Path) -> None:
    sentence = refusal(tmp_path, "trian: {epochs: 3}\n")
    assert "'trian' is not a known key" in sentence
    assert all(name in sentence for name in SECTIONS)
    assert "Did you mean 'train'?" in sentence


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("resize: {mode: squash}", "'resize.mode' is 'squash'", "'crop', 'stretch' or 'pad'"),
        ("resize: {size: 8}", "'resize.size' is 8", "a whole number from 16 to 4096."),
        ("train: {epochs: 0}", "'train.epochs' is 0", "whole number that is at least 1, or null."),
        ("train: {epochs: two}", "'train.epochs' is 'two'", "a whole number in digits that is"),
        ("train: {learning_rate: .nan}", "'train.learning_rate' is nan", "finite number that is"),
        ("train: {learning_rate: -1}", "'train.learning_rate' is -1", "greater than 0, or null."),
        ("split: {val_fraction: 1.0}", "is 1.0", "a number that is at least 0 and less than 1."),
        ("colorize: {size: 7}", "'colorize.size' is 7", "a whole number from 32 to 2048, or null."),
        ("colorize: {tta: maybe}", "'colorize.tta' is 'maybe'", "must be true or false."),
        ("train: {options: {ema: [0.9]}}", "'train.options.ema' is [0.9]", "a valid number"),
        ("train: {options: {1: 2}}", "'train.options.1' is 1", "must be text"),
        ("1: 2", "'1' is not a known key", "there are scrape, clean"),
        ("scrape: {source: google}", "'scrape.source' is 'google'", "'bing'"),
    ],
)
def test_a_value_that_is_not_allowed_is_shown_with_what_is(
    tmp_path: Path, text: str, key: str, allowed: str
) -> None:
    sentence = refusal(tmp_path, text)
    assert key in sentence
    assert allowed in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    "address", ["http://", "http://[x", "http://h:x/", "http://h:0/", "ftp://h/", "//h/", "h", ""]
)
def test_a_search_without_a_host_is_refused(address: str) -> None:
    with pytest.raises(ColorpipeError) as raised:
        override(ScrapeParams(), {"search_url": address})
    assert f"--search-url is {address!r}, but must be an http or https" in str(raised.value)


@pytest.mark.parametrize("address", ["http://u:secret@h/", "u:secret@h", "http://u:secret@[x"])
def test_a_password_in_an_address_is_not_repeated(address: str) -> None:
    with pytest.raises(ColorpipeError, match="without a user name or password") as raised:
        override(ScrapeParams(), {"search_url": address})
    assert "secret" not in str(raised.value)
    assert ScrapeParams(search_url="http://h:80/@u?a=b@c").search_url == "http://h:80/@u?a=b@c"


@pytest.mark.parametrize("text", ["train: [1, 2]", "train: 3"])
def test_a_section_without_keys_is_refused(tmp_path: Path, text: str) -> None:
    assert "'train' is" in refusal(tmp_path, text)


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    assert "is not valid YAML" in refusal(tmp_path, "train: {epochs: 3")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("train:\n  epochs: 2\n  size: 64\n  epochs: null\n", "epochs"),
        ("train:\n  epochs: 2\nsplit:\n  seed: 1\ntrain:\n  size: 64\n", "train"),
    ],
)
def test_a_key_that_is_given_twice_is_refused(tmp_path: Path, text: str, key: str) -> None:
    # YAML's parsers take the last one, and the value above it would have no effect.
    sentence = refusal(tmp_path, text)
    assert f"the key '{key}' is given twice" in sentence
    assert f"line {text.count(chr(10), 0, text.rindex(key)) + 1}" in sentence


def test_a_date_that_does_not_exist_is_refused_in_a_sentence(tmp_path: Path) -> None:
    assert "is not valid YAML" in refusal(tmp_path, "train: {epochs: 2026-02-31}")


def test_a_seed_that_torch_cannot_take_is_refused(tmp_path: Path) -> None:
    assert read_params(written(tmp_path, f"train: {{seed: {2**64 - 1}}}")).train.seed == 2**64 - 1
    assert "'train.seed' is" in refusal(tmp_path, f"train: {{seed: {2**64}}}")


@pytest.mark.parametrize("text", ["- train\n", "train\n", "3\n"])
def test_a_file_without_sections_is_refused(tmp_path: Path, text: str) -> None:
    assert "must hold sections" in refusal(tmp_path, text)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xff\xfe\x00train")
    with pytest.raises(ColorpipeError, match=r"could not be read .*is no text.* with --params\."):
        read_params(path)
    with pytest.raises(ColorpipeError, match=r"\(Is a directory\); .* name another .*--params\."):
        read_params(tmp_path)


def test_override_checks_and_converts_what_the_command_line_gave() -> None:
    section = ResizeParams(size=64, mode="pad")
    assert override(section, {}) is section
    assert override(section, {"size": "32"}) == ResizeParams(size=32, mode="pad")
    with pytest.raises(ColorpipeError, match=r"^--size is 'big', but must be a whole .*4096\."):
        override(section, {"size": "big"})
    with pytest.raises(ColorpipeError, match=r"^--learning-rate is '-1', but must be a number "):
        override(TrainParams(), {"learning_rate": "-1"})
    with pytest.raises(ColorpipeError, match=r"^--options: 'ema' is \[\], but must be "):
        override(TrainParams(), {"options": {"ema": []}})


def test_of_a_mapping_the_command_line_replaces_the_keys_that_it_has() -> None:
    section = TrainParams(options={"clip": 1.0, "ema": 0.9})
    overridden = override(section, {"options": {"ema": 0.5}, "epochs": "3"})
    assert overridden == TrainParams(epochs=3, options={"clip": 1.0, "ema": 0.5})


def test_sections_cannot_be_changed_after_they_were_checked() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Params().train.epochs = 0  # type: ignore[misc]


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_key_has_a_default_and_a_sentence_of_help(section: type[BaseModel], key: str) -> None:
    field = section.model_fields[key]
    assert field.get_default(call_default_factory=True) is not PydanticUndefined
    assert field.description
    assert field.description.endswith(".")


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_number_has_a_range(section: type[BaseModel], key: str) -> None:
    field = section.model_fields[key]
    kinds: set[Any] = {field.annotation, *get_args(field.annotation)}
    if kinds & {int, float}:
        assert {"ge", "gt", "le", "lt"} & {name for m in field.metadata for name in dir(m)}
