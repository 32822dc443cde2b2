"""Losses on refusals, entropy and sharpness against plain torch, their slopes and their limits."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clearbench.methods.base import method
from clearbench.methods.losses import Term
from clearbench.testing.by_hand import Array, check_term
from clearbench.testing.given import ROWS, TARGETS, WORDS, GivenModel, given_batch, given_step

MODEL, REFERENCE = GivenModel.drawn(0), GivenModel.drawn(1)
COUNT, ONE_HOT = len(ROWS), np.eye(WORDS)[list(TARGETS)]
#: Tokens of each row of the usual batch.
SIZES = np.bincount(ROWS)


def terms(name: str, model: GivenModel = MODEL, **about: Any) -> dict[str, Term]:
    return method(name, **about).loss(given_step(model, REFERENCE))


def true_probabilities(role: str, model: GivenModel = MODEL) -> Tensor:
    return torch.tensor(np.exp(-model.losses(role)))


def test_maximise_entropy() -> None:
    found = terms("maximise_entropy", forget_weight=0.5, retain_weight=3)
    uniform = 1 / WORDS
    expected = [
        sum(uniform * math.log(uniform / p) for p in row) for row in MODEL.probabilities("forget")
    ]
    check_term(found["forget"], 0.5 * np.array(expected))
    check_term(found["retain"], 3 * MODEL.losses("retain"))


def test_maximised_entropy_ends_at_equal_logits_and_is_not_the_entropys_own_order() -> None:
    flat = GivenModel({**MODEL.logits, "forget": torch.full((COUNT, WORDS), 7.0)})
    term = terms("maximise_entropy", flat)["forget"]
    check_term(term, np.zeros(COUNT))
    assert np.abs(flat.slope(term.mean, "forget")).max() < 1e-12
    slope = MODEL.slope(terms("maximise_entropy", forget_weight=1)["forget"].mean, "forget")
    np.testing.assert_allclose(slope, (MODEL.probabilities("forget") - 1 / WORDS) / COUNT)


#: f, g* and f* of each divergence, the conjugate found by a search over a grid.
GENERATORS = {
    "total_variation": lambda r: abs(r - 1) / 2,
    "kl": lambda r: r * np.log(r),
    "jensen_shannon": lambda r: r * np.log(r) - (r + 1) * np.log((1 + r) / 2),
    "pearson": lambda r: (r - 1) ** 2,
}
VARIATIONAL = {
    "total_variation": lambda v: np.tanh(v) / 2,
    "kl": lambda v: v,
    "jensen_shannon": lambda v: np.log(2 / (1 + np.exp(-v))),
    "pearson": lambda v: v,
}
RATIOS = np.arange(1, 400_001) / 20_000


@pytest.mark.parametrize("divergence", GENERATORS)
def test_flat(divergence: str) -> None:
    """F*(u) = max over r of u r - f(r); the mean probability is of each row's own tokens."""
    found = terms("flat", divergence=divergence)
    means = {}
    for role in ("idk", "forget"):
        known = true_probabilities(role).numpy()
        means[role] = np.array([known[:3].mean(), known[3]])
    scores = {role: VARIATIONAL[divergence](mean) for role, mean in means.items()}
    conjugate = [(u * RATIOS - GENERATORS[divergence](RATIOS)).max() for u in scores["forget"]]
    check_term(found["refusal"], -scores["idk"])
    values = found["forget"].values.detach().numpy()
    np.testing.assert_allclose(values, conjugate, rtol=1e-5, atol=1e-8)
    assert found["forget"].weights.tolist() == [1, 1]


@pytest.mark.parametrize("divergence", GENERATORS)
def test_flat_raises_refusals_and_lowers_answers(divergence: str) -> None:
    found = terms("flat", divergence=divergence)
    true = np.arange(COUNT), np.array(TARGETS)
    assert (MODEL.slope(found["refusal"].mean, "idk")[true] < 0).all()
    assert (MODEL.slope(found["forget"].mean, "forget")[true] > 0).all()


