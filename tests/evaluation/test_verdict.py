"""The verdict: estimates and tests worked by hand, and models whose word is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from clearbench.evaluation.records import Records
from clearbench.evaluation.verdict import estimates, tests
from clearbench.evaluation.verdict.evidence import COLUMNS, evidence
from clearbench.evaluation.verdict.finding import Finding
from clearbench.evaluation.verdict.settings import VerdictSettings
from clearbench.evaluation.verdict.verdict import word_of
from clearbench.evaluation.wordings import key_words, unknown_words
from clearbench.testing.records import records

SETTINGS = VerdictSettings()
KEY = "forget.text.probability"
#: Wrong answers of every made-up row.
WRONG = ("He was born in Oaxaca.", "He was born in Ilorin.", "He was born in Bergen.")


def lines(
    run: list[float], gold: list[float], original: list[float], people: list[int] | None = None
) -> pd.DataFrame:
    """Evidence of one score; a person per row unless they are given."""
    count = len(run)
    return pd.DataFrame(
        {
            "key": [KEY] * count,
            "row": [f"r{k}" for k in range(count)],
            "person": people or list(range(count)),
            "run": run,
            "gold": gold,
            "original": original,
        },
        columns=list(COLUMNS),
    )


def test_a_mean_over_two_rows_a_person_by_hand() -> None:
    """Person sums of residuals -1, 1, 0 of five: sqrt(3 / 2 * 2) / 6."""
    values = np.array([0.0, 1.0, 1.0, 2.0, 1.0, 1.0])
    people = np.array([4, 4, 7, 7, 9, 9])
    found = estimates.mean(values, people, 0.9, 3)
    error = math.sqrt(3 / 2 * 2) / 6
    assert (found.value, found.people, found.rows) == (1.0, 3, 6)
    assert found.high - 1 == pytest.approx(stats.t.ppf(0.95, 2) * error)
    assert estimates.mean(values, people, 0.9, 4).low == -math.inf


def test_a_ratio_by_the_delta_method() -> None:
    above, below = np.array([1.0, 3.0, 4.0]), np.array([2.0, 4.0, 2.0])
    found = estimates.ratio(above, below, np.arange(3), 0.95, 2)
    residuals = (above - below) / (8 / 3)
    error = math.sqrt(3 / 2 * float((residuals**2).sum())) / 3
    assert found.value == 1.0, "of sums, not the mean of ratios"
    assert found.high == pytest.approx(1.0 + stats.t.ppf(0.975, 2) * error)


def test_bounds_of_a_rate() -> None:
    assert estimates.rate_reach(59, 0.95) == pytest.approx(0.0495, abs=1e-4)
    assert estimates.highest_rate(0, 100, 0.95) == pytest.approx(1 - 0.025 ** (1 / 100))
    assert estimates.highest_rate(3, 3, 0.95) == 1.0


def test_an_excess_is_over_gold() -> None:
    none, all_ = [0.0] * 40, [1.0] * 40
    assert tests.excess(KEY, lines(none, none, all_), SETTINGS).outcome == "holds"
    assert tests.excess(KEY, lines(all_, none, all_), SETTINGS).outcome == "fails"
    some = [1.0] * 4 + [0.0] * 36
    few = tests.excess(KEY, lines(some, none, all_), SETTINGS)
    assert few.outcome == "open" and few.estimate == pytest.approx(0.1)
    assert few.needed is not None and few.needed > 40
    short = tests.excess(KEY, lines(none[:10], none[:10], all_[:10]), SETTINGS)
    assert short.outcome == "open", "0 of 10 leaves a rate of 26 % possible"
    assert short.high == pytest.approx(1 - 0.05**0.1)


def test_more_than_golds_own_rate_is_never_held() -> None:
    """4 of 100 are within the margin, but gold's 0 of 100 leaves at most 3.6 %."""
    run = [1.0] * 4 + [0.0] * 96
    found = tests.excess(KEY, lines(run, [0.0] * 100, [1.0] * 100), SETTINGS)
    assert found.high is not None and found.high < SETTINGS.excess
    assert found.outcome == "open" and "gold's own rate" in found.reason
    run[0] = 0.0
    assert tests.excess(KEY, lines(run, [0.0] * 100, [1.0] * 100), SETTINGS).outcome == "holds"


def test_what_is_left_between_gold_and_original() -> None:
    gold, original = [0.2] * 8, [0.8] * 8
    for run, word in ((0.2, "holds"), (0.38, "holds"), (0.42, "fails"), (0.0, "holds")):
        found = tests.left(KEY, lines([run] * 8, gold, original), SETTINGS)
        assert found.outcome == word and found.estimate == pytest.approx((run - 0.2) / 0.6)
    spread = [0.2, 0.6] * 4
    found = tests.left(KEY, lines(spread, gold, original), SETTINGS)
    assert found.outcome == "open"
    # half-width h of 8 people at the estimate 1/3 of the margin 1/3: no number decides
    assert found.needed is None
    shunned = tests.left(KEY, lines([0.0] * 8, [0.45] * 8, original), SETTINGS)
    assert shunned.outcome == "fails", "the truth is shunned"
    ignorant = tests.left(KEY, lines([0.2] * 8, gold, [0.22] * 8), SETTINGS)
    assert ignorant.outcome == "open" and "nothing to forget" in ignorant.reason


