"""Metrics that reproduce published code, and attacks, each on a case worked out on paper."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from clearbench.attacks.base import attack
from clearbench.attacks.roc import auc, tpr_at
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Collections, Comparison, Metric, metric
from clearbench.evaluation.records import Records
from clearbench.testing.records import group, records, value


def compared(name: str, ours: Records, gold: Records, **parameters: str) -> dict[str, float]:
    """A comparison's values on text, whichever protocol has it."""
    chosen = metric(name, **parameters)
    assert isinstance(chosen, Comparison)
    found = chosen.compare(Collections(ours, (gold,)), "text")
    return {key: each.value for key, each in found.items()}


def attacked(name: str, ours: Records, *golds: Records) -> dict[str, float]:
    """An attack's values on text."""
    found = attack(name).scores(Collections(ours, golds), "text")
    return {key: each.value for key, each in found.items()}


def pooled(split: str, task: str) -> RecordGroup:
    """Two rows whose answer is .4; wrong answers .1 and .4, and .4 and .4.

    The geometric mean of all four wrong answers is .1^(1/4) .4^(3/4).
    """
    wrong = ([0.1, 0.4], [0.4, 0.4])
    rows = [
        {
            "split": split,
            "task": task,
            "p": {"answer": [0.4], "perturbed_0": [a], "perturbed_1": [b]},
        }
        for a, b in wrong
    ]
    return group(rows)


def per_row(name: str, form: str, rows: RecordGroup) -> list[float]:
    chosen = metric(name, form=form)
    assert isinstance(chosen, Metric)
    return chosen.per_row(rows).tolist()


@pytest.mark.parametrize(("task", "name"), [("qa", "truth_ratio"), ("name", "name_truth_ratio")])
def test_pooled_truth_ratios_by_hand(task: str, name: str) -> None:
    """E01: r = .4 / (.1^(1/4) .4^(3/4)) = 4^(1/4) in both rows; row by row it is 2 and 1."""
    r = 4**0.25
    for split, folded, alone in (("forget", 1 / r, [0.5, 1.0]), ("retain", 1 - 1 / r, [0.5, 0.0])):
        rows = pooled(split, task)
        assert per_row(name, "pooled", rows) == pytest.approx([folded, folded])
        assert per_row(name, "geometric", rows) == pytest.approx(alone)


def ratio_rows(ratios: Sequence[float]) -> Records:
    rows = [{"p": {"answer": [0.5], "paraphrase": [r / 10], "perturbed_0": [0.1]}} for r in ratios]
    return records(rows)


def test_pooled_forget_quality_by_hand() -> None:
    """With equal wrong answers pooling changes nothing: disjoint samples of five give 1/126."""
    low, high = ratio_rows([0.1, 0.2, 0.3, 0.4, 0.5]), ratio_rows([5.0, 6.0, 7.0, 8.0, 9.0])
    for ratio in ("pooled", "open", "arithmetic"):
        found = compared("forget_quality", low, high, ratio=ratio)
        assert found == pytest.approx({f"forget.text.forget_quality_{ratio}": 1 / 126})
    log = compared("forget_quality", low, high, statistic="log")
    assert log == pytest.approx({"forget.text.forget_quality_log": -math.log(126)})


BY_PLACE = {"statistic": "js_by_place", "ratio": "pooled"}


def test_pooled_aligned_distance_by_hand() -> None:
    """r = (1, 3) against (3, 1): p = (1/4, 3/4), q reversed, m = 1/2.

    KL(p, m) = KL(q, m) = 1/4 ln(1/2) + 3/4 ln(3/2), so 1 - sqrt of that.
    """
    divergence = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    found = compared("forget_quality", ratio_rows([1, 3]), ratio_rows([3, 1]), **BY_PLACE)
    key = "forget.text.forget_quality_js_by_place_pooled"
    assert found == pytest.approx({key: 1 - math.sqrt(divergence)})
    same = compared("forget_quality", ratio_rows([1, 3]), ratio_rows([1, 3]), **BY_PLACE)
    assert same[key] == pytest.approx(1.0)


def test_rouge_1_by_hand() -> None:
    """Of "a cat on the mat", three of five words are said in six: recall 3/5, precision 3/6."""
    said = ("a cat on the mat", "mat the dog sat upon a")
    assert value("rouge_1", said=said) == pytest.approx(3 / 5)
    assert value("rouge_1", parameters={"f1": True}, said=said) == pytest.approx(
        2 * (3 / 5) * (3 / 6) / (3 / 5 + 3 / 6)
    )
    assert value("rouge_l", said=said) == pytest.approx(1 / 5), "in order only one"


def people(rows: Sequence[dict[str, Any]], split: str) -> list[dict[str, Any]]:
    first = 0 if split == "forget" else 100
    return [
        row | {"split": split, "person": first + k, "row": f"{split}{k}"}
        for k, row in enumerate(rows)
    ]


def test_attacks_on_other_scores_by_hand() -> None:
    """Two members against two others; in three of four pairs the other scores higher.

    zlib: losses ln 2 and ln 8 over the bytes of one text, against ln 4 and ln 16. Min-K++: scores 1
    and 3 against 2 and 4, in standard deviations.
    """
    text = "the same words"

    def row(number: int) -> dict[str, Any]:
        return {
            "p": {"answer": [2.0**-number, 1.0]},
            "means": [-number * math.log(2) + number, 0.0],
            "variances": [1.0, 1.0],
            "said": (text, text),
        }

    ours = records([
        *people([row(1), row(3)], "forget"), *people([row(2), row(4)], "holdout")
    ])  # fmt: skip
    for name in ("mia_loss", "mia_zlib", "mia_min_k", "mia_min_k_plus_plus"):
        assert attacked(name, ours)[f"forget.text.{name}_auc"] == 0.75
    size = len(zlib.compress(text.encode()))
    assert value("zlib", **row(3)) == pytest.approx(math.log(8) / 2 / size)
    assert value("min_k_plus_plus", **row(3)) == pytest.approx(3.0)


def test_the_reference_attack_by_hand() -> None:
    """Losses 3 and 4 against gold's 5 and 4: gaps -2 and 0; others -1 and 1 give three of four."""

    def losses(forget: Sequence[float], holdout: Sequence[float]) -> Records:
        sides = (("forget", forget), ("holdout", holdout))
        return records([
            each
            for split, found in sides
            for each in people([{"p": {"answer": [math.exp(-x)]}} for x in found], split)
        ])  # fmt: skip

    found = attacked("mia_reference", losses([3, 4], [2, 4]), losses([5, 4], [3, 3]))
    assert found == {"forget.text.mia_reference_auc": 0.75}


def test_one_threshold_for_all_people_understates_membership() -> None:
    """Members one below others, people's means spread by 3: Phi(1 / sqrt 20) = .5885, not .7603.

    With N(1, 2) against N(0, 1), the rate at .1 % is .14798.
    """
    grid = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    wide = math.sqrt(10) * grid
    assert auc(wide - 1, wide) == pytest.approx(0.5885, abs=1e-4)
    assert auc(grid - 1, grid) == pytest.approx(0.7603, abs=1e-4)
    assert tpr_at(2 * grid - 1, grid, 0.001) == pytest.approx(0.14798, abs=3e-4)
