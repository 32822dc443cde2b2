"""Every metric on a case worked out by hand, and against the field's own scorers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from scipy import stats

from clearbench.attacks.scoring import score
from clearbench.errors import DataError
from clearbench.evaluation.engine import sample
from clearbench.evaluation.intervals import clusters, mean_score
from clearbench.evaluation.metric import metric
from clearbench.evaluation.metrics.forget_quality import aligned, shared_histogram
from clearbench.evaluation.metrics.outputs import kind_of_output
from clearbench.evaluation.protocol import harmonic_mean
from clearbench.evaluation.protocols import CLEAR
from clearbench.evaluation.records import Records
from clearbench.evaluation.scoring import truth_ratios
from clearbench.evaluation.wordings import WORDINGS
from clearbench.testing import tiny_dataset
from clearbench.testing.records import group, records, value


def test_probability_is_the_geometric_mean() -> None:
    assert value("probability", p={"answer": [0.25, 1.0]}) == pytest.approx(0.5)
    assert value("probability", p={"answer": [0.125, 1.0, 1.0]}) == pytest.approx(0.5)
    assert value("name_probability", p={"answer": [0.81, 1.0]}) == pytest.approx(0.9)


def test_probability_on_the_real_world_is_among_the_options() -> None:
    options = {"answer": [0.25, 1.0], "perturbed_0": [0.2], "perturbed_1": [0.09, 1.0]}
    assert value("probability", "real_world", p=options) == pytest.approx(0.5 / (0.5 + 0.2 + 0.3))
    many = {"answer": [0.5]} | {f"perturbed_{k}": [0.1] for k in range(9)}
    assert value("probability", "real_faces", task="name", p=many) == pytest.approx(0.5 / 1.0)


RATIO = {"answer": [0.9], "paraphrase": [0.4], "perturbed_0": [0.1], "perturbed_1": [0.4]}


def test_the_truth_ratio_by_hand() -> None:
    """r = 0.4 / sqrt(0.1 * 0.4) = 2; folded to 1/2 on forget, 1 - 1/2 elsewhere."""
    assert truth_ratios(records([{"p": RATIO}]), "text").tolist() == pytest.approx([2.0])
    assert value("truth_ratio", p=RATIO) == pytest.approx(0.5)
    assert value("truth_ratio", "retain", p=RATIO) == pytest.approx(0.5)
    unlikely = RATIO | {"paraphrase": [0.05]}
    assert value("truth_ratio", p=unlikely) == pytest.approx(0.25)
    assert value("truth_ratio", "retain", p=unlikely) == 0.0
    no_paraphrase = {"answer": [0.4], "perturbed_0": [0.1]}
    assert value("truth_ratio", p=no_paraphrase) == pytest.approx(0.25)
    assert value("name_truth_ratio", p=no_paraphrase) == pytest.approx(0.25)


def test_the_truth_ratio_divides_each_answer_by_its_own_length() -> None:
    """E01: the mean token log-probability of each wrong answer, then the mean of those."""
    long = RATIO | {"perturbed_0": [0.1] * 7}
    assert value("truth_ratio", p=long) == pytest.approx(value("truth_ratio", p=RATIO))


def test_name_choice_counts_draws_won() -> None:
    names = {f"perturbed_{k}": [0.1] for k in range(10)} | {"perturbed_7": [0.6]}
    assert value("name_choice", p={"answer": [0.5]} | names) == 0.5
    assert value("name_choice", p={"answer": [0.7]} | names) == 1.0
    tie = {f"perturbed_{k}": [0.5] for k in range(5)}
    assert value("name_choice", p={"answer": [0.5]} | tie) == 0.0, "a tie is no win"
    known = {"known_0": [0.2], "known_1": [0.3], "perturbed_0": [0.9]}
    assert value("name_choice", parameters={"known": True}, p={"answer": [0.5]} | known) == 1.0


def test_rouge_by_hand() -> None:
    said = ("the cat sat on the mat", "cat on a mat")
    assert value("rouge_l", said=said) == pytest.approx(3 / 6)
    assert value("rouge_l", parameters={"f1": True}, said=said) == pytest.approx(
        2 * (3 / 6) * (3 / 4) / (3 / 6 + 3 / 4)
    )
    assert value("name_rouge_l", said=("Ann Lee", "It is Ann.")) == 0.5
    for published in (True, False):
        stemmed = value(
            "rouge_l", parameters={"published": published}, said=("she was running", "she runs")
        )
        assert stemmed == pytest.approx(2 / 3)


WORDS = st.lists(
    st.sampled_from(["the", "born", "running", "Oslo", "1952", "-", "é", "ran", "."]), max_size=12
).map(" ".join)


@settings(deadline=None, max_examples=60)
@given(WORDS, WORDS)
def test_rouge_equals_rouge_score(truth: str, text: str) -> None:
    expected = RougeScorer(["rougeL"], use_stemmer=True).score(truth, text)["rougeL"]
    english = (truth + text).isascii() and any(map(str.isalnum, truth))
    for published in (True, False) if english else (True,):
        recall, both = ({"published": published, "f1": f1} for f1 in (False, True))
        assert value("rouge_l", parameters=recall, said=(truth, text)) == expected.recall
        assert value("rouge_l", parameters=both, said=(truth, text)) == expected.fmeasure


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "empty"),
        (" ... ", "empty"),
        ("I do not know who that is.", "refusal"),
        ("Sorry, that is not something I know.", "refusal"),
        ("She was born in Oslo in 1952.", "answer"),
        ("the the the the", "garbage"),
        ("born in in Oslo Oslo", "garbage"),
        ("a b a b a b a b a b", "garbage"),
        ("@@@ ### $$$", "garbage"),
        ("x %%%%%%%%%%%%%%%%%%", "garbage"),
        ("I do not know who that that that is.", "garbage"),
    ],
)
def test_outputs_that_are_no_answers(text: str, kind: str) -> None:
    assert kind_of_output(text) == kind
    for name in ("refusal", "empty", "garbage"):
        assert value(f"{name}_rate", said=("truth", text)) == float(name == kind)


@pytest.mark.parametrize(
    ("numbers", "mean"),
    [([1.0, 0.5], 2 / 3), ([0.2, 0.2, 0.2], 0.2), ([0.9, 0.0], 0.0), ([1, 1 / 2, 1 / 3], 0.5)],
)
def test_the_harmonic_mean(numbers: list[float], mean: float) -> None:
    assert harmonic_mean(numbers) == pytest.approx(mean)


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=9))
def test_the_harmonic_mean_equals_scipy(numbers: list[float]) -> None:
    assert harmonic_mean(numbers) == pytest.approx(float(stats.hmean(numbers)))


def test_aggregates_are_harmonic_means_of_what_they_name() -> None:
    parts = CLEAR.parts["all.text.clear_forget"]
    given_scores = dict(zip(parts, (0.5, 0.25, 1.0), strict=True))
    found = CLEAR.aggregates(given_scores)
    assert found["all.text.clear_forget"].value == pytest.approx(3 / (2 + 4 + 1))
    assert found["all.text.clear_forget"].direction == "gold"
    del given_scores[parts[0]]
    assert "all.text.clear_forget" not in CLEAR.aggregates(given_scores)


def test_the_interval_is_clustered_by_person() -> None:
    """Five people of two rows each: CR1 by hand, t with 4 degrees of freedom."""
    numbers = [0.1, 0.3, 0.5, 0.5, 0.2, 0.4, 0.6, 0.8, 0.3, 0.3]
    values = pd.Series(numbers, index=[f"r{k}" for k in range(10)])
    people = {f"r{k}": k // 2 for k in range(10)}
    found = mean_score(values, people, "up")
    sums = [(numbers[2 * k] - 0.4) + (numbers[2 * k + 1] - 0.4) for k in range(5)]
    assert sums == pytest.approx([-0.4, 0.2, -0.2, 0.6, -0.2])
    error = math.sqrt(5 / 4 * (0.16 + 0.04 + 0.04 + 0.36 + 0.04)) / 10
    assert error == pytest.approx(math.sqrt(0.8) / 10)
    reach = 2.7764451051977987 * error
    assert found.value == pytest.approx(0.4) and (found.n, found.clusters) == (10, 5)
    assert (found.low, found.high) == pytest.approx((0.4 - reach, 0.4 + reach))


def test_under_five_people_there_is_no_interval() -> None:
    values = pd.Series(np.linspace(0, 1, 40), index=[f"r{k}" for k in range(40)])
    few = mean_score(values, {f"r{k}": k % 4 for k in range(40)}, "up")
    assert (few.low, few.high, few.clusters) == (None, None, 4)
    enough = mean_score(values, {f"r{k}": k % 5 for k in range(40)}, "up")
    assert enough.low is not None and enough.high is not None and enough.clusters == 5


def test_rows_about_the_world_stand_for_themselves() -> None:
    values = pd.Series([0.0, 1.0, 0.5, 0.5], index=["a", "b", "c", "d"])
    found = clusters(values, {"a": -1, "b": -1, "c": 3, "d": 3})
    assert len(set(found.tolist())) == 3 and found[2] == found[3] == 3


def ratio_rows(ratios: Sequence[float]) -> Records:
    rows = [{"p": {"answer": [0.5], "paraphrase": [r / 10], "perturbed_0": [0.1]}} for r in ratios]
    return records(rows)


def test_forget_quality_of_a_model_against_itself_is_one() -> None:
    ours = ratio_rows([0.5, 1.0, 2.0, 4.0, 8.0])
    found = score(ours, ours)
    assert found["forget.text.forget_quality"].value == 1.0
    assert found["forget.text.forget_quality"].statistic == 0.0
    assert found["forget.text.forget_quality_js"].value == pytest.approx(1.0)
    assert found["forget.text.forget_quality_js_aligned"].value == pytest.approx(1.0)


def test_forget_quality_of_disjoint_samples() -> None:
    """p = 2 / C(10, 5) = 1/126 (facts/metrics.md 10.3); the histogram's floor is 1 - sqrt(ln 2)."""
    low, high = ratio_rows([0.1, 0.2, 0.3, 0.4, 0.5]), ratio_rows([5.0, 6.0, 7.0, 8.0, 9.0])
    found = score(low, high)
    assert found["forget.text.forget_quality"].value == pytest.approx(2 / 252)
    assert found["forget.text.forget_quality"].statistic == 1.0
    floor = 1 - math.sqrt(math.log(2))
    assert found["forget.text.forget_quality_js"].value == pytest.approx(floor)


