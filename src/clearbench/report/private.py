"""Removes from the page what identifies the machine, and what is no image."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_IMAGES = {"/9j/": "jpeg", "iVBOR": "png", "UklGR": "webp"}
_PRIVATE = {
    *("host", "hostname", "node", "user", "username", "home", "cwd", "path", "folder", "dir"),
    *("directory", "prefix", "executable", "out", "ip", "address"),
}
_PATH = re.compile(r"(?:(?<![\w.:/])(?:~|[A-Za-z]:)?[\\/]|file://)(?:[^\s'\"\\/:,;]+[\\/])+")


def image(encoded: str | None) -> str | None:
    """Builds a data address for a base64 image; None for anything else."""
    if not encoded or not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", encoded):
        return None
    kinds = (kind for start, kind in _IMAGES.items() if encoded.startswith(start))
    kind = next(kinds, None)
    return f"data:image/{kind};base64,{encoded}" if kind else None


def without_paths(text: str) -> str:
    """Replaces every file path in a text by its name."""
    return _PATH.sub("", text)


def public_facts(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flattens an environment, leaving out names of machines, users and folders."""
    for key, value in facts.items():
        if _PRIVATE & set(re.split(r"[^a-z]+", str(key).lower())):
            continue
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from public_facts(value, f"{name} · ")
        elif value not in (None, "", [], {}):
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            yield name, without_paths(text)
