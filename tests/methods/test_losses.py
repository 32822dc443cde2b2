"""The terms of losses against closed forms (facts/metrics.md 10.3) and sums done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from clearbench.errors import RecipeError
from clearbench.methods.base import method
from clearbench.methods.losses import (
    Term,
    cross_entropy,
    kl_divergence,
    negative_preference,
    preference,
)
from clearbench.testing.by_hand import check_term
from clearbench.testing.given import ROWS, GivenModel, given_batch, given_step

MODEL, REFERENCE = GivenModel.drawn(0), GivenModel.drawn(1)


@pytest.mark.parametrize("weight", [0.25, 1, 3])
def test_gradient_difference_by_hand(weight: float) -> None:
    forget = torch.log(torch.tensor([[0.5, 0.5], [0.25, 0.75]]))
    retain = torch.log(torch.tensor([[0.2, 0.8]]))
    batches = {
        "forget": given_batch("forget", targets=(0, 0), rows=(0, 0)),
        "retain": given_batch("retain", targets=(1,), rows=(0,)),
    }
    step = given_step(GivenModel({"forget": forget, "retain": retain}), batches=batches)
    terms = method("gradient_difference", retain_weight=weight).loss(step)
    total, mean = terms["forget"].total.detach(), terms["forget"].mean.detach()
    assert float(total) == pytest.approx(-(math.log(2) + math.log(4)))
    assert float(mean) == pytest.approx(-(math.log(2) + math.log(4)) / 2)
    assert float(terms["retain"].total.detach()) == pytest.approx(weight * -math.log(0.8))
    assert terms.keys() == {"forget", "retain"}
    alone = method("gradient_difference", retain_weight=0).loss(step)
    assert alone.keys() == {"forget"} and float(alone["forget"].total.detach()) == float(total)


@pytest.mark.parametrize("reference", [MODEL, REFERENCE])
def test_npo_with_beta_to_zero_has_the_gradient_of_gradient_ascent(reference: GivenModel) -> None:
    step = given_step(MODEL, reference)
    npo = method("npo", beta=1e-4, retain_weight=0).loss(step)["forget"].total
    ascent = method("gradient_ascent").loss(step)["forget"].total
    ours, theirs = (MODEL.slope(each, "forget") for each in (npo, ascent))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-6)


def test_npo_fades_where_an_answer_is_forgotten() -> None:
    ratio = torch.tensor([-200.0, 0.0, 200.0], dtype=torch.double, requires_grad=True)
    values = negative_preference(ratio, 0.1).values
    assert values.tolist() == pytest.approx([0.0, 20 * math.log(2), 20 * 20], abs=1e-6)
    (slope,) = torch.autograd.grad(values.sum(), ratio)
    assert slope.tolist() == pytest.approx([0.0, 1.0, 2.0], abs=1e-6)


def test_npo_reads_whole_answers() -> None:
    """The log-ratio is a sum over the answer, not a mean (E23, E125)."""
    ratio = np.bincount(ROWS, REFERENCE.losses("forget") - MODEL.losses("forget"))
    term = method("npo").loss(given_step(MODEL, REFERENCE))["forget"]
    check_term(term, 2 / 0.1 * np.log1p(np.exp(0.1 * ratio)))


def test_dpo_of_equal_policies_is_log_two() -> None:
    for scaled, factor in ((False, 1.0), (True, 2 / 0.7)):
        term = method("dpo", beta=0.7, scaled=scaled).loss(given_step(MODEL, MODEL))["forget"]
        check_term(term, [factor * math.log(2)] * 2)


def test_dpos_defaults_are_one_published_set() -> None:
    """OpenUnlearning's and `dpo_grad_diff`'s: 2/beta and a retain weight of 1; TOFU has neither."""
    gap = sum(
        sign * np.bincount(ROWS, REFERENCE.losses(role) - MODEL.losses(role))
        for role, sign in (("idk", 1), ("forget", -1))
    )
    found = method("dpo").loss(given_step(MODEL, REFERENCE))
    check_term(found["forget"], 20 * np.log1p(np.exp(-0.1 * gap)))
    check_term(found["retain"], MODEL.losses("retain"))
    tofu = method("dpo", scaled=False, retain_weight=0).loss(given_step(MODEL, REFERENCE))
    assert tofu.keys() == {"forget"}
    check_term(tofu["forget"], np.log1p(np.exp(-0.1 * gap)))


def test_scaled_dpo_of_beta_zero_is_the_gap_of_log_probabilities() -> None:
    """(2/beta)(log 2 - beta gap / 2 + ...): the slope is descent on one answer, ascent on other."""
    term = method("dpo", beta=1e-6, retain_weight=0).loss(given_step(MODEL, REFERENCE))["forget"]
    np.testing.assert_allclose(
        MODEL.slope(term.total, "forget"), -MODEL.slope(_sum_of_losses("forget"), "forget"),
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def _sum_of_losses(role: str) -> torch.Tensor:
    batch = given_step(MODEL).batches[role]
    return -MODEL.answers(batch).log_probs.sum()


def test_dpo_prefers_the_refusal() -> None:
    chosen = torch.tensor([0.0], requires_grad=True)
    rejected = torch.tensor([0.0], requires_grad=True)
    preference(chosen, rejected, 0.1).total.backward()
    assert chosen.grad is not None and rejected.grad is not None
    assert chosen.grad.item() == pytest.approx(-0.05)
    assert rejected.grad.item() == pytest.approx(0.05)


def test_kl_of_a_model_with_itself_is_zero() -> None:
    same = MODEL.answers(given_batch("retain"))
    assert kl_divergence(same, same).values.abs().max() < 1e-12


def test_kl_is_from_the_reference() -> None:
    """sum p log(p / q) with p the reference's (E26)."""
    batch = given_batch("retain", targets=(0,), rows=(0,))
    pair = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.5, 0.5]])
    first, second = (GivenModel({"retain": each.log()}).answers(batch) for each in pair)
    by_hand = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert float(kl_divergence(first, second).total.detach()) == pytest.approx(by_hand)
    found = method("kl_minimization", retain_weight=2).loss(given_step(MODEL, REFERENCE))
    check_term(found["retain"], 2 * REFERENCE.divergence(MODEL, "retain"))


