"""Makes steps of a model whose logits are given, so that a loss can be computed on paper.

The test of a method of one's own, its loss against a sum in numpy:

    model = GivenModel.drawn(0)
    terms = method("gradient_ascent").loss(given_step(model))
    check_term(terms["forget"], -model.losses("forget"))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.batches.items import Item
from clearbench.batches.kind import Kind
from clearbench.methods.step import ROLES, Batches, NoReference, Step
from clearbench.testing.by_hand import Array, log_softmax, negative_log_likelihoods

#: Rows and targets of the usual batch: an answer of three tokens and one of a single token.
ROWS, TARGETS = (0, 0, 0, 1), (1, 2, 4, 0)
#: Number of words in the vocabulary of a drawn model.
WORDS = 5


def given_batch(
    role: str, targets: Sequence[int] = TARGETS, rows: Sequence[int] = ROWS
) -> list[Batch]:
    """Makes one batch of a role; `rows` holds the answer of each token of `targets`."""
    items = tuple(Item(str(row), role, "q", "a") for row in range(max(rows) + 1))
    places = torch.arange(len(targets))
    return [Batch({}, places, torch.tensor(targets), torch.tensor(rows), items)]


class GivenModel:
    """A model, or a reference, whose logits on the batch of each role are given.

    Its states after layer `k` are `k` times the logits; besides the logits one weight is trained.

    Args:
        logits: Logits by role, (tokens, words); they become tensors with gradient.
        kind: Kind of the model.
        depth: Number of layers.
        margin: Amount that teaching subtracts from the target's logit.
    """

    def __init__(
        self,
        logits: Mapping[str, Tensor],
        *,
        kind: Kind = "language",
        depth: int = 4,
        margin: float = 0.0,
    ) -> None:
        self.logits = {r: v.detach().clone().double().requires_grad_() for r, v in logits.items()}
        self.weight = torch.linspace(-1, 1, 6, dtype=torch.double, requires_grad=True)
        self.kind, self.depth, self.margin = kind, depth, margin
        self.guards: tuple[Any, ...] = ()

    @classmethod
    def drawn(cls, seed: int, **about: Any) -> GivenModel:
        """Draws standard normal logits for the batch of every role; `about` as for the class."""
        rng = torch.Generator().manual_seed(seed)
        return cls({role: torch.randn(len(ROWS), WORDS, generator=rng) for role in ROLES}, **about)

    def answers(self, batches: Batches) -> Answers:
        """Returns the given logits, with gradient."""
        (batch,) = batches
        logits = self.logits[_role(batches)]
        return Answers(logits, batch.targets, batch.owners, batch.items, self.margin)

    def states(self, batches: Batches, layer: int) -> Tensor:
        """Returns the logits times `layer`, (tokens, words); an `IndexError` beyond the layers."""
        if not 1 <= layer <= self.depth:
            raise IndexError(f"layer {layer} of a model of {self.depth}")
        return layer * self.logits[_role(batches)]

    def sequence_log_probs(self, batches: Batches) -> Tensor:
        """Computes the (rows,) log-probabilities of whole answers, without gradient."""
        answers = self.answers(batches)
        return answers.per_row(answers.log_probs).detach()

    def trainable(self) -> dict[str, Tensor]:
        """Returns the one weight, by name."""
        return {"weight": self.weight}

    def array(self, role: str) -> Array:
        """Returns the (tokens, words) logits in numpy."""
        return np.asarray(self.logits[role].detach().numpy())

    def probabilities(self, role: str, temperature: float = 1.0) -> Array:
        """Computes the (tokens, words) probabilities in numpy."""
        return np.asarray(np.exp(log_softmax(self.array(role) / temperature)))

    def losses(self, role: str, targets: Sequence[int] = TARGETS) -> Array:
        """Computes the (tokens,) negative log-likelihoods in numpy, with the margin."""
        lowered = self.array(role).copy()
        lowered[np.arange(len(targets)), np.asarray(targets)] -= self.margin
        return negative_log_likelihoods(lowered, targets)

    def divergence(self, other: GivenModel, role: str, temperature: float = 1.0) -> Array:
        """Computes the (tokens,) KL(this || other) in numpy, both softened."""
        p, q = (model.probabilities(role, temperature) for model in (self, other))
        return np.asarray((p * np.log(p / q)).sum(-1))

    def slope(self, loss: Tensor, role: str) -> Array:
        """Computes the (tokens, words) gradient of a loss in the logits of a role."""
        (gradient,) = torch.autograd.grad(loss, self.logits[role])
        return np.asarray(gradient.numpy())


def given_step(model: GivenModel, reference: GivenModel | None = None, **about: Any) -> Step:
    """Makes a step with the usual batch of every role; `about` gives or replaces its fields."""
    fields: dict[str, Any] = {
        "model": model,
        "reference": reference or NoReference(),
        "batches": {role: given_batch(role) for role in ROLES},
    }
    return Step(**(fields | about))


def _role(batches: Batches) -> str:
    return batches[0].items[0].variant
