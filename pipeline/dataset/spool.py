"""Rows of a cleaning that wait for the last decision, in a file if they are many."""

from __future__ import annotations

import contextlib
import dataclasses
import marshal
import operator
import struct
import tempfile
from collections.abc import Iterator
from typing import IO

from pipeline.dataset.filters import CleanRow

HELD = 1 << 23
"""Bytes that wait in memory; more go to a file."""

BLOCK = 256
"""Rows written and read at a time: a call for each would take longer than all else."""

_LENGTH = struct.Struct("=Q")
"""Before each block: its bytes."""

# As plain tuples, which this process alone reads again: half of pickle's time.
_values_of = operator.attrgetter(*(field.name for field in dataclasses.fields(CleanRow)))


@contextlib.contextmanager
def spooling() -> Iterator[Spool]:
    """Give an empty spool, which is there as long as the block."""
    with tempfile.SpooledTemporaryFile(max_size=HELD) as file:
        yield Spool(file)


class Spool:
    """A list of rows in ``file``: first filled, then gone through as often as one likes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._block: list[tuple[object, ...]] = []

    def append(self, row: CleanRow) -> None:
        """Add a row behind the others."""
        self._block.append(_values_of(row))
        if len(self._block) == BLOCK:
            self._write()

    def _write(self) -> None:
        block = marshal.dumps(self._block)
        self._file.write(_LENGTH.pack(len(block)) + block)
        self._block = []

    def __iter__(self) -> Iterator[CleanRow]:
        if self._block:
            self._write()
        self._file.seek(0)
        while head := self._file.read(_LENGTH.size):
            # Of a file marshal would ask byte by byte.
            for values in marshal.loads(self._file.read(*_LENGTH.unpack(head))):
                yield CleanRow(*values)
