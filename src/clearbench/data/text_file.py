"""Reads text files as UTF-8, with or without a byte order mark, and says what other files are."""

from __future__ import annotations

from pathlib import Path

from clearbench.errors import DataError

#: First bytes of files that people give by mistake, and what these are.
_OTHERS = {
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"\x1f\x8b": "compressed by gzip",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"SQLite": "a database",
    b"\x80": "a pickle or other binary file",
}
#: What failed downloads leave in a file's place, with what to do; all in small letters.
_INSTEAD = (
    (b"version https://git-lfs", "a pointer of Git LFS", "get the file itself: `git lfs pull`"),
    (b"<!doctype html", "a web page", "download the file itself, not the page about it"),
    (b"<html", "a web page", "download the file itself, not the page about it"),
    (b"<?xml", "XML", "give the rows as JSON, CSV or Parquet"),
)
_MARK = b"\xef\xbb\xbf"


def read_text(path: Path, fix: str = "save it as UTF-8 text") -> str:
    r"""Returns a file's text, without the mark at its start and with `\n` for every line end.

    Args:
        path: The file.
        fix: Correction that is proposed where it is not UTF-8.

    Raises:
        DataError: It cannot be read, or is no UTF-8 text; the message says what it is.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        what = "it is a folder" if path.is_dir() else error
        raise DataError(f"cannot read: {what}", str(path), "give a file") from error
    begins = content[:64].removeprefix(_MARK).lstrip().lower()
    for first, instead, remedy in _INSTEAD:
        if begins.startswith(first):
            raise DataError(f"cannot read: the file is {instead}", str(path), remedy)
    kind = next((kind for first, kind in _OTHERS.items() if content.startswith(first)), None)
    if kind is None and b"\0" in content[:4096]:
        kind = "UTF-16 text without its mark, or a binary file"
    if kind is not None:
        raise DataError(f"cannot read: the file is {kind}", str(path), fix)
    try:
        text = content.removeprefix(_MARK).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"cannot read: the byte {content[error.start]:#04x} on line {line} is no UTF-8"
        hint = f"{fix}; it may be in Windows-1252 or another 8-bit code"
        raise DataError(what, str(path), hint) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
