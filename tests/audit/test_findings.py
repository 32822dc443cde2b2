"""Findings worked out by hand: numbers, intervals, and the words on either side of a threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from clearbench.audit import evidence, knowledge, losses, recovery
from clearbench.audit.conclusion import conclude, limits
from clearbench.audit.evidence import Evidence
from clearbench.audit.intervals import attacks_as_found, scores_as_found
from clearbench.audit.measure import Subject, Subjects
from clearbench.audit.membership import membership
from clearbench.audit.schema import AuditedRows, Finding, MadeAttack
from clearbench.audit.settings import AuditSettings
from clearbench.audit.vocabulary import by_form_alone
from clearbench.evaluation.groups import GENERATIONS
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.evaluation.wordings import WORDINGS

SETTINGS = AuditSettings()
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


def test_a_place_between_gold_and_the_original_by_hand() -> None:
    """(.5 - .2) / (.8 - .2): residuals of two people .1 and -.1 of gaps of .6, five people."""
    rows = lines([0.6, 0.4, 0.5, 0.5, 0.5], (0.2,), (0.8,))
    tested = evidence.share_left("left", rows, SETTINGS)
    assert tested is not None
    number = tested.number
    error = math.sqrt(5 / 4 * 2 * (0.1 / 0.6) ** 2) / 5
    assert number.value == pytest.approx(0.5) and number.scale == "place"
    assert number.high == pytest.approx(0.5 + stats.t.ppf(0.975, 4) * error)
    assert number.low == pytest.approx(0.5 - stats.t.ppf(0.975, 4) * error)
    seen = (stats.t.ppf(0.975, 4) + stats.t.ppf(0.8, 4)) * error
    assert number.detectable == pytest.approx(seen)
    assert (number.gold, number.original) == (pytest.approx(0.2), pytest.approx(0.8))
    shared = evidence.share_left("left", rows, SETTINGS, tests=5)
    assert shared is not None and shared.number == number, "what is shown is not widened"
    assert shared.low == pytest.approx(0.5 - stats.t.ppf(0.995, 4) * error)


def test_few_people_are_counted_by_question_and_that_is_said() -> None:
    rows = lines([0.6, 0.4, 0.5, 0.5], (0.2,), (0.8,), people=2)
    tested = evidence.share_left("left", rows, SETTINGS)
    assert tested is not None and tested.number.unit == "questions"
    assert (tested.number.people, tested.number.rows) == (2, 4)
    error = math.sqrt(4 / 3 * 2 * (0.1 / 0.6) ** 2) / 4
    assert tested.number.high == pytest.approx(0.5 + stats.t.ppf(0.975, 3) * error)
    said = limits(found({LIKELIHOOD: rows}), (), {})
    assert any(line.startswith("Anything about people in general: 2 people") for line in said)
    alone = evidence.rate("one question", lines([1.0]), SETTINGS)
    assert alone.number.low is None and alone.low == -math.inf


def test_a_rate_that_all_agree_on_is_no_surer_than_so_many_people_allow() -> None:
    """No event among eight leaves 1 - .05^(1/8) possible."""
    none = evidence.rate("told", lines([0.0] * 8), SETTINGS).number
    reach = 1 - 0.05 ** (1 / 8)
    assert (none.low, none.high) == (0.0, pytest.approx(reach))
    assert none.detectable == pytest.approx(reach)
    smooth = evidence.rate("probability", lines([0.25] * 8), SETTINGS).number
    assert (smooth.low, smooth.high, smooth.detectable) == (0.25, 0.25, 0.0)


@pytest.mark.parametrize(
    ("told", "gold", "word"),
    [
        ([1.0] * 8, (0.0,), "tells"),
        ([1.0] * 8, (1.0,), "tells nothing"),
        ([1.0, 0, 0, 0, 0, 0, 0, 0], (0.0,), "tells nothing"),
        ([1.0] * 8, NONE, "tells"),
        ([0.0] * 8, NONE, "tells nothing"),
        ([1.0, 0, 0, 0, 0, 0, 0, 0], NONE, "cannot be concluded"),
    ],
)
def test_what_is_told_is_held_against_gold(told: Values, gold: Values, word: str) -> None:
    finding = knowledge.told(found({WHOLE: lines(told, gold)}), "text")
    assert finding is not None and finding.word == word
    assert finding.sentence.startswith(
        f"Asked about the people, it tells {int(sum(told))} of 8 true answers in full, "
    )


@pytest.mark.parametrize(
    ("run", "word"),
    [
        (0.2, "no more than a model that never met them"),
        (0.32, "no more than a model that never met them"),
        (0.34, "knows a part"),
        (0.49, "knows a part"),
        (0.51, "knows"),
        (-0.12, "less than a model that never met them"),
        (0.13, "less than a model that never met them"),
        (0.15, "no more than a model that never met them"),
    ],
)
def test_what_is_known_is_what_is_left_between_gold_and_original(run: float, word: str) -> None:
    """Gold .2 and original .8: a fifth left is .32, half is .5, a tenth below gold is .14."""
    finding = knowledge.known(found({LIKELIHOOD: lines([run] * 8, (0.2,), (0.8,))}), "text")
    assert finding is not None and finding.word == word


def test_wide_intervals_conclude_nothing() -> None:
    """A third left on average, by people of whom some have all and some have none."""
    rows = lines([0.8, 0.2, 0.2, 0.2, 0.8, 0.2], (0.2,), (0.8,))
    finding = knowledge.known(found({LIKELIHOOD: rows}), "text")
    assert finding is not None and finding.word == "cannot be concluded"
    assert conclude(found({LIKELIHOOD: rows}), (finding,)).word == "cannot be concluded"


@pytest.mark.parametrize(
    ("run", "gold", "original", "word"),
    [
        (0.35, (0.2,), NONE, "knows a part"),
        (0.25, (0.2,), NONE, "no more than a model that never met them"),
        (0.05, (0.2,), NONE, "less than a model that never met them"),
        (0.6, NONE, NONE, "knows"),
        (0.4, NONE, NONE, "cannot be concluded"),
        (0.4, NONE, (0.45,), "knows"),
        (0.4, NONE, (0.6,), "cannot be concluded"),
    ],
)
def test_what_is_known_without_gold_or_original(
    run: float, gold: Values, original: Values, word: str
) -> None:
    finding = knowledge.known(found({LIKELIHOOD: lines([run] * 8, gold, original)}), "text")
    assert finding is not None and finding.word == word


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


def test_the_strongest_attack_is_the_surest_one() -> None:
    """.9 give or take .9 says less than .5 give or take .1, even when three share the error."""
    made = attacks(score(0.9, 0.9), score(0.5, 0.1), score(0.3, None))
    collected = found({LIKELIHOOD: lines([0.2] * 8, (0.2,), (0.8,))}, attacks=made)
    finding = recovery.recovery(collected, "text")
    assert finding is not None and finding.word == "comes back"
    assert "gives back 50 % (40 % to 60 %)" in finding.sentence and "'Attack 1'" in finding.sentence
    assert [number.name for number in finding.numbers] == ["Attack 1", "Attack 0", "Attack 2"]
    low = recovery.lower_end(score(0.5, 0.1), 3, collected)
    ratio = stats.t.ppf(1 - 0.025 / 3, 7) / stats.t.ppf(0.975, 7)
    assert low == pytest.approx(0.5 - 0.1 * ratio)


@pytest.mark.parametrize(
    ("value", "reach", "word"),
    [
        (0.05, 0.1, "nothing came back"),
        (0.15, 0.1, "cannot be concluded"),
        (0.35, 0.1, "comes back"),
        (0.35, None, "cannot be concluded"),
    ],
)
def test_what_comes_back(value: float, reach: float | None, word: str) -> None:
    collected = found(
        {LIKELIHOOD: lines([0.2] * 8, (0.2,), (0.8,))}, attacks=attacks(score(value, reach))
    )
    finding = recovery.recovery(collected, "text")
    assert finding is not None and finding.word == word
    known = knowledge.known(collected, "text")
    assert known is not None
    whole = conclude(collected, (known, finding)).word
    hidden = word == "comes back"
    assert whole == ("hides what it knows" if hidden else "no evidence of knowledge")


def members(run: Values, gold: Values | None, others: Values, golds: Values | None) -> Any:
    """Values of an attack on rows of people to forget and of people never taught."""
    sides = [("forget", run, gold), ("holdout", others, golds)]
    return pd.concat(
        pd.DataFrame(
            {
                "split": split, "track": "text", "row": [f"{split}{k}" for k in range(len(mine))],
                "person": [100 * (split == "holdout") + k for k in range(len(mine))],
                "run": mine, **({} if theirs is None else {"gold": theirs}),
            }
        )
        for split, mine, theirs in sides
    )  # fmt: skip


def test_membership_is_a_difference_from_gold() -> None:
    """All six below all six: an area of 1, gold's 1/2; both the other way round, reversed."""
    low, high, same = np.arange(6.0), np.arange(6.0) + 10, np.arange(6.0)
    rows = {LIKELIHOOD: lines([0.2] * 6, (0.2,), (0.8,))}
    for run, others, word in (
        (low, high, "can be told apart"),
        (high, low, "is conspicuously unknown"),
        (same, same, "no difference seen"),
    ):
        table = members(run, same, others, same)
        finding = membership(found(rows, attacked={"a": table}), "text")
        assert finding is not None and finding.word == word
        assert finding.numbers[0].gold == 0.5
    assert "So few are a trace, too" not in finding.sentence
    reverse = membership(found(rows, attacked={"a": members(high, same, low, same)}), "text")
    assert reverse is not None and "look less known than strangers" in reverse.sentence
    area = membership(found(rows, attacked={"a": members(low, same, high, same)}), "text")
    assert area is not None and area.numbers[0].value == 1.0
    spread = np.std((1 - (np.arange(6) + 0.5) / 6), ddof=1) / math.sqrt(6)
    reach = stats.t.ppf(0.975, 5) * math.hypot(spread, spread)
    assert area.numbers[0].low == pytest.approx(1 - reach)
    alone = found({LIKELIHOOD: lines([0.2] * 6)}, attacked={"a": members(same, None, same, None)})
    without = membership(alone, "text")
    assert without is not None and without.word == "cannot be concluded"


