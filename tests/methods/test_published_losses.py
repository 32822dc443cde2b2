"""OpenUnlearning's further losses against sums in numpy, closed-form slopes and their limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clearbench.methods.base import method
from clearbench.methods.losses import Term
from clearbench.methods.pdu import PDU
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.by_hand import Array, check_term
from clearbench.testing.given import ROWS, TARGETS, WORDS, GivenModel, given_batch, given_step
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

MODEL, REFERENCE = GivenModel.drawn(0), GivenModel.drawn(1)
COUNT, ONE_HOT = len(ROWS), np.eye(WORDS)[list(TARGETS)]


def terms(
    name: str, state: dict[str, Tensor] | None = None, model: GivenModel = MODEL, **about: Any
) -> dict[str, Term]:
    return method(name, **about).loss(given_step(model, REFERENCE, state=state or {}))


def slope(term: Term, role: str) -> Array:
    return MODEL.slope(term.mean, role)


def test_ordinals_count_within_each_answer() -> None:
    assert MODEL.answers(given_batch("forget")).ordinals.tolist() == [0, 1, 2, 0]


def test_satimp() -> None:
    found = terms("satimp", saturation=3, importance=2, forget_weight=0.5, retain_weight=0.3)
    losses = MODEL.losses("forget")
    known = np.exp(-losses)
    check_term(found["forget"], -0.5 * known**3 * (1 - known) ** 2 * losses)
    check_term(found["retain"], 0.3 * MODEL.losses("retain"))


def test_satimps_weights_have_no_gradient() -> None:
    known = np.exp(-MODEL.losses("forget"))
    counts = known**5 * (1 - known)
    expected = counts[:, None] * (ONE_HOT - MODEL.probabilities("forget")) / COUNT
    np.testing.assert_allclose(slope(terms("satimp")["forget"], "forget"), expected, rtol=1e-9)


def test_satimp_without_importance_is_wga_and_without_both_gradient_ascent() -> None:
    wga = terms("wga", beta=2.0)["forget"].values.detach().numpy()
    check_term(terms("satimp", saturation=2, importance=0)["forget"], wga)
    check_term(terms("satimp", saturation=0, importance=0)["forget"], -MODEL.losses("forget"))


def test_ceu() -> None:
    """-sum_i q_i log p_i, q the model's probabilities of the others divided by their sum."""
    p = MODEL.probabilities("forget")
    q = p.copy()
    q[np.arange(COUNT), TARGETS] = 0
    q /= q.sum(-1, keepdims=True)
    term = terms("ceu")["forget"]
    weights = [0, 1, 1, 1]  # not the first token; a row keeps its last one
    check_term(term, -(q * np.log(p)).sum(-1), weights)
    assert terms("ceu", skipped=0)["forget"].weights.tolist() == [1, 1, 1, 1]
    assert terms("ceu", skipped=9)["forget"].weights.tolist() == [0, 0, 1, 1]


def test_ceus_slope_is_the_true_tokens_probability() -> None:
    p = MODEL.probabilities("forget")
    true = p[np.arange(COUNT), TARGETS]
    expected = -p * (true / (1 - true))[:, None]
    expected[np.arange(COUNT), TARGETS] = true
    found = slope(terms("ceu", skipped=0)["forget"], "forget")
    np.testing.assert_allclose(found, expected / COUNT, rtol=1e-9)


def test_altpo() -> None:
    found = terms("altpo", beta=0.5, retain_weight=2)
    ratios = {}
    for role in ("alternate", "forget"):
        ratios[role] = np.bincount(ROWS, REFERENCE.losses(role) - MODEL.losses(role))
    margin = ratios["alternate"] - ratios["forget"]
    check_term(found["forget"], 2 / 0.5 * np.log1p(np.exp(-0.5 * margin)))
    check_term(found["retain"], 2 * MODEL.losses("retain"))


def test_altpo_with_beta_to_zero_is_ascent_beside_descent() -> None:
    """The slope of -(2/b) log sigmoid(b x) is -1 at b = 0."""
    for role, sign in (("alternate", -1), ("forget", 1)):
        expected = sign * (ONE_HOT - MODEL.probabilities(role)) / 2
        found = slope(terms("altpo", beta=1e-7)["forget"], role)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def dual(multiplier: float, bound: float = 1.0) -> dict[str, Tensor]:
    about = {"multiplier": multiplier, "bound": bound}
    return {k: torch.tensor(v).double() for k, v in about.items()} | {"steps": torch.tensor(0)}


def test_pdu() -> None:
    found = terms("pdu", dual(3.0))
    logits = MODEL.array("forget")
    check_term(found["forget"], (logits.max(-1) - logits.mean(-1)) ** 2)
    check_term(found["retain"], MODEL.losses("retain"))
    expected = 3 * (MODEL.probabilities("retain") - ONE_HOT) / COUNT
    np.testing.assert_allclose(slope(found["retain"], "retain"), expected, rtol=1e-9)


def test_a_pdu_without_a_price_does_not_feel_its_constraint() -> None:
    assert not slope(terms("pdu", dual(0.0))["retain"], "retain").any()


def test_flat_logits_are_pdus_end() -> None:
    flat = GivenModel({**MODEL.logits, "forget": torch.full((COUNT, WORDS), 7.0)})
    check_term(terms("pdu", dual(1.0), flat)["forget"], np.zeros(COUNT))


def test_pdus_multiplier_follows_the_violation_and_stays_above_zero() -> None:
    pdu = method("pdu", rate=2.0)
    state = dual(1.0, bound=0.5)
    seen = []
    for loss in (1.0, 0.1, -9.0, 0.75):
        state = pdu.after_step(state, {"forget": 4.0, "retain": loss})
        seen.append(float(state["multiplier"]))
    assert seen == pytest.approx([2.0, 1.2, 0.0, 0.5])
    resting = method("pdu", rate=2.0, warmup=2)
    state = dual(1.0, bound=0.5)
    for expected in (1.0, 1.0, 2.0):
        state = resting.after_step(state, {"retain": 1.0})
        assert float(state["multiplier"]) == expected


def test_pdus_bound_is_of_every_retain_token() -> None:
    model = tiny_model()
    rows = TrainingRows(model, tiny_dataset(), ("text",), 5, 0)
    with torch.no_grad():
        losses = [-model.answers(each).log_probs for each in rows.batches("retain")]
    bound = method("pdu", tolerance=0.5).prepare(model, rows, 0)["bound"]
    assert float(bound) == pytest.approx(1.5 * float(torch.cat(losses).mean()), rel=1e-6)


def test_pdus_prices_in_the_loop_follow_the_logged_retain_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states: list[dict[str, Tensor]] = []
    after = PDU.after_step

    def watched(self: PDU, state: dict[str, Tensor], values: Any) -> dict[str, Tensor]:
        states.append(after(self, state, values))
        return states[-1]

    monkeypatch.setattr(PDU, "after_step", watched)
    chosen = method("pdu", tolerance=0.0, multiplier=0.01, rate=0.5)
    about = {"steps": 5, "batch_size": 3, "learning_rate": 1e-2, "parts": ("language",)}
    settings = TrainSettings.of(**about, warmup=0.0)
    history = unlearn(tiny_model(), tiny_dataset(), chosen, ("text",), settings)
    price, expected = 0.01, []
    for values in history:
        price = max(0.0, price + 0.5 * (values["retain"] - float(states[0]["bound"])))
        expected.append(price)
    found = [float(state["multiplier"]) for state in states]
    assert found == pytest.approx(expected, abs=1e-6) and len(set(found)) > 2
