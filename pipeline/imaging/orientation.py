"""Which way is up: EXIF's orientation, and pixels turned by it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

A = TypeVar("A", bound=NDArray[Any])

# EXIF 2.32, tag 0x0112: (mirrored left to right, then quarter turns counter-clockwise) that make a
# stored picture upright.
_UPRIGHT = {
    1: (False, 0),
    2: (True, 0),
    3: (False, 2),
    4: (True, 2),
    5: (True, 1),
    6: (False, 3),
    7: (True, 3),
    8: (False, 1),
}

_XMP = ("xmp", "XML:com.adobe.xmp")
"""Where Pillow has an image's packet."""


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1, which is upright, also where the EXIF is damaged."""
    try:
        with by_exif_alone(image):
            return valid(image.getexif().get(ExifTags.Base.Orientation))
    # Untrusted bytes: SyntaxError, struct.error and more have been seen.
    except Exception:  # noqa: BLE001
        return 1


@contextlib.contextmanager
def by_exif_alone(image: Image.Image) -> Iterator[None]:
    """Keep Pillow in the block from turning an image by what only XMP states: viewers do not."""
    kept = {key: image.info.pop(key) for key in _XMP if key in image.info}
    try:
        tags = getattr(image, "tag_v2", None)
        # It may have looked there already, when it went to this page of a TIFF.
        if tags is not None and ExifTags.Base.Orientation not in tags:
            image.getexif().pop(ExifTags.Base.Orientation, None)
        yield
    finally:
        image.info.update(kept)


def valid(orientation: object) -> int:
    """Return ``orientation`` if there is such a one, else 1."""
    return orientation if isinstance(orientation, int) and orientation in _UPRIGHT else 1


def lies_on_its_side(orientation: int) -> bool:
    """Whether height and width change places when a stored picture is turned upright."""
    return bool(_UPRIGHT[orientation][1] % 2)


def turned_upright(stored: A, orientation: int) -> A:
    """Turn pixels (H, W, ...) as ``orientation``, 1 to 8, tells."""
    mirrored, turns = _UPRIGHT[orientation]
    return cast(A, np.ascontiguousarray(np.rot90(stored[:, ::-1] if mirrored else stored, turns)))


def turned_back(upright: A, orientation: int) -> A:
    """Undo :func:`turned_upright`."""
    mirrored, turns = _UPRIGHT[orientation]
    stored = np.rot90(upright, -turns)
    return cast(A, np.ascontiguousarray(stored[:, ::-1] if mirrored else stored))
