"""Raises an f-divergence between refusals and the true answers to forget questions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from clearbench.batches.answers import Answers
from clearbench.libraries import functional, torch
from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, uniform
from clearbench.methods.paper import Paper

if TYPE_CHECKING:
    from torch import Tensor

Divergence = Literal["total_variation", "kl", "jensen_shannon", "pearson"]


class FLAT(
    Method,
    name="flat",
    paper=Paper(
        "LLM Unlearning via Loss Adjustment with Only Forget Data",
        2024,
        "2410.11143",
        "UCSC-REAL/FLAT",
    ),
    needs=("forget", "idk"),
    status="adapted",
):
    """Loss adjustment with forget data alone: refusals and true answers weighted by a divergence.

    P is the mean probability of an answer's tokens; g* is the optimal variational function of an
    f-divergence and f* the conjugate of f, both from `get_contrastive_loss` of the authors' code.
    Departure: the functions apply to each row's own mean, so that batches do not change the loss;
    the code applies them to one mean over a batch, in which masked and padded places count as
    probability 0. On a classifier the refusal is a random retained label. Retain rows are not read.

    Attributes:
        divergence: f-divergence; `total_variation` is the code's default.
    """

    divergence: Divergence = "total_variation"

    def loss(self, step: Step) -> dict[str, Term]:
        """-g*(P(refusal)) + f*(g*(P(answer))), per forget row."""
        refusals, forget = step.answers(step.idk, step.forget)
        return {
            "refusal": uniform(-_variational(self.divergence, _mean_probability(refusals))),
            "forget": uniform(_conjugate(self.divergence, _mean_probability(forget))),
        }


def _mean_probability(answers: Answers) -> Tensor:
    """The (rows,) mean probabilities of the tokens of each answer."""
    count = torch.bincount(answers.rows, minlength=len(answers.items)).clamp_min(1)
    return answers.per_row(answers.log_probs.exp()) / count


def _variational(divergence: Divergence, v: Tensor) -> Tensor:
    """g*(v)."""
    if divergence == "total_variation":
        return v.tanh() / 2
    if divergence == "jensen_shannon":
        return math.log(2) - functional.softplus(-v)
    return v


def _conjugate(divergence: Divergence, v: Tensor) -> Tensor:
    """f*(g*(v)), with f*(u) = u, e^(u - 1), -log(2 - e^u) or u^2 / 4 + u."""
    if divergence == "total_variation":
        return v.tanh() / 2
    if divergence == "kl":
        return (v - 1).exp()
    if divergence == "jensen_shannon":
        return v + functional.softplus(-v) - math.log(2)
    return v.square() / 4 + v
