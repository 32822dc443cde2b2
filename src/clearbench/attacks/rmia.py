"""Attacks membership by likelihoods relative to few references and a population (RMIA)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from clearbench.attacks.relative_likelihood import relative_likelihoods
from clearbench.attacks.shadow import ShadowAttack, Signal
from clearbench.attacks.signals import Design, Mask, Numbers, Signals


class Rmia(
    ShadowAttack,
    name="rmia",
    title="RMIA",
    group="Membership attacks",
    needs=("records", "shadow_models"),
    reads=("answer", "holdout people", "records of models that were never taught the person"),
    paper="Zarifzadeh, Liu and Shokri 2024, arXiv 2312.03262",
    shows=(
        "How many rows of people never seen a model makes likelier, against few reference models, "
        "than a forgotten person's. The best attack with one to four references; it has no "
        "threshold of its own, so no accuracy."
    ),
):
    """Membership by relative likelihood.

    Attributes:
        slope: How a row's general probability grows with the references' mean.
        factor: How many times as likely as a row of the population a row has to be.
    """

    signal: ClassVar[Signal] = "log_prob"
    decides: ClassVar[bool] = False

    slope: float = Field(default=1.0, ge=0, le=1)
    factor: float = Field(default=1.0, gt=0)

    def evidence(self, signals: Signals, design: Design) -> tuple[Numbers, Mask]:
        """Computes the share of the population that a row beats."""
        found = relative_likelihoods(signals, self.slope, self.factor, design)
        return found, ~np.isnan(found)
