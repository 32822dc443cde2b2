"""Attacks membership by one rule for all rows, learned from shadow models (U-MIA)."""

from __future__ import annotations

from clearbench.attacks.population import Rule, population_log_odds
from clearbench.attacks.shadow import ShadowAttack
from clearbench.attacks.signals import Design, Mask, Numbers, Signals
from clearbench.evaluation.measure import Case


class UMia(
    ShadowAttack,
    name="u_mia",
    title="U-MIA",
    group="Membership attacks",
    needs=("records", "shadow_models"),
    reads=("answer", "holdout people", "shadow models' records"),
    paper="Kurmanji et al. 2023, arXiv 2302.09880; Hayes et al. 2024, arXiv 2403.01218",
    shows=(
        "Whether one rule on the answer's probability, learned from shadow models, tells forgotten "
        "people from those never seen. It does not know which rows are easy for every model, so "
        "it understates what is left; where it and U-LIRA differ, believe U-LIRA."
    ),
    cases={"tree": Case(title="decision tree")},
    variants=({}, {"rule": "tree"}),
):
    """Membership by the log-odds of one classifier on the signals of all rows.

    Attributes:
        rule: Classifier.
    """

    rule: Rule = "logistic"

    def evidence(self, signals: Signals, design: Design) -> tuple[Numbers, Mask]:
        """Computes log p(taught | signal) - log p(never taught | signal)."""
        return population_log_odds(signals, self.rule, design)
