"""A model that is surer than gold that people are absent, and the band that golds leave."""

from __future__ import annotations

import pytest

from clearbench.attacks.base import attack
from clearbench.attacks.null import null_band_of
from clearbench.attacks.scoring import score
from clearbench.errors import DataError
from clearbench.evaluation.doubts import doubts
from clearbench.evaluation.over_forgetting import over_forgetting, over_forgotten
from clearbench.evaluation.protocols import protocol
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Band, Score
from clearbench.testing.records import records


def area_of(
    value: float,
    high: float | None = None,
    gold: float | None = 0.5,
    original: float | None = None,
) -> Score:
    """An attack's area on forget people."""
    low = None if high is None else 2 * value - high
    return Score(value=value, low=low, high=high, n=40, clusters=20, direction="gold", gold=gold,
                 original=original)  # fmt: skip


def band(gap: float) -> Band:
    """Golds between .5 and .5 + gap."""
    return Band(0.5, 0.5 + gap, gap, 2)


@pytest.mark.parametrize(
    ("found", "golds", "flagged"),
    [
        (area_of(0.2, 0.3), None, True),
        (area_of(0.2, 0.5), None, False),  # the interval reaches gold's value
        (area_of(0.2, 0.51), None, False),
        (area_of(0.8, 0.9), None, False),  # what is left is no over-forgetting
        (area_of(0.2, 0.3, gold=None), None, False),
        (area_of(0.2, None), None, False),  # nothing says what chance does
        (area_of(0.2, None), band(0.1), True),
        (area_of(0.2, None), band(0.3), False),  # as far as golds are from each other
        (area_of(0.2, 0.3), band(0.1), True),
        (area_of(0.2, 0.3), band(0.35), False),
        (area_of(0.2, 0.6), band(0.1), False),
        (area_of(0.6, 0.65, gold=0.7), None, True),  # below gold, though above a half
        (area_of(0.2, 0.3, original=0.9), None, True),
        (area_of(0.2, 0.3, original=0.4), None, False),  # the attack is the wrong way round
    ],
)
def test_less_than_gold_by_more_than_chance(
    found: Score, golds: Band | None, flagged: bool
) -> None:
    assert over_forgotten(found, golds) is flagged


def test_it_is_said_in_words_once_for_each_place() -> None:
    """Areas alone count: an accuracy or a true-positive rate has another meaning of less."""
    scores = {
        "forget.text.mia_loss_auc": area_of(0.2, 0.3),
        "forget.text.u_lira_auc": area_of(0.11, 0.2),
        "forget.image.mia_loss_auc": area_of(0.5, 0.6),
        "forget.image.mia_loss_tpr_at_1": area_of(0.0, 0.0),
        "forget.image.u_lira_accuracy": area_of(0.2, 0.3),
    }
    (sentence,) = over_forgetting(scores)
    assert sentence.startswith("forget.text is over-forgotten: the model is surer than gold")
    assert sentence.endswith("mia_loss_auc 0.20 (gold 0.50), u_lira_auc 0.11 (gold 0.50)")
    assert not list(over_forgetting(scores, dict.fromkeys(scores, band(0.4))))


def told(forget: list[float], holdout: list[float]) -> Records:
    """One token per answer and one row a person."""
    sides = (("forget", 0, forget), ("holdout", 100, holdout))
    return records(
        [
            {"row": f"{split}{k}", "person": first + k, "split": split, "p": {"answer": [p]}}
            for split, first, told in sides
            for k, p in enumerate(told)
        ]
    )


#: Six people on each side, told alike by gold; and forgotten people of whom a model knows less.
GOLD = told([0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
LESS = told([0.01, 0.02, 0.03, 0.04, 0.05, 0.06], [0.3, 0.4, 0.5, 0.6, 0.7, 0.8])


def test_it_is_among_the_doubts_of_a_result() -> None:
    """All six forgotten people are less likely than every stranger: 0, where gold has 1/2."""
    chosen = protocol("clear")
    said = doubts(score(LESS, GOLD), chosen, LESS, GOLD)
    (sentence,) = (each for each in said if "over-forgotten" in each)
    assert "mia_loss_auc 0.00 (gold 0.50)" in sentence
    assert not any(
        "over-forgotten" in each for each in doubts(score(GOLD, GOLD), chosen, GOLD, GOLD)
    )


def test_the_band_of_an_attack_is_over_pairs_of_golds() -> None:
    """Areas of 1/2, and of 24 in 36 where every forgotten person is likelier than four of six."""
    other = told([0.65] * 6, [0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    found = null_band_of(attack("mia_loss"), [GOLD, other])
    key = "forget.text.mia_loss"
    area = found[f"{key}_auc"]
    assert (area.low, area.pairs) == (0.5, 2)
    assert (area.high, area.gap) == (pytest.approx(24 / 36), pytest.approx(24 / 36 - 0.5))
    assert f"{key}_privleak" in found
    with pytest.raises(DataError, match="one gold"):
        null_band_of(attack("mia_loss"), [GOLD])
