"""DELETE's loss against the definition of the divergence, and its gradient in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clearbench.methods.base import method
from clearbench.methods.losses import Term
from clearbench.testing.by_hand import Array, check_term
from clearbench.testing.given import ROWS, TARGETS, WORDS, GivenModel, given_step

MODEL, REFERENCE = GivenModel.drawn(0), GivenModel.drawn(1)
COUNT, ONE_HOT = len(ROWS), np.eye(WORDS)[list(TARGETS)]


def terms(reference: GivenModel = REFERENCE, **about: Any) -> dict[str, Term]:
    return method("delete", **about).loss(given_step(MODEL, reference))


def target() -> Array:
    """The original's probabilities of the other words, divided by their sum."""
    others = REFERENCE.probabilities("forget") * (1 - ONE_HOT)
    return np.asarray(others / others.sum(-1, keepdims=True))


def test_the_loss_is_the_divergence_from_the_others() -> None:
    q, p = target(), MODEL.probabilities("forget")
    expected = np.zeros(COUNT)
    for token in range(COUNT):
        for word in range(WORDS):
            if word != TARGETS[token]:
                expected[token] += q[token, word] * np.log(q[token, word] / p[token, word])
    found = terms()
    assert found.keys() == {"forget"}
    check_term(found["forget"], expected)


def test_the_gradient_is_the_model_less_the_target() -> None:
    found = MODEL.slope(terms()["forget"].mean, "forget")
    expected = (MODEL.probabilities("forget") - target()) / COUNT
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    true = found[np.arange(COUNT), TARGETS]
    np.testing.assert_allclose(true * COUNT, np.exp(-MODEL.losses("forget")), rtol=1e-9)


def test_the_originals_logit_of_the_true_class_plays_no_part() -> None:
    moved = GivenModel({r: v.detach() for r, v in REFERENCE.logits.items()})
    moved.logits["forget"].data += 7.0 * moved.logits["forget"].new_tensor(ONE_HOT)
    np.testing.assert_array_equal(
        terms(moved)["forget"].values.detach(), terms()["forget"].values.detach()
    )


def test_it_falls_to_zero_where_only_the_others_are_left() -> None:
    """-log(1 - p) at the original itself: what has to go is the probability of the true class."""
    same = GivenModel({r: v.detach() for r, v in MODEL.logits.items()})
    left = 1 - np.exp(-MODEL.losses("forget"))
    check_term(terms(same)["forget"], -np.log(left))


@pytest.mark.parametrize("form", ["cross_entropy", "kl"])
def test_a_retain_term_is_added_only_with_a_weight(form: Any) -> None:
    found = terms(retain=form, retain_weight=0.4)["retain"]
    losses = MODEL.losses("retain")
    expected = losses if form == "cross_entropy" else REFERENCE.divergence(MODEL, "retain")
    check_term(found, 0.4 * expected)
