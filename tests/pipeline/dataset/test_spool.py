import math
from dataclasses import fields

import pytest

from pipeline.dataset import spool as spool_module
from pipeline.dataset.filters import CleanRow
from pipeline.dataset.spool import BLOCK, spooling


def row(number: int) -> CleanRow:
    return CleanRow(
        "sea", f"{number}é\udcff.jpg", "kept", "", "", width=number, chroma=math.pi * number
    )


@pytest.mark.parametrize("count", [0, 1, BLOCK, 2 * BLOCK + 3])
@pytest.mark.parametrize("held", [1, spool_module.HELD])
def test_rows_come_back_as_they_were_and_again(
    count: int, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "HELD", held)
    rows = [row(number) for number in range(count)]
    with spooling() as spool:
        for one in rows:
            spool.append(one)
        assert list(spool) == rows
        assert list(spool) == rows


def test_every_column_is_kept() -> None:
    values = {
        field.name: {"str": "text", "int": 7, "float": 1.5}[str(field.type)]
        for field in fields(CleanRow)
    }
    with spooling() as spool:
        spool.append(CleanRow(**values))
        assert list(spool) == [CleanRow(**values)]
