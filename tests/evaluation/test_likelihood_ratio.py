"""LiRA and U-LIRA on signals whose distributions are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from clearbench.attacks.likelihood_ratio import Estimator, log_ratios, spread, typical_variance
from clearbench.attacks.population import population_log_odds
from clearbench.attacks.roc import auc
from clearbench.attacks.signals import Design, Numbers, Signals
from clearbench.errors import DataError

ESTIMATORS: tuple[Estimator, ...] = ("mad", "standard", "pooled", "moderated")
DESIGNS: tuple[Design, ...] = ("halves", "leave one out")


def world(models: int, rows: int, shift: float, seed: int, spreads: Numbers | float = 1) -> Signals:
    """Half of the models are taught the first half of the rows, the others the second half.

    Each row has a mean of its own, and `shift` more where it was taught.
    """
    rng = np.random.default_rng(seed)
    taught = np.zeros((models, rows), bool)
    taught[: models // 2, : rows // 2] = taught[models // 2 :, rows // 2 :] = True
    noise = spreads * rng.normal(size=(models, rows))
    return Signals(rng.normal(0, 3, rows) + shift * taught + noise, taught, np.arange(rows))


def judged(signals: Signals, estimator: Estimator, design: Design) -> tuple[float, float]:
    """Accuracy at a ratio of 1, and AUC."""
    ratios, attacked = log_ratios(signals, estimator, design)
    taught, found = signals.taught[attacked], ratios[attacked]
    return float(((found > 0) == taught).mean()), auc(-found[taught], -found[~taught])


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_what_is_known_is_reached_with_many_models(estimator: Estimator, design: Design) -> None:
    """Accuracy Phi(1/2) and AUC Phi(1 / sqrt 2) at a shift of one standard deviation."""
    accuracy, area = judged(world(128, 300, 1.0, 0), estimator, design)
    assert accuracy == pytest.approx(stats.norm.cdf(0.5), abs=0.025)
    assert area == pytest.approx(stats.norm.cdf(1 / math.sqrt(2)), abs=0.035)


@pytest.mark.parametrize("design", DESIGNS)
def test_where_nothing_is_left_it_is_a_coin(design: Design) -> None:
    found = [judged(world(32, 300, 0.0, seed), "moderated", design) for seed in range(5)]
    accuracy, area = np.mean(found, axis=0)
    assert accuracy == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(5 * 32 * 300))
    assert area == pytest.approx(0.5, abs=0.02)


def test_both_sides_lose_one_model() -> None:
    """Four models a side that know nothing: with 3 against 4 the accuracy would be .44."""
    found = [judged(world(8, 2000, 0.0, seed), "moderated", "leave one out") for seed in range(3)]
    accuracy, area = np.mean(found, axis=0)
    assert accuracy == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(3 * 8 * 2000))
    assert area == pytest.approx(0.5, abs=0.01)


def test_sixteen_models_left_out_in_turn_are_as_good_as_128_in_halves() -> None:
    rows = 200
    found = []
    for seed in range(5):
        many, few = world(128, rows, 4.0, seed), world(16, rows, 4.0, 100 + seed)
        found += [(*judged(many, "mad", "halves"), *judged(few, "moderated", "leave one out"))]
    accuracy, area, accuracy_of_few, area_of_few = np.mean(found, axis=0)
    assert abs(accuracy - accuracy_of_few) < 0.02 and abs(area - area_of_few) < 0.01


def test_halves_are_the_first_models_of_each_side() -> None:
    """CLEAR attacks models 0-31 and 64-95 of 128, and learns from the others."""
    signals = world(128, 4, 1.0, 0)
    ((attacked, shadows),) = signals.designed("halves")
    expected = [*range(32), *range(64, 96)]
    assert all(np.flatnonzero(attacked[:, row]).tolist() == expected for row in range(4))
    assert (shadows == ~attacked).all()


def test_a_row_alone_by_hand() -> None:
    """Taught 1, 3, 5 and never taught -1, 0, 1; the model that said 5 is attacked."""
    values = np.array([[5.0], [1.0], [3.0], [-1.0], [0.0], [1.0]])
    taught = np.array([[True]] * 3 + [[False]] * 3)
    signals = Signals(values, taught, np.array([7]))
    ratios, attacked = log_ratios(signals, "standard", "leave one out")
    assert attacked.all()
    own = -((5 - 2) ** 2) / (2 * 2) - math.log(math.sqrt(2))  # of 1 and 3: mean 2, variance 2
    other = -((5 - 0.5) ** 2) / (2 * 0.5) - math.log(math.sqrt(0.5))  # of 0 and 1: -1 is left out
    assert ratios[0, 0] == pytest.approx(own - other)
    middle = spread(values, taught, "mad")
    assert (middle.centre[0], middle.scale[0]) == pytest.approx((3.0, 2 / 0.6745))


def test_far_from_both_it_is_decided_by_the_nearer() -> None:
    """Where both densities are 0 in floating point: errata E57."""
    values = np.array([[1000.0], [0.0], [0.1], [-5.0], [-5.1], [-5.2]])
    taught = np.array([[True]] * 3 + [[False]] * 3)
    ratios, _ = log_ratios(Signals(values, taught, np.array([0])), "standard", "leave one out")
    assert np.isfinite(ratios).all()
    assert ratios[0, 0] == pytest.approx(-(999.95**2) / 0.01 + 1005.15**2 / 0.01, rel=0.01)


def test_variances_that_differ_by_chance_are_one() -> None:
    rng = np.random.default_rng(0)
    sample = rng.chisquare(7, 4000) / 7 * 2.5
    prior, typical = typical_variance(sample, np.full(4000, 7.0))
    assert prior > 50 and typical == pytest.approx(2.5, rel=0.03)
    own = 2.5 * 6 / rng.chisquare(6, 4000)  # of six degrees, as the prior has it
    prior, typical = typical_variance(own * rng.chisquare(7, 4000) / 7, np.full(4000, 7.0))
    assert prior == pytest.approx(6, rel=0.15) and typical == pytest.approx(2.5, rel=0.05)


def test_signals_that_cannot_be_are_refused() -> None:
    good = world(8, 4, 1.0, 0)
    holed = good.values.copy()
    holed[3, 1] = np.nan
    with pytest.raises(DataError, match="1 values are not finite"):
        Signals(holed, good.taught, good.people)
    with pytest.raises(DataError, match="people"):
        Signals(good.values, good.taught, good.people[:2])
    with pytest.raises(DataError, match="1 shadow models that were taught"):
        log_ratios(Signals(good.values[2:6], good.taught[2:6], good.people), "mad", "leave one out")


def test_one_rule_for_all_rows_finds_less() -> None:
    """With means of deviation 3 the AUC is Phi(1 / sqrt 20), row by row Phi(1 / sqrt 2)."""
    signals = world(64, 600, 1.0, 0)
    for rule, slack in (("logistic", 0.02), ("tree", 0.03)):
        odds, attacked = population_log_odds(signals, rule, "halves")
        taught, found = signals.taught[attacked], odds[attacked]
        area = auc(-found[taught], -found[~taught])
        assert area == pytest.approx(stats.norm.cdf(1 / math.sqrt(20)), abs=slack)
    sure = Signals(np.where(signals.taught, 1.0, -1.0), signals.taught, signals.people)
    odds, attacked = population_log_odds(sure, "tree", "leave one out")
    assert attacked.all() and ((odds > 0) == sure.taught).all()
