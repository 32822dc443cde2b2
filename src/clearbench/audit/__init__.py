"""Audits a model that somebody hands over: what it knows, what attacks recover, what it lost.

The package has the name of the function `clearbench.audit`, in whose place Python puts it once a
part of it is imported. So it can be called like that function.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from clearbench.audit.run import audit

        return audit(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
