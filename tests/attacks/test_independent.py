"""Ratios and relative likelihoods on random signals against loops that share no code with ours."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import special, stats

from clearbench.attacks.forgetting_quality import epsilon, qualities
from clearbench.attacks.likelihood_ratio import Estimator, log_ratios
from clearbench.attacks.relative_likelihood import relative_likelihoods
from clearbench.attacks.signals import Design, Signals

MODELS, ROWS = 14, 9


def drawn(seed: int) -> Signals:
    """Rows with means and spreads of their own; seven models are taught each row, at random."""
    rng = np.random.default_rng(seed)
    taught = np.array([rng.permutation(MODELS) < MODELS // 2 for _ in range(ROWS)]).T
    spreads = rng.gamma(3, 0.5, ROWS)
    values = rng.normal(-4, 2, ROWS) + 0.8 * taught + spreads * rng.normal(size=taught.shape)
    return Signals(-np.abs(values), taught, np.arange(ROWS) // 2)


def inverse_trigamma(value: float) -> float:
    """Halves an interval two hundred times."""
    low, high = 1e-6, 1e6
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if special.polygamma(1, middle) > value else (low, middle)
    return low


def prior(samples: list[list[float]]) -> tuple[float, float]:
    """Smyth's d0 and s0 squared, term by term."""
    logs, expected = [], []
    for sample in samples:
        half = (len(sample) - 1) / 2
        logs.append(math.log(np.var(sample, ddof=1)) - special.psi(half) + math.log(half))
        expected.append(float(special.polygamma(1, half)))
    mean = sum(logs) / len(logs)
    beyond = sum((each - mean) ** 2 for each in logs) / (len(logs) - 1) - np.mean(expected)
    if beyond <= 0:
        return math.inf, math.exp(mean)
    degrees = 2 * inverse_trigamma(beyond)
    return degrees, math.exp(mean + special.psi(degrees / 2) - math.log(degrees / 2))


def log_density(value: float, row: int, samples: list[list[float]], estimator: str) -> float:
    own, count = samples[row], len(samples[row])
    if estimator == "mad":
        middle = float(np.median(own))
        width = float(np.median([abs(each - middle) for each in own])) / 0.6745
        return float(stats.norm.logpdf(value, middle, width))
    mean, variance = float(np.mean(own)), float(np.var(own, ddof=1))
    if estimator == "standard":
        return float(stats.norm.logpdf(value, mean, math.sqrt(variance)))
    if estimator == "pooled":
        whole = [each - np.mean(sample) for sample in samples for each in sample]
        pooled = sum(each**2 for each in whole) / (len(whole) - len(samples))
        return float(stats.norm.logpdf(value, mean, math.sqrt(pooled)))
    degrees, typical = prior(samples)
    if math.isinf(degrees):
        return float(stats.norm.logpdf(value, mean, math.sqrt(typical * (1 + 1 / count))))
    drawn_in = (degrees * typical + (count - 1) * variance) / (degrees + count - 1)
    width = math.sqrt(drawn_in * (1 + 1 / count))
    return float(stats.t.logpdf((value - mean) / width, degrees + count - 1)) - math.log(width)


def left_out(signals: Signals, model: int, row: int) -> set[int]:
    """The model and the one that has its place among those of the other side."""
    sides = [
        [each for each in range(MODELS) if signals.taught[each, row] == side]
        for side in (bool(signals.taught[model, row]), not signals.taught[model, row])
    ]
    return {model, sides[1][sides[0].index(model) % len(sides[1])]}


