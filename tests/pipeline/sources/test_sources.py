from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest
from pydantic import ValidationError

from pipeline import sources
from pipeline.params import SOURCES, ScrapeParams


def test_every_source_is_a_module_and_has_a_name() -> None:
    modules = {module.name for module in pkgutil.iter_modules(sources.__path__)}
    with_photos = {
        name
        for name in modules
        if hasattr(importlib.import_module(f"{sources.__name__}.{name}"), "photos")
    }
    assert with_photos == {name.replace("-", "_") for name in SOURCES}


def test_parameters_and_their_help_know_every_source() -> None:
    for name, description in SOURCES.items():
        assert ScrapeParams(source=name).source == name
        assert f"{name}: {description}" in str(ScrapeParams.model_fields["source"].description)
    with pytest.raises(ValidationError, match="'sample', 'bing', "):
        ScrapeParams(source="flickr")


def test_parameters_need_no_http_client() -> None:
    code = "import sys, pipeline.params; sys.exit(not {'aiohttp', 'pooch'}.isdisjoint(sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True)
