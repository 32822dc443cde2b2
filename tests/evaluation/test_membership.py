"""Membership scores and attacks: closed forms, scikit-learn, and cases on paper."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from clearbench.attacks.base import attack
from clearbench.attacks.roc import attack_numbers, auc, privleak, tpr_at
from clearbench.attacks.scoring import score, undefined_leaks
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.metrics.surprise import lowest_mean
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.testing.records import records, value

#: In whole numbers, so that there are ties.
SCORES = st.lists(st.integers(0, 12).map(float), min_size=1, max_size=40)


@settings(deadline=None)
@given(SCORES, SCORES, st.sampled_from([0.001, 0.01, 0.1, 0.25, 0.5, 1.0]))
def test_auc_and_rates_equal_scikit_learn(
    members: list[float], others: list[float], fpr: float
) -> None:
    labels = [1] * len(members) + [0] * len(others)
    signed = [-score for score in members + others]
    assert auc(members, others) == pytest.approx(roc_auc_score(labels, signed))
    rates, found, _ = roc_curve(labels, signed, drop_intermediate=False)
    assert tpr_at(members, others, fpr) == pytest.approx(found[rates <= fpr + 1e-12].max())


@pytest.mark.parametrize(
    ("shift", "area", "at_1", "at_01"),
    [
        (0.5, 0.63816, 0.03390, 0.00480),
        (1, 0.76025, 0.09236, 0.01830),
        (2, 0.92135, 0.37208, 0.13781),
    ],
)
def test_closed_forms_of_two_normals(shift: float, area: float, at_1: float, at_01: float) -> None:
    """AUC = Phi(mu / sqrt 2); TPR at a is 1 - Phi(z_(1-a) - mu): on quantiles of both normals."""
    others = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    members = others - shift
    assert auc(members, others) == pytest.approx(area, abs=1e-5)
    assert tpr_at(members, others, 0.01) == pytest.approx(at_1, abs=1e-4)
    assert tpr_at(members, others, 0.001) == pytest.approx(at_01, abs=3e-4)


def test_a_wider_distribution_of_members() -> None:
    """AUC = Phi(mu / sqrt(1 + s^2)) = .67264 for mu = 1, s = 2; TPR at 1 % is .25361."""
    others = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    members = 2 * others - 1
    assert auc(members, others) == pytest.approx(0.67264, abs=1e-5)
    assert tpr_at(members, others, 0.01) == pytest.approx(0.25361, abs=1e-4)


def test_min_k_by_hand() -> None:
    """Forty per cent of five tokens is two; of two tokens, one; the end token is left out."""
    logs = [math.log(p) for p in (0.5, 0.1, 0.9, 0.2, 0.8)]
    assert lowest_mean(np.array(logs)) == pytest.approx(-(math.log(0.1) + math.log(0.2)) / 2)
    assert lowest_mean(np.array(logs[:2])) == pytest.approx(-math.log(0.1))
    p = {"answer": [0.5, 0.1, 0.9, 0.2, 0.8, 0.0001]}
    assert value("min_k", p=p) == pytest.approx(-(math.log(0.1) + math.log(0.2)) / 2)


def test_min_k_plus_plus_by_hand() -> None:
    """(log p - mu) / sigma of the one token that counts: -1 / 2 and, without spread, -1 / .001."""
    about = {"means": [-1.0, -9.0], "variances": [4.0, 1.0]}
    p = {"answer": [math.exp(-2), 0.5]}
    assert value("min_k_plus_plus", p=p, **about) == pytest.approx(0.5)
    flat = about | {"variances": [0.0, 1.0]}
    assert value("min_k_plus_plus", p=p, **flat) == pytest.approx(1000)


def test_loss_and_zlib_by_hand() -> None:
    truth = "the the the the the the the"
    assert value("loss", p={"answer": [0.25, 1.0]}) == pytest.approx(math.log(2))
    found = value("zlib", p={"answer": [0.25, 1.0]}, said=(truth, "x"))
    assert found == pytest.approx(math.log(2) / len(zlib.compress(truth.encode())))


def people(losses: Sequence[float], split: str, first: int) -> list[dict[str, object]]:
    """Three tokens of the same loss; two rows a person."""
    return [
        {"split": split, "person": first + k // 2, "row": f"{split}{k}",
         "p": {"answer": [math.exp(-loss)] * 3}}
        for k, loss in enumerate(losses)
    ]  # fmt: skip


def pair(forget: Sequence[float], holdout: Sequence[float]) -> Records:
    return records([*people(forget, "forget", 0), *people(holdout, "holdout", 100)])


def test_attacks_by_hand() -> None:
    """Members 1, 3, strangers 2, 4: three of four pairs in order. Gold has two ties, so 1/2."""
    ours, gold = pair([1, 3], [2, 4]), pair([2, 4], [2, 4])
    found = score(ours, gold)
    for name in ("mia_loss", "mia_min_k"):
        key = f"forget.text.{name}"
        assert found[f"{key}_auc"].value == 0.75 and found[f"{key}_auc"].gold == 0.5
        assert found[f"{key}_privleak"].value == -50.0
        assert f"{key}_tpr_at_1" not in found, "a rate of 1 % needs 1,000 strangers"
    assert found["forget.text.mia_reference_auc"].value == 1.0
    assert "forget.text.mia_loss_auc" not in score(records(people([1, 3], "forget", 0)))


def test_the_numbers_of_a_score_that_needs_the_model() -> None:
    """Gradient norms 1 and 3 against 2 and 4, where gold cannot tell."""
    norms = {"a": 1.0, "b": 3.0}, {"c": 2.0, "d": 4.0}
    members, others = (pd.Series(each) for each in norms)
    assert attack_numbers(members, others) == {"auc": 0.75}
    assert attack_numbers(members, others, 0.5) == {"auc": 0.75, "privleak": -50.0}
    many = attack_numbers(np.arange(100) + 0.5, np.arange(10_000))
    assert many["tpr_at_01"] == pytest.approx(0.1) and many["tpr_at_1"] == pytest.approx(1.0)


def test_privleak_by_hand() -> None:
    """AUC .9 where gold has .5: (.1 - .5) / .5 = -80 %; the more is left, the lower (E110)."""
    assert privleak(0.9, 0.5) == pytest.approx(-80)
    assert privleak(0.5, 0.5) == 0
    assert privleak(0.5, 1.0) is None, "there is nothing to divide by"
    assert attack_numbers([1.0, 3.0], [2.0, 4.0], 1.0) == {"auc": 0.75}


def test_a_leak_without_anything_to_divide_by_is_left_out_and_said() -> None:
    """Gold has all pairs in order: AUC 1."""
    ours, gold = pair([1, 3], [2, 4]), pair([1, 2], [3, 4])
    found = score(ours, gold)
    assert found["forget.text.mia_loss_auc"].gold == 1.0
    assert not any(key.endswith("_privleak") for key in found)
    said = list(undefined_leaks(found))
    assert any(
        line.startswith("forget.text.mia_loss_privleak is not available: gold itself")
        for line in said
    )
    assert not list(undefined_leaks(score(ours, pair([2, 4], [2, 4]))))


def test_the_rate_is_reported_from_a_thousand_strangers() -> None:
    found = score(pair(np.arange(1, 101) / 100, np.arange(1, 1001) / 100))
    rate = found["forget.text.mia_loss_tpr_at_1"]
    assert rate.value == pytest.approx(0.1), "ten accused at most: those below the eleventh"
    assert (rate.low, rate.n) == (None, 1100)


def alone(members: Sequence[float], others: Sequence[float]) -> Score:
    """AUC of losses, one row a person."""
    sides = (("forget", 0, members), ("holdout", 100, others))
    rows = [
        {"row": f"{split}{k}", "person": first + k, "split": split, "p": {"answer": [math.exp(-x)]}}
        for split, first, losses in sides
        for k, x in enumerate(losses)
    ]
    return attack("mia_loss").scores(Collections(records(rows)), "text")["forget.text.mia_loss_auc"]


@pytest.mark.parametrize("many", [5, 6, 40])
@pytest.mark.parametrize("few", ["members", "strangers"])
def test_the_interval_of_an_auc_is_that_of_the_smaller_side(few: str, many: int) -> None:
    """Four of five are told from all on the other side: AUC .8 with an error of .2.

    Residuals .2 four times and -.8: sqrt(5/4 * .8) / 5 = .2, and none on the other side, where all
    are alike. t of 4 degrees of freedom is 2.7764451.
    """
    if few == "members":
        found = alone([1, 1, 1, 1, 3], [2] * many)
    else:
        found = alone([2] * many, [3, 3, 3, 3, 1])
    assert found.value == pytest.approx(0.8) and found.clusters == 5 + many
    assert (found.low, found.high) == (pytest.approx(0.8 - 2.7764451 * 0.2), 1.0)


@pytest.mark.parametrize(("members", "strangers"), [(4, 40), (40, 4), (4, 4)])
def test_an_auc_of_four_people_on_a_side_has_no_interval(members: int, strangers: int) -> None:
    found = alone([1] * members, [2] * strangers)
    assert (found.value, found.low, found.high) == (1.0, None, None)


def test_the_interval_of_an_auc_knows_persons() -> None:
    """Two equal rows a person carry what one row does: the interval is that of persons."""
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(3, 1, 40).clip(0.1), rng.normal(4, 1, 40)
    once = alone(ours, theirs)
    twice = score(pair(np.repeat(ours, 2), np.repeat(theirs, 2)))["forget.text.mia_loss_auc"]
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))
    assert twice.clusters == 80 and twice.n == 160
    boot = [auc(rng.choice(ours, 40), rng.choice(theirs, 40)) for _ in range(2000)]
    assert once.low is not None and once.high is not None
    assert once.high - once.low == pytest.approx(2 * 2.02 * np.std(boot), rel=0.1)