def learned_from(signals: Signals, design: Design, model: int, row: int) -> list[int] | None:
    """Models that an attack on a pair learns from; None where it is not attacked."""
    if design == "leave one out":
        return [each for each in range(MODELS) if each not in left_out(signals, model, row)]
    attacked = []
    for side in (True, False):
        of_side = [each for each in range(MODELS) if signals.taught[each, row] == side]
        attacked += of_side[: len(of_side) // 2]
    return [each for each in range(MODELS) if each not in attacked] if model in attacked else None


@pytest.mark.parametrize("design", ["leave one out", "halves"])
@pytest.mark.parametrize("estimator", ["mad", "standard", "pooled", "moderated"])
def test_ratios(estimator: Estimator, design: Design) -> None:
    signals = drawn(3)
    found, attacked = log_ratios(signals, estimator, design)
    for model in range(MODELS):
        for row in range(ROWS):
            others = learned_from(signals, design, model, row)
            assert attacked[model, row] == (others is not None)
            if others is None:
                assert np.isnan(found[model, row])
                continue
            sides = []
            for side in (True, False):
                samples = [
                    [
                        float(signals.values[each, k])
                        for each in learned_from(signals, design, model, k) or _shadows(signals, k)
                        if signals.taught[each, k] == side
                    ]
                    for k in range(ROWS)
                ]
                value = float(signals.values[model, row])
                sides.append(log_density(value, row, samples, estimator))
            assert found[model, row] == pytest.approx(sides[0] - sides[1], rel=1e-6, abs=1e-9)


def _shadows(signals: Signals, row: int) -> list[int]:
    """Models that the halves of a row learn from, where the model at hand is one of them."""
    attacked = next(m for m in range(MODELS) if learned_from(signals, "halves", m, row) is not None)
    return learned_from(signals, "halves", attacked, row) or []


@pytest.mark.parametrize(("slope", "factor"), [(1.0, 1.0), (0.3, 1.5)])
@pytest.mark.parametrize("design", ["first", "halves"])
def test_relative_likelihoods(slope: float, factor: float, design: Design) -> None:
    """Of the first model alone, and of halves, whose references are the other halves."""
    signals = drawn(5)
    found = relative_likelihoods(signals, slope, factor, design)
    chances = np.exp(signals.values)
    for model in range(MODELS):
        for row in range(ROWS):
            attacked = (
                model == 0
                if design == "first"
                else learned_from(signals, "halves", model, row) is not None
            )
            if not attacked:
                assert np.isnan(found[model, row])
                continue

            def references(k: int, model: int = model) -> list[float]:
                """Chances under other shadow models that were never taught a row."""
                others = range(1, MODELS) if design == "first" else _shadows(signals, k)
                return [
                    float(chances[each, k])
                    for each in others
                    if each != model and not signals.taught[each, k]
                ]

            def ratio(k: int, model: int = model) -> float:
                never = references(k)
                usual = ((1 + slope) * sum(never) / len(never) + 1 - slope) / 2
                return float(chances[model, k] / usual)

            population = [
                z
                for z in range(ROWS)
                if not signals.taught[model, z] and signals.people[z] != signals.people[row]
                if references(z)
            ]
            wins = sum(ratio(row) / ratio(z) >= factor for z in population)
            assert found[model, row] == pytest.approx(wins / len(population))


@pytest.mark.parametrize("reverse", [False, True])
def test_epsilons(reverse: bool) -> None:
    """Every threshold between two signals, counted out."""
    rng = np.random.default_rng(1)
    for shift in (0.0, 0.7, -1.5):
        ours, theirs = rng.normal(shift, 1, 11), rng.normal(size=9)
        values = sorted([*ours, *theirs])
        best = 0.0
        for low, high in pairwise(values):
            cut = (low + high) / 2
            false, missed = float(np.mean(theirs > cut)), float(np.mean(ours < cut))
            for one, other in [(false, missed)] + [(1 - false, 1 - missed)] * reverse:
                if min(one, other) > 1e-9:
                    for a, b in ((one, other), (other, one)):
                        if 1 - 1e-5 - a > 1e-9:
                            best = max(best, math.log(1 - 1e-5 - a) - math.log(b))
        assert epsilon(ours, theirs, reverse=reverse) == pytest.approx(best)


def test_epsilons_at_their_ends() -> None:
    """Sides that do not overlap are told for certain, either way round; equal ones not at all."""
    low, high = np.array([0.0, 1, 2]), np.array([5.0, 6, 7])
    assert math.isinf(epsilon(high, low)) and math.isinf(epsilon(low, high))
    assert not math.isinf(epsilon(low, high, reverse=False))
    assert epsilon(np.ones(5), np.ones(5)) == 0.0
    counts = np.full(4, 64.0)
    steps = np.array([0.0, 0.49, 0.5, 5.0])
    assert qualities(steps, counts).tolist() == [1.0, 1.0, 0.5, 0.0], "ceil(ln 63) is 5"
    assert qualities(np.array([math.inf]), counts[:1]).tolist() == [0.0]
