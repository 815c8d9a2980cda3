"""The errors that the command line turns into sentences and exit codes."""

import pytest

from pipeline.errors import ColorpipeError, Failure, StoppedError, needs_extra


def test_a_failure_reads_as_what_failed_and_why() -> None:
    assert str(Failure("in/photo.jpg", "damaged")) == "in/photo.jpg: damaged"


def test_failures_are_values() -> None:
    assert Failure("a", "b") == Failure("a", "b")
    assert len({Failure("a", "b"), Failure("a", "b"), Failure("a", "c")}) == 2


def test_who_catches_the_project_s_errors_catches_stops_too() -> None:
    with pytest.raises(ColorpipeError, match="kept"):
        raise StoppedError("Stopped; what was done is kept.")


def test_a_missing_package_is_a_sentence_that_names_its_extra() -> None:
    said = r"^Scraping needs aio, which is not installed; .* pip install 'colorpipe\[scrape\]'\.$"
    with pytest.raises(ColorpipeError, match=said), needs_extra("scrape", "Scraping"):
        raise ModuleNotFoundError("No module named 'aio.http'", name="aio.http")


def test_a_missing_module_of_our_own_is_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError), needs_extra("scrape", "Scraping"):
        raise ModuleNotFoundError("No module named 'pipeline.x'", name="pipeline.x")
