"""Contract checks for methods, metrics and attacks, on models and data of a few kilobytes.

    from clearbench.testing import check_attack, check_method, check_metric
    check_method(MyMethod)

Each raises an `AssertionError` with the check, the class and the kind of model.
"""

from __future__ import annotations

from clearbench.builtin.tiny import tiny_model
from clearbench.testing.attacks import check_attack
from clearbench.testing.methods import check_method
from clearbench.testing.metrics import check_metric
from clearbench.testing.world import tiny_dataset

__all__ = ["check_attack", "check_method", "check_metric", "tiny_dataset", "tiny_model"]
