"""Photoshop's image resources, in which JPEG and TIFF hold captions.

Source: Adobe Photoshop File Formats Specification (2019), section "Image Resource Blocks".
"""

from __future__ import annotations

import struct

HEAD = b"Photoshop 3.0\0"
"""What stands before the resources in a JPEG."""
IPTC = 1028
_THUMBNAILS = frozenset({1033, 1036})
_OF_OLD_SAMPLES = frozenset({1039, 1022, 1026})
"""The ICC profile, which stands elsewhere, and what belongs to layers and old clippings."""
_SIGNATURES = frozenset({b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR"})

Resources = list[tuple[bytes, int, bytes, bytes]]
"""Signature, number, name with its length, and data of each."""


def read(block: bytes) -> Resources | None:
    """Return the resources of a block; None if it is damaged."""
    found: Resources = []
    at = 0
    while at + 12 <= len(block):
        signature = block[at : at + 4]
        (number,) = struct.unpack_from(">H", block, at + 4)
        named = 1 + block[at + 6]
        named += named % 2
        (length,) = struct.unpack_from(">I", block.ljust(at + 10 + named, b"\0"), at + 6 + named)
        start = at + 10 + named
        if signature not in _SIGNATURES or start + length > len(block):
            return None
        found.append(
            (signature, number, block[at + 6 : at + 6 + named], block[start : start + length])
        )
        at = start + length + length % 2
    return found


def write(resources: Resources) -> bytes:
    """Return the block of some resources."""
    return b"".join(
        signature
        + struct.pack(">H", number)
        + name
        + struct.pack(">I", len(data))
        + data
        + bytes(len(data) % 2)
        for signature, number, name, data in resources
    )


def without_old_picture(block: bytes) -> bytes:
    """Return a block without its thumbnails; a damaged one comes back as it is."""
    gone = _THUMBNAILS | _OF_OLD_SAMPLES
    resources = read(block)
    if resources is None:
        return block
    return write([one for one in resources if one[1] not in gone])


def split(block: bytes) -> tuple[bytes | None, bytes | None]:
    """Return IPTC's records and the block of the other resources; None for what is not there."""
    resources = read(without_old_picture(block))
    if resources is None:
        return None, block
    iptc = next((data for _, number, _, data in resources if number == IPTC), None)
    others = [one for one in resources if one[1] != IPTC]
    return iptc, write(others) if others else None


def joined(iptc: bytes | None, others: bytes | None) -> bytes:
    """Undo :func:`split`."""
    own = write([(b"8BIM", IPTC, b"\0\0", iptc)]) if iptc else b""
    return own + (others or b"")
