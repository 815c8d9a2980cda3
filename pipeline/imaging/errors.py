"""What is wrong with a photo's file, as phrases that fit behind a colon."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator

from PIL import UnidentifiedImageError


class ImageError(Exception):
    """Why a file is not a usable photo, as a phrase that fits behind a colon."""


class AccessError(ImageError):
    """Why a file could not be read, whatever it holds."""


OUT_OF_MEMORY = "memory ran out while it was decoded; close other programs"
NO_FILE = "no regular file but a folder, a pipe or a device"
UNKNOWN = "not an image of a known format"
UNIDENTIFIED = "damaged, or of a variant that is not read"
"""Of a file whose first bytes are those of a known format, but of which Pillow takes nothing."""
UNKNOWN_SAMPLES = "its kind of samples is not read"
SIGNED_SAMPLES = (
    "its samples are numbers with a sign, which do not say what is black and what is white; save it"
    " with unsigned samples of 16 bits, 0 for black and 65535 for white"
)


def no_image(data: bytes) -> ImageError:
    """Return what to raise for a file whose content is of no kind that is read."""
    return ImageError(UNKNOWN if data else "an empty file")


def is_of_unknown_samples(error: ImageError) -> bool:
    """Whether Pillow has refused a TIFF's page by its tags, before it read samples.

    Of a first page it says that it identifies nothing, of others that it does not know the mode.
    """
    return isinstance(error.__cause__, UnidentifiedImageError | SyntaxError)


@contextlib.contextmanager
def decoding() -> Iterator[None]:
    """Turn every error of a decoder into :class:`ImageError`, and keep its warnings silent."""
    try:
        # Of odd metadata, for example: what is wrong with a photo is said by an error.
        with _without_warnings():
            yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(OUT_OF_MEMORY) from error
    except FileNotFoundError as error:
        raise AccessError("the file is not there") from error
    except PermissionError as error:
        raise AccessError("the file may not be read") from error
    except UnidentifiedImageError as error:
        raise ImageError(UNIDENTIFIED) from error
    # Decoders raise whatever untrusted bytes drive them to: SyntaxError, struct.error, IndexError,
    # zlib.error and more have been seen.
    except Exception as error:
        raise ImageError(f"damaged ({_said_by(error)})") from error


_counting = threading.Lock()
_silenced = 0
"""Blocks that Python's warnings are silent for, in all threads."""
_silence = contextlib.ExitStack()


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Ignore Python's warnings until the last of all threads has left such a block.

    Their filters are the whole process's. If each thread put back what it found, those of another
    could come back too early, or stay for good.
    """
    global _silenced  # noqa: PLW0603 - so are the filters
    with _counting:
        if not _silenced:
            _silence.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        _silenced += 1
    try:
        yield
    finally:
        with _counting:
            _silenced -= 1
            if not _silenced:
                _silence.close()


def _said_by(error: Exception) -> str:
    """Return the message of a decoder on one line; LibRaw's is of bytes."""
    first = error.args[0] if error.args else ""
    text = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(error)
    return " ".join(text.split())
