"""A file that crashes what decodes it, as a fault in a decoder's C code would."""

from __future__ import annotations

import os
import signal

from pipeline.imaging.decode import Photo, open_photo

BOMB = b"bomb"


def open_or_crash(data: bytes, *args: object, **values: object) -> Photo:
    """Open a photo; of :data:`BOMB`, this process dies."""
    if data == BOMB:
        os.kill(os.getpid(), signal.SIGKILL)
    return open_photo(data, *args, **values)
