"""Where photos come from: one module a source, named in :data:`pipeline.params.SOURCES`.

Each module has a generator function ``photos`` that takes the parameters and yields
:data:`~pipeline.sources.base.Item`. It is imported when its source is asked for, since an HTTP
client takes longer to import than the sample takes to cut.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import cast

from pipeline.errors import needs_extra
from pipeline.params import ScrapeParams
from pipeline.sources.base import Item

__all__ = ["find_photos"]


def find_photos(params: ScrapeParams) -> Iterator[Item]:
    """Yield the photos of the source that ``params.source`` names, category by category.

    The same source gives the same items in the same order, as far as the world outside stays the
    same. Only one photo's bytes need to be in memory at a time.

    Raises:
        ColorpipeError: what the parameters point to is missing or cannot be used, or nothing at
            all can be had from the source.
    """
    with needs_extra("scrape", f"The source '{params.source}'"):
        module = importlib.import_module(f"{__name__}.{params.source.replace('-', '_')}")
    return cast("Callable[[ScrapeParams], Iterator[Item]]", module.photos)(params)
