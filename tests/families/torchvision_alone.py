"""Lets torchvision be imported beside a torch that it was not built for.

PyPI's torchvision belongs to CUDA's torch; beside torch for CPUs its compiled operators are
missing, and its import asks for some of them by name. What image and video processors use is plain
Python and torch. pytest loads this first (`-p torchvision_alone`, see Makefile); it is no part of
the product, which asks for a torchvision that fits.
"""

from __future__ import annotations

import importlib
import re
import sys

import torch

_MISSING = re.compile(r"operator torchvision::(\w+) does not exist")


def _declare() -> torch.library.Library:
    """Imports torchvision, and declares the operators that it misses."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    while True:
        try:
            importlib.import_module("torchvision")
            return library
        except RuntimeError as error:
            missing = _MISSING.search(str(error))
            if missing is None:
                raise
            for name in [name for name in sys.modules if name.startswith("torchvision.")]:
                del sys.modules[name]
            sys.modules.pop("torchvision", None)
            library.define(f"{missing.group(1)}() -> ()")


LIBRARY = _declare()
