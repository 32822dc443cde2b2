"""Says when a claim counts as confirmed: rules that were fixed before any of its runs was made.

A claim is a few checks. All hold: `confirmed`. None: `not confirmed`. Else `mixed`. Some claims
have a check of the regime besides; where it fails, the claim is `not testable`, whatever the others
say. An interval is one of 95 % over seeds, of differences between runs that started from the same
original.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from claims.figures import FORGOTTEN, Measured, Setting, name_of, over_seeds, scientific

#: Nearer to gold than to the original: it forgot.
FORGETS = 0.5
#: What `clearbench` asks of the retain set; CLEAR greys rows under .4 of .51, which is .78.
KEEPS = 0.8
#: How much less may be forgotten and still count as the same.
MARGIN = 0.1
#: The L1 penalty of the paper.
PUBLISHED = {"reduce": "sum", "strength": 0.01}
#: Penalties that must save the retain set before L1 counts as doing so: one alone may be luck.
SAVING = 2
#: CLEAR's split of its methods; the others keep.
DESTROYERS = ("gradient_ascent", "gradient_difference", "kl_minimization", "rmu")
SINGLE = ("text", "image")


@dataclass(frozen=True)
class Check:
    """One thing that a claim says, or what must be so before it can be tested.

    Attributes:
        regime: Whether the claim is not testable where this does not hold.
    """

    says: str
    holds: bool
    regime: bool = False


def testable(checks: Sequence[Check]) -> bool:
    """Whether every check of the regime holds."""
    return all(check.holds for check in checks if check.regime)


def held(checks: Sequence[Check]) -> list[bool]:
    """Whether each thing that the claim says holds."""
    return [check.holds for check in checks if not check.regime]


def verdict(checks: Sequence[Check]) -> str:
    """All, none, or some, if the claim can be tested."""
    if not testable(checks):
        return "not testable"
    found = held(checks)
    return "confirmed" if all(found) else "mixed" if any(found) else "not confirmed"


def l1_effect(with_l1: Setting, without: Setting) -> str:
    """What a penalty did: it `saves` what was lost if as much is forgotten, within MARGIN."""
    kept, forgotten = (with_l1.less(without, name) for name in ("kept", "forgotten"))
    if not kept.above_zero:
        return "keeps less" if kept.below_zero else "no sure difference"
    if forgotten.below_zero:
        return "holds back"
    lost, safe = (setting.estimate("kept").mean for setting in (without, with_l1))
    saves = lost < KEEPS <= safe and forgotten.low > -MARGIN
    return "saves" if saves else "keeps more"


def l1_effects(measured: Measured, rank: int | None) -> Iterator[tuple[Setting, str]]:
    """Every setting of an arm with L1, and what L1 did."""
    without = measured.find(rank=rank, strength=0.0)
    for setting in measured.all(rank=rank):
        if setting is not without:
            yield setting, l1_effect(setting, without)


def l1_checks(measured: Measured) -> list[Check]:
    """An L1 penalty on LoRA weights saves the retain set, if LoRA without one loses it."""
    rank = next(rank for rank in measured.taken("rank") if rank is not None)
    effects = list(l1_effects(measured, rank))
    saving = [setting for setting, effect in effects if effect == "saves"]
    published = measured.find(rank=rank, **PUBLISHED)
    without = measured.find(rank=rank, strength=0.0)
    return [
        Check(
            "regime: LoRA without L1 loses the retain set with every seed",
            destroys(without),
            regime=True,
        ),
        Check("the published penalty on LoRA weights saves the retain set", published in saving),
        Check(
            f"{SAVING} or more of the {len(effects)} penalties on LoRA weights do",
            len(saving) >= SAVING,
        ),
    ]


def both_beats(both: Setting, single: Setting) -> bool:
    """Nearer to gold over both tracks, and on neither track farther, nor less kept."""
    farther = (both.less(single, f"distance.{track}").above_zero for track in FORGOTTEN)
    nearer = both.less(single, "distance").below_zero
    return nearer and not any(farther) and not both.less(single, "kept").below_zero


def both_checks(measured: Measured) -> list[Check]:
    """Forgetting both modalities beats forgetting one."""
    return [
        Check(
            f"{name_of(method)}: both beats {single} alone",
            both_beats(
                measured.find(method=method, modality="both"),
                measured.find(method=method, modality=single),
            ),
        )
        for method in measured.taken("method")
        for single in SINGLE
    ]


def forgets(setting: Setting) -> bool:
    """With every seed."""
    return all(value >= FORGETS for value in setting.values("forgotten"))


def forgets_little(setting: Setting) -> bool:
    """With every seed."""
    return all(value < FORGETS for value in setting.values("forgotten"))


def keeps(setting: Setting) -> bool:
    """With every seed."""
    return all(value >= KEEPS for value in setting.values("kept"))


def destroys(setting: Setting) -> bool:
    """With every seed."""
    return all(value < KEEPS for value in setting.values("kept"))


def as_said(setting: Setting) -> bool:
    """Whether a method does what CLEAR says of it, with every seed."""
    if setting.about["method"] in DESTROYERS:
        return forgets(setting) and destroys(setting)
    return keeps(setting) and forgets_little(setting)


def destroy_checks(measured: Measured) -> list[Check]:
    """KL, GD, GA and RMU forget and destroy, the others keep and forget little."""
    checks = []
    for rate in measured.taken("rate"):
        settings = list(measured.all(rate=rate))
        right = sum(map(as_said, settings))
        says = f"at rate {scientific(rate)} all methods do as said ({right} of {len(settings)} do)"
        checks.append(Check(says, right == len(settings)))
    return checks


def slopes(measured: Measured, name: str) -> list[float]:
    """For each seed, the least-squares change of a figure by doubling lambda (0 left out)."""
    settings = [setting for setting in measured.settings if setting.about["retain_weight"] > 0]
    doublings = [math.log2(setting.about["retain_weight"]) for setting in settings]
    middle = sum(doublings) / len(doublings)
    spread = sum((x - middle) ** 2 for x in doublings)
    by_seed = zip(*(setting.values(name) for setting in settings), strict=True)
    return [
        sum((x - middle) * y for x, y in zip(doublings, values, strict=True)) / spread
        for values in by_seed
    ]


def lambda_checks(measured: Measured) -> list[Check]:
    """Lambda trades forgetting for keeping."""
    kept, forgotten = (over_seeds(slopes(measured, name)) for name in ("kept", "forgotten"))
    return [
        Check(f"doubling lambda keeps more ({kept.mean:+.3f})", kept.above_zero),
        Check(f"doubling lambda forgets less ({forgotten.mean:+.3f})", forgotten.below_zero),
    ]
