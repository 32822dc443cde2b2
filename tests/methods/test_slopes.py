"""Slopes, defaults and seeds that a loss's value does not show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clearbench.errors import RecipeError
from clearbench.methods.base import method
from clearbench.testing import tiny_model
from clearbench.testing.given import TARGETS, GivenModel, given_step
from clearbench.testing.world import learning


@pytest.mark.parametrize(("name", "about"), [("wga", {"beta": 2.0}), ("satimp", {})])
def test_a_weight_of_a_token_has_no_gradient(name: str, about: dict[str, float]) -> None:
    """The slope in a logit is the weight times that of the log-probability: p - 1 or p."""
    model = GivenModel.drawn(3)
    chosen = method(name, **about)
    term = chosen.loss(given_step(model))["forget"]
    own = np.exp(-model.losses("forget"))
    weight = own**2.0 if name == "wga" else own**5.0 * (1 - own)
    onto = np.eye(model.array("forget").shape[1])[list(TARGETS)]
    slope = weight[:, None] * (onto - model.probabilities("forget")) / len(TARGETS)
    np.testing.assert_allclose(model.slope(term.mean, "forget"), slope, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("npo", {"beta": 0.1, "retain_weight": 1.0, "retain": "cross_entropy"}),
        ("simnpo", {"beta": 4.5, "margin": 0.0, "forget_weight": 0.125, "retain_weight": 1.0}),
        ("dpo", {"beta": 0.1, "scaled": True, "refusal_weight": 0.0, "reference": "original"}),
        ("rmu", {"steering": 6.5, "retain_weight": 1200.0, "trains": "mlp"}),
        ("scrub", {"kl_weight": 0.5, "retain_weight": 1.0, "temperature": 2.0, "max_share": 0.3}),
        ("ssd", {"selection": 10.0, "dampening": 1.0, "loss_free": False}),
        ("undial", {"beta": 10.0, "retain_weight": 0.0}),
        ("wga", {"beta": 1.0, "forget_weight": 1.0, "retain_weight": 1.0}),
        ("salun", {"share": 0.5}),
        ("satimp", {"saturation": 5.0, "importance": 1.0, "retain_weight": 0.1}),
    ],
)
def test_defaults_are_the_published_values(name: str, about: dict[str, object]) -> None:
    found = method(name).model_dump()
    assert {key: found[key] for key in about} == about


@pytest.mark.parametrize("beta", [0.0, -0.1])
def test_a_beta_that_is_not_positive_is_refused(beta: float) -> None:
    for name in ("npo", "dpo", "simnpo"):
        with pytest.raises(RecipeError, match="beta"):
            method(name, beta=beta)


def test_every_seed_steers_another_way_of_the_same_length() -> None:
    model, rows = learning(tiny_model("language"))
    found = [method("rmu").prepare(model, rows, seed)["target"] for seed in (0, 1, 0)]
    assert torch.equal(found[0], found[2]) and not torch.allclose(found[0], found[1])
    assert [float(target.norm()) for target in found] == pytest.approx([6.5] * 3)
