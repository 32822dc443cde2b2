"""Prefer a refusal to the true answer."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy, preference


class DPO(
    Method,
    name="dpo",
    paper="Rafailov et al. 2023, arXiv 2305.18290; as unlearning in TOFU, arXiv 2401.06121",
    needs=("forget", "idk", "retain", "reference_log_probs"),
):
    """Direct preference optimisation with the refusal chosen and the true answer rejected.

    Log-probabilities are summed over whole answers. On a classifier the chosen answer is the label
    of a random retained picture. `beta` 0.1 and a retain weight of 1 are TOFU's values.
    """

    beta: float = Field(default=0.1, gt=0)
    retain_weight: float = Field(default=1.0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """-log sigmoid(beta (log-ratio(refusal) - log-ratio(answer))) + lambda L(retain)."""
        _, refusal = step.log_ratio(step.idk)
        _, answer = step.log_ratio(step.forget)
        return {
            "forget": preference(refusal, answer, self.beta),
            "retain": self.retain_weight * cross_entropy(step.model.answers(step.retain)),
        }
