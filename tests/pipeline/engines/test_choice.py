from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.engines.choice import open_engine
from pipeline.engines.local_engine import LOCAL
from pipeline.errors import ColorpipeError


def test_the_local_engine_is_the_default() -> None:
    with open_engine() as engine:
        assert engine is LOCAL
        with engine.sharing([Path("photos")], Path("out")):
            assert list(engine.map_in_order(str, [1, 2])) == ["1", "2"]


def test_an_unknown_engine_is_a_sentence() -> None:
    with pytest.raises(ColorpipeError, match="--engine is 'dask', but must be one of local, ray"):
        open_engine("dask")


def test_an_address_is_rays_alone() -> None:
    with pytest.raises(ColorpipeError, match="add --engine ray, or leave it out"):
        open_engine("local", "auto")


def test_a_missing_extra_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    said = r"--engine ray needs ray, which is not installed; .* 'colorpipe\[ray\]'"
    with pytest.raises(ColorpipeError, match=said), open_engine("ray"):
        pass