def test_flats_kl_weighs_an_answer_by_its_own_probability() -> None:
    """d/dv e^(v - 1) = e^(v - 1), and a row's mean has the slope p (onehot - p) / tokens."""
    p, known = MODEL.probabilities("forget"), true_probabilities("forget").numpy()
    means = np.bincount(ROWS, known) / SIZES
    weights = (np.exp(means - 1) / SIZES)[list(ROWS)] / 2
    expected = (weights * known)[:, None] * (ONE_HOT - p)
    found = MODEL.slope(terms("flat", divergence="kl")["forget"].mean, "forget")
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_idk_ap(beta: float) -> None:
    """Answer preservation: (1/b) log(1 + (p(refusal) / p(answer))^b) of whole retain answers."""
    found = terms("idk_ap", beta=beta, retain_weight=3)
    check_term(found["forget"], MODEL.losses("idk"))
    true, false = (
        torch.zeros(2, dtype=torch.double).index_add(
            0, torch.tensor(ROWS), true_probabilities(role).log()
        )
        for role in ("retain", "refused")
    )
    check_term(found["retain"], 3 / beta * torch.log1p((false - true).mul(beta).exp()).numpy())


def test_idk_ap_with_beta_to_zero_is_half_a_descent_beside_half_an_ascent() -> None:
    """The slope of -(1/b) log sigmoid(b x) is -1/2 at b = 0; two rows."""
    for role, sign in (("retain", -0.5), ("refused", 0.5)):
        found = MODEL.slope(terms("idk_ap", beta=1e-7)["retain"].mean, role)
        expected = sign * (ONE_HOT - MODEL.probabilities(role)) / 2
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_idk_ap_without_weight_reads_no_retain_rows() -> None:
    chosen = method("idk_ap", retain_weight=0)
    assert chosen.needed == ("idk",) and set(terms("idk_ap", retain_weight=0)) == {"forget"}


def jensen_shannon(p: Array, q: Array) -> Array:
    """The mean of both divergences from the middle, summed where a probability is not 0."""
    middle = (p + q) / 2
    halves = [np.where(d > 0, d * np.log(np.where(d > 0, d, 1) / middle), 0) for d in (p, q)]
    return np.asarray(sum(halves).sum(-1) / 2)


@pytest.mark.parametrize(
    ("targets", "rows", "expected"),
    [
        ((3, 1, 2), (0, 0, 1), (3, 1, 3, 2)),
        ((3, 1, 2, 4, 0, 1), (0, 0, 0, 0, 1, 1), (3, 1, 2, 0)),
    ],
    ids=["shorter", "longer"],
)
def test_jensun(targets: tuple[int, ...], rows: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """A refusal's tokens stand at the places of the true answer's, again and again."""
    step = given_step(MODEL, REFERENCE)
    step = replace(step, batches={**step.batches, "idk": given_batch("idk", targets, rows)})
    found = method("jensun", forget_weight=0.5, retain_weight=2).loss(step)
    wanted = np.eye(WORDS)[list(expected)]
    check_term(found["forget"], 0.5 * jensen_shannon(wanted, MODEL.probabilities("forget")))
    check_term(
        found["retain"],
        2 * jensen_shannon(REFERENCE.probabilities("retain"), MODEL.probabilities("retain")),
    )


def test_jensun_reads_refusals_of_several_batches_in_order() -> None:
    step = given_step(MODEL, REFERENCE)
    halves = [*given_batch("idk", (3, 1), (0, 0)), *given_batch("idk", (2,), (0,))]
    term = method("jensun").loss(replace(step, batches={**step.batches, "idk": halves}))["forget"]
    wanted = np.eye(WORDS)[[3, 1, 3, 2]]
    check_term(term, jensen_shannon(wanted, MODEL.probabilities("forget")))


def test_jensuns_terms_end_at_0_and_stay_under_log_2() -> None:
    certain = {role: torch.zeros(COUNT, WORDS) for role in ("forget", "retain")}
    certain["forget"][np.arange(COUNT), list(TARGETS)] = 60.0
    model = GivenModel(certain)
    found = method("jensun").loss(given_step(model, model))
    for term in found.values():
        np.testing.assert_allclose(term.values.detach().numpy(), 0, atol=1e-12)
    assert np.abs(model.slope(found["retain"].mean, "retain")).max() < 1e-12
    certain["forget"] *= -1
    worst = method("jensun").loss(given_step(GivenModel(certain), model))["forget"]
    np.testing.assert_allclose(worst.values.detach().numpy(), math.log(2), rtol=1e-9)
    assert (MODEL.slope(terms("jensun")["forget"].mean, "forget")[ONE_HOT > 0] < 0).all()
