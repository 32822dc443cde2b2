"""Published defects that change a number, their corrections, and the protocols with them.

The protocols that reproduce published numbers name the defects they carry; `docs/errata.md` is
written from here by `docs/write_errata.py`.
"""

from __future__ import annotations

from clearbench.evaluation.errata import (
    clear_metrics,
    clear_paper,
    clear_training,
    clear_vision,
    openunlearning,
    others,
)
from clearbench.evaluation.errata.erratum import Erratum

#: Defects by subject, in the order of the ids.
SUBJECTS: dict[str, tuple[Erratum, ...]] = {
    "CLEAR: measuring": clear_metrics.ERRATA,
    "CLEAR: training on text and both": clear_training.ERRATA,
    "CLEAR: vision": clear_vision.ERRATA,
    "CLEAR: the paper": clear_paper.ERRATA,
    "OpenUnlearning": openunlearning.ERRATA,
    "Others": others.ERRATA,
}
ERRATA = tuple(erratum for subject in SUBJECTS.values() for erratum in subject)


def errata(*ids: str) -> dict[str, Erratum]:
    """Returns the defects by id; all of them without ids."""
    return {erratum.id: erratum for erratum in ERRATA if not ids or erratum.id in ids}


def carried(protocol: str) -> dict[str, Erratum]:
    """Returns the defects that a protocol reproduces."""
    return {erratum.id: erratum for erratum in ERRATA if protocol in erratum.carried_by}
