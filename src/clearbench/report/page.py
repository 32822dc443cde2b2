"""Reads the templates of pages: text is escaped, and only our own files become part of a page."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"


def inline(name: str) -> Markup:
    """Reads a file of our own that becomes part of the page unchanged."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8").strip())  # noqa: S704


def templates() -> Environment:
    """Makes the environment of the templates, in which every text is escaped."""
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
