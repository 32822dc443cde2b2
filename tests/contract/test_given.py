"""The stand-in model says what it was given, and the check of a term can fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from clearbench.errors import RecipeError
from clearbench.methods.base import method
from clearbench.methods.losses import Term
from clearbench.testing.by_hand import check_term
from clearbench.testing.given import ROWS, GivenModel, given_batch, given_step


@pytest.mark.parametrize("margin", [0.0, 1.5])
def test_losses_in_numpy_are_those_of_the_answers(margin: float) -> None:
    model, batch = GivenModel.drawn(0, margin=margin), given_batch("forget")
    answers = model.answers(batch)
    np.testing.assert_allclose(model.losses("forget"), answers.losses.detach().numpy())
    plain = np.bincount(ROWS, -GivenModel.drawn(0).losses("forget"))
    np.testing.assert_allclose(model.sequence_log_probs(batch).numpy(), plain)


def test_every_role_is_answered_with_its_own_logits() -> None:
    step = given_step(GivenModel.drawn(0))
    found = torch.stack([step.model.answers(each).logits for each in step.batches.values()])
    assert len(found.flatten().unique()) == found.numel()


@pytest.mark.parametrize("layer", [0, 5])
def test_a_layer_that_is_not_there_is_refused(layer: int) -> None:
    with pytest.raises(IndexError, match=f"layer {layer} of a model of 4"):
        GivenModel.drawn(0).states(given_batch("forget"), layer)


def test_a_step_without_a_reference_has_none() -> None:
    with pytest.raises(RecipeError, match="no such reference"):
        method("npo").loss(given_step(GivenModel.drawn(0)))


@pytest.mark.parametrize(
    "other", [([1.0, 2.1], [1, 0]), ([1.0], [1, 0]), ([1.0, 2.0], [1, 1]), ([1.0, 2.0],)]
)
def test_other_values_or_weights_are_refused(other: tuple[Any, ...]) -> None:
    term = Term(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0]))
    check_term(term, [1.0, 2.0], [1, 0])
    with pytest.raises(AssertionError):
        check_term(term, *other)
