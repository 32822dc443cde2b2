"""Reads the media of a row: a path inside a folder, encoded bytes, or a data address."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from PIL import Image

from clearbench.data.media import EncodedImage, Media

#: Largest file that is read, in bytes.
LARGEST_FILE = 500_000_000
_DATA = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,", re.ASCII)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def read_media(value: Any, kind: type[Media], folder: Path) -> Media:
    """Returns the media that a row names or holds.

    Args:
        value: A path inside the folder, `data:...;base64,` text, encoded bytes, a mapping with
            `bytes` or `path`, an image of Pillow, or a list with one of these.
        kind: Class of the media.
        folder: Folder that paths are relative to and may not leave.

    Raises:
        ValueError: It is none of these, the file is not there, or the content is not of the kind.
    """
    if isinstance(value, list | tuple):
        if len(value) != 1:
            raise ValueError(f"{len(value)} files; a row has one at most")
        return read_media(value[0], kind, folder)
    if isinstance(value, Mapping):
        held = value.get("bytes")
        return read_media(value.get("path") if held is None else held, kind, folder)
    if isinstance(value, Media):
        return value
    if isinstance(value, Image.Image) and issubclass(kind, EncodedImage):
        return kind.of(value)
    if isinstance(value, bytes | bytearray):
        return kind(encoded=bytes(value))
    if not isinstance(value, str):
        raise ValueError("give the path of a file, or encoded bytes")
    if (start := _DATA.match(value)) is not None:
        try:
            return kind(encoded=base64.b64decode(value[start.end() :], validate=True))
        except binascii.Error as error:
            raise ValueError(f"is no base64: {error}") from error
    return kind(encoded=_content(value, folder))


def _content(name: str, folder: Path) -> bytes:
    """Reads a file inside a folder; links that lead out are refused."""
    if _ADDRESS.match(name):
        raise ValueError("is an address; give the path of a file here")
    windows = PureWindowsPath(name)
    path = folder / name
    if "\\" in name and not path.exists():
        path = folder.joinpath(*windows.parts)
    if windows.is_absolute() or windows.drive or Path(name).is_absolute() or ".." in windows.parts:
        raise ValueError(f"give a path inside the folder of pictures ({folder})")
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(folder.resolve()):
            raise ValueError(f"leads out of the folder of pictures ({folder})")
        if not real.is_file():
            raise ValueError("is no file")
        if real.stat().st_size > LARGEST_FILE:
            raise ValueError(f"is larger than {LARGEST_FILE:,} bytes")
        return real.read_bytes()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot be read ({path}): {reason}") from error
