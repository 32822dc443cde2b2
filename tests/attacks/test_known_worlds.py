"""Attacks on records of worlds whose answer is known: identities whose signals are normal."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from clearbench.attacks.base import attack
from clearbench.evaluation.groups import ANSWERS
from clearbench.evaluation.metric import Collections, Shadow
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score

#: People on each side, rows of each, and shadow models.
PEOPLE, ROWS, MODELS = 20, 5, 16
SEEDS = 3
SPLITS = np.repeat(["forget", "holdout"], PEOPLE * ROWS)
OWNERS = np.repeat(np.arange(2 * PEOPLE), ROWS)


@cache
def world(shift: float, seed: int) -> Collections:
    """A model and 16 shadow models: logits around each row's own mean, `shift` more where taught.

    Half of the shadow models were taught the forget people, half the others; the model the first.
    """
    rng = np.random.default_rng(seed)
    means = rng.normal(-2, 1.5, len(OWNERS))

    def model(forget: bool) -> Records:
        taught = (SPLITS == "forget") == forget
        logits = means + shift * taught + rng.normal(size=len(OWNERS))
        lines = pd.DataFrame(
            {"split": SPLITS, "track": "text", "task": "qa", "person": OWNERS,
             "row": [f"r{k}" for k in range(len(OWNERS))], "variant": "answer",
             "log_probs": [[log] for log in special.log_expit(logits)]}
        )  # fmt: skip
        return Records({ANSWERS: lines})

    people = (frozenset(range(PEOPLE)), frozenset(range(PEOPLE, 2 * PEOPLE)))
    shadows = [Shadow(model(k % 2 == 0), people[k % 2]) for k in range(MODELS)]
    return Collections(model(True), shadows=tuple(shadows))


@cache
def found(name: str, shift: float, seed: int) -> dict[str, Score]:
    scores = attack(name).scores(world(shift, seed), "text")
    return {key.rpartition(f"{name}_")[2]: score for key, score in scores.items()}


def mean(name: str, shift: float, number: str) -> float:
    return float(np.mean([found(name, shift, seed)[number].value for seed in range(SEEDS)]))


def test_where_nothing_is_left_nothing_is_found() -> None:
    """Gold: accuracy and area are 1/2 within their intervals, on average over the seeds."""
    for name in ("u_lira", "ruli", "u_mia"):
        for number in ("auc", "accuracy", "method_auc", "method_accuracy"):
            scores = [found(name, 0.0, seed)[number] for seed in range(SEEDS)]
            width = np.mean([score.high - score.low for score in scores])  # type: ignore[operator]
            assert abs(mean(name, 0.0, number) - 0.5) < width / 2, (name, number)
    for number in ("auc", "method_auc"):
        assert abs(mean("rmia", 0.0, number) - 0.5) < 0.1


def test_what_was_taught_is_found() -> None:
    """At 4 standard deviations the accuracy is Phi(2) = .977, with all that can be known."""
    assert mean("u_lira", 4.0, "method_accuracy") > 0.95
    assert mean("u_lira", 4.0, "accuracy") > 0.95
    assert stats.norm.cdf(2) - mean("u_lira", 4.0, "method_accuracy") < 0.02
    for name in ("u_lira", "ruli", "lira_offline"):
        assert stats.norm.cdf(4 / math.sqrt(2)) - mean(name, 4.0, "method_auc") < 0.02, name


def test_one_rule_for_all_rows_finds_what_it_can() -> None:
    """Of shifts of 2 around means of deviation 1.5: Phi(2 / sqrt 6.5), not Phi(sqrt 2)."""
    known = stats.norm.cdf(2 / math.sqrt(2 * 3.25))
    assert mean("u_mia", 2.0, "method_auc") == pytest.approx(known, abs=0.03)
    assert mean("u_lira", 2.0, "method_auc") > known + 0.05


def test_forgetting_quality_stands_beside_its_floor() -> None:
    """Eight models a side make four in a half: nothing to tell has the floor's quality, 4 less."""
    nothing, much = (found("forgetting_quality", shift, 0) for shift in (0.0, 4.0))
    quality, floor = "forget.text.forgetting_quality", nothing["floor"].value
    assert nothing[quality].value == pytest.approx(floor, abs=0.1)
    assert much[quality].value < 0.1 < floor < 0.9
    assert much["floor"].value == pytest.approx(floor, abs=0.15), "it does not know the unlearned"
    assert much["epsilon"].value > nothing["epsilon"].value and nothing["models"].value == 8
    score = much["epsilon"]
    assert score.low is not None and score.low < score.value < score.high and score.value > 1
    assert nothing["epsilon"].value == pytest.approx(nothing["epsilon_floor"].value, abs=0.15)
