"""A file that crashes the process that decodes it, as a fault in a decoder's C code would."""

from __future__ import annotations

import os
import signal

from pipeline.imaging.decode import Document, Photo, open_document, open_photo

BOMB = b"bomb"


def open_or_crash(data: bytes, *args: object, **values: object) -> Photo:
    """Open a photo, but kill this process if it is :data:`BOMB`."""
    _crash(data)
    return open_photo(data, *args, **values)


def open_document_or_crash(data: bytes, *args: object, **values: object) -> Document:
    """Open a file, but kill this process if it is :data:`BOMB`."""
    _crash(data)
    return open_document(data, *args, **values)


def _crash(data: bytes) -> None:
    if data == BOMB:
        os.kill(os.getpid(), signal.SIGKILL)
