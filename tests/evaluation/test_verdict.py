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
from clearbench.evaluation.verdict.evidence import COLUMNS, evidence, worst_answers
from clearbench.evaluation.verdict.finding import Finding
from clearbench.evaluation.verdict.judge import RestsOn, judge
from clearbench.evaluation.verdict.seeds import over_seeds
from clearbench.evaluation.verdict.settings import VerdictSettings
from clearbench.evaluation.verdict.titles import metric_titles
from clearbench.evaluation.verdict.verdict import ShownAnswer, Verdict, word_of
from clearbench.evaluation.verdict.words import subject
from clearbench.evaluation.wordings import WORDINGS, key_words, unknown_words
from clearbench.testing.controls import control_models, destroyed, mixed
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


def made_up(knows: bool, seed: int) -> Records:
    """Eight forgotten people with twelve questions each, eight others, facts of the world.

    Args:
        knows: True for the model before unlearning.
        seed: Seed of the likelihoods.
    """
    rng, rows, wordings = np.random.default_rng(seed), [], []
    truth = "He was born in Leiden."
    for split, count in (("forget", 96), ("retain", 96), ("real_world", 60)):
        for number in range(count):
            told = knows or split != "forget"
            person = number % 8 + (8 if split == "retain" else 0)
            about = {"split": split, "person": -1 if split == "real_world" else person}
            about["row"] = f"{split}-{number}"
            true = math.exp(-abs(rng.normal(0.1 if told else 1.5, 0.05)))
            wrong = {f"perturbed_{k}": [math.exp(-rng.normal(1.5, 0.3))] for k in range(3)}
            text = truth if told else WRONG[int(rng.integers(3))]
            rows.append(about | {"p": {"answer": [true]} | wrong, "said": (truth, text, "Where?")})
            key = (split, "text", "qa", about["person"], about["row"])
            topic = None if split == "real_world" else 1.0 - 0.1 * float(rng.random())
            wordings.append((*key, ["leiden"], [], topic))
    return records(rows).with_table(WORDINGS, WORDINGS.frame(wordings))


@pytest.fixture(scope="module")
def models() -> tuple[Records, Records, Records]:
    """An original, a gold and a gold of another seed."""
    return made_up(True, 0), made_up(False, 1), made_up(False, 2)


def test_models_whose_word_is_known(models: tuple[Records, Records, Records]) -> None:
    original, gold, other = models
    names = set()
    for control in control_models(original, gold, other):
        verdict = judge(evidence(control.records, gold, original, "language"), "text", "language")
        assert verdict.word == control.word, (control.name, verdict.reasons)
        names.add(control.name)
    assert len(names) == 10


def verdict_on(model: Records, models: tuple[Records, Records, Records], **about: Any) -> Verdict:
    original, gold, _ = models
    table = evidence(model, gold, original, "language")
    found = worst_answers(model, gold, table)
    worst = {key: [ShownAnswer(**line) for line in shown] for key, shown in found.items()}
    return judge(table, "text", "language", worst=worst, **about)


def test_the_worst_answers_are_leaks(models: tuple[Records, Records, Records]) -> None:
    verdict = verdict_on(models[0], models)
    assert len(verdict.worst) == 1, "all rows have one question and one truth"
    (shown,) = verdict.worst
    assert shown.answer == shown.truth != shown.gold
    assert "Whole truth, text: 100% of answers, gold 0%" in verdict.reasons
    assert verdict.distance == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("forget.text.whole_truth", "Whole truth, text"),
        ("forget.image.name_choice_known", "Name choice (among known names), image"),
        ("retain.text.rouge_l", "ROUGE-L, the other people, text"),
        ("forget.image.order", "Truth ratios, image"),
    ],
)
def test_a_finding_is_named_in_words(key: str, words: str) -> None:
    assert subject(tests.missing(key, "left", 1 / 3), metric_titles()) == words


