"""Where photos come from: one module a source, all behind :class:`pipeline.sources.base.Source`.

A source's module is imported when the source is asked for: an HTTP client takes longer to import
than the sample takes to cut.
"""

from __future__ import annotations

from pipeline.params import ScrapeParams
from pipeline.sources.base import Found, Later, Offer, Refusal, Shortfall, Source

__all__ = ["Found", "Later", "Offer", "Refusal", "Shortfall", "Source", "open_source"]


def open_source(params: ScrapeParams) -> Source:
    """Return the source that ``params.source`` names; no photo is read or asked for yet.

    Raises:
        ColorpipeError: what tells the source where to look is missing or wrong.
    """
    return _SOURCES[params.source](params)


def _sample(params: ScrapeParams) -> Source:
    from pipeline.sources.sample import SampleSource

    del params
    return SampleSource()


def _folder(params: ScrapeParams) -> Source:
    from pipeline.sources.folder import FolderSource

    return FolderSource(params.path, params.max_bytes)


def _bing(params: ScrapeParams) -> Source:
    from pipeline.sources.bing import bing_source

    return bing_source(params)


def _urls(params: ScrapeParams) -> Source:
    from pipeline.sources.urls import urls_source

    return urls_source(params)


def _cifar10(params: ScrapeParams) -> Source:
    from pipeline.sources.cifar10 import Cifar10Source

    return Cifar10Source(params.path)


def _places365(params: ScrapeParams) -> Source:
    from pipeline.sources.places365 import places365_source

    return places365_source(params)


def _coco_sample(params: ScrapeParams) -> Source:
    from pipeline.sources.archived import coco_sample_source

    return coco_sample_source(params)


def _landscapes(params: ScrapeParams) -> Source:
    from pipeline.sources.archived import landscapes_source

    return landscapes_source(params)


_SOURCES = {
    "sample": _sample,
    "folder": _folder,
    "bing": _bing,
    "urls": _urls,
    "cifar10": _cifar10,
    "places365": _places365,
    "coco-sample": _coco_sample,
    "landscapes": _landscapes,
}