def test_membership_is_held_against_gold_and_not_against_chance() -> None:
    """Where both models find the people easy, one says no more than the other."""
    low, high = np.arange(6.0), np.arange(6.0) + 10
    rows = {LIKELIHOOD: lines([0.2] * 6, (0.2,), (0.8,))}
    table = members(low, low, high, high)
    finding = membership(found(rows, attacked={"a": table}), "text")
    assert finding is not None and finding.word == "no difference seen"
    assert "in 100 % of pairs" in finding.sentence


def test_people_whom_gold_finds_all_easy_and_the_model_none_are_a_trace() -> None:
    """An area of 0, and its interval of 0 to 0, does not hold gold's 1."""
    low, high = np.arange(6.0), np.arange(6.0) + 10
    rows = {LIKELIHOOD: lines([0.2] * 6, (0.2,), (0.8,))}
    finding = membership(found(rows, attacked={"a": members(high, low, low, high)}), "text")
    assert finding is not None and finding.word == "is conspicuously unknown"
    assert (finding.numbers[0].value, finding.numbers[0].high) == (0.0, 0.0)


def test_a_number_has_one_interval_wherever_it_is_shown() -> None:
    """No event in six is no interval of 0 to 0, in the findings as in the scores."""
    low, high = np.arange(6.0), np.arange(6.0) + 10
    rows = {REFUSALS: lines([0.0] * 6, (0.0,), (0.0,))}
    collected = found(rows, attacked={"a": members(low, high, high, high)})
    finding = membership(collected, "text")
    assert finding is not None
    number = finding.numbers[0]
    key, other = "forget.text.a_auc", "forget.text.a_tpr"
    made = MadeAttack(
        key="a", title=number.name, group="any", scores={key: score(1.0, 0.0), other: score(1, 0.0)}
    )
    (changed,) = attacks_as_found([made], [finding])
    assert (changed.scores[key].low, changed.scores[key].high) == (number.low, number.high)
    assert changed.scores[other] == made.scores[other]
    scores = scores_as_found({REFUSALS: score(0.0, 0.0), PROBABILITY: score(0.5, 0.1)}, collected)
    assert (scores[REFUSALS].low, scores[REFUSALS].high) == (
        0.0,
        pytest.approx(1 - 0.05 ** (1 / 6)),
    )
    assert scores[PROBABILITY] == score(0.5, 0.1)


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
