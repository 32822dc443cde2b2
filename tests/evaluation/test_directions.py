"""Directions, options, pairs and limits of scores that a single value does not show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clearbench import score
from clearbench.batches.items import item
from clearbench.errors import DataError
from clearbench.evaluation import engine
from clearbench.evaluation.engine import KNOWN_NAMES, evaluate, variants
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.intervals import mean_score, within
from clearbench.evaluation.logs.fields import number, rows
from clearbench.evaluation.metrics.forget_quality import ForgetQuality, aligned, shared_histogram
from clearbench.evaluation.metrics.keywords import Cloze
from clearbench.evaluation.metrics.letter_choice import lettered
from clearbench.evaluation.metrics.template_accuracy import MATCHES, TemplateAccuracy
from clearbench.evaluation.protocol import Protocol
from clearbench.evaluation.protocols import CLEAR
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.evaluation.tables import GroupKey
from clearbench.testing import tiny_dataset
from clearbench.testing.records import group, records, value
from clearbench.testing.world import copied, taught


def test_an_aggregate_needs_all_its_parts_and_has_its_direction() -> None:
    two = Protocol(
        "two", 3, "", {"all.text.left_of_forget": ("a", "b"), "all.text.utility": ("b",)}
    )
    found = two.aggregates({"a": 0.5, "b": 1.0})
    left, utility = found["all.text.left_of_forget"], found["all.text.utility"]
    assert (left.value, left.direction, left.n, left.version) == (
        pytest.approx(2 / 3),
        "gold",
        2,
        3,
    )
    assert (utility.value, utility.direction) == (1.0, "up")
    assert [*two.aggregates({"b": 1.0})] == ["all.text.utility"]
    directions = {
        key: found.direction
        for key, found in CLEAR.aggregates(
            dict.fromkeys((part for parts in CLEAR.parts.values() for part in parts), 0.5)
        ).items()
    }
    assert {*directions} == {*CLEAR.parts}
    for key, direction in directions.items():
        assert direction == ("gold" if "clear_forget" in key else "up"), key


@pytest.mark.parametrize("missing", [1, 2, 4])
def test_a_protocol_without_what_it_needs_is_refused(missing: int) -> None:
    keys = tuple(f"forget.text.part_{k}" for k in range(missing))
    needs = Protocol("needs", 1, "", {}, required=keys)
    there = score(records([{"p": {"answer": [0.5]}}]))
    with pytest.raises(DataError, match="part_0"):
        needs.check(there, with_gold=False)
    Protocol("has", 1, "", {}, required=("forget.*.probability",)).check(there, with_gold=False)
    with pytest.raises(DataError, match="forget_quality"):
        Protocol("q", 1, "", {}, required=("forget.text.forget_quality",)).check(there, True)
    Protocol("q", 1, "", {}, required=("forget.text.forget_quality",)).check(there, False)


def test_options_are_counted_and_not_spelled() -> None:
    """The first five of twelve names are 0 to 4; in the order of letters 10 and 11 come third."""
    names = {f"perturbed_{k}": [0.1 if k < 5 else 0.4] for k in range(12)}
    found = value(
        "name_probability", parameters={"options": True}, track="image", task="name",
        p={"answer": [0.5]} | names,
    )  # fmt: skip
    assert found == pytest.approx(0.5 / (0.5 + 5 * 0.1))
    ordered = group([{"p": {"answer": [0.5]} | names}]).options("perturbed")
    assert [*ordered.columns] == [f"perturbed_{k}" for k in range(12)]


def test_an_interval_stays_within_its_range() -> None:
    assert within(0.1, 0.3, (0.0, 1.0)) == (0.0, 0.4)
    assert within(0.9, 0.3, (0.0, 1.0)) == (pytest.approx(0.6), 1.0)
    assert within(0.9, 2.0, (None, None)) == (pytest.approx(-1.1), pytest.approx(2.9))
    values = pd.Series([0.0, 0.0, 0.0, 0.0, 1.0], index=[str(k) for k in range(5)])
    found = mean_score(values, {str(k): k for k in range(5)}, "up")
    assert (found.low, found.value) == (0.0, 0.2)
    assert found.high == pytest.approx(0.2 + 2.7764451 * 0.2)


def test_ratios_are_paired_by_row_and_binned_together() -> None:
    """The distance of rows in another order is that of the same rows; bins span both samples."""
    ratios = [0.25, 1.0, 4.0]

    def told(order: list[int], factor: float = 1.0) -> Any:
        return records([
            {"row": f"r{k}", "p": {"answer": [min(1.0, 0.2 * factor * ratios[k])],
                                   "perturbed_0": [0.2]}}
            for k in order
        ])  # fmt: skip

    key = "forget.text.forget_quality_js_aligned"
    same = score(told([0, 1, 2]), told([2, 0, 1]))[key].value
    assert same == pytest.approx(1.0)
    both = pd.Series([1.0, 3.0], index=["a", "b"])
    for other in ([3.0, 1.0], ["b", "a"]), ([3.0, 9.0, 1.0], ["b", "c", "a"]):
        found = ForgetQuality(statistic="js_aligned").value(both, pd.Series(*other))
        assert found == (1.0, None), "rows that both have"
    assert aligned([1.0, 3.0], [3.0, 1.0]) > 0.1
    apart = shared_histogram([1.0, 1.1], [1e6, 1e7])
    assert apart == pytest.approx(math.sqrt(math.log(2)))


def test_ratios_are_in_one_of_twenty_bins() -> None:
    """Logarithms 0 to 20: of two values in one unit both are in one bin, and else in none."""

    def overlap(other: float) -> float:
        return shared_histogram(np.exp([0.0, 7.1, 20.0]), np.exp([0.0, other, 20.0]))

    assert overlap(7.9) == 0.0
    assert overlap(8.1) == overlap(6.9) == pytest.approx(math.sqrt(math.log(2) / 3))


def test_the_true_option_is_at_every_place() -> None:
    """And the letter is that of its line."""
    letters = []
    for k in range(40):
        lines, letter = lettered("true", ["w1", "w2", "w3"], f"row {k}")
        assert f"{letter}. true" in lines.splitlines()
        assert sorted(line[3:] for line in lines.splitlines()) == ["true", "w1", "w2", "w3"]
        letters.append(letter)
    assert {*letters} == {*"ABCD"}
    assert lettered("true", ["w1"], "row")[1] == lettered("true", ["w1"], "row")[1]


@pytest.mark.parametrize(
    ("truth", "text", "filled"),
    [("art", "party", 0.0), ("art", "Modern art.", 1.0), ("Oslo", "oslo", 1.0), ("5", "1952", 0.0)],
)
def test_a_blank_is_filled_with_whole_words(truth: str, text: str, filled: float) -> None:
    found = Cloze().per_row(group([{"task": "cloze", "said": (truth, text)}]))
    assert found.tolist() == [filled]


def test_calibration_is_about_what_is_kept() -> None:
    """A forgotten row, sure and wrong, does not count."""
    right = {"p": {"answer": [0.8], "perturbed_0": [0.2]}, "split": "retain"}
    wrong = {"p": {"answer": [0.1], "perturbed_0": [0.9]}, "split": "forget"}
    alone, both = (score(records(each)) for each in ([right], [right, wrong]))
    key = "side.text.calibration_error"
    assert both[key].value == alone[key].value == pytest.approx(0.2)
    assert both[key].n == 1 and both[key].direction == "down"


@pytest.mark.parametrize(
    ("own", "other", "found"), [(0.9, 0.5, 1.0), (0.5, 0.5, 0.0), (0.1, 0.2, 0.0)]
)
def test_a_face_is_known_by_the_nearest_template_alone(
    own: float, other: float, found: float
) -> None:
    key = GroupKey("forget", "image", "name")
    line = (*key, 0, "r0", own, other)
    made = RecordGroup(key, {MATCHES: MATCHES.frame([line])})
    assert TemplateAccuracy().per_row(made).tolist() == [found]


def test_what_is_scored_of_a_row() -> None:
    """The truth, its paraphrase in its own words, wrong answers, and other people's names."""
    data = tiny_dataset()
    text = data.evaluation["forget"][0]
    scored = variants(text, ["person 0", "person 2"])
    assert [(each.variant, each.answer) for each in scored] == [
        ("answer", text.answer),
        ("paraphrase", text.paraphrased_answer),
        *((f"perturbed_{k}", wrong) for k, wrong in enumerate(text.perturbed_answers)),
    ]
    name = next(row for row in data.evaluation["retain"] if row.task == "name")
    known = [f"person {k}" for k in range(8)]
    others = [each.answer for each in variants(name, known) if each.variant.startswith("known")]
    assert len({*others}) == len(others) == KNOWN_NAMES and name.answer not in others
    assert others != [e.answer for e in variants(name, known[::-1]) if "known" in e.variant]


