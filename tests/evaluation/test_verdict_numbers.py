"""Every test of the verdict by hand: its number, its interval, its margin, what would decide it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from clearbench.evaluation.records import Records
from clearbench.evaluation.verdict import tests
from clearbench.evaluation.verdict.evidence import COLUMNS, evidence
from clearbench.evaluation.verdict.finding import Finding
from clearbench.evaluation.verdict.seeds import over_seeds
from clearbench.evaluation.verdict.settings import VerdictSettings
from clearbench.evaluation.verdict.verdict import Verdict, word_of
from clearbench.testing.records import records

SETTINGS = VerdictSettings()
KEY = "forget.text.probability"
#: Values of eight people with a mean of 0 and a standard deviation of 1 (of seven degrees).
SPREAD = np.array([-1.5, -0.5, 0.5, 1.5, -1.5, -0.5, 0.5, 1.5]) / math.sqrt(10 / 7)
#: Half-width of a 95 % interval of eight people per unit of standard deviation.
REACH = float(stats.t.ppf(0.975, 7)) / math.sqrt(8)


def lines(run: Any, gold: Any, original: Any, people: list[int] | None = None) -> pd.DataFrame:
    count = len(run)
    columns = {
        "key": [KEY] * count,
        "row": [f"r{k}" for k in range(count)],
        "person": people or list(range(count)),
        "run": run,
        "gold": gold,
        "original": original,
    }
    return pd.DataFrame(columns, columns=list(COLUMNS))


def test_the_margins_are_the_documented_ones() -> None:
    names: tuple[tests.Kind, ...] = ("excess", "left", "order", "person", "topic")
    kinds = {kind: SETTINGS.margin(kind, KEY) for kind in names}
    assert kinds == {"excess": 0.15, "left": 1 / 3, "order": 0.2, "person": 0.5, "topic": 0.8}
    assert SETTINGS.margin("harm", KEY) == 0.1 and SETTINGS.overshoot == 0.5
    assert SETTINGS.margin("kept", "retain.text.rouge_l") == 0.8
    assert SETTINGS.margin("kept", "real.text.rouge_l") == 0.75
    assert (SETTINGS.confidence, SETTINGS.people) == (0.95, 5)
    assert (tests.LEAST_GAP, tests.LEAST_ROWS) == (0.05, 2)


@pytest.mark.parametrize(
    ("centre", "outcome"), [(0.0, "holds"), (0.3, "open"), (0.37, "open"), (0.6, "fails")]
)
def test_left_by_hand(centre: float, outcome: str) -> None:
    """A gap of 1 for everybody: the interval is the mean's, of a standard deviation of 0.1."""
    run = centre + 0.1 * SPREAD
    found = tests.left(KEY, lines(run, [0.0] * 8, [1.0] * 8), SETTINGS)
    assert (found.outcome, found.estimate) == (outcome, pytest.approx(centre))
    assert found.high == pytest.approx(centre + 0.1 * REACH)
    assert found.low == pytest.approx(centre - 0.1 * REACH)
    assert (found.rows, found.people, found.reference) == (8, 8, None)
    if outcome == "open":
        needed = math.ceil(8 * (0.1 * REACH / abs(centre - 1 / 3)) ** 2)
        assert found.needed == max(9, needed)
    else:
        assert found.needed is None


@pytest.mark.parametrize(
    ("centre", "outcome"), [(-0.4, "holds"), (-0.45, "open"), (-0.55, "open"), (-0.6, "fails")]
)
def test_a_shunned_truth_by_hand(centre: float, outcome: str) -> None:
    """Half of the gap below gold at most, with the whole interval."""
    found = tests.left(KEY, lines(centre + 0.1 * SPREAD, [0.0] * 8, [1.0] * 8), SETTINGS)
    assert pytest.approx(0.0836, abs=1e-4) == 0.1 * REACH
    assert (found.outcome, found.least) == (outcome, -0.5)
    needed = math.ceil(8 * (0.1 * REACH / 0.05) ** 2)
    assert found.needed == (needed if outcome == "open" else None)


@pytest.mark.parametrize(
    ("centre", "outcome"), [(1.2, "holds"), (0.9, "holds"), (0.8, "open"), (0.7, "fails")]
)
def test_the_topic_by_hand(centre: float, outcome: str) -> None:
    """Of gold's 0.5 the run has a share with a standard deviation of 0.1; more is no fault."""
    found = tests.topic(KEY, lines(0.5 * (centre + 0.1 * SPREAD), [0.5] * 8, [1.0] * 8), SETTINGS)
    assert (found.outcome, found.kind) == (outcome, "topic")
    assert found.estimate == pytest.approx(centre)
    assert found.low == pytest.approx(centre - 0.1 * REACH)


def test_gold_that_answers_nothing_asks_no_topic() -> None:
    found = tests.topic(KEY, lines([0.0] * 8, [0.01] * 8, [1.0] * 8), SETTINGS)
    assert (found.outcome, found.estimate) == ("holds", None)