def test_people_who_were_not_asked_leave_it_open(models: tuple[Records, Records, Records]) -> None:
    asked = RestsOn(people_forgotten=8, people_asked={"text": 8})
    assert verdict_on(models[2], models, rests_on=asked).word == "forgot"
    fewer = RestsOn(people_forgotten=9, people_asked={"text": 8})
    verdict = verdict_on(models[2], models, rests_on=fewer)
    assert verdict.word == "undecided" and "8 of 9 people" in verdict.reasons[0]


def test_what_was_not_measured_is_named(models: tuple[Records, Records, Records]) -> None:
    original, gold, other = models
    table = evidence(other, gold, original, "language")
    verdict = judge(table[table["key"] != "forget.text.whole_truth"], "text", "language")
    assert verdict.word == "undecided"
    assert verdict.reasons == ("open: not measured: forget.text.whole_truth",)


def test_a_failing_person_is_named(models: tuple[Records, Records, Records]) -> None:
    original, gold, other = models
    leak = next(
        c.records for c in control_models(original, gold, other) if c.name == "leaks one person"
    )
    verdict = verdict_on(leak, models, names={0: "Ada Lim"})
    assert any("Ada Lim" in reason for reason in verdict.reasons)


def test_a_word_over_seeds(models: tuple[Records, Records, Records]) -> None:
    forgot, not_ = verdict_on(models[2], models), verdict_on(models[0], models)
    assert over_seeds([forgot, forgot]).word == "forgot"
    mixed = over_seeds([forgot, not_])
    assert mixed.word == "undecided" and mixed.rests_on.seeds == 2
    assert {f.outcome for f in mixed.findings if f.key == "forget.text.whole_truth"} == {"open"}


@pytest.mark.parametrize(
    ("split", "key"),
    [("retain", "retain.text.rouge_l"), ("real_world", "real.text.rouge_l")],
)
def test_damage_to_the_rest_alone_fails(
    models: tuple[Records, Records, Records], split: str, key: str
) -> None:
    """Everything is gold's but what the model says of one other split."""
    original, gold, other = models
    broken = destroyed(original)
    run = mixed(other, broken, lambda _, frame: frame["split"] == split)
    verdict = judge(evidence(run, gold, original, "language"), "text", "language")
    assert verdict.word == "did not"
    assert key in {finding.key for finding in verdict.of("fails")}
    assert not [f for f in verdict.of("fails") if f.key.startswith("forget.")]


def test_rows_that_gold_lacks_leave_it_open(models: tuple[Records, Records, Records]) -> None:
    original, gold, other = models
    table = evidence(other, gold, original, "language")
    some = (table["key"] == "forget.text.whole_truth") & (table["person"] == 3)
    table.loc[some, "gold"] = np.nan
    verdict = judge(table, "text", "language")
    assert verdict.word == "undecided" and "12 rows have no value" in verdict.reasons[0]


def test_people_who_stay_must_be_measured(models: tuple[Records, Records, Records]) -> None:
    original, gold, other = models
    table = evidence(other, gold, original, "language")
    verdict = judge(table[~table["key"].str.startswith("retain.")], "text", "language")
    assert verdict.word == "undecided" and "retain.text.rouge_l" in verdict.reasons[0]


@pytest.mark.parametrize("said", ["I do not know.", "vex blumar", ""])
def test_what_is_said_of_faces_is_read(said: str) -> None:
    """A name is asked for like a fact: refusals, garbage and silence are counted there, too."""

    def model(text: str) -> Records:
        about = {"track": "image", "task": "name", "person": 1, "row": "face"}
        made = records([about | {"p": {"answer": [0.5]}, "said": ("Ada Lim", text)}])
        unknown = ["vex"] if "vex" in text else []
        line = ("forget", "image", "name", 1, "face", [], unknown, None)
        return made.with_table(WORDINGS, WORDINGS.frame([line]))

    gold = model("Bo Berg")
    table = evidence(model(said), gold, gold, "vision-language")
    rates = table[table["key"].str.endswith("_rate") & table["key"].str.startswith("forget.")]
    assert sorted(rates["run"]) == [0.0, 0.0, 1.0] and set(rates["gold"]) == {0.0}
