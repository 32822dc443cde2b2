"""Words the findings of a verdict: what failed, by how much, and what would decide it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from clearbench.evaluation.verdict.finding import Finding
from clearbench.evaluation.verdict.rests_on import RestsOn

#: Names of people by number.
Names = Mapping[int, str]
#: Titles of scores by the last part of their keys.
Titles = Mapping[str, str]
#: Titles of what is tested and is no metric's score.
_TESTED = {"likelihood": "Each person", "order": "Truth ratios"}
_GROUPS = {
    "retain": "the other people",
    "real": "real people and the world",
    "side": "strangers",
}


def reasons(findings: Iterable[Finding], names: Names, titles: Titles) -> tuple[str, ...]:
    """Writes why the word is not `forgot`: failing tests, then open ones; else what holds.

    Args:
        findings: Outcomes of all tests.
        names: Names of the people.
        titles: Titles of scores by the last part of their keys.
    """
    listed = tuple(findings)
    failing = [finding for finding in listed if finding.outcome == "fails"]
    undecided = [finding for finding in listed if finding.outcome == "open"]
    unmeasured = [finding for finding in undecided if not finding.rows]
    words = [sentence(finding, names, titles) for finding in failing]
    words += [f"open: {sentence(finding, names, titles)}" for finding in undecided if finding.rows]
    if unmeasured:
        missing = ", ".join(finding.key for finding in unmeasured)
        words.append(f"open: not measured: {missing}")
    return tuple(words) or ("every test holds",)


def sentence(finding: Finding, names: Names, titles: Titles) -> str:
    """Writes a finding in words: the score, its number and interval, the margin."""
    if finding.estimate is None and finding.reason:
        return f"{subject(finding, titles)}: {finding.reason}"
    found = f"{_WORDS[finding.kind](finding, names)}{_doubt(finding)}"
    return f"{subject(finding, titles)}: {found}"


def subject(finding: Finding, titles: Titles) -> str:
    """Names the score of a finding: `Whole truth, text`."""
    split, track, name = finding.key.split(".")
    title = _TESTED.get(name) or titles.get(name, name)
    about = () if split == "forget" else (_GROUPS.get(split, split),)
    return ", ".join((title, *about, track))


def basis(rests_on: RestsOn) -> str:
    """Writes what a verdict rests on: people asked of people forgotten, golds, seeds, attacks."""
    asked = [
        f"{people} of {rests_on.people_forgotten} people asked in {track} ({rests_on.rows[track]})"
        for track, people in rests_on.people_asked.items()
    ]
    attacks = ", ".join(rests_on.attacks) or "none"
    return (
        f"{'; '.join(asked)}; golds: {rests_on.golds}; seeds: {rests_on.seeds}; attacks run: "
        f"{attacks}; not run: {', '.join(rests_on.not_run) or 'none'}"
    )


def _rates(finding: Finding, names: Names) -> str:
    with_gold = finding.kind == "excess" or finding.reference == "gold"
    other, theirs = ("gold", finding.gold) if with_gold else ("the original", finding.original)
    return f"{_percent(finding.run)} of answers, {other} {_percent(theirs)}"


def _left(finding: Finding, names: Names) -> str:
    share = f"{_percent(finding.estimate)} left{_interval(finding)}"
    shunned = finding.least is not None and (finding.low or 0.0) < finding.least
    return f"{share}, " + (
        f"at least {finding.least:.0%}" if shunned else f"at most {finding.margin:.0%}"
    )


def _order(finding: Finding, names: Names) -> str:
    above = (finding.estimate or 0.5) > 0.5
    side = "above" if above else "below"
    share = finding.estimate if above else 1 - (finding.estimate or 0.5)
    return f"{side} gold's in {_percent(share)} of pairs, at most {0.5 + finding.margin:.0%}"


def _person(finding: Finding, names: Names) -> str:
    who = ", ".join(names.get(number, f"person {number}") for number in finding.who)
    return f"{who or 'nobody'}: {_percent(finding.estimate)} left, at most {finding.margin:.0%}"


def _topic(finding: Finding, names: Names) -> str:
    share = f"{_percent(finding.estimate)} as much as gold{_interval(finding)}"
    return f"{share}, at least {finding.margin:.0%}"


def _kept(finding: Finding, names: Names) -> str:
    of = " of gold's" if finding.reference == "gold" else ""
    kept = f"{_percent(finding.estimate)}{of} kept{_interval(finding)}"
    return f"{kept}, at least {finding.margin:.0%}"


_WORDS: dict[str, Callable[[Finding, Names], str]] = {
    "excess": _rates,
    "harm": _rates,
    "left": _left,
    "order": _order,
    "person": _person,
    "topic": _topic,
    "kept": _kept,
}


def _interval(finding: Finding) -> str:
    if finding.low is None or finding.high is None:
        return ""
    return f" ({finding.low:.0%} to {finding.high:.0%})"


def _doubt(finding: Finding) -> str:
    if finding.outcome != "open":
        return ""
    if finding.needed is not None:
        return f"; {finding.needed} people like these {finding.people} would decide"
    return f"; {finding.reason}" if finding.reason else ""


def _percent(value: float | None) -> str:
    return "no number" if value is None else f"{value:.0%}"
