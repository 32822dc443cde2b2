"""The words of evidence, worked out by hand from made-up numbers."""

from __future__ import annotations

from typing import Any

import pytest

from clearbench.audit.schema import Audit, AuditedAnswer, AuditedRows, Finding
from clearbench.audit.settings import AuditSettings
from clearbench.evaluation.score import Score
from clearbench.evidence.found import Found, told
from clearbench.evidence.schema import Known, Level, Schedule, Trial
from clearbench.evidence.statement import not_shown, statement, word
from clearbench.evidence.warnings import warnings


def score(now: float, before: float, low: float | None = None, high: float | None = None) -> Score:
    return Score(value=now, original=before, low=low, high=high, n=4, clusters=4,
                 direction="gold", version=1)  # fmt: skip


def answer(now: str, before: str = "Born in Oslo.", truth: str = "Born in Oslo.") -> AuditedAnswer:
    return AuditedAnswer(track="text", person=0, question="Where?", truth=truth, answer=now,
                         told=now == truth, garbled=now.startswith("b b"),
                         original=before)  # fmt: skip


GOOD = {
    "forget.text.garbage_rate": score(0.0, 0.0),
    "retain.text.probability": score(0.95, 0.95),
    "retain.text.rouge_l": score(1.0, 1.0),
    "retain.text.garbage_rate": score(0.0, 0.0),
}
LIKELY = {"track": "text", "source": "invented names", "rows": 4, "before": -0.1, "floor": -3.0}


def found(
    answers: list[AuditedAnswer] | None = None,
    others: list[AuditedAnswer] | None = None,
    place: float = 0.0,
    scores: dict[str, Score] | None = None,
    people: int = 8,
    **changes: Any,
) -> Found:
    """What is found of a model that forgot well, with changes."""
    audit = Audit(
        version="0", settings=AuditSettings(), kind="language", model="a", data="b",
        asked=dict.fromkeys(("forget", "retain"), AuditedRows(people=people, rows=4, asked=4)),
        conclusion=Finding(topic="conclusion", word="cannot be concluded", sentence="Open."),
        findings=changes.pop("findings", ()), gold=changes.pop("gold", None),
        open=("Something is open.", "Not tried: Relearning (left out)."),
        answers=[answer("No idea.")] * 4 if answers is None else answers,
        others=[answer("Born in Oslo.")] * 4 if others is None else others,
        scores=GOOD | (scores or {}),
    )  # fmt: skip
    now = -3.0 + place * 2.9
    level = Level(**LIKELY, now=now, place=place)
    about = {"schedule": Schedule(told=True, settings={}), "known": Known(rows=4)}
    return Found(audit=audit, levels=(level,), **(about | changes))


def trials(reason: str, apart: bool = True) -> Schedule:
    tried = Trial(number=1, steps=3, learning_rate=0.1, reason=reason, sentence="said")
    return Schedule(told=False, settings={}, people=3, apart=apart, trials=(tried,), chosen=1)


FINE = found()
SAME = [answer("Born in Oslo.")] * 4
LOOP = [answer("b b b b b b b")] * 4


