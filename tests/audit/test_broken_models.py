"""Models that answer nobody, refuse, invent words or are not what they were said to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from clearbench.audit import evidence, knowledge, losses, recovery
from clearbench.audit.conclusion import conclude, limits
from clearbench.audit.evidence import Evidence
from clearbench.audit.measure import Subject, Subjects
from clearbench.audit.schema import AuditedRows, Finding, MadeAttack
from clearbench.audit.settings import AuditSettings
from clearbench.audit.vocabulary import by_form_alone
from clearbench.evaluation.groups import GENERATIONS
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.evaluation.wordings import WORDINGS

WHOLE, PROBABILITY = "forget.text.whole_truth", "forget.text.probability"
LIKELIHOOD, REFUSALS = "forget.text.likelihood", "forget.text.refusal_rate"
Values = Sequence[float]
NONE = (math.nan,)


def lines(run: Values, gold: Values = NONE, original: Values = NONE, people: int = 0) -> Any:
    """Rows of a score, of as many people as there are rows unless it is said."""
    count = len(run)
    return pd.DataFrame(
        {
            "row": [f"r{k}" for k in range(count)],
            "person": [k % (people or count) for k in range(count)],
            "run": run,
            "gold": list(gold) * (count if len(gold) == 1 else 1),
            "original": list(original) * (count if len(original) == 1 else 1),
        }
    )


def found(rows: dict[str, Any], **about: Any) -> Evidence:
    first = next(iter(rows.values()))
    known = {"gold": not first["gold"].hasnans, "original": not first["original"].hasnans}
    people = first["person"].nunique()
    return Evidence(rows, ("text",), "language", people=people, **(known | about))


def score(value: float, reach: float | None, clusters: int = 8) -> Score:
    low, high = (None, None) if reach is None else (value - reach, value + reach)
    return Score(
        value=value, low=low, high=high, n=clusters, clusters=clusters, direction="gold",
        range=(None, None),
    )  # fmt: skip


def attacks(*scores: Score) -> tuple[MadeAttack, ...]:
    return tuple(
        MadeAttack(key=f"a{k}", title=f"Attack {k}", group="any",
                   scores={f"forget.text.a{k}_recovery": each})
        for k, each in enumerate(scores)
    )  # fmt: skip


def kept(probability: float, rouge: float, garbage: float = 0.0) -> dict[str, Any]:
    """Scores about people who stay, of which the original has .8, all, and no garbage."""
    return {
        LIKELIHOOD: lines([0.0] * 8, (0.2,), (0.8,)),
        "retain.text.probability": lines([probability] * 8, (0.8,), (0.8,)),
        "retain.text.rouge_l": lines([rouge] * 8, (1.0,), (1.0,)),
        "retain.text.garbage_rate": lines([garbage] * 8, (0.0,), (0.0,)),
    }


@pytest.mark.parametrize(
    ("probability", "rouge", "garbage", "broken"),
    [
        (0.1, 0.1, 0.0, True),
        (0.1, 0.6, 1.0, True),
        (0.1, 0.6, 0.0, False),
        (0.7, 0.1, 1.0, False),
        (0.41, 0.1, 1.0, False),
    ],
)
def test_a_model_is_destroyed_where_nobody_is_answered(
    probability: float, rouge: float, garbage: float, broken: bool
) -> None:
    """Under half of the probability, and under a quarter of what was said or mostly garbage."""
    collected = found(kept(probability, rouge, garbage))
    assert bool(losses.destroyed(collected, "text")) == broken
    finding = losses.lost(collected, "text")
    assert finding is not None and finding.word == "lost"
    known = knowledge.known(collected, "text")
    assert known is not None
    word = conclude(collected, (known,)).word
    assert (word == "answers nothing, about anybody") == broken


def test_half_of_the_answers_garbled_by_chance_is_no_broken_model() -> None:
    """Five of eight people: an interval from under a half; and seven of eight, from over it."""
    for garbled, broken in ((5, False), (8, True)):
        rows = kept(0.1, 0.6) | {
            "retain.text.garbage_rate": lines(
                [float(k < garbled) for k in range(8)], (0.0,), (0.0,)
            )
        }
        assert bool(losses.destroyed(found(rows), "text")) == broken
    split = kept(0.1, 0.6) | {
        "retain.text.garbage_rate": lines([float(k < 4) for k in range(8)], (0.0,), (0.0,)),
        "retain.text.empty_rate": lines([float(k < 4) for k in range(8)], (0.0,), (0.0,)),
    }
    assert not losses.destroyed(found(split), "text"), "an answer is not counted twice"


def test_what_comes_back_was_not_broken() -> None:
    collected = found(kept(0.1, 0.1, 1.0), attacks=attacks(score(0.9, 0.05)))
    findings = [find(collected, "text") for find in (knowledge.known, recovery.recovery)]
    assert losses.destroyed(collected, "text")
    whole = conclude(collected, [finding for finding in findings if finding])
    assert whole.word == "hides what it knows"


def worded(**unknown: Sequence[int]) -> Records:
    """Records whose answers have so many words that the rows lack, by split."""
    lines = [
        (split, "text", "qa", k, f"{split}{k}", [], ["word"] * count, None)
        for split, counts in unknown.items()
        for k, count in enumerate(counts)
    ]
    said = [(*line[:5], "Who?", "Ana.", "Bo.") for line in lines]
    tables = {WORDINGS: lines, GENERATIONS: said}
    return Records({table: table.frame(rows) for table, rows in tables.items()})


@pytest.mark.parametrize(
    ("gold", "original", "counts"),
    [
        (worded(forget=[1, 1], retain=[0] * 9), worded(forget=[0, 0]), False),
        (worded(forget=[0, 0], retain=[1] * 9), worded(forget=[1, 1]), True),
        (None, worded(forget=[0, 0], retain=[0] * 9), False),
        (None, worded(forget=[0, 0], holdout=[0, 0]), True),
        (None, worded(forget=[0, 0], holdout=[1, 0]), False),
        (None, None, False),
    ],
)
def test_unknown_words_count_where_a_model_that_invents_has_few(
    gold: Records | None, original: Records | None, counts: bool
) -> None:
    subjects = Subjects(
        Subject(worded(forget=[1, 1])),
        None if gold is None else Subject(gold),
        None if original is None else Subject(original),
    )
    judged, said = by_form_alone(subjects)
    words = judged.audited.records.table(WORDINGS)["unknown_words"]
    assert (words.map(len).sum() == 2) == counts == (not said)


def test_a_refusal_hides_only_what_is_there() -> None:
    refused = {REFUSALS: lines([1.0] * 8, (0.0,), (0.0,))}
    for run, word in ((0.8, "refuses but knows"), (0.2, "refuses")):
        collected = found({LIKELIHOOD: lines([run] * 8, (0.2,), (0.8,))} | refused)
        findings = [find(collected, "text") for find in (knowledge.known, knowledge.refusals)]
        assert conclude(collected, [each for each in findings if each]).word == word
    golds = {REFUSALS: lines([1.0] * 8, (1.0,), (0.0,))}
    finding = knowledge.refusals(
        found({LIKELIHOOD: lines([0.2] * 8, (0.2,), (0.8,))} | golds), "text"
    )
    assert finding is not None and finding.word == "answers", "gold refuses as often"


@pytest.mark.parametrize(
    ("garbled", "refused", "gold", "word", "whole"),
    [
        (3, 4, 0, "does not answer", "does not answer"),
        (8, 0, 0, "does not answer", "does not answer"),
        (0, 8, 0, "refuses", "refuses"),
        (0, 4, 0, "answers unlike gold", "leaves a trace"),
        (0, 0, 8, "answers unlike gold", "leaves a trace"),
        (0, 8, 8, "answers", "no evidence of knowledge"),
        (0, 1, 0, "answers", "no evidence of knowledge"),
        (0, 0, 0, "answers", "no evidence of knowledge"),
    ],
)
def test_who_answers_unlike_gold_has_no_clean_bill(
    garbled: int, refused: int, gold: int, word: str, whole: str
) -> None:
    """Of ten people: garbled and refused answers of the model, the first, and refusals of gold."""
    place = range(10)
    collected = found(
        {
            LIKELIHOOD: lines([0.2] * 10, (0.2,), (0.8,)),
            "forget.text.garbage_rate": lines([float(k < garbled) for k in place], (0.0,), (0.0,)),
            REFUSALS: lines(
                [float(garbled <= k < garbled + refused) for k in place],
                [float(k < gold) for k in place],
                (0.0,),
            ),
        }
    )
    findings = [find(collected, "text") for find in (knowledge.known, knowledge.refusals)]
    assert findings[1] is not None and findings[1].word == word
    assert conclude(collected, [each for each in findings if each]).word == whole


def test_a_trace_does_not_hide_that_nothing_is_answered() -> None:
    shunned = {LIKELIHOOD: lines([0.0] * 8, (0.2,), (0.8,))}
    collected = found(shunned | {REFUSALS: lines([1.0] * 8, (0.0,), (0.0,))})
    findings = [find(collected, "text") for find in (knowledge.known, knowledge.refusals)]
    whole = conclude(collected, [each for each in findings if each])
    assert whole.word == "leaves a trace"
    assert any("refuses 100 %" in line for line in whole.because)


def test_less_than_gold_is_worded_as_less() -> None:
    """.1 against .2 and .8 is a sixth of the way, on the other side."""
    collected = found({LIKELIHOOD: lines([0.1] * 8, (0.2,), (0.8,))})
    finding = knowledge.known(collected, "text")
    assert finding is not None and conclude(collected, (finding,)).word == "leaves a trace"
    assert "the true answers are less likely than in a model that never met" in finding.sentence
    assert "is left" not in finding.sentence and "-17 % (-17 % to -17 %)" in finding.sentence


def test_one_score_under_two_names_is_one_test() -> None:
    rows = lines([0.5, 0.4, 0.6, 0.5, 0.5, 0.3], (0.2,), (0.8,))
    finding = knowledge.known(found({PROBABILITY: rows, LIKELIHOOD: rows}), "text")
    assert finding is not None and [number.name for number in finding.numbers] == ["Probability"]


def test_what_was_not_given_is_said() -> None:
    collected = found({LIKELIHOOD: lines([0.2] * 8)})
    said = limits(collected, (), {"forget": AuditedRows(people=8, rows=20, asked=8)})
    for option in ("--reference", "--original", "--retain", "--holdout"):
        assert any(option in line for line in said)
    assert "12 of 20 rows of 'forget' were not asked." in said
    nothing = Finding(topic="told", word="tells nothing", sentence="")
    whole = conclude(collected, (nothing,))
    assert whole.word == "cannot be concluded"
    assert "there is no model that never met them to compare with" in whole.sentence


@pytest.mark.parametrize(("gold", "original", "doubts"), [(0.8, 0.2, 1), (0.2, 0.8, 0)])
def test_gold_and_the_original_in_each_other_s_place_are_noticed(
    gold: float, original: float, doubts: int
) -> None:
    collected = found({LIKELIHOOD: lines([0.2] * 8, (gold,), (original,))})
    said = list(evidence.misplaced(collected))
    assert len(said) == doubts and all("in each other's place" in line for line in said)


def test_other_thresholds_are_another_version() -> None:
    assert AuditSettings().version == "3"
    assert AuditSettings(left=0.3).version.startswith("3-")