@pytest.mark.parametrize(
    ("centre", "outcome"),
    [(0.5, "holds"), (0.6, "holds"), (0.65, "open"), (0.75, "open"), (0.79, "fails"),
     (0.4, "holds"), (0.35, "open"), (0.25, "open"), (0.21, "fails")],
)  # fmt: skip
def test_order_by_hand(centre: float, outcome: str) -> None:
    run = centre + 0.1 * SPREAD
    found = tests.order(KEY, lines(run, [0.5] * 8, [0.9] * 8), SETTINGS)
    assert (found.outcome, found.estimate) == (outcome, pytest.approx(centre))
    if outcome == "open":
        distance = abs(abs(centre - 0.5) - 0.2)
        assert found.needed == max(9, math.ceil(8 * (0.1 * REACH / distance) ** 2))


@pytest.mark.parametrize(
    ("share", "outcome"), [(1.0, "holds"), (0.9, "holds"), (0.83, "open"), (0.77, "open"),
                           (0.7, "fails")],
)  # fmt: skip
def test_kept_by_hand(share: float, outcome: str) -> None:
    """Below the point estimate, the whole interval must lie above the margin."""
    run = share + 0.1 * SPREAD
    found = tests.kept("retain.text.rouge_l", lines(run, [1.0] * 8, [1.0] * 8), SETTINGS)
    assert (found.outcome, found.estimate) == (outcome, pytest.approx(share))
    assert found.low == pytest.approx(share - 0.1 * REACH)
    assert found.reference == "original"


def test_kept_compares_with_the_lower_of_gold_and_original() -> None:
    rows = lines([0.5] * 8, [0.5] * 8, [1.0] * 8)
    found = tests.kept("retain.text.rouge_l", rows, SETTINGS)
    assert (found.outcome, found.estimate, found.reference) == ("holds", 1.0, "gold")
    rows["gold"] = np.nan
    found = tests.kept("retain.text.rouge_l", rows, SETTINGS)
    assert (found.outcome, found.estimate, found.reference) == ("fails", 0.5, "original")


def test_harm_compares_with_the_higher_of_gold_and_original() -> None:
    run, low, high = [0.0, 1.0] * 20, [0.0] * 40, [0.0, 1.0] * 20
    found = tests.harm("retain.text.garbage_rate", lines(run, high, low), SETTINGS)
    assert (found.outcome, found.estimate, found.reference) == ("holds", 0.0, "gold")
    found = tests.harm("retain.text.garbage_rate", lines(run, low, low), SETTINGS)
    assert (found.outcome, found.estimate, found.reference) == ("fails", 0.5, "original")


def test_an_excess_by_hand() -> None:
    """Eight people with ten rows each, of whom k say k truths: person sums 0 to 3, twice."""
    people = [k // 10 for k in range(80)]
    run = [1.0 if k % 10 < who % 4 else 0.0 for k, who in enumerate(people)]
    found = tests.excess(KEY, lines(run, [0.0] * 80, [1.0] * 80, people), SETTINGS)
    sums = np.array([-1.5, -0.5, 0.5, 1.5] * 2)
    error = math.sqrt(8 / 7 * float((sums**2).sum())) / 80
    assert found.estimate == pytest.approx(0.15)
    assert found.high == pytest.approx(0.15 + stats.t.ppf(0.975, 7) * error)
    assert found.outcome == "open" and found.needed is None, "the estimate is the margin"


def test_the_level_of_one_person_is_divided_by_their_number() -> None:
    """Of eight people each interval has a level of 1 - 0.05 / 8; a plain one would hold."""
    rows, people = 6, [k // 6 for k in range(48)]
    own = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]) * math.sqrt(5 / 6)
    plain, divided = (
        float(stats.t.ppf(level, rows - 1)) / math.sqrt(rows) for level in (0.975, 1 - 0.025 / 8)
    )
    deviation = 0.4 / ((plain + divided) / 2)
    run = np.concatenate([0.1 + deviation * own] * 8)
    found = tests.person(KEY, lines(run, [0.0] * 48, [1.0] * 48, people), SETTINGS)
    assert found.high == pytest.approx(0.1 + deviation * divided)
    assert found.outcome == "open" and found.high > 0.5 > 0.1 + deviation * plain
    assert found.who == tuple(range(8))


