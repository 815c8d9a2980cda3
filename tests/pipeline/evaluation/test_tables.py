"""Tables, series and metrics, as a person and DVC meet them."""

from __future__ import annotations

import json

import pytest

from pipeline.evaluation.tables import print_table, write_metrics, write_series


def test_series_and_metrics_are_written_in_the_order_given(tmp_path):
    write_series(tmp_path / "s.csv", ["label", "x"], [["sea, calm", 1.5], ["forest", ""]])
    assert (tmp_path / "s.csv").read_bytes() == b'label,x\n"sea, calm",1.5\nforest,\n'
    write_metrics(tmp_path / "m.json", {"z": 1, "a": {"b": None}})
    text = (tmp_path / "m.json").read_text()
    assert json.loads(text) == {"z": 1, "a": {"b": None}}
    assert text.index('"z"') < text.index('"a"')


def test_names_that_are_not_text_or_formulas_are_made_fit_for_a_table(tmp_path):
    write_series(tmp_path / "s.csv", ["label", "x"], [["caf\udce9", -1.5], ["=1+1", "-x"]])
    assert (tmp_path / "s.csv").read_text() == "label,x\ncaf?,-1.5\n'=1+1,'-x\n"


def test_metrics_that_are_no_numbers_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_metrics(tmp_path / "m.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_table_prints_every_cell_as_it_is(capsys):
    print_table("A [title]", ["", "a[1]"], [["x" * 70, "[red]1[/red]"], ["y", "2" * 70]], "note")
    printed = capsys.readouterr().out
    for cell in ("A [title]", "a[1]", "x" * 70, "[red]1[/red]", "2" * 70, "note"):
        assert cell in printed
