"""Templates to pages: every page is one file, with its style, its script and its pictures in it."""

from __future__ import annotations

import base64
import functools
import io
from typing import Any

import cv2
import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from pipeline.files.names import printable

LONGEST = 256
"""The longer side of a picture on a page, in px; one that is smaller stays as it is."""
QUALITY = 85
"""Of the pictures' JPEG."""


GENERATOR = '<meta name="generator" content="colorpipe">'
"""In the head of every page, by which it is known as one."""


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = printable
    environment.globals["generator"] = Markup(GENERATOR)
    return environment


def render(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: the name of a file in ``templates``.
        values: what the template shows. Text is escaped: a photo's name cannot become markup.
    """
    return _environment().get_template(template).render(values)


def picture(pixels: NDArray[np.uint8]) -> str:
    """Return pixels (H, W) or (H, W, 3), sRGB, as a JPEG in a ``data:`` URI.

    The longer side has at most :data:`LONGEST` px.
    """
    height, width = pixels.shape[:2]
    longer = max(height, width)
    if longer > LONGEST:
        size = (max(round(width * LONGEST / longer), 1), max(round(height * LONGEST / longer), 1))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