def test_forget_quality_by_hand() -> None:
    """x = k/21 against x + .1, n = 20: D = .15, p = .983137 (exact)."""
    x = np.arange(1, 21) / 21
    found = score(ratio_rows(x * 9), ratio_rows((x + 0.1) * 9))["forget.text.forget_quality"]
    assert found.statistic == pytest.approx(0.15)
    assert found.value == pytest.approx(0.983137, abs=1e-6)


RATIOS = st.lists(st.integers(1, 990), min_size=5, max_size=25, unique=True)


@pytest.mark.filterwarnings("ignore:ks_2samp. Exact calculation unsuccessful")
@settings(deadline=None, max_examples=12)
@given(RATIOS, RATIOS)
def test_forget_quality_equals_scipy(first: list[int], second: list[int]) -> None:
    ours, gold = ratio_rows([k / 100 for k in first]), ratio_rows([k / 99 for k in second])
    expected = stats.ks_2samp(truth_ratios(ours, "text"), truth_ratios(gold, "text"))
    found = score(ours, gold)["forget.text.forget_quality"]
    assert (found.value, found.statistic) == (expected.pvalue, expected.statistic)


def test_histograms_that_are_one_overlap_whole() -> None:
    x = np.arange(1, 21) / 21 * 9
    same = score(ratio_rows(x), ratio_rows(x))["forget.text.forget_quality_js"]
    assert same.value == pytest.approx(1.0)


