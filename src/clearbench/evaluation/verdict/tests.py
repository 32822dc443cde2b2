"""Tests one score of a run against gold or the original, on evidence paired by row."""

from __future__ import annotations

import math

import numpy as np

from clearbench.evaluation.records import SIDE
from clearbench.evaluation.verdict import estimates
from clearbench.evaluation.verdict.estimates import Estimate
from clearbench.evaluation.verdict.finding import Finding, Kind, Outcome, Reference
from clearbench.evaluation.verdict.settings import VerdictSettings
from clearbench.libraries import pd

#: Gaps between original and gold below which the original knew nothing more than gold.
LEAST_GAP = 0.05
#: Rows of a person below which nothing is said about that person alone.
LEAST_ROWS = 2


def missing(key: str, kind: Kind, margin: float) -> Finding:
    """Returns the finding of a test whose rows were not measured."""
    return Finding(key=key, kind=kind, outcome="open", margin=margin, reason="not measured")


def excess(key: str, rows: pd.DataFrame, settings: VerdictSettings) -> Finding:
    """Tests that a rate is no higher than gold's.

    It holds where the upper bound of the paired difference is within the margin and the rate itself
    is below the upper bound of gold's own.
    """
    level, found = settings.confidence, _excess(rows, "gold", settings)
    bound = estimates.highest_rate(float(rows["gold"].sum()), len(rows), level)
    within = rows["run"].mean() <= bound
    outcome = _below(found, settings.excess)
    reason = ""
    if outcome == "holds" and not within:
        outcome, reason = "open", "more often than gold's own rate leaves possible"
    return _finding(key, "excess", rows, found, settings.excess, outcome, reason)


def harm(key: str, rows: pd.DataFrame, settings: VerdictSettings) -> Finding:
    """Tests that a rate is no higher than the original's, or gold's if that is more.

    It is about people of whom nothing was to be forgotten, and about strangers.
    Answers about strangers are few, so that a rise fails where it is shown and is else left open
    in words alone.
    """
    reference = max(_references(rows), key=lambda name: rows[name].to_numpy(float).mean())
    found = _excess(rows, reference, settings)
    outcome, reason = _below(found, settings.harm), ""
    if outcome == "open" and key.startswith(f"{SIDE}.") and math.isfinite(found.high):
        outcome, reason = "holds", f"a rise by up to {found.high:.0%} is not excluded"
    finding = _finding(key, "harm", rows, found, settings.harm, outcome, reason)
    return finding.model_copy(update={"reference": reference})


def _references(rows: pd.DataFrame) -> list[Reference]:
    """Names the models that abilities are compared with: the original, and gold if measured."""
    names: tuple[Reference, ...] = ("original", "gold")
    return [name for name in names if not rows[name].hasnans]


def _excess(rows: pd.DataFrame, other: str, settings: VerdictSettings) -> Estimate:
    difference = (rows["run"] - rows[other]).to_numpy(float)
    found = estimates.mean(difference, _people(rows), settings.confidence, settings.people)
    return estimates.widened(found, estimates.rate_reach(len(rows), settings.confidence))


def left(key: str, rows: pd.DataFrame, settings: VerdictSettings) -> Finding:
    """Tests how much is left of what the original has over gold: 0 is gold, 1 the original.

    A share below 0 is a truth that is shunned, by which the people can be told, too.
    """
    gap = (rows["original"] - rows["gold"]).to_numpy(float)
    if gap.mean() < LEAST_GAP:
        reason = "the original knew no more than gold: there is nothing to forget"
        return _finding(key, "left", rows, None, settings.left, "open", reason)
    over = (rows["run"] - rows["gold"]).to_numpy(float)
    found = estimates.ratio(over, gap, _people(rows), settings.confidence, settings.people)
    outcome = _below(found, settings.left)
    if found.high < -settings.overshoot:
        outcome = "fails"
    elif outcome == "holds" and found.low < -settings.overshoot:
        outcome = "open"
    finding = _finding(key, "left", rows, found, settings.left, outcome)
    below = found.high <= settings.left and finding.needed is not None
    needed = _needed(found, "left", -settings.overshoot) if below else finding.needed
    return finding.model_copy(update={"least": -settings.overshoot, "needed": needed})


def topic(key: str, rows: pd.DataFrame, settings: VerdictSettings) -> Finding:
    """Tests that answers are about what was asked about as much as gold's are."""
    ours, golds = (rows[name].to_numpy(float) for name in ("run", "gold"))
    if golds.mean() < LEAST_GAP:
        reason = "gold's answers are not about the questions either"
        return _finding(key, "topic", rows, None, settings.topic, "holds", reason)
    found = estimates.ratio(ours, golds, _people(rows), settings.confidence, settings.people)
    return _finding(key, "topic", rows, found, settings.topic, _above(found, settings.topic))


