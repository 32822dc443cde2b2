"""Names the base that ships, and finds its folder."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

#: Source of the base in recipes and on the command line.
BUILTIN = "builtin"


def base_folder() -> Path:
    """Returns the folder of the shipped base."""
    return Path(str(files("clearbench.builtin"))) / "base"
