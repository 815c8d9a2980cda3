from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.validation_errors import sentence_of


class Film(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    frames: int = Field(24, ge=1)
    strength: float | None = Field(None, ge=0, le=1)
    gain: float = Field(1.0, gt=0)
    gray: bool = False
    weights: dict[str, float] = {}
    title: str = ""
    reels: tuple[str, ...] = ()


class Project(BaseModel):
    model_config = ConfigDict(extra="forbid")

    film: Film = Field(default_factory=Film)


def said(values: dict[str, Any], *, are_options: bool = False) -> str:
    model, content = (Film, values) if are_options else (Project, {"film": values})
    with pytest.raises(ValidationError) as caught:
        model.model_validate(content)
    return sentence_of(model, caught.value.errors()[0], are_options=are_options)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"frame": 1},
            "'film.frame' is not a known key; 'film' has frames, strength, gain, gray, weights,"
            " title, reels. Did you mean 'frames'?",
        ),
        ({"frames": 0}, "'film.frames' is 0, but must be a whole number that is at least 1."),
        ({"frames": "1e1"}, "'film.frames' is '1e1', but must be a whole number in digits that is"),
        ({"strength": 2}, "'film.strength' is 2, but must be a number from 0 to 1, or null."),
        ({"gain": 0}, "'film.gain' is 0, but must be a number that is greater than 0."),
        ({"gain": float("inf")}, "'film.gain' is inf, but must be a finite number that is greater"),
        ({"gray": "maybe"}, "'film.gray' is 'maybe', but must be true or false."),
        ({"weights": {"a": "b"}}, "'film.weights.a' is 'b', but must be a valid number"),
        ({"weights": [1]}, "'film.weights' is [1], but must be keys with their values."),
        ({"title": 1984}, "'film.title' is 1984, but must be text, which a number or a date is in"),
        ({"reels": "one"}, "'film.reels' is 'one', but must be a list, such as [a, b]."),
        ({"frames": None}, "'film.frames' is null, but must be a whole number"),
        ({"title": True}, "'film.title' is true, but must be text"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_allowed(values: dict[str, Any], sentence: str) -> None:
    assert said(values).startswith(sentence)


def test_a_section_that_has_no_keys_is_said_in_plain_words() -> None:
    with pytest.raises(ValidationError) as caught:
        Project.model_validate({"film": 3})
    sentence = sentence_of(Project, caught.value.errors()[0])
    assert sentence == "'film' is 3, but must be keys with their values."


def test_of_the_command_line_the_option_is_named() -> None:
    assert said({"frames": 0}, are_options=True).startswith("--frames is 0, but must be a whole")
    mapping = said({"weights": {"a": "b"}}, are_options=True)
    assert mapping.startswith("--weights: 'a' is 'b', but must be")


def test_a_key_that_stands_at_the_top_is_named_by_itself() -> None:
    with pytest.raises(ValidationError) as caught:
        Project.model_validate({"flim": {}})
    sentence = sentence_of(Project, caught.value.errors()[0])
    assert sentence == "'flim' is not a known key; there are film. Did you mean 'film'?"
