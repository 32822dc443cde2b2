"""Checks that an unlearning method keeps the contract, on tiny models."""

from __future__ import annotations

from collections.abc import Callable

from clearbench.batches.kind import Kind
from clearbench.methods.base import Method
from clearbench.testing.bench import Bench
from clearbench.testing.loss_checks import (
    accumulation_changes_nothing,
    batching_changes_nothing,
    finite_loss,
    finite_without_answers,
    lora_same_interface,
    reference_unchanged,
    terms_sum_to_total,
    zero_strength,
)
from clearbench.testing.run_checks import (
    described,
    deterministic,
    frozen_unchanged,
    moves_as_declared,
    refuses_bad_values,
    refuses_missing_retain,
    resumes,
    round_trip,
    saves_without_pickles,
)

_CHECKS: dict[str, Callable[[Bench], None]] = {
    "has an idea and a paper": described,
    "configuration round-trips YAML": round_trip,
    "refuses bad hyper-parameters by name": refuses_bad_values,
    "finite loss": finite_loss,
    "finite loss without answers": finite_without_answers,
    "refuses a missing retain set by name": refuses_missing_retain,
    "named terms sum to the logged loss": terms_sum_to_total,
    "reference unchanged": reference_unchanged,
    "frozen parameters unchanged": frozen_unchanged,
    "LoRA and full have one interface": lora_same_interface,
    "moves as declared": moves_as_declared,
    "zero strength is no term": zero_strength,
    "padding and order change nothing": batching_changes_nothing,
    "micro-batches change nothing": accumulation_changes_nothing,
    "deterministic under a seed": deterministic,
    "resumes to the same bytes": resumes,
    "saves without pickles": saves_without_pickles,
}
#: Checks of a loss: an edit or a guard has none.
_OF_A_LOSS = {
    finite_loss,
    finite_without_answers,
    terms_sum_to_total,
    reference_unchanged,
    lora_same_interface,
    zero_strength,
    batching_changes_nothing,
    accumulation_changes_nothing,
}


def checks(bench: Bench) -> dict[str, Callable[[Bench], None]]:
    """Returns the checks that apply to a method, by name."""
    return {n: c for n, c in _CHECKS.items() if bench.trains or c not in _OF_A_LOSS}


def check_method(cls: type[Method], kind: Kind | None = None) -> list[str]:
    """Checks a method on tiny models of every kind it claims, or of one.

    Returns:
        Names of the checks, all passed.

    Raises:
        AssertionError: The first check that fails, with check, method and kind.
    """
    if kind is not None and kind not in cls.kinds:
        raise AssertionError(f"{cls.name} does not claim a {kind}")
    passed: dict[str, None] = {}
    for claimed in (kind,) if kind else cls.kinds:
        bench = Bench(cls, claimed)
        for name, check in checks(bench).items():
            try:
                check(bench)
            except Exception as error:
                raise AssertionError(f"{name}: {cls.name} on a {claimed}: {error}") from error
            passed[name] = None
    return list(passed)