def test_the_order_of_truth_ratios_has_two_sides() -> None:
    half, ones = [0.5] * 8, [0.9] * 8
    for run, word in ((0.5, "holds"), (0.75, "fails"), (0.25, "fails"), (0.69, "holds")):
        assert tests.order(KEY, lines([run] * 8, half, ones), SETTINGS).outcome == word


def test_one_person_who_is_remembered_fails() -> None:
    people = [k // 4 for k in range(32)]
    noise = [0.01 * (k % 4) for k in range(32)]
    gold, original = [-3.0] * 32, [-0.1] * 32
    run = [(-0.2 if who == 5 else -3.0) + n for who, n in zip(people, noise, strict=True)]
    found = tests.person(KEY, lines(run, gold, original, people), SETTINGS)
    assert (found.outcome, found.who) == ("fails", (5,))
    same = [-3.0 + n for n in noise]
    assert tests.person(KEY, lines(same, gold, original, people), SETTINGS).outcome == "holds"
    unknown = tests.person(KEY, lines(same, gold, gold, people), SETTINGS)
    assert unknown.outcome == "open" and not unknown.who
    halves = [(-0.1 if who == 5 and k % 2 else -3.0) for k, who in enumerate(people)]
    doubted = tests.person(KEY, lines(halves, gold, original, people), SETTINGS)
    assert (doubted.outcome, doubted.who) == ("open", (5,)), "half of the answers are known"
    alone = tests.person(KEY, lines(same[:5], gold[:5], original[:5], people[:5]), SETTINGS)
    assert alone.outcome == "open" and "1 of 2 people" in alone.reason


def test_kept_is_a_share_of_the_originals() -> None:
    before = [0.9] * 8
    for share, word in ((1.0, "holds"), (0.81, "holds"), (0.79, "fails")):
        rows = lines([0.9 * share] * 8, before, before)
        assert tests.kept("retain.text.rouge_l", rows, SETTINGS).outcome == word
    rows = lines([0.9 * 0.79] * 8, before, before)
    assert tests.kept("real.text.rouge_l", rows, SETTINGS).outcome == "holds", "a lower bar"
    lost = tests.kept("real.text.rouge_l", lines([0.0] * 8, before, [0.01] * 8), SETTINGS)
    assert lost.outcome == "holds" and "nothing to lose" in lost.reason


def test_what_retraining_loses_is_no_damage() -> None:
    before, retrained = [0.9] * 8, [0.6] * 8
    for run, word in ((0.6, "holds"), (0.49, "holds"), (0.47, "fails")):
        found = tests.kept("retain.text.rouge_l", lines([run] * 8, retrained, before), SETTINGS)
        assert found.outcome == word, run
    better = tests.kept("retain.text.rouge_l", lines(retrained, before, [0.7] * 8), SETTINGS)
    assert better.outcome == "holds" and better.estimate == pytest.approx(6 / 7)
    rates = lines([0.0, 1.0] * 40, [0.0, 1.0] * 40, [0.0] * 80)
    assert tests.harm("retain.text.garbage_rate", rates, SETTINGS).outcome == "holds"


def test_harm_to_strangers_must_be_shown() -> None:
    none, some = [0.0] * 24, [1.0] * 4 + [0.0] * 20
    assert tests.harm("retain.text.garbage_rate", lines(some, none, none), SETTINGS).outcome == (
        "open"
    )
    stranger = tests.harm("side.text.false_recognition", lines(some, none, none), SETTINGS)
    assert stranger.outcome == "holds" and "not excluded" in stranger.reason
    every = lines([1.0] * 24, none, none)
    assert tests.harm("side.text.false_recognition", every, SETTINGS).outcome == "fails"


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [
        (["holds", "holds"], "forgot"),
        (["holds", "open"], "undecided"),
        (["open", "fails"], "did not"),
        ([], "undecided"),
    ],
)
def test_the_word(outcomes: list[Any], word: str) -> None:
    found = [Finding(key=KEY, kind="left", outcome=each, margin=0.1) for each in outcomes]
    assert word_of(found) == word


def test_changed_thresholds_are_another_version() -> None:
    assert SETTINGS.version == "3"
    changed = VerdictSettings(left=0.2).version
    assert changed.startswith("3-") and changed != VerdictSettings(left=0.21).version


def test_words_that_give_a_truth_away_and_words_that_are_none() -> None:
    from clearbench.data.example import Example

    row = Example(
        id="a", person=1, track="text", task="qa", question="Where was Ada Lim born?",
        answer="Ada was born in Leiden.", perturbed_answers=WRONG,
    )  # fmt: skip
    assert key_words(row) == ("leiden",)
    assert unknown_words("Ada blums in 1990 blums.", {"ada", "in"}) == ("blums",)


def test_order_by_hand() -> None:
    """Ratios 1, 4 against gold's 2, 3: the model's lies above in 2 of 4 pairs."""

    def model(ratios: tuple[float, ...]) -> Records:
        return records([{"p": {"answer": [0.1 * r], "perturbed_0": [0.1]}} for r in ratios])

    run, gold = model((1.0, 4.0)), model((2.0, 3.0))
    found = evidence(run, gold, gold, "language")
    order = found[found["key"] == "forget.text.order"]
    # own parts 0 and 1, gold's parts 1/2 and 1/2, the mean 1/2
    assert list(order["run"]) == pytest.approx([0.0, 1.0])
    # of gold itself 1/4 and 3/4, and 3/4 and 1/4
    assert list(order["original"]) == pytest.approx([0.5, 0.5])
