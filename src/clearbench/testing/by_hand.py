"""Computes losses in numpy and gradients in one pass, independently of the methods' code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from clearbench.methods.losses import Term
from clearbench.methods.step import Data
from clearbench.models.base import Model

Array = NDArray[np.float64]


def log_softmax(logits: ArrayLike) -> Array:
    """Computes (..., words) log-probabilities."""
    values = np.asarray(logits, dtype=np.float64)
    shifted = values - values.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def negative_log_likelihoods(logits: ArrayLike, targets: Sequence[int]) -> Array:
    """Computes -log p of each target, (tokens,), from (tokens, words) logits."""
    return np.asarray(-log_softmax(logits)[np.arange(len(targets)), np.asarray(targets)])


def check_term(term: Term, values: ArrayLike, weights: ArrayLike = 1.0) -> None:
    """Raises an `AssertionError` unless a term has these values, to 1e-10, and these weights."""
    expected = np.asarray(values, dtype=np.float64)
    np.testing.assert_allclose(term.values.detach().numpy(), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(term.weights.numpy(), weights)


def gradients(model: Model, loss: Tensor) -> dict[str, Tensor]:
    """Computes the gradients of a loss by trained weight; zeros where it does not depend on one."""
    weights = model.trainable()
    parts = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
    return dict(zip(weights, parts, strict=True))


def batch_gradients(model: Model, data: Data, role: str) -> list[dict[str, Tensor]]:
    """Computes the gradients of the mean loss of each batch of a role."""
    answers = [model.answers(batches) for batches in data.batches(role)]
    return [gradients(model, functional.cross_entropy(a.logits, a.targets)) for a in answers]


def snapshot(model: Model) -> dict[str, Tensor]:
    """Copies every tensor of a model, by name."""
    return {name: value.detach().clone() for name, value in model.module.state_dict().items()}


def changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    """Finds the names of the tensors that differ between two snapshots."""
    return {name for name in before if not torch.equal(before[name], after[name])}
