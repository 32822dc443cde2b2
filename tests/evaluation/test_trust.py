"""Ratings of metrics: by hand, and on the published board of 150 unlearned models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from clearbench.evaluation.trust import (
    Change,
    agreement,
    believe,
    faithfulness,
    harmonic,
    quantisation,
    rated,
    relearning,
)

VALUES = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=12)


def change(before: float, after: float) -> Change:
    return Change(before=before, after=after)


@settings(deadline=None, max_examples=40)
@given(VALUES, VALUES)
def test_faithfulness_is_the_area_under_the_curve(
    knowing: list[float], ignorant: list[float]
) -> None:
    area, chance = faithfulness(knowing, ignorant)
    labels = [1] * len(knowing) + [0] * len(ignorant)
    assert area == pytest.approx(roc_auc_score(labels, knowing + ignorant))
    assert 0 <= chance <= 1


def test_three_against_three_may_be_chance() -> None:
    """One of twenty orders of six separates them: .05; of eight, one of seventy."""
    assert faithfulness([4, 5, 6], [1, 2, 3]) == (1.0, pytest.approx(1 / 20))
    assert faithfulness([4, 5, 6, 7], [0, 1, 2, 3]) == (1.0, pytest.approx(1 / 70))
    assert faithfulness([1, 2, 3], [4, 5, 6])[0] == 0.0


@pytest.mark.parametrize(
    ("unlearned", "gold", "rating", "symmetric"),
    [
        ((0.1, 0.5), (0.1, 0.2), 0.25, 1 - 0.3 / 0.5),
        ((0.1, 0.2), (0.1, 0.5), 1.0, 1 - 0.3 / 0.5),
        ((0.1, 0.3), (0.2, 0.4), 1.0, 1.0),
        ((0.5, 0.4), (0.1, 0.2), 0.0, 0.0),
        ((0.2, 0.2), (0.1, 0.2), 1.0, 0.0),
        ((0.2, 0.2), (0.1, 0.1), 1.0, 1.0),
        ((0.2, 0.2), (0.2, 0.1), 0.0, 0.0),
    ],
)
def test_relearning_by_hand(
    unlearned: tuple[float, float], gold: tuple[float, float], rating: float, symmetric: float
) -> None:
    """min(d_gold / d_unlearned, 1): slower than gold is no fault; the wrong way round is."""
    ours, theirs = change(*unlearned), change(*gold)
    assert relearning(ours, theirs) == pytest.approx(rating)
    assert relearning(ours, theirs, "symmetric") == pytest.approx(symmetric)


def test_quantisation_by_hand() -> None:
    """Knowledge from .2 to .8 is a quarter; from .8 to .2 nothing came back."""
    back, gone = change(0.2, 0.8), change(0.8, 0.2)
    assert quantisation(back) == pytest.approx(0.25) and quantisation(gone) == 1.0
    assert quantisation(gone, rises=False) == pytest.approx(0.25)
    assert quantisation(back, rises=False) == 1.0
    assert quantisation(change(0.0, 0.0)) == 1.0 and quantisation(change(0.0, 0.5)) == 0.0
    for each in (back, gone):
        assert quantisation(each, "symmetric") == pytest.approx(1 - 0.6)


def test_a_metric_is_rated_whole() -> None:
    """Ratings .5 and 1 of relearning, .25 of rounding: HM(.75, .25) = .375, HM(1, .375)."""
    pairs = [(change(0.1, 0.5), change(0.1, 0.3)), (change(0.1, 0.2), change(0.1, 0.3))]
    found = rated("m", [5, 6, 7, 8], [1, 2, 3, 4], pairs, [change(0.2, 0.8)])
    assert (found.relearning, found.quantisation) == (pytest.approx(0.75), pytest.approx(0.25))
    assert found.robustness == pytest.approx(0.375)
    assert found.overall == pytest.approx(2 * 0.375 / 1.375)
    assert (found.knowing, found.ignorant, found.attacked) == (4, 4, 2)
    turned = rated(
        "m", [-5, -6, -7, -8], [-1, -2, -3, -4],
        [(change(-a.before, -a.after), change(-b.before, -b.after)) for a, b in pairs],
        [change(0.8, 0.2)], rises=False,
    )  # fmt: skip
    assert turned == found, "a metric that falls with knowledge is the same one upside down"


@pytest.mark.parametrize(
    ("knowing", "rounded", "words"),
    [
        ([5, 6, 7, 8], (0.5, 0.5), "yes"),
        ([5, 6, 7, 8], (0.01, 0.9), "only of the model as it is: a little rounding changes"),
        ([1, 2, 3, 4], (0.5, 0.5), "no: it does not tell models that know"),
        ([5, 6], (0.5, 0.5), "cannot be said: too few models"),
    ],
)
def test_words_on_whether_to_believe(
    knowing: list[float], rounded: tuple[float, float], words: str
) -> None:
    ignorant = [1, 2, 3, 4][: len(knowing)]
    same = (change(0.1, 0.2), change(0.1, 0.2))
    assert rated("m", knowing, ignorant, [same], [change(*rounded)]).believe.startswith(words)
    if words == "yes":
        assert believe(rated("m", knowing, ignorant)).startswith("yes, as it is; not attacked")


@pytest.fixture(scope="module")
def board(oracles: Path) -> dict[str, Any]:
    """Published scores of 152 models and ratings of 22 metrics; skips where they are not there."""
    names = ("method_results", "meta_eval")
    found = {
        name: json.loads((oracles / "uds" / f"{name}.json").read_text(encoding="utf-8"))
        for name in names
    }
    return {"models": found["method_results"]["models"], "ratings": found["meta_eval"]}


def test_aggregates_of_the_published_board(board: dict[str, Any]) -> None:
    """Equal on 152 of 152 rows, zeros included (gnueaj/unlearning-depth-score at fc31639)."""
    models = board["models"]
    assert len(models) == 152
    for row in models:
        memory = harmonic([row[f"one_minus_{name}"] for name in ("es", "em", "paraprob", "truth")])
        membership = harmonic([row[f"s_{name}"] for name in ("loss", "zlib", "mink", "minkpp")])
        privacy = harmonic([membership, row["uds"]])
        assert row["mem"] == pytest.approx(memory, rel=1e-9, abs=0)
        assert row["privacy_mia"] == pytest.approx(membership, rel=1e-9, abs=0)
        assert row["privacy"] == pytest.approx(privacy, rel=1e-9, abs=0)
        assert row["utility"] == pytest.approx(
            harmonic([row["model_utility"], row["fluency"]]), rel=1e-9, abs=0
        )
        whole = harmonic([memory, privacy, row["utility_rel"]])
        assert row["overall"] == pytest.approx(whole, rel=1e-9, abs=0)


def test_robustness_of_the_published_metrics(board: dict[str, Any]) -> None:
    """Printed with four digits: HM(R, Q) of 22 metrics, and the best of them by faithfulness."""
    ratings = board["ratings"]["robustness"]
    assert len(ratings) == 22
    for each in ratings.values():
        found = harmonic([each["relearning"], each["quantization"]])
        assert found == pytest.approx(each["agg"], abs=1e-4)
    faithful = board["ratings"]["faithfulness"]
    overall = {
        name: harmonic([faithful[name]["auc_roc"], ratings[name]["agg"]]) for name in ratings
    }
    assert max(overall, key=lambda name: overall[name]) == "uds"
    assert overall["rouge"] == pytest.approx(2 / (1 / 0.722 + 1 / 0.3329))


def test_rank_correlations_of_the_published_board(board: dict[str, Any]) -> None:
    """Extraction strength, truth ratio, membership and model utility with the depth score."""
    rows = [row for row in board["models"] if not row["is_reference"]]
    assert len(rows) == 150
    names = ("one_minus_es", "one_minus_truth", "privacy_mia", "model_utility", "uds")
    found = agreement({name: [row[name] for row in rows] for name in names})["uds"]
    expected = [0.96, 0.92, 0.80, -0.48, 1.0]
    assert np.round(found[list(names)], 2).tolist() == expected
