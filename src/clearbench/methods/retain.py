"""Declares the retain term that is added to a forget loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from clearbench.batches.answers import Answers
from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, State
from clearbench.methods.losses import Term, cross_entropy, kl_divergence
from clearbench.methods.step import Batches, Step

#: Entry of the state with the shares of forget rows and of retain rows in both together.
_SHARES = "shares of rows"


class ForgetAndRetain(Method):
    """Base of methods whose loss is a forget term and a weighted term on the retain rows.

    TOFU (arXiv 2401.06121), NPO (arXiv 2404.05868) and OpenUnlearning combine their forget losses
    with either form of retain term. `kl` is KL(original || model) on answer tokens (errata
    E27); at the original itself it has no gradient.

    Attributes:
        retain: Retain term: `cross_entropy` of the retain answers, or `kl` from the original.
        retain_weight: Weight of the retain term; 0 leaves the retain rows unread.
    """

    retain: Literal["cross_entropy", "kl"] = "cross_entropy"
    retain_weight: float = Field(default=1.0, ge=0)

    @property
    def needed(self) -> tuple[str, ...]:
        """The declared needs, without rows of no weight and with the reference of `kl`."""
        if not self.retain_weight:
            return tuple(need for need in self.needs if need != "retain")
        compares = self.retain == "kl" and "reference" not in self.needs
        return (*self.needs, "reference") if compares else self.needs

    def retained(self, step: Step) -> tuple[Batches, ...]:
        """The retain rows of a step, as one group; no group where they have no weight."""
        return (step.retain,) if self.retain_weight else ()

    def retain_term(self, step: Step, answers: Sequence[Answers]) -> dict[str, Term]:
        """Lambda L(retain) or lambda KL(original || model)(retain), from answers to `retained`."""
        if not answers:
            return {}
        (own,) = answers
        if self.retain == "kl":
            term = kl_divergence(step.reference.answers(step.retain), own)
        else:
            term = cross_entropy(own)
        return {"retain": self.retain_weight * term}


def row_shares(data: Data, retain_share: float = 1.0) -> State:
    """Computes the shares of the forget rows and of a share of the retain rows, for the state."""
    counts = [sum(len(b.items) for g in data.batches(r) for b in g) for r in ("forget", "retain")]
    forget, retain = counts[0], retain_share * counts[1]
    return {_SHARES: torch.tensor([forget, retain]) / (forget + retain)}


def by_rows(state: State, terms: Mapping[str, Term]) -> dict[str, Term]:
    """Weighs the forget and the retain term as in one shuffled set, where the state has shares."""
    if _SHARES not in state:
        return dict(terms)
    shares = dict(zip(("forget", "retain"), state[_SHARES].tolist(), strict=True))
    return {name: shares[name] * term for name, term in terms.items()}
