"""Attacks by U-LIRA as CLEAR's code computes it, defects included."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from clearbench.attacks.likelihood_ratio import Spread, spread
from clearbench.attacks.matches import CLEAR_TINY
from clearbench.attacks.shadow import OfMethod, ShadowAttack, Signal
from clearbench.attacks.signals import Design, Mask, Numbers, Signals
from clearbench.libraries import stats

#: Evidence of `never taught` that is next to none.
NEVER = -1e-12


class ULiraClearCode(
    ShadowAttack,
    name="u_lira_clear_code",
    title="U-LIRA as CLEAR's code",
    group="Membership attacks",
    needs=("records", "shadow_models"),
    reads=("answer", "holdout people", "shadow models' records"),
    paper="CLEAR, arXiv 2410.18057, cv/attack.py",
    erratum="E56, E57, E58",
    variants=(),
    shows=(
        "What CLEAR's script prints of the same models where every person has ten pictures or more "
        "and the rows are in the order of the people. Where a signal lies far from both kinds of "
        "shadow models it says `never taught`, however much nearer the taught ones are; enrolled "
        "pictures are attacked with templates that contain them. For comparison with published "
        "numbers; `u_lira` with `mad` and `halves` is the same rule without these defects."
    ),
):
    """Membership by N_in / (1e-45 + N_in + N_out), at one half, of clipped signals."""

    signal: ClassVar[Signal] = "clear_code"

    design: OfMethod = "halves"

    def evidence(self, signals: Signals, design: Design) -> tuple[Numbers, Mask]:
        """Computes the script's probability of `taught`, less one half."""
        shares, done = np.full(signals.values.shape, np.nan), np.zeros(signals.values.shape, bool)
        for attacked, shadows in signals.designed(design):
            inside = spread(signals.values, shadows & signals.taught, "mad")
            outside = spread(signals.values, shadows & ~signals.taught, "mad")
            densities = [_density(signals.values, each) for each in (inside, outside)]
            share = densities[0] / (CLEAR_TINY + densities[0] + densities[1])
            above = np.where(share == 0.5, NEVER, share - 0.5)  # the script asks for more than 0.5
            shares = np.where(attacked, above, shares)
            done |= attacked
        return shares, done


def _density(values: Numbers, fitted: Spread) -> Numbers:
    """Computes normal densities, which are 0 where they are too small for a number."""
    found: Numbers = stats.norm.pdf(values, fitted.centre, fitted.scale)
    return found
