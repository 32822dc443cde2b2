"""Joins the verdicts on one setting over several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from clearbench.evaluation.verdict.finding import Finding, Outcome
from clearbench.evaluation.verdict.titles import metric_titles
from clearbench.evaluation.verdict.verdict import Verdict
from clearbench.evaluation.verdict.words import reasons

_MEANS = ("run", "gold", "original", "estimate")


def over_seeds(verdicts: Sequence[Verdict]) -> Verdict:
    """Joins the verdicts of runs that differ in their seed only.

    The word is the one that all seeds have, else `undecided`. A test has the outcome that it has
    with every seed, else it is open; its numbers are means, and its interval spans those of the
    seeds.

    Args:
        verdicts: Verdicts of the seeds, the first one's answers being shown.
    """
    first, words = verdicts[0], {verdict.word for verdict in verdicts}
    by_key = [{(f.key, f.kind): f for f in verdict.findings} for verdict in verdicts]
    shared = [key for key in by_key[0] if all(key in findings for findings in by_key)]
    findings = tuple(_joined([findings[key] for findings in by_key]) for key in shared)
    people = {number: name for verdict in verdicts for number, name in verdict.people.items()}
    return first.model_copy(
        update={
            "word": words.pop() if len(words) == 1 else "undecided",
            "findings": findings,
            "reasons": reasons(findings, people, metric_titles()),
            "people": people,
            "rests_on": first.rests_on.model_copy(update={"seeds": len(verdicts)}),
        }
    )


def _joined(findings: Sequence[Finding]) -> Finding:
    first, outcomes = findings[0], {finding.outcome for finding in findings}
    outcome: Outcome = outcomes.pop() if len(outcomes) == 1 else "open"
    means: dict[str, float | None] = {}
    for name in _MEANS:
        known = [v for finding in findings if (v := getattr(finding, name)) is not None]
        means[name] = fmean(known) if len(known) == len(findings) else None
    lows = [finding.low for finding in findings if finding.low is not None]
    highs = [finding.high for finding in findings if finding.high is not None]
    bounded = len(lows) == len(highs) == len(findings)
    return first.model_copy(
        update=means
        | {
            "outcome": outcome,
            "low": min(lows) if bounded else None,
            "high": max(highs) if bounded else None,
            "needed": None,
            "who": tuple(sorted({number for finding in findings for number in finding.who})),
            "reason": first.reason if outcome == first.outcome else "seeds differ",
        }
    )
