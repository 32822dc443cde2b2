"""Attacks by the ratio of two likelihoods, learned from shadow models: U-LIRA, LiRA offline."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from clearbench.attacks.likelihood_ratio import Estimator, log_ratios, spread
from clearbench.attacks.shadow import ShadowAttack
from clearbench.attacks.signals import Design, Mask, Numbers, Signals
from clearbench.evaluation.measure import Case
from clearbench.libraries import stats


class ULira(
    ShadowAttack,
    name="u_lira",
    title="U-LIRA",
    group="Membership attacks",
    needs=("records", "shadow_models"),
    reads=("answer", "holdout people", "shadow models' records"),
    paper="Hayes et al. 2024, arXiv 2403.01218; CLEAR, arXiv 2410.18057",
    shows=(
        "Whether a model's answers on a person look like those of models that were taught the "
        "person and made to forget, or like those of models that never saw the person. The "
        "strongest of these attacks row by row; it needs models for both cases. With models that "
        "were not made to forget it is LiRA."
    ),
    cases={
        "mad": Case(title="median and MAD"),
        "standard": Case(title="standard deviations"),
        "pooled": Case(title="one variance"),
    },
):
    """Membership by the log-ratio of a signal's likelihoods among two kinds of shadow models.

    CLEAR's own numbers are those of `estimator="mad", design="halves"`.

    Attributes:
        estimator: Estimator of centre and spread from few models, see `log_ratios`.
    """

    estimator: Estimator = "moderated"

    def evidence(self, signals: Signals, design: Design) -> tuple[Numbers, Mask]:
        """Computes log p(signal | taught and forgotten) - log p(signal | never taught)."""
        return log_ratios(signals, self.estimator, design)


class LiraOffline(
    ShadowAttack,
    name="lira_offline",
    title="LiRA offline",
    group="Membership attacks",
    needs=("records", "shadow_models"),
    reads=("answer", "holdout people", "records of models that were never taught the person"),
    paper="Carlini et al. 2022, arXiv 2112.03570, section V.C",
    shows=(
        "Whether a person's answers are likelier than among models that never saw the person. It "
        "needs no shadow model of the method, and does not see answers that became too unlikely."
    ),
):
    """Membership by the chance that a model that was never taught a row has a smaller signal.

    One-sided, as in the paper: a larger signal is always more evidence (errata E133).

    Attributes:
        estimator: Estimator of centre and spread from few models, see `log_ratios`.
    """

    decides: ClassVar[bool] = False

    estimator: Estimator = "moderated"

    def evidence(self, signals: Signals, design: Design) -> tuple[Numbers, Mask]:
        """Computes -log p(a model never taught has as large a signal)."""
        found, done = np.full(signals.values.shape, np.nan), np.zeros(signals.values.shape, bool)
        for attacked, shadows in signals.designed(design):
            never = spread(signals.values, shadows & ~signals.taught, self.estimator)
            standard = (signals.values - never.centre) / never.scale
            tails = -stats.t.logsf(standard, never.degrees)
            found = np.where(attacked, tails, found)
            done |= attacked
        return found, done