def test_idk_trains_on_refusals_and_leaves_the_answers() -> None:
    terms = method("idk").loss(given_step(MODEL, REFERENCE))
    total = sum(term.mean for term in terms.values())
    slopes = torch.autograd.grad(total, list(MODEL.logits.values()), materialize_grads=True)
    touched = {role for role, slope in zip(MODEL.logits, slopes, strict=True) if slope.any()}
    assert touched == {"retain", "idk"}


def test_a_term_divides_by_its_weights() -> None:
    term = Term(torch.tensor([2.0, 4.0]), torch.tensor([1.0, 3.0]))
    assert (float(term.total), float(term.mean)) == (14.0, 3.5)
    assert float((-term).mean) == -3.5
    assert float((2.0 * term).mean) == 7.0
    assert float(Term(torch.ones(0), torch.ones(0)).mean) == 0.0


def test_cross_entropy_is_per_token() -> None:
    flat = GivenModel({"forget": torch.zeros(3, 4)})
    found = flat.answers(given_batch("forget", targets=(0, 1, 2), rows=(0, 0, 1)))
    check_term(cross_entropy(found), [math.log(4)] * 3)


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(RecipeError, match="did you mean 'npo'"):
        method("npoo")
    with pytest.raises(RecipeError, match="'betta'; did you mean 'beta'"):
        method("npo", betta=1)


def test_all_bad_hyper_parameters_are_named_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        method("npo", beta=-1, retain_weight="much", gamma=2)
    assert all(f"'{name}'" in str(caught.value) for name in ("beta", "retain_weight", "gamma"))
