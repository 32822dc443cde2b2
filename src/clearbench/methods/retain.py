"""Declares the retain term that is added to a forget loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from clearbench.batches.answers import Answers
from clearbench.methods.base import Method
from clearbench.methods.losses import Term, cross_entropy, kl_divergence
from clearbench.methods.step import Batches, Step


class ForgetAndRetain(Method):
    """Base of methods whose loss is a forget term and a weighted term on the retain rows.

    TOFU (arXiv 2401.06121), NPO (arXiv 2404.05868) and OpenUnlearning combine their forget losses
    with either form of retain term. `kl` is KL(original || model) on answer tokens (errata E26,
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
