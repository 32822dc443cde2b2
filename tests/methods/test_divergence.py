"""The divergence of two models over the vocabulary: its value, its slope and what it does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from torch import Tensor

from clearbench.batches.answers import Answers
from clearbench.batches.items import CACHED
from clearbench.methods.losses import kl_divergence

TOKENS, WORDS = 7, CACHED // 3  # three tokens at once on a CPU, one at the end


def answers(logits: Tensor) -> Answers:
    none = torch.zeros(len(logits), dtype=torch.long)
    return Answers(logits, none, none, ())


def logits(seed: int, tokens: int = TOKENS, words: int = WORDS) -> Tensor:
    return 3 * torch.randn(tokens, words, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_value_and_slope(temperature: float) -> None:
    """Against scipy in double precision; the slope is T (model - reference)."""
    reference, model = logits(0), logits(1).requires_grad_()
    found = kl_divergence(answers(reference), answers(model), temperature).values
    before, now = (
        softmax(each.detach().double().numpy() / temperature, axis=-1)
        for each in (reference, model)
    )
    expected = temperature**2 * rel_entr(before, now).sum(-1)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)
    weights = torch.linspace(-1, 1, TOKENS)
    (slope,) = torch.autograd.grad((found * weights).sum(), model)
    by_hand = temperature * weights.numpy()[:, None] * (now - before)
    assert np.abs(slope.numpy() - by_hand).max() < 1e-5 * np.abs(by_hand).max()


def test_slope_by_finite_differences() -> None:
    reference, model = logits(0, 3, 5).double(), logits(1, 3, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda own: kl_divergence(answers(reference), answers(own), 2.0).values, (model,)
    )


def test_a_second_pass_finds_the_same_slope() -> None:
    """As gradient rules need, which go back through one graph for each term."""
    model = logits(1).requires_grad_()
    total = kl_divergence(answers(logits(0)), answers(model)).total
    first, second = (torch.autograd.grad(total, model, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_equal_models_have_no_slope() -> None:
    model = logits(1).requires_grad_()
    term = kl_divergence(answers(model.detach().clone()), answers(model))
    (slope,) = torch.autograd.grad(term.total, model)
    assert not slope.any()
    assert not term.values.any()


def test_the_logits_are_left_as_they_are() -> None:
    reference, model = logits(0), logits(1)
    kl_divergence(answers(reference), answers(model))
    assert torch.equal(reference, logits(0))
    assert torch.equal(model, logits(1))


def test_no_tokens() -> None:
    none = torch.zeros(0, 5)
    assert kl_divergence(answers(none), answers(none)).values.shape == (0,)
