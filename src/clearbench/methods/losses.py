"""Computes the terms of losses: unreduced values with their weights.

The loop divides by the global sum of weights over micro-batches and processes, so a term means
the same however the batch is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clearbench.batches.answers import Answers
from clearbench.errors import RecipeError
from clearbench.libraries import functional, torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Term:
    """One named part of a loss.

    Attributes:
        values: Values per answer token or per example, with gradient; with a leading axis of
            models where many are trained at once.
        weights: Weights of the same shape, without gradient. The term of a model is
            `sum(values * weights) / sum(weights)`.
    """

    values: Tensor
    weights: Tensor

    def __neg__(self) -> Term:
        return Term(-self.values, self.weights)

    def __rmul__(self, factor: float) -> Term:
        return Term(factor * self.values, self.weights)

    @property
    def total(self) -> Tensor:
        """The weighted sum, before division."""
        return (self.values * self.weights).sum()

    @property
    def mean(self) -> Tensor:
        """The weighted mean over this term alone, () or (models,)."""
        return (self.values * self.weights).sum(-1) / self.weights.sum(-1).clamp_min(1e-12)

    def by_model(self, models: int) -> Term:
        """Gives a term whose values come model by model a leading axis of models.

        A sum over all weights, as one value, stays what it is: its gradient is each model's own.
        """
        if self.values.numel() % models:
            return self
        return Term(self.values.unflatten(0, (models, -1)), self.weights.unflatten(0, (models, -1)))


def checked_terms(loss: object) -> Mapping[str, Term]:
    """Checks what a method's loss returned.

    Raises:
        RecipeError: It is no mapping of names to terms, or a term's weights have another shape
            than its values.
    """
    fix = 'return {"forget": uniform(values), ...}, with a value per answer token or per row'
    if not isinstance(loss, Mapping):
        what = f"the loss returned {type(loss).__name__}, not named terms"
        raise RecipeError(what, "loss", fix)
    for name, term in loss.items():
        if not isinstance(term, Term):
            raise RecipeError(f"'{name}' is a {type(term).__name__}, not a Term", "loss", fix)
        if term.values.shape != term.weights.shape:
            values, weights = tuple(term.values.shape), tuple(term.weights.shape)
            raise RecipeError(
                f"'{name}' has values of shape {values} and weights of shape {weights}",
                "loss",
                "give one weight per value: uniform(values), or Term(values, weights)",
            )
    return loss


def uniform(values: Tensor) -> Term:
    """Makes a term of values with equal weights."""
    return Term(values, torch.ones_like(values, requires_grad=False).detach())


def cross_entropy(answers: Answers) -> Term:
    """The negative log-likelihood per answer token: `L` of the papers, with the head's margin."""
    return uniform(answers.losses)


def kl_divergence(reference: Answers, answers: Answers, temperature: float = 1.0) -> Term:
    """KL(reference || model) per answer token, over the whole vocabulary.

    From the reference (errata E26: SCRUB's and LLMU's code in CLEAR takes it from the model) and
    over answer tokens (errata E27: not over prompt and padding). At another temperature than 1 both
    are softened and the result is multiplied by its square, as in distillation, so that gradients
    keep their size. The reference has no gradient.
    """
    from clearbench.batches.divergence import Divergence  # its base class is torch's

    values = Divergence.apply(reference.logits, answers.logits, temperature)  # type: ignore[no-untyped-call]
    return uniform(values)


def masked_divergence(reference: Answers, answers: Answers, kept: Tensor) -> Tensor:
    """KL(reference || model) over the kept entries of the vocabulary alone, (tokens,)."""
    target = functional.log_softmax(reference.logits, dim=-1)
    ours = functional.log_softmax(answers.logits, dim=-1)
    return (kept * target.exp() * (target - ours)).sum(-1)


def entropy(answers: Answers) -> Term:
    """-sum p log p of the model's own distribution per answer token, in nats."""
    log_probs = functional.log_softmax(answers.logits, dim=-1)
    return uniform(-(log_probs.exp() * log_probs).sum(-1))


def soft_cross_entropy(target_logits: Tensor, answers: Answers) -> Term:
    """-sum softmax(target) log model per answer token; (tokens, vocabulary) target logits."""
    target = functional.softmax(target_logits, dim=-1)
    return uniform(-(target * functional.log_softmax(answers.logits, dim=-1)).sum(-1))


def l1_norm(weights: Iterable[Tensor]) -> Term:
    """The sum of absolute values, as one value: the same in every micro-batch."""
    return uniform(torch.stack([weight.abs().sum() for weight in weights]).sum().reshape(1))


def negative_preference(log_ratio: Tensor, beta: float) -> Term:
    """(2 / beta) log(1 + ratio ** beta) per example, from (rows,) log-ratios of whole answers."""
    return uniform(-2 / beta * functional.logsigmoid(-beta * log_ratio))


def preference(chosen: Tensor, rejected: Tensor, beta: float) -> Term:
    """-log sigmoid(beta (chosen - rejected)) per example, from (rows,) log-ratios."""
    return uniform(-functional.logsigmoid(beta * (chosen - rejected)))
