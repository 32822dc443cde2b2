"""Attacks membership by the modified entropy of a model's distribution over answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clearbench.attacks.base import Target
from clearbench.attacks.membership import MembershipAttack
from clearbench.attacks.with_model import model_table, stored_values
from clearbench.batches.items import Item
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Collections
from clearbench.libraries import pd, torch

if TYPE_CHECKING:
    from torch import Tensor

    from clearbench.models.base import Model

#: Answers per batch: each token has a number per word of the vocabulary.
BATCH = 8
#: Largest log-probability, at the precision of single floats.
MOST = -(2.0**-24)


class ModifiedEntropy(
    MembershipAttack,
    name="mia_modified_entropy",
    title="Membership by modified entropy",
    group="Membership attacks",
    needs=("model",),
    reads=("distribution per token", "model", "holdout people"),
    paper="Song and Mittal 2021, arXiv 2003.10595",
    shows=(
        "As by loss, with the confidence in wrong answers counted too: a model that is sure of "
        "something else than the truth looks as little taught as can be."
    ),
):
    """Membership by -(1 - p) log p - sum over other words of q log(1 - q), mean over tokens."""

    def table(self, target: Target) -> pd.DataFrame:
        """Computes one line per forget and holdout row of the dataset that the model can answer."""
        return model_table(self, target, entropies)

    def row_values(self, collections: Collections, group: RecordGroup) -> pd.Series:
        """Returns the entropies that `table` added to the records; empty where it did not."""
        return stored_values(self, group)


def modified_entropy(log_probs: Tensor, targets: Tensor) -> Tensor:
    """Computes -(1 - p) log p - sum over others of q log(1 - q), each row at its own target.

    Published codes write every row at every target's column (errata E131).

    Args:
        log_probs: Logarithms of probabilities, (tokens, words).
        targets: True word of each token, (tokens,).

    Returns:
        Nats, (tokens,).
    """
    logs = log_probs.double().clamp(max=MOST)
    others = logs.exp() * torch.log(-torch.expm1(logs))
    places = targets[:, None]
    own = logs.gather(1, places)
    true = -torch.expm1(own) * own
    return -(true.squeeze(1) + others.sum(dim=1) - others.gather(1, places).squeeze(1))


def entropies(model: Model, items: Sequence[Item]) -> pd.Series:
    """Computes each answer's mean modified entropy over its tokens, in evaluation mode."""
    model.train(False)
    found: dict[str, float] = {}
    with torch.no_grad():
        for first in range(0, len(items), BATCH):
            some = items[first : first + BATCH]
            answers = model.answers(model.batch(some))
            logs = torch.log_softmax(answers.logits.float(), dim=1)
            values = modified_entropy(logs, answers.targets)
            sums = answers.per_row(values) / answers.per_row(torch.ones_like(values))
            rows = zip(answers.items, sums.tolist(), strict=True)
            found |= {answer.row: value for answer, value in rows}
    return pd.Series(found, dtype=float)
