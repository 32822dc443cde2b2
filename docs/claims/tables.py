"""The tables of docs/claims.md, one row a setting."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from claims import rules
from claims.figures import FORGOTTEN, Measured, Setting, Values, name_of, penalty, scientific
from claims.plots import ARMS


def l1(measured: Measured) -> Iterator[str]:
    """Every penalty in every arm, and what it did."""
    yield from _head("weights", "rate", "L1", "kept", "forgotten", "garbage", "the penalty")
    for rank in measured.taken("rank"):
        effects = {id(setting): effect for setting, effect in rules.l1_effects(measured, rank)}
        for setting in measured.all(rank=rank):
            cells = [ARMS[rank is not None], scientific(setting.about["rate"]), penalty(setting)]
            cells += _cells(setting, "kept", "forgotten", "garbage")
            yield _row(setting, *cells, effects.get(id(setting), ""))


def both(measured: Measured) -> Iterator[str]:
    """Every method for every modality, on both tracks."""
    names = [f"{name}.{track}" for name in ("forgotten", "distance") for track in FORGOTTEN]
    yield from _head("method", "forgets", *(n.replace(".", ", ") for n in names), "kept", "KS p")
    for setting in measured.settings:
        cells = [name_of(setting.about["method"]), setting.about["modality"]]
        powers = [_powers(setting.values(f"ks.{track}")) for track in FORGOTTEN]
        yield _row(setting, *cells, *_cells(setting, *names, "kept"), " / ".join(powers))


def destroy(measured: Measured) -> Iterator[str]:
    """Every method at every rate, and whether it does as said."""
    yield from _head(
        "method", "rate", "kept", "forgotten", "garbage", "forgets", "keeps", "as said"
    )
    for setting in measured.settings:
        cells = [name_of(setting.about["method"]), scientific(setting.about["rate"])]
        cells += _cells(setting, "kept", "forgotten", "garbage")
        cells += [_always(rules.forgets, rules.forgets_little, setting)]
        cells += [_always(rules.keeps, rules.destroys, setting)]
        yield _row(setting, *cells, "yes" if rules.as_said(setting) else "no")


def lambdas(measured: Measured) -> Iterator[str]:
    """Every lambda."""
    yield from _head("lambda", "kept", "forgotten", "distance", "garbage", "forgets and keeps")
    for setting in measured.settings:
        cells = [f"{setting.about['retain_weight']:g}"]
        cells += _cells(setting, "kept", "forgotten", "distance", "garbage")
        yield _row(
            setting, *cells, "yes" if rules.forgets(setting) and rules.keeps(setting) else "no"
        )


def _head(*names: str) -> Iterator[str]:
    yield f"| {' | '.join([*names, 'verdict'])} |"
    yield "|---" * (len(names) + 1) + "|"


def _row(setting: Setting, *cells: str) -> str:
    """A line of a table; the verdict's words stand last."""
    first, *rest = cells
    diverged = f" ({setting.diverged} diverged)" if setting.diverged else ""
    return f"| {' | '.join([first + diverged, *rest, verdicts(setting.words)])} |"


def verdicts(words: Sequence[str]) -> str:
    """The words over the seeds, each with its count: undecided x2, did not x1."""
    counts = sorted(Counter(words).items(), key=lambda pair: -pair[1])
    return ", ".join(f"{word} x{count}" for word, count in counts)


def _cells(setting: Setting, *names: str) -> list[str]:
    """Means with half the width of their intervals."""
    figures = [setting.estimate(name) for name in names]
    return [
        f"{figure.mean:.2f}"
        + (f" ± {figure.high - figure.mean:.2f}" if math.isfinite(figure.high) else "")
        for figure in figures
    ]


def _powers(values: Values) -> str:
    """The smallest and the largest p-value, as powers of ten."""
    tens = sorted(round(math.log10(max(value, 1e-99))) for value in values)
    ends = dict.fromkeys((tens[0], tens[-1]))
    return " to ".join(f"1e{ten}" if ten else "1" for ten in ends)


def _always(yes: Callable[[Setting], bool], no: Callable[[Setting], bool], setting: Setting) -> str:
    """What holds with every seed."""
    return "yes" if yes(setting) else "no" if no(setting) else "by seed"
