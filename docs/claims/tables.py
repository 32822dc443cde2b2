"""The tables of docs/claims.md, one row a setting."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from claims import rules
from claims.figures import FORGOTTEN, Measured, Setting, Values, name_of, scientific
from claims.plots import ARMS


def l1(found: Measured) -> Iterator[str]:
    """Every penalty in every arm, and what it did."""
    yield from _head("weights", "L1", "kept", "forgotten", "garbage", "the penalty")
    for rank in found.each("rank"):
        effects = {id(setting): effect for setting, effect in rules.l1_effects(found, rank)}
        for each in found.all(rank=rank):
            penalty = f"{each.about['reduce']}, {scientific(each.about['strength'])}"
            cells = [ARMS[rank is not None], penalty if id(each) in effects else "none"]
            cells += _cells(each, "kept", "forgotten", "garbage")
            yield _row(each, *cells, effects.get(id(each), ""))


def both(found: Measured) -> Iterator[str]:
    """Every method for every modality, on both tracks."""
    names = [f"{name}.{track}" for name in ("forgotten", "distance") for track in FORGOTTEN]
    yield from _head("method", "forgets", *(n.replace(".", ", ") for n in names), "kept", "KS p")
    for each in found.settings:
        cells = [name_of(each.about["method"]), each.about["modality"]]
        powers = [_powers(each.values(f"ks.{track}")) for track in FORGOTTEN]
        yield _row(each, *cells, *_cells(each, *names, "kept"), " / ".join(powers))


def destroy(found: Measured) -> Iterator[str]:
    """Every method at every rate, and whether it does as said."""
    yield from _head(
        "method", "rate", "kept", "forgotten", "garbage", "forgets", "keeps", "as said"
    )
    for each in found.settings:
        cells = [name_of(each.about["method"]), scientific(each.about["rate"])]
        cells += _cells(each, "kept", "forgotten", "garbage")
        cells += [_always(rules.forgets, rules.forgets_little, each)]
        cells += [_always(rules.keeps, rules.destroys, each)]
        yield _row(each, *cells, "yes" if rules.as_said(each) else "no")


def lambdas(found: Measured) -> Iterator[str]:
    """Every lambda."""
    yield from _head("lambda", "kept", "forgotten", "distance", "garbage", "forgets and keeps")
    for each in found.settings:
        cells = [f"{each.about['retain_weight']:g}"]
        cells += _cells(each, "kept", "forgotten", "distance", "garbage")
        yield _row(each, *cells, "yes" if rules.forgets(each) and rules.keeps(each) else "no")


def _head(*names: str) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield "|---" * len(names) + "|"


def _row(setting: Setting, *cells: str) -> str:
    first, *rest = cells
    diverged = f" ({setting.diverged} diverged)" if setting.diverged else ""
    return f"| {' | '.join([first + diverged, *rest])} |"


def _cells(setting: Setting, *names: str) -> list[str]:
    """Means with half the width of their intervals."""
    found = [setting.estimate(name) for name in names]
    return [
        f"{each.mean:.2f}" + (f" ± {each.high - each.mean:.2f}" if math.isfinite(each.high) else "")
        for each in found
    ]


def _powers(values: Values) -> str:
    """The smallest and the largest p-value, as powers of ten."""
    tens = sorted(round(math.log10(max(value, 1e-99))) for value in values)
    ends = dict.fromkeys((tens[0], tens[-1]))
    return " to ".join(f"1e{ten}" if ten else "1" for ten in ends)


def _always(yes: Callable[[Setting], bool], no: Callable[[Setting], bool], setting: Setting) -> str:
    """What holds with every seed."""
    return "yes" if yes(setting) else "no" if no(setting) else "by seed"
