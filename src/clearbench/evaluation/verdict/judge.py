"""Judges a run: forgot, did not, or undecided, with the tests that say so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from clearbench.data.modality import Modality, modalities, readable_by
from clearbench.evaluation.verdict import tests
from clearbench.evaluation.verdict.evidence import LIKELIHOOD, ORDER, SHOWN, SPOKEN
from clearbench.evaluation.verdict.finding import Finding, Kind
from clearbench.evaluation.verdict.judged import judged_tracks
from clearbench.evaluation.verdict.rests_on import RestsOn
from clearbench.evaluation.verdict.settings import VerdictSettings
from clearbench.evaluation.verdict.titles import metric_titles
from clearbench.evaluation.verdict.verdict import ShownAnswer, Verdict, word_of
from clearbench.evaluation.verdict.words import reasons
from clearbench.libraries import pd

#: Rates that are compared with gold's; other scores are judged by what is left of them.
RATES = ("whole_truth", "near_truth", "key_facts", "name_said", *SPOKEN)
#: Last part of the key of the score of answers that are about what was asked.
TOPIC = "topic"
#: Columns of evidence that a test needs besides the run's own.
_NEEDS: dict[Kind, tuple[str, ...]] = {
    "excess": ("gold",),
    "left": ("gold", "original"),
    "order": ("gold",),
    "person": ("gold", "original"),
    "topic": ("gold",),
    "kept": ("original",),
    "harm": ("original",),
}
Test = Callable[[str, "pd.DataFrame", VerdictSettings], Finding]
_TESTS: dict[Kind, Test] = {
    "excess": tests.excess,
    "left": tests.left,
    "order": tests.order,
    "person": tests.person,
    "topic": tests.topic,
    "kept": tests.kept,
    "harm": tests.harm,
}


def _of_kind(model: str) -> list[Modality]:
    return [modalities()[name] for name in readable_by(model)]


def judge(
    evidence: pd.DataFrame,
    modality: str,
    model: str,
    settings: VerdictSettings | None = None,
    worst: Mapping[str, Iterable[ShownAnswer]] | None = None,
    rests_on: RestsOn | None = None,
    names: Mapping[int, str] | None = None,
) -> Verdict:
    """Judges one run. A test whose rows were not measured is open, and named.

    Args:
        evidence: Values of the run, gold and original (`evaluation.verdict.evidence`).
        modality: Modality that the run was to forget: `text`, `image` or `both`.
        model: Kind of model: `language`, `vision-language` or `classifier`.
        settings: Thresholds; the defaults for None.
        worst: Candidates for the worst answers, by score key.
        rests_on: What the evidence was measured on.
        names: Names of the people, for the reasons.
    """
    chosen = settings or VerdictSettings()
    rows = {str(key): found for key, found in evidence.groupby("key", sort=False)}
    basis = rests_on or RestsOn()
    findings = (*_findings(rows, modality, model, chosen), *_not_asked(basis, modality, model))
    named = {number for finding in findings for number in finding.who}
    return Verdict(
        word=word_of(findings),
        version=chosen.version,
        modality=modality,
        findings=findings,
        reasons=reasons(findings, names or {}, metric_titles()),
        rests_on=basis,
        worst=_shown(findings, worst or {}),
        people={number: name for number, name in (names or {}).items() if number in named},
    )


def _findings(
    rows: Mapping[str, pd.DataFrame], modality: str, model: str, settings: VerdictSettings
) -> Iterator[Finding]:
    for track in judged_tracks(modality, model):
        for key in modalities()[track].judged_keys(model):
            yield _finding(rows, key, _kind(key.rpartition(".")[2]), settings)
        if model != "classifier":
            yield _finding(rows, f"forget.{track}.{ORDER}", "order", settings)
        yield _finding(rows, f"forget.{track}.{LIKELIHOOD}", "person", settings)
    for entry in _of_kind(model):
        listed: tuple[tuple[Kind, tuple[str, ...]], ...] = (
            ("kept", entry.kept_keys(model)),
            ("harm", entry.unharmed_keys(model)),
        )
        needed = entry.name in judged_tracks(modality, model)
        for kind, keys in listed:
            for key in keys:
                if key in rows or (needed and key.startswith("retain.")):
                    yield _finding(rows, key, kind, settings)


def _kind(score: str) -> Kind:
    """Returns what is tested of a score about forgotten people."""
    if score == TOPIC:
        return "topic"
    return "excess" if score in RATES else "left"


def _not_asked(rests_on: RestsOn, modality: str, model: str) -> Iterator[Finding]:
    """Yields an open finding for every track on which somebody was not asked about."""
    for track in judged_tracks(modality, model):
        asked = rests_on.people_asked.get(track, rests_on.people_forgotten)
        if asked < rests_on.people_forgotten:
            reason = f"{asked} of {rests_on.people_forgotten} people were asked about"
            key = f"forget.{track}.people_asked"
            yield Finding(
                key=key,
                kind="person",
                outcome="open",
                margin=0.0,
                rows=rests_on.rows.get(track, asked),
                people=asked,
                reason=reason,
            )


def _finding(
    rows: Mapping[str, pd.DataFrame], key: str, kind: Kind, settings: VerdictSettings
) -> Finding:
    found = rows.get(key)
    complete = None if found is None else found.dropna(subset=["run", *_NEEDS[kind]])
    if found is None or complete is None or complete.empty:
        return tests.missing(key, kind, settings.margin(kind, key))
    finding = _TESTS[kind](key, complete, settings)
    lost = int(found["run"].notna().sum()) - len(complete)
    if lost and finding.outcome == "holds":
        reason = f"{lost} rows have no value of the models that it is compared with"
        return finding.model_copy(update={"outcome": "open", "reason": reason})
    return finding


def _shown(
    findings: Iterable[Finding], worst: Mapping[str, Iterable[ShownAnswer]]
) -> tuple[ShownAnswer, ...]:
    """Takes the worst answers of tests that fail, then of open ones, each question once."""
    order = {"fails": 0, "open": 1, "holds": 2}
    ranked = sorted(findings, key=lambda finding: order[finding.outcome])
    shown: dict[tuple[str, str], ShownAnswer] = {}
    for finding in ranked:
        for answer in worst.get(finding.key, ()):
            shown.setdefault((answer.question, answer.truth), answer)
    return tuple(shown.values())[:SHOWN]