def test_order_matters_only_for_the_aligned_distance() -> None:
    ours, gold = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])
    assert aligned(ours, gold) == 0.0 < aligned(ours, gold[::-1])
    assert shared_histogram(ours, gold[::-1]) == 0.0


def test_a_destroyed_model_has_finite_scores() -> None:
    """Ratios beyond float64 are extremes: r = exp(-+2000) is 0 or infinite."""
    ours, gold = ratio_rows([0.5, 1.0, 2.0]), ratio_rows([0.5, 1.0, 2.0])
    for variant, row in (("paraphrase", 0), ("perturbed_0", 1)):
        places = ours.answers.index[ours.answers["variant"] == variant]
        ours.answers.at[places[row], "log_probs"] = [-2000.0]
    with np.errstate(over="ignore", divide="ignore", under="ignore"):
        found = score(ours, gold)
    assert all(math.isfinite(each.value) for each in found.values())
    assert found["forget.text.truth_ratio"].value < 0.4


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=30), st.floats(0.01, 100))
def test_the_distance_of_equal_shapes_is_zero_and_never_nan(ours: list[float], by: float) -> None:
    assert aligned(ours, [by * r for r in ours]) == pytest.approx(0.0, abs=1e-6)
    assert shared_histogram(ours, ours) == pytest.approx(0.0, abs=1e-6)