@pytest.mark.parametrize("others", [(), ("Ann",), ("Ann", "Bo", "Cy", "Di")])
def test_the_true_name_is_no_wrong_option(others: tuple[str, ...]) -> None:
    """Where no more names are known than are asked about, all of the others are."""
    data = tiny_dataset()
    rows = [row for row in data.evaluation["retain"] if row.task == "name"]
    assert rows
    for row in rows:
        scored = variants(row, sorted([row.answer, *others]))
        known = {each.answer for each in scored if each.variant.startswith("known")}
        assert known == {*others}
        assert [each.variant for each in scored if each.answer == row.answer] == ["answer"]


def test_known_names_are_those_of_retained_people() -> None:
    data, model = tiny_dataset(), copied(taught("vision-language"))
    plan = engine._planned(model, data, data, EvaluationSettings(splits=("forget",)))
    names = {answer.answer for *_, answer in plan.scored if answer.variant.startswith("known")}
    assert names and names <= {f"person {k}" for k in range(2, 8)}


def test_records_hold_the_readings_of_their_own_answers() -> None:
    """Every line is what the model reads of that answer alone, column by column."""
    model, data = copied(taught("language")), tiny_dataset()
    found = evaluate(model, data, EvaluationSettings(splits=("forget",), max_new_tokens=1)).answers
    by_id = {row.id: row for row in data.evaluation["forget"]}
    assert len(found) > 6
    for line in found.to_dict("records"):
        row = by_id[str(line["row"])]
        (answer,) = (each for each in variants(row, []) if each.variant == line["variant"])
        (reading,) = model.score_items([answer]).values()
        for column in ("log_probs", "hits", "means", "variances"):
            np.testing.assert_allclose(line[column], getattr(reading, column), atol=2e-5)
        assert (line["person"], line["task"]) == (row.person, row.task)
    assert item(by_id["0-0"]).answer == "In Oslo."


def test_a_row_of_a_log_is_there_once_and_a_number() -> None:
    assert rows({"0": 1, "1": 2}, "field", "here") == {0: 1, 1: 2} == rows([1, 2], "field", "here")
    with pytest.raises(DataError, match="a row twice"):
        rows({"1": 1, "01": 2}, "field", "here")
    with pytest.raises(DataError, match="is empty"):
        rows({}, "field", "here")
    for bad in (math.nan, math.inf, True, "1", None):
        with pytest.raises(DataError, match="not a finite number"):
            number(bad, "loss", 3, "here")
    assert number(2, "loss", 3, "here") == 2.0
