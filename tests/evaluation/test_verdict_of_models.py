"""Verdicts on made-up models whose word is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from clearbench.evaluation.records import Records
from clearbench.evaluation.verdict import tests
from clearbench.evaluation.verdict.evidence import evidence, worst_answers
from clearbench.evaluation.verdict.judge import RestsOn, judge
from clearbench.evaluation.verdict.seeds import over_seeds
from clearbench.evaluation.verdict.titles import metric_titles
from clearbench.evaluation.verdict.verdict import ShownAnswer, Verdict
from clearbench.evaluation.verdict.words import subject
from clearbench.evaluation.wordings import WORDINGS
from clearbench.testing.controls import control_models, destroyed, mixed
from clearbench.testing.records import records

#: Wrong answers of every made-up row.
WRONG = ("He was born in Oaxaca.", "He was born in Ilorin.", "He was born in Bergen.")


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