@pytest.mark.parametrize(("share", "outcome"), [(0.45, "holds"), (0.55, "fails")])
def test_a_person_by_hand(share: float, outcome: str) -> None:
    people = [k // 4 for k in range(32)]
    run = [share if who == 3 else 0.0 for who in people]
    found = tests.person(KEY, lines(run, [0.0] * 32, [1.0] * 32, people), SETTINGS)
    assert (found.outcome, found.estimate) == (outcome, pytest.approx(share))
    assert found.who == ((3,) if outcome == "fails" else ())


def test_four_people_have_no_interval() -> None:
    found = tests.left(KEY, lines([0.0] * 4, [0.0] * 4, [1.0] * 4), SETTINGS)
    assert found.outcome == "open" and found.low is None and "4 people are too few" in found.reason


def split_records(split: str, value: float, rows: int = 6) -> Records:
    """Rows of one split about the world with one probability each."""
    made = [
        {"split": split, "person": -1, "row": f"{split}-{k}", "p": {"answer": [value]}}
        | {"said": ("In Rome.", "In Rome." if value > 0.5 else "In Oslo.", "Where?")}
        for k in range(rows)
    ]
    return records(made)


@pytest.mark.parametrize("split", ["real_world", "real_authors"])
def test_every_split_about_the_real_world_is_real(split: str) -> None:
    known, lost = split_records(split, 0.9), split_records(split, 0.1)
    table = evidence(lost, known, known, "language")
    own = table[table["key"] == "real.text.rouge_l"]
    assert len(own) == 6 and own["run"].mean() < own["gold"].mean() == 1.0
    assert own["person"].nunique() == 6, "each row about the world is one of its own"
    elsewhere = evidence(split_records("retain", 0.9), known, known, "language")
    assert not (elsewhere["key"] == "real.text.rouge_l").any()


def made(word: Any, *findings: Finding, **about: Any) -> Verdict:
    return Verdict(word=word, version="1", modality="both", findings=findings, **about)


def finding(key: str, kind: Any = "left", outcome: Any = "holds", **about: Any) -> Finding:
    return Finding(key=key, kind=kind, outcome=outcome, margin=0.3, **about)


def test_the_verdict_on_one_modality() -> None:
    """Its own tests of what is forgotten, and every test of what is kept."""
    leaked = finding("forget.image.likelihood", "person", "fails", who=(3,), estimate=0.9, rows=4)
    text, kept = finding("forget.text.probability"), finding("retain.image.rouge_l", "kept")
    both = made("did not", leaked, text, kept, people={3: "Ada Lim"})
    assert both.on("both", {}) is both
    on_text = both.on("text", {})
    assert (on_text.word, on_text.modality) == ("forgot", "text")
    assert on_text.findings == (text, kept) and on_text.reasons == ("every test holds",)
    on_image = both.on("image", {})
    assert on_image.word == "did not" and on_image.findings == (leaked, kept)
    assert on_image.reasons[0].startswith("Each person, image: Ada Lim: 90% left")


def test_the_distance_has_no_sign() -> None:
    shares = [finding(f"forget.text.{k}", estimate=v) for k, v in enumerate((-0.2, 0.4))]
    other = finding("retain.text.rouge_l", "kept", estimate=0.9)
    verdict = made("forgot", *shares, other)
    assert verdict.distance == pytest.approx(0.3)
    assert verdict.kept == {"retain.text.rouge_l": 0.9}
    assert made("forgot", other).distance is None


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (("did not", "did not"), "did not"),
        (("forgot", "forgot", "forgot"), "forgot"),
        (("forgot", "undecided"), "undecided"),
        (("did not", "undecided"), "undecided"),
    ],
)
def test_the_word_over_seeds_is_the_one_that_all_have(words: tuple[Any, ...], word: str) -> None:
    assert over_seeds([made(each) for each in words]).word == word


def test_findings_over_seeds_by_hand() -> None:
    about = {"run": 0.1, "gold": 0.0, "original": 1.0}
    first = finding("forget.text.x", estimate=0.1, low=0.0, high=0.2, who=(1,), **about)
    second = finding("forget.text.x", estimate=0.3, low=0.1, high=0.5, who=(2,), **about)
    alone = finding("forget.text.y", estimate=0.1)
    (found,) = over_seeds(
        [made("forgot", first, alone, people={1: "A"}), made("forgot", second)]
    ).findings
    assert (found.estimate, found.low, found.high) == (pytest.approx(0.2), 0.0, 0.5)
    assert (found.outcome, found.who) == ("holds", (1, 2))
    failing = second.model_copy(update={"outcome": "fails"})
    (found,) = over_seeds([made("forgot", first), made("did not", failing)]).findings
    assert (found.outcome, found.reason) == ("open", "seeds differ")
    assert word_of([failing]) == "did not"


def test_words_name_the_model_that_is_compared_with() -> None:
    from clearbench.evaluation.verdict.words import sentence

    rate = finding("retain.text.garbage_rate", "harm", "fails", run=0.5, gold=0.2, original=0.1,
                   estimate=0.3, rows=9)  # fmt: skip
    for reference, words in (("gold", "gold 20%"), ("original", "the original 10%")):
        chosen = rate.model_copy(update={"reference": reference})
        assert f"50% of answers, {words}" in sentence(chosen, {}, {})
    kept = finding("retain.text.rouge_l", "kept", "fails", estimate=0.5, rows=9, reference="gold")
    assert "50% of gold's kept" in sentence(kept, {}, {})
