"""Hashes the files that draw a page."""

from __future__ import annotations

from pathlib import Path

from clearbench.storage import content_hash, sha256_file

#: Endings of files that draw a page.
_DRAWING = (".py", ".j2", ".js", ".css")


def page_code() -> str:
    """Hashes the files that draw a page, which are named in it."""
    root = Path(__file__).parent
    files = sorted(path for path in root.rglob("*") if path.suffix in _DRAWING)
    named = [[path.relative_to(root).as_posix(), sha256_file(path)] for path in files]
    return content_hash(named)[:16]
