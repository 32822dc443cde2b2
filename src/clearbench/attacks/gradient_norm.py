"""Attacks membership by the norm of the gradient of an answer's loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from clearbench.attacks.base import Target
from clearbench.attacks.membership import MembershipAttack
from clearbench.attacks.with_model import model_table, stored_values
from clearbench.batches.items import Item
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Collections
from clearbench.libraries import pd

if TYPE_CHECKING:
    from clearbench.models.base import Model


class GradientNorm(
    MembershipAttack,
    name="mia_gradient_norm",
    title="Membership by gradient norm",
    group="Membership attacks",
    needs=("gradients",),
    reads=("answer", "model", "holdout people"),
    paper="Wang et al. 2024, arXiv 2402.17012",
    shows=(
        "Whether forgotten people's answers pull less at the weights than those of people never "
        "seen. Long answers pull less, and the number depends on which weights are counted."
    ),
):
    """Membership by the norm of the gradient of an answer's mean loss: higher for non-members."""

    def table(self, target: Target) -> pd.DataFrame:
        """Computes one line per forget and holdout row of the dataset that the model can answer."""
        return model_table(self, target, gradient_norms)

    def row_values(self, collections: Collections, group: RecordGroup) -> pd.Series:
        """Returns the norms that `table` added to the records; empty where it did not."""
        return stored_values(self, group)


def gradient_norms(model: Model, items: Sequence[Item]) -> pd.Series:
    """Computes each row's norm over all trainable weights, in evaluation mode.

    Not the published mean (errata E109: norms of single tensors, in training mode).

    Args:
        model: Model whose trainable weights are counted, see `Model.train_only`; they stay fixed.
        items: Answers that are scored, one backward pass each.
    """
    model.train(False)
    weights = list(model.trainable().values())
    norms = {}
    for answer in items:
        loss = -model.answers(model.batch([answer])).log_probs.mean()
        model.module.zero_grad()
        loss.backward()
        squares = [float(w.grad.double().square().sum()) for w in weights if w.grad is not None]
        norms[answer.row] = float(np.sqrt(sum(squares)))
    model.module.zero_grad()
    return pd.Series(norms, dtype=float)
