"""Finds pictures that break off though their decoder says nothing."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

#: A marker of JPEG that ends coded data: not a stuffed zero, not a restart.
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
_END, _SCAN, _START = 0xD9, 0xDA, 0xD8
#: Bytes that a decoder would read on with, if it still wanted any.
_FURTHER = b"\x5a\x3c\xa5" * 1000
#: Passes of an interlaced PNG: first column and row, and the steps between them.
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
#: Channels by colour type of PNG.
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def breaks_off(encoded: bytes, image: Image.Image) -> bool:
    """Whether a JPEG or PNG that Pillow decodes lacks some of its pixels.

    A JPEG that breaks off before an end marker is filled with grey; one that is whole decodes to
    the same pixels with further bytes in front of that marker. A PNG holds too few lines.
    """
    if image.format in ("JPEG", "MPO"):
        end = _end_of_jpeg(encoded)
        longer = encoded[:end] + _FURTHER + encoded[end:]
        return _quick_pixels(encoded) != _quick_pixels(longer)
    return image.format == "PNG" and _lacks_lines(encoded)


def _end_of_jpeg(encoded: bytes) -> int:
    """Returns the place of the end marker, outside segments such as a preview's."""
    place = 0
    while (found := _MARKER.search(encoded, place)) is not None:
        kind, place = found[1][0], found.end()
        if kind == _END:
            return found.start()
        if kind not in (_START, 0x01) and place + 2 <= len(encoded):
            place += int.from_bytes(encoded[place : place + 2], "big")
    return len(encoded)


def _quick_pixels(encoded: bytes) -> bytes:
    """Decodes a JPEG, in an eighth of its size where that needs no less of the file."""
    with Image.open(io.BytesIO(encoded), formats=("JPEG",)) as image:
        if not image.info.get("progressive"):
            image.draft("L", (1, 1))
        return image.tobytes()


def _lacks_lines(encoded: bytes) -> bool:
    header, data = b"", []
    for kind, content in _chunks(encoded):
        if kind == b"IHDR":
            header = content
        elif kind == b"IDAT":
            data.append(content)
    wanted = _size_of_lines(*struct.unpack(">IIBBBBB", header))
    try:
        lines = zlib.decompressobj().decompress(b"".join(data), wanted)
    except zlib.error:
        return True
    return len(lines) < wanted


def _chunks(encoded: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place + 8 <= len(encoded):
        length, kind = struct.unpack(">I4s", encoded[place : place + 8])
        yield kind, encoded[place + 8 : place + 8 + length]
        place += length + 12


def _size_of_lines(
    width: int, height: int, bits: int, color: int, _method: int, _filter: int, interlaced: int
) -> int:
    """Computes the bytes of all lines of a PNG: a filter byte each, pixels filled up to bytes."""
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, lines = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and lines > 0:
            total += lines * (1 + -(-columns * bits * _CHANNELS[color] // 8))
    return total