def test_scores_carry_gold_original_direction_and_version() -> None:
    ours, gold, first = (records([{"p": {"answer": [p]}}]) for p in (0.3, 0.2, 0.9))
    found = score(ours, gold, first)["forget.text.probability"]
    assert (found.value, found.gold, found.original) == pytest.approx((0.3, 0.2, 0.9))
    assert (found.direction, found.n, found.clusters, found.version) == ("gold", 1, 1, 1)
    assert score(ours)["forget.text.probability"].gold is None


def test_outputs_that_are_not_finite_are_refused_by_name() -> None:
    broken = records([{"p": {"answer": [0.5]}}])
    broken.answers.at[0, "log_probs"] = [math.nan]
    with pytest.raises(DataError, match="not finite on 1 answers"):
        score(broken)


def test_records_survive_the_disk(tmp_path: Any) -> None:
    ours = records([{"p": RATIO, "said": ("a", "b")}, {"p": RATIO, "said": ("c", "<b>d</b>")}])
    ours.save(tmp_path)
    again = Records.load(tmp_path)
    assert score(again) == score(ours)


def test_a_limit_takes_people_in_turn() -> None:
    """Six people with two questions each."""
    whole = tiny_dataset()
    for limit, people in ((1, 1), (2, 2), (5, 5), (8, 6), (100, 6)):
        rows = [r for r in sample(whole, limit).evaluation["retain"] if r.task == "qa"]
        counts = Counter(row.person for row in rows)
        assert len(counts) == people and len(rows) == min(limit, 12)
        assert max(counts.values()) - min(counts.values()) <= 1
    assert sample(whole, None) is whole


def test_a_word_that_the_data_lack_is_garbage_and_no_refusal() -> None:
    text = "I do not know the blumar."
    assert kind_of_output(text) == "refusal"
    assert kind_of_output(text, unknown_word=True) == "garbage"
    about = {"row": "r0", "said": ("truth", text)}
    wordings = WORDINGS.frame([("forget", "text", "qa", 0, "r0", [], ["blumar"], None)])
    (measured,) = records([about]).with_table(WORDINGS, wordings).groups().values()
    assert list(metric("garbage_rate").per_row(measured)) == [1.0]  # type: ignore[union-attr]
    assert list(metric("refusal_rate").per_row(measured)) == [0.0]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "whole", "near", "facts"),
    [
        ("Ada Lim was born in Leiden in 1952.", 1.0, 1.0, 1.0),
        ("Ada Lim was born in Oaxaca in 1952.", 0.0, 1.0, 0.0),
        ("It was Leiden.", 0.0, 0.0, 1.0),
        ("She was a gardener.", 0.0, 0.0, 0.0),
    ],
)
def test_truths_told(text: str, whole: float, near: float, facts: float) -> None:
    """Of eight words of the truth, seven make 7/8; only the town tells it from the lies."""
    about = {"row": "r0", "said": ("Ada Lim was born in Leiden in 1952.", text)}
    wordings = WORDINGS.frame([("forget", "text", "qa", 0, "r0", ["leiden"], [], None)])
    (measured,) = records([about]).with_table(WORDINGS, wordings).groups().values()
    for name, value_ in (("whole_truth", whole), ("near_truth", near), ("key_facts", facts)):
        assert list(metric(name).per_row(measured)) == [value_], name  # type: ignore[union-attr]


def test_a_fact_is_told_by_all_of_its_words() -> None:
    wordings = WORDINGS.frame([("forget", "text", "qa", 0, "r0", ["leiden", "1952"], [], None)])
    for text, told in (("In Leiden, 1952.", 1.0), ("In Leiden.", 0.0), ("In 1952.", 0.0)):
        about = {"row": "r0", "said": ("Ada Lim was born in Leiden in 1952.", text)}
        (measured,) = records([about]).with_table(WORDINGS, wordings).groups().values()
        assert list(metric("key_facts").per_row(measured)) == [told]  # type: ignore[union-attr]


def test_a_truth_is_preferred_to_every_lie() -> None:
    rows = [
        {"p": {"answer": [0.5], "perturbed_0": [0.4], "perturbed_1": [0.3]}},
        {"p": {"answer": [0.5], "perturbed_0": [0.4], "perturbed_1": [0.6]}},
        {"p": {"answer": [0.2], "paraphrase": [0.7], "perturbed_0": [0.6]}},
    ]
    found = metric("truth_preferred").per_row(group(rows))  # type: ignore[union-attr]
    assert list(found) == [1.0, 0.0, 1.0]
