"""Names libraries that compute, each imported when it is first used.

To list methods, or to find that nothing is left to do, takes none of them: their import is most of
what such a command would cost.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

__all__ = [
    "functional", "linalg", "optimize", "pa", "pd", "pq", "sparse", "special", "stats", "torch",
]  # fmt: skip

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Deferred(ModuleType):
    """A module that is imported when one of its names is first read.

    Args:
        name: Full name of the module.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch
    from scipy import linalg, optimize, sparse, special, stats
    from torch.nn import functional
else:
    pa, pq = map(Deferred, ("pyarrow", "pyarrow.parquet"))
    pd, torch, functional = map(Deferred, ("pandas", "torch", "torch.nn.functional"))
    linalg, optimize, sparse = map(Deferred, ("scipy.linalg", "scipy.optimize", "scipy.sparse"))
    special, stats = map(Deferred, ("scipy.special", "scipy.stats"))


def without_gradient(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Wraps a function so that nothing it computes has a gradient, as `torch.no_grad()` does."""

    @functools.wraps(function)
    def run(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        with torch.no_grad():
            return function(*args, **options)

    return run
