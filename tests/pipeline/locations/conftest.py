"""Object storage on this computer."""

from __future__ import annotations

from collections.abc import Iterator

import object_storage
import pytest


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_storage.object_storage() as endpoint:
        yield endpoint


@pytest.fixture
def storage(endpoint: str) -> object_storage.Storage:
    """An empty bucket."""
    return object_storage.Storage(endpoint)
