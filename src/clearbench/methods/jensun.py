"""Lowers the Jensen-Shannon divergences from refusals on forget and the original on retain."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.batches.answers import Answers
from clearbench.libraries import functional, torch
from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, uniform
from clearbench.methods.paper import Paper
from clearbench.methods.step import Batches

if TYPE_CHECKING:
    from torch import Tensor


class JensUn(
    Method,
    name="jensun",
    paper=Paper(
        "Unlearning That Lasts: Utility-Preserving, Robust, and Almost Irreversible Forgetting in "
        "LLMs",
        2025,
        "2509.02820",
        "nmndeep/JensUn-Unlearning",
    ),
    needs=("forget", "idk", "retain", "reference"),
    status="adapted",
):
    """Jensen-Shannon divergences, which are at most log 2: to a refusal and to the original.

    At the places of the true answer's tokens the targets are a refusal's tokens, one per place,
    repeated to the answer's length, as the authors' code counts them off. Departures from that
    code, which was read where the paper was not: the code then gives every target token probability
    1 at every place, which is no distribution; it averages over questions and padding, here answer
    tokens alone count; its refusal is always "No idea", here one from the data's bank, its end of
    text included (as in the code's `JensUnEOT`). On a classifier the target is a random retained
    label. Weights of 1 are `configs/trainer/JensUn.yaml` (`gamma`, `alpha`).
    """

    forget_weight: float = Field(default=1.0, ge=0)
    retain_weight: float = Field(default=1.0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """A JS(onehot(refusal), model)(forget) + b JS(original, model)(retain), per token."""
        forget, retain = step.answers(step.forget, step.retain)
        original = step.reference.answers(step.retain)
        away = _from_token(forget.logits, _refusal_tokens(forget, step.idk))
        drift = _between(original.logits, retain.logits)
        return {
            "forget": self.forget_weight * uniform(away),
            "retain": self.retain_weight * uniform(drift),
        }


def _refusal_tokens(answers: Answers, refusals: Batches) -> Tensor:
    """The (tokens,) targets of the same row's refusal, repeated to the answer's length."""
    sizes = torch.cat([torch.bincount(b.owners, minlength=len(b.items)) for b in refusals])
    tokens = torch.cat([batch.targets for batch in refusals])
    begins = sizes.cumsum(0) - sizes
    mine = answers.rows
    return tokens[begins[mine] + answers.ordinals % sizes[mine].clamp_min(1)]


def _from_token(logits: Tensor, tokens: Tensor) -> Tensor:
    """JS(onehot(token), softmax(logits)) = log 2 + (p log p - (1 + p) log(1 + p)) / 2, p its own.

    All other entries of the two distributions add log 2 times their probability.
    """
    log_p = -functional.cross_entropy(logits, tokens, reduction="none")
    p = log_p.exp()
    return math.log(2) + (p * log_p - (1 + p) * p.log1p()) / 2


def _between(first: Tensor, second: Tensor) -> Tensor:
    """JS(P, Q) = (KL(P || M) + KL(Q || M)) / 2, M = (P + Q) / 2, per token, from logits."""
    p, q = (functional.log_softmax(logits, dim=-1) for logits in (first, second))
    middle = torch.logaddexp(p, q) - math.log(2)
    return (p.exp() * (p - middle) + q.exp() * (q - middle)).sum(-1) / 2