@pytest.mark.parametrize(
    ("given", "kinds", "first"),
    [
        (FINE, [], "Tells nothing in full any more"),
        (found(SAME, place=0.98), ["nothing changed"], "Nothing, or next to nothing, changed"),
        (found(SAME, place=1.0, same=True), ["nothing changed"], "Nothing, or next"),
        (found(SAME, place=1.0, same=True, guarded=True), ["guard", "still told"],
         "The weights are unchanged: a guard stands in front of them"),
        (found([*SAME[:1], *[answer("No idea.")] * 3], place=0.2), ["still told"],
         "Still tells a part of what it told"),
        (found([*SAME[:2], *[answer("No idea.")] * 2], place=0.2), ["still told"],
         "Still tells most of what it told"),
        (found(place=0.5), [], "Tells nothing in full any more, and still finds"),
        (found(LOOP, scores={"forget.text.garbage_rate": score(1.0, 0.0)}), ["garbled"],
         "Its answers about the people are garbled"),
        (found(LOOP, scores={"forget.text.garbage_rate": score(1.0, 1.0)}), [],
         "Tells nothing in full any more"),
        (found(LOOP, scores={"forget.text.garbage_rate": score(0.4, 0.0, 0.1, 0.7)}), ["garbled"],
         "A part of its answers is garbled"),
        (found(LOOP, scores={"forget.text.garbage_rate": score(0.5, 0.0, 0.04, 0.9)}), ["garbled"],
         "Tells nothing in full any more; some answers look garbled"),
        (found(LOOP, scores={"forget.text.garbage_rate": score(0.08, 0.0, 0.0, 0.2)}), [],
         "Tells nothing in full any more"),
        (found(scores={"retain.text.probability": score(0.6, 0.9)}), ["others hurt"],
         "Tells nothing in full any more; others were hurt"),
        (found(others=[*SAME[:3], answer("No idea.")]), ["others hurt"],
         "Tells nothing in full any more; others were hurt"),
        (found(scores={"retain.text.garbage_rate": score(0.5, 0.1)}), ["others hurt"],
         "Tells nothing in full any more; others were hurt"),
        (found(place=-0.6), ["overshoot"], "Tells nothing in full any more"),
        (found(people=2), ["few"], "Tells nothing in full any more"),
        (found(no_retain=True), ["no rows to keep"], "Tells nothing in full any more"),
        (found(known=Known(rows=4, unknown=("f:1",))), ["never known"], "Tells nothing"),
        (found(schedule=trials("")), [], "Tells nothing in full any more"),
        (found(schedule=trials("", apart=False)), ["schedule"], "Tells nothing"),
        (found(schedule=trials("others are hurt")), ["schedule"], "Tells nothing"),
        (found(findings=(Finding(topic="side effects", word="changed", sentence="More."),)),
         ["side effects"], "Tells nothing in full any more"),
    ],
)  # fmt: skip
def test_each_harm_has_its_warning_and_word(given: Found, kinds: list[str], first: str) -> None:
    assert [warning.kind for warning in warnings(given)] == kinds
    assert word(given).startswith(first)


def test_the_statement_counts_what_is_told_and_says_what_a_gold_would_show() -> None:
    given = found([*SAME[:1], *[answer("No idea.")] * 3], place=0.0)
    told_to, garbled, likely, others, gold = statement(given)
    assert garbled == "0 of 4 answers about the people are garbled now; before, 0 were."
    silent = found(scores={"forget.text.empty_rate": score(0.5, 0.0)})
    assert "before, 0 were. 2 are empty." in statement(silent)[1]
    assert told_to == (
        "Asked 4 questions about 8 people to forget, it told 4 true answers in full before, and "
        "tells 1 now."
    )
    assert "probability of 90 % per token to it before, and have 5 % now" in likely
    assert "under names that nobody bears had 5 % before" in likely
    assert others.endswith("tells 4 now; 100 % of the probability of their answers is kept.")
    assert "cannot be said" in gold and "(--gold)" in gold
    assert statement(found(gold="c"))[-1] == "Beside the gold that was given: Open."


def test_what_was_not_shown_is_said() -> None:
    lines = not_shown(FINE)
    assert lines[0] == "Something is open." and not any("Not tried" in line for line in lines)
    assert any("relearning" in line for line in lines)


def test_a_garbled_answer_is_quoted_and_a_long_one_is_cut() -> None:
    long = found([answer("b " * 100)] * 4, scores={"forget.text.garbage_rate": score(1.0, 0.0)})
    (warning,) = warnings(long)
    assert "such as 'b b b" in warning.sentence and "…'" in warning.sentence
    assert warning.sentence.startswith("4 of 4 answers about the people are garbled")
    rate = {"forget.text.garbage_rate": score(0.5, 0.0, 0.1, 0.9)}
    (warning,) = warnings(found(LOOP, scores=rate))
    assert "2 of 4 answers about the people (10 % to 90 % of such answers)" in warning.sentence


def test_answers_without_one_from_before_are_not_counted() -> None:
    alone = answer("Born in Oslo.").model_copy(update={"original": None})
    assert told([alone, answer("Born in Oslo."), answer("No.", before="No.")]) == (1, 1, 2)
