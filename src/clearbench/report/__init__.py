"""Renders the report of a run: tables, plots, one self-contained page, and a terminal summary.

The package has the name of the function `clearbench.report`, in whose place Python puts it once a
part of it is imported. So it can be called like that function.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from clearbench.report.html import report

        return report(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
