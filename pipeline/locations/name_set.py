"""A set of names in eight bytes each: a storage may hold more than memory has room for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

_RECENT = 1 << 14
"""Names that are held as a plain set, at least, before they are sorted into the others."""


class NameSet:
    """Holds 64 bits of a hash of each name: of 10^8 names, one in 10^11 is taken for another."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._sorted = np.empty(0, np.uint64)
        self._recent = set[int]()
        for name in names:
            self.add(name)

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    def __contains__(self, name: str) -> bool:
        value = _hash(name)
        if value in self._recent:
            return True
        place = int(np.searchsorted(self._sorted, np.uint64(value)))
        return place < len(self._sorted) and int(self._sorted[place]) == value

    def add(self, name: str) -> None:
        """Add a name; one that is there already costs another eight bytes."""
        self._recent.add(_hash(name))
        if len(self._recent) > _RECENT + len(self._sorted) // 16:
            recent = np.fromiter(self._recent, np.uint64, len(self._recent))
            self._recent.clear()
            self._sorted = np.concatenate([self._sorted, recent])
            self._sorted.sort()


def _hash(name: str) -> int:
    digest = hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
