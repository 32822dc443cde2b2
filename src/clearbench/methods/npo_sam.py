"""Lowers the probability of true answers also where the weights near by make them likeliest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.libraries import torch
from clearbench.methods.base import Stage, Step, Train
from clearbench.methods.losses import Term, negative_preference
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-12


class NPOSAM(
    ForgetAndRetain,
    name="npo_sam",
    paper=Paper(
        "Towards LLM Unlearning Resilient to Relearning Attacks: A Sharpness-Aware Minimization "
        "Perspective and Beyond",
        2025,
        "2502.05374",
        "OPTML-Group/Unlearn-Smooth",
    ),
    needs=("forget", "retain", "reference_log_probs", "unsharded"),
    status="adapted",
):
    """Negative preference optimisation under the perturbation of the weights that undoes it most.

    Sharpness-aware minimisation of the forget term: its gradient is taken at the weights moved by
    `rho` along its own direction over the whole step, the retain term's at the weights themselves.
    Departure: the forget term is NPO's, of whole answers (errata E23, E125); the authors' code for
    MUSE compares raw logits. That code was read in another repository's copy of it, the paper was
    not. `beta` 0.1, `rho` 0.01 and a retain weight of 1 are its `sam_iterative.py` and its script
    for MUSE News; it has a retain weight of 2.5 on MUSE Books and a `rho` of 0.1 on WMDP. It costs
    one more pass over the forget rows, forward and backward; at `rho` 0 it is NPO.

    Attributes:
        rho: Length of the perturbation, over all weights that learn.
    """

    beta: float = Field(default=0.1, gt=0)
    rho: float = Field(default=0.01, ge=0)

    def stages(self) -> Sequence[Stage]:
        """One stage; before each step the gradient of the forget term is found."""
        return (Train(self.loss, probe=self.forget),)

    def forget(self, step: Step) -> dict[str, Term]:
        """L_F: (2/beta) log(1 + (p_model/p_original)^beta)(forget)."""
        return {"forget": self._forget_term(step)}

    def loss(self, step: Step) -> dict[str, Term]:
        """L_F(theta + rho grad L_F / |grad L_F|) + retain_weight L(retain)(theta)."""
        with step.model.holding(self._perturbed(step)):
            forget = self._forget_term(step)
        retain = [step.model.answers(rows) for rows in self.retained(step)]
        return {"forget": forget, **self.retain_term(step, retain)}

    def _forget_term(self, step: Step) -> Term:
        answers = step.model.answers(step.forget)
        return negative_preference(step.log_ratio(step.forget, answers), self.beta)

    def _perturbed(self, step: Step) -> dict[str, Tensor]:
        """The weights moved by `rho` along the gradient."""
        norms = torch.stack([part.norm() for part in step.gradient.values()])
        scale = self.rho / norms.norm().clamp_min(_TINY)
        return {
            name: weight + scale * step.gradient[name]
            for name, weight in step.model.trainable().items()
        }
