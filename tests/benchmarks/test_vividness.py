"""The measurement of vividness, on a few photos."""

from __future__ import annotations

from pathlib import Path

import pytest
import vividness
from splits import make_split

from pipeline.models.pretrained import pretrained_weights


def test_tables_have_a_row_for_each_tenth_and_each_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_split(tmp_path / "held-out", train=1, val=0, test=4)
    folder = tmp_path / "held-out"
    model = str(pretrained_weights())
    vividness.main(["--model", model, "--test", str(folder), "0:0", "1:0", "1.5:0", "1.5:16"])
    tenths, _, settings = capsys.readouterr().out.partition("\n\n")
    rows = [[float(value) for value in line.split("|")[1:-1]] for line in tenths.splitlines()[2:]]
    assert sum(row[0] for row in rows) == len(list((folder / "test_x").iterdir()))
    chroma = [row[1] for row in rows]
    assert chroma == sorted(chroma)
    ratios = [float(line.split("/")[1]) for line in settings.splitlines()[2:]]
    gray, learned, strongest, by_photo = ratios
    assert gray == 0 < learned < by_photo <= strongest
