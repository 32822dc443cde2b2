"""Matching images with templates: cosines, signals and accuracies by hand; CLEAR's own rule."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from clearbench.attacks.base import attack
from clearbench.attacks.matches import ROLES, Matches, signal_of
from clearbench.attacks.signals import Signals
from clearbench.attacks.u_lira import ULira
from clearbench.attacks.u_lira_clear_code import ULiraClearCode


def matches() -> Matches:
    """Two models, three people of two images each, of which the first is enrolled."""
    people = np.repeat([4, 7, 9], 2)
    own = np.array([[1.0, 0.6, 1.0, -0.2, 1.0, 0.5], [1.0, 0.1, 1.0, 0.8, 1.0, 0.9]])
    other = np.array([[0.0, 0.5, 0.0, 0.1, 0.0, 0.5], [0.0, 0.3, 0.0, 0.2, 0.0, 0.4]])
    forget, holdout, retain = range(len(ROLES))
    roles = np.repeat([[forget, holdout, retain], [holdout, forget, retain]], 2, axis=1)
    return Matches(own, other, people, np.tile([True, False], 3), roles)


def test_signals_leave_enrolled_images_and_retained_people_out() -> None:
    signals = matches().signals("logit")
    assert signals.people.tolist() == [4, 7]
    assert signals.taught.tolist() == [[True, False], [False, True]]
    np.testing.assert_allclose(
        signals.values, 2 * np.arctanh([[0.6, -0.2], [0.1, 0.8]]), atol=1e-12
    )
    shares = matches().signals("log_prob").values
    np.testing.assert_allclose(np.exp(shares), [[0.8, 0.4], [0.55, 0.9]], atol=1e-12)


def test_accuracies_by_role() -> None:
    found = {role: score.value for role, score in matches().accuracies().items()}
    # forget: .6 > .5 under the first model, .8 > .2 under the second; a tie is no match
    assert found == {"forget": 1.0, "holdout": 0.0, "retain": 0.5}


def test_people_of_neither_half_have_no_role() -> None:
    known = matches()
    roles = known.roles.copy()
    roles[:, 4:] = -1
    outside = Matches(known.own, known.other, known.people, known.enrolled, roles)
    assert set(outside.accuracies()) == {"forget", "holdout"}
    assert outside.signals("logit").people.tolist() == [4, 7]


def test_saved_and_read(tmp_path: Path) -> None:
    matches().save(tmp_path)
    for name, value in vars(Matches.load(tmp_path)).items():
        np.testing.assert_array_equal(value, getattr(matches(), name))


def test_clear_s_signal_has_spikes_and_attacks_enrolled_images() -> None:
    signals = matches().signals("clear_code")
    assert signals.people.tolist() == [4, 4, 7, 7]
    assert signals.values[0, 0] == pytest.approx(103.28, abs=0.01)  # a cosine of 1
    assert signals.values[0, 3] == pytest.approx(-103.28, abs=0.01)  # of -0.2
    assert signals.values[0, 1] == pytest.approx(math.log(0.6 / 0.4), abs=1e-6)
    assert abs(signal_of(np.array([-0.2]), "logit")[0]) < 1


def far_out() -> Signals:
    """Rows whose taught models lie near 100 and the others near 0, and one taught model at 60."""
    taught = np.repeat([[True], [False]], 8, axis=0) & np.ones((16, 3), bool)
    values = np.where(taught, 100.0, 0.0) + np.tile([-1.0, 1.0, -0.5, 0.5], 4)[:, None]
    values[0] = 60.0
    return Signals(values, taught, np.arange(3))


def test_clear_s_rule_calls_what_is_far_out_never_taught() -> None:
    signals = far_out()
    published, attacked = attack("u_lira_clear_code").evidence(signals, "halves")  # type: ignore[attr-defined]
    ours, _ = ULira(estimator="mad", design="halves").evidence(signals, "halves")
    assert attacked[0].all()
    assert (published[0] == -0.5).all()  # both densities are 0: `never taught`
    assert (ours[0] > 0).all()  # nearer to the taught ones, by 40 to 60
    assert (published[1:4] > 0).all() and (ours[1:4] > 0).all()


def test_where_densities_are_numbers_the_rules_agree() -> None:
    rng = np.random.default_rng(2)
    taught = np.arange(24)[:, None] % 2 == np.arange(6) % 2
    signals = Signals(rng.normal(size=(24, 6)) + taught, taught, np.arange(6))
    published, attacked = ULiraClearCode().evidence(signals, "halves")
    ours, _ = ULira(estimator="mad", design="halves").evidence(signals, "halves")
    expected = 1 / (1 + np.exp(-ours[attacked]))
    np.testing.assert_allclose(published[attacked] + 0.5, expected, atol=1e-12)
