"""XMP packets: what is taken out of them because it shows the old picture, and what is added.

A packet that needs no change is never touched. Source: ISO 16684-1; for gain maps Google's Ultra
HDR format 1.1; for the label IPTC Photo Metadata 2025.1.
"""

from __future__ import annotations

import hashlib
import io
import re
from xml.etree import ElementTree

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META = "adobe:ns:meta/"
_NOTE = "http://ns.adobe.com/xmp/note/"
_IPTC_EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_EXTENDED = f"{{{_NOTE}}}HasExtendedXMP"

GUESSED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's digital source type of a photo that a trained network has added to."""

# Namespaces of gain maps and of the directory of the pictures behind the first, with its parts;
# thumbnails; depth maps and the like, which are pictures as well.
_OLD_PICTURES = (
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/dd/1.0/device/",
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/depthmap/",
)
_THUMBNAILS = "{http://ns.adobe.com/xap/1.0/}Thumbnails"
_ORIENTATION = "{http://ns.adobe.com/tiff/1.0/}Orientation"
_SUSPECT = re.compile(b"Thumbnails|" + b"|".join(re.escape(uri.encode()) for uri in _OLD_PICTURES))

_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'.encode()
_END = b'\n<?xpacket end="w"?>'


def without_old_pictures(packet: bytes) -> bytes:
    """Take out thumbnails, gain maps and links to further pictures; a damaged packet stays."""
    if not _SUSPECT.search(packet):
        return packet
    tree = _parsed(packet)
    if tree is None:
        return packet
    for description in tree.iter(f"{{{RDF}}}Description"):
        for name in [name for name in description.attrib if _is_old_picture(name)]:
            del description.attrib[name]
        for child in [child for child in description if _is_old_picture(child.tag)]:
            description.remove(child)
    return _packet(tree)


def _is_old_picture(name: str) -> bool:
    return name == _THUMBNAILS or name.startswith(tuple(f"{{{uri}}}" for uri in _OLD_PICTURES))


def upright(packet: bytes) -> bytes:
    """Take out how the picture is turned, if it is; a damaged packet stays."""
    tree = _parsed(packet) if b"Orientation" in packet else None
    descriptions = [] if tree is None else list(tree.iter(f"{{{RDF}}}Description"))
    said = {one.get(_ORIENTATION, one.findtext(_ORIENTATION)) for one in descriptions}
    if tree is None or said <= {None, "1"}:
        return packet
    for description in descriptions:
        _remove(description, _ORIENTATION)
    return _packet(tree)


def labeled(packet: bytes | None, software: str, version: str) -> bytes:
    """Add that the colors are a guess, and whose."""
    tree = _parsed(packet) if packet else None
    if tree is None:
        tree = ElementTree.Element(f"{{{_META}}}xmpmeta")
        ElementTree.SubElement(tree, f"{{{RDF}}}RDF")
    rdf = _rdf_of(tree)
    if rdf is None:
        rdf = ElementTree.SubElement(tree, f"{{{RDF}}}RDF")
    ElementTree.register_namespace("Iptc4xmpExt", _IPTC_EXT)
    new = {
        f"{{{_IPTC_EXT}}}DigitalSourceType": GUESSED,
        f"{{{_IPTC_EXT}}}AISystemUsed": software,
        f"{{{_IPTC_EXT}}}AISystemVersionUsed": version,
    }
    about = ""
    for description in rdf.findall(f"{{{RDF}}}Description"):
        about = description.get(f"{{{RDF}}}about", about)
        for name in new:
            _remove(description, name)
    label = ElementTree.SubElement(rdf, f"{{{RDF}}}Description", {f"{{{RDF}}}about": about})
    for name, value in new.items():
        ElementTree.SubElement(label, name).text = value
    return _packet(tree)


def split(packet: bytes, most: int) -> tuple[bytes, bytes, bytes]:
    """Divide a packet that is too long for a JPEG's segment (XMP part 3, 1.1.3.1).

    Returns:
        The packet for the segment; the digest that it names the rest by; and the rest. The last two
        are empty if all of it fits.
    """
    tree = _parsed(packet) if len(packet) > most else None
    if tree is None:
        return packet, b"", b""
    rest = ElementTree.tostring(tree, "utf-8")
    digest = hashlib.md5(rest, usedforsecurity=False).hexdigest().upper().encode()
    ElementTree.register_namespace("xmpNote", _NOTE)
    main = ElementTree.Element(f"{{{_META}}}xmpmeta")
    rdf = ElementTree.SubElement(main, f"{{{RDF}}}RDF")
    ElementTree.SubElement(
        rdf, f"{{{RDF}}}Description", {f"{{{RDF}}}about": "", _EXTENDED: digest.decode()}
    )
    return _packet(main), digest, rest


def joined(packet: bytes, rest: bytes) -> bytes:
    """Undo :func:`split`; of a damaged rest nothing is taken."""
    main, more = _parsed(packet), _parsed(rest)
    if main is None or more is None:
        return packet
    rdf, rest_rdf = _rdf_of(main), _rdf_of(more)
    if rdf is None:
        return packet
    for description in rdf.findall(f"{{{RDF}}}Description"):
        _remove(description, _EXTENDED)
        if not len(description) and not set(description.attrib) - {f"{{{RDF}}}about"}:
            rdf.remove(description)
    rdf.extend([] if rest_rdf is None else rest_rdf.findall(f"{{{RDF}}}Description"))
    return _packet(main)


def _rdf_of(tree: ElementTree.Element) -> ElementTree.Element | None:
    """Return the element that holds the descriptions; None where there is none."""
    return tree if tree.tag == f"{{{RDF}}}RDF" else tree.find(f".//{{{RDF}}}RDF")


def _remove(description: ElementTree.Element, name: str) -> None:
    """Remove a property, which XMP has as an attribute or as an element."""
    description.attrib.pop(name, None)
    for child in description.findall(name):
        description.remove(child)


def _parsed(packet: bytes) -> ElementTree.Element | None:
    """Parse a packet, with its own prefixes for namespaces; None if it is damaged."""
    text = packet.strip(b"\0 \t\r\n")
    # No packet has a document type; one made to exhaust memory by its entities has.
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        return None
    try:
        root = None
        for event, item in ElementTree.iterparse(io.BytesIO(text), ("start-ns", "start")):
            if event == "start-ns":
                prefix, uri = item
                if prefix and not re.fullmatch(r"ns\d+", prefix):
                    ElementTree.register_namespace(prefix, uri)
            elif root is None:
                root = item
    except (ElementTree.ParseError, ValueError):
        return None
    return root


def _packet(tree: ElementTree.Element) -> bytes:
    ElementTree.register_namespace("x", _META)
    ElementTree.register_namespace("rdf", RDF)
    return b"".join((_BEGIN, ElementTree.tostring(tree, "utf-8"), _END))
