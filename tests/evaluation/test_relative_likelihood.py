"""RMIA on random signals, against its definition written out, and on worlds that are known."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from clearbench.attacks.relative_likelihood import relative_likelihoods
from clearbench.attacks.roc import auc
from clearbench.attacks.signals import Signals
from clearbench.errors import DataError


def world(models: int, people: int, shift: float, seed: int) -> Signals:
    """Two rows a person; log-probabilities with a mean of each row's own, taught ones higher."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(people), 2)
    taught = np.zeros((models, 2 * people), bool)
    taught[::2, :people] = taught[1::2, people:] = True
    logs = -8 + rng.normal(0, 1.5, 2 * people) + shift * taught + rng.normal(size=taught.shape) / 2
    return Signals(np.minimum(logs, 0.0), taught, owners)


@pytest.mark.parametrize(("slope", "factor"), [(1.0, 1.0), (0.3, 1.0), (0.0, 2.0)])
def test_it_is_its_definition(slope: float, factor: float) -> None:
    signals = world(5, 6, 1.0, 3)
    found = relative_likelihoods(signals, slope, factor)

    def ratio(model: int, row: int) -> float:
        """A model that was taught a row loses one reference, as one that was not does."""
        never = [other for other in range(5) if not signals.taught[other, row]]
        left_out = model
        if model not in never:
            place = [other for other in range(5) if other not in never].index(model)
            left_out = never[place % len(never)]
        references = [math.exp(signals.values[k, row]) for k in never if k != left_out]
        usual = ((1 + slope) * sum(references) / len(references) + (1 - slope)) / 2
        return math.exp(signals.values[model, row]) / usual

    for model, row in product(range(5), range(12)):
        population = [
            z
            for z in range(12)
            if not signals.taught[model, z] and signals.people[z] != signals.people[row]
        ]
        wins = [ratio(model, row) / ratio(model, z) >= factor for z in population]
        assert found[model, row] == pytest.approx(sum(wins) / len(wins))


def test_few_references_find_what_was_taught_and_nothing_where_nothing_was() -> None:
    known, empty = world(4, 60, 2.0, 0), world(4, 60, 0.0, 1)
    areas = [
        auc(-scores[signals.taught], -scores[~signals.taught])
        for signals in (known, empty)
        for scores in [relative_likelihoods(signals)]
    ]
    assert areas[0] > 0.9
    assert areas[1] == pytest.approx(0.5, abs=0.1)


def test_what_it_cannot_be_computed_from() -> None:
    signals = world(6, 6, 1.0, 0)
    with pytest.raises(DataError, match="no reference model"):
        relative_likelihoods(Signals(signals.values[:2], signals.taught[:2], signals.people))
    everybody = signals.taught.copy()
    everybody[0] = True
    with pytest.raises(DataError, match="taught everybody"):
        relative_likelihoods(Signals(signals.values, everybody, signals.people))
    with pytest.raises(DataError, match="above 0"):
        relative_likelihoods(Signals(signals.values + 20, signals.taught, signals.people))