def kept(key: str, rows: pd.DataFrame, settings: VerdictSettings) -> Finding:
    """Tests that a score is not lower than a share of the original's, or of gold's if that is less.

    What retraining loses by itself is no damage of unlearning.
    """
    share = settings.margin("kept", key)
    reference = min(_references(rows), key=lambda name: rows[name].to_numpy(float).mean())
    before, after = (rows[name].to_numpy(float) for name in (reference, "run"))
    if before.mean() < LEAST_GAP:
        return _finding(key, "kept", rows, None, share, "holds", "the original had nothing to lose")
    found = estimates.ratio(after, before, _people(rows), settings.confidence, settings.people)
    finding = _finding(key, "kept", rows, found, share, _above(found, share))
    return finding.model_copy(update={"reference": reference})


def order(key: str, rows: pd.DataFrame, settings: VerdictSettings) -> Finding:
    """Tests that truth ratios lie neither above gold's nor below them."""
    values, margin = rows["run"].to_numpy(float), settings.order
    found = estimates.mean(values, _people(rows), settings.confidence, settings.people)
    low, high = found.low - 0.5, found.high - 0.5
    outcome: Outcome = "open"
    if -margin <= low and high <= margin:
        outcome = "holds"
    elif low > margin or high < -margin:
        outcome = "fails"
    return _finding(key, "order", rows, found, margin, outcome)


def person(key: str, rows: pd.DataFrame, settings: VerdictSettings) -> Finding:
    """Tests what is left of each person, by the likelihood of that person's answers.

    The level of the intervals is divided by the number of people (Bonferroni). People whose answers
    the original found no likelier than gold cannot be judged.
    """
    people = sorted(set(rows["person"]))
    level = 1 - (1 - settings.confidence) / len(people)
    shares: dict[int, Estimate] = {}
    for number in people:
        own = rows[rows["person"] == number]
        gap = (own["original"] - own["gold"]).to_numpy(float)
        over = (own["run"] - own["gold"]).to_numpy(float)
        if len(own) >= LEAST_ROWS and gap.mean() >= LEAST_GAP:
            shares[number] = estimates.ratio(over, gap, np.arange(len(own)), level, LEAST_ROWS)
    unknown = len(people) - len(shares)
    reason = f"{unknown} of {len(people)} people cannot be judged alone" if unknown else ""
    if not shares:
        return _finding(key, "person", rows, None, settings.person, "open", reason)
    leaked = tuple(n for n, share in shares.items() if share.low > settings.person)
    doubted = tuple(n for n, share in shares.items() if share.high > settings.person)
    worst = max(shares.values(), key=lambda share: share.low if leaked else share.high)
    outcome: Outcome = "fails" if leaked else "open" if doubted or unknown else "holds"
    finding = _finding(key, "person", rows, worst, settings.person, outcome, reason)
    return finding.model_copy(update={"who": leaked or doubted, "needed": None})


def _people(rows: pd.DataFrame) -> np.ndarray:
    return rows["person"].to_numpy(np.int64)


def _below(found: Estimate, margin: float) -> Outcome:
    if found.high <= margin:
        return "holds"
    return "fails" if found.low > margin else "open"


def _above(found: Estimate, margin: float) -> Outcome:
    if found.low >= margin:
        return "holds"
    return "fails" if found.high < margin else "open"


def _finding(
    key: str,
    kind: Kind,
    rows: pd.DataFrame,
    found: Estimate | None,
    margin: float,
    outcome: Outcome,
    reason: str = "",
) -> Finding:
    about = Finding(
        key=key,
        kind=kind,
        outcome=outcome,
        margin=margin,
        reason=reason,
        run=_mean(rows["run"]),
        gold=_mean(rows["gold"]),
        original=_mean(rows["original"]),
    )
    counts = {"rows": len(rows), "people": rows["person"].nunique()}
    if found is None:
        return about.model_copy(update=counts)
    bounded = math.isfinite(found.low)
    if not bounded and not reason:
        reason = f"{found.people} people are too few for an interval"
    undecided = outcome == "open" and bounded and not reason
    return about.model_copy(
        update=counts
        | {
            "estimate": found.value,
            "low": found.low if bounded else None,
            "high": found.high if bounded else None,
            "needed": _needed(found, kind, margin) if undecided else None,
            "reason": reason,
        }
    )


def _needed(found: Estimate, kind: Kind, margin: float) -> int | None:
    """Computes how many people bring the interval's half-width to the distance from the margin."""
    centre = abs(found.value - 0.5) if kind == "order" else found.value
    distance, reach = abs(centre - margin), (found.high - found.low) / 2
    if distance < reach / 100:
        return None
    return max(found.people + 1, math.ceil(found.people * (reach / distance) ** 2))


def _mean(values: pd.Series) -> float | None:
    known = values.dropna()
    return float(known.mean()) if len(known) else None
