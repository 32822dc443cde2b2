"""Flattens the logits of forget answers while the retain loss is kept under a bound."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, Model, State, Step
from clearbench.methods.losses import Term, cross_entropy, uniform
from clearbench.methods.paper import Paper


class PDU(
    Method,
    name="pdu",
    paper=Paper(
        "Constrained Entropic Unlearning: A Primal-Dual Framework for Large Language Models",
        2025,
        "2506.05314",
        "locuslab/open-unlearning",
    ),
    needs=("forget", "retain"),
    status="adapted",
    trial={"multiplier": 1.0},
):
    """Primal-dual unlearning: forgetting under the constraint L(retain) <= epsilon.

    The forget term is the square of the largest logit minus the mean logit, at the places that
    answer tokens are predicted from (OpenUnlearning's mask is not shifted there). The
    multiplier of the constraint grows while the retain loss is above epsilon and shrinks to no less
    than 0 below it. Epsilon is (1 + `tolerance`) times the original's retain loss; the authors set
    it by hand (0.3 on TOFU), so the 1 is ours. The multiplier begins at 100 as on TOFU, because the
    forget term is large; there it is fixed for half of the run, here for `warmup` steps. `rate`
    1 is the published code's, 5 its value on TOFU.
    """

    tolerance: float = Field(default=1.0, ge=0)
    multiplier: float = Field(default=100.0, ge=0)
    rate: float = Field(default=1.0, ge=0)
    warmup: int = Field(default=0, ge=0)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Computes epsilon in one pass over the retain rows; sets the first multiplier."""
        with torch.no_grad():
            terms = [cross_entropy(model.answers(group)) for group in data.batches("retain")]
        total = torch.stack([term.total for term in terms]).sum()
        count = torch.stack([term.weights.sum() for term in terms]).sum()
        return {
            "bound": (1 + self.tolerance) * total / count,
            "multiplier": torch.tensor(self.multiplier),
            "steps": torch.tensor(0),
        }

    def loss(self, step: Step) -> dict[str, Term]:
        """(max logit - mean logit)^2 (forget) + nu (L(retain) - epsilon).

        The value of `retain` is L(retain) itself, which `after_step` compares with the bound; its
        gradient is nu times that of L(retain).
        """
        logits = step.model.answers(step.forget).logits
        margins = logits.amax(-1) - logits.mean(-1)
        kept = cross_entropy(step.model.answers(step.retain)).values
        held = kept.detach() + step.state["multiplier"] * (kept - kept.detach())
        return {"forget": uniform(margins.square()), "retain": uniform(held)}

    def after_step(self, state: State, values: Mapping[str, float]) -> State:
        """Nu <- max(0, nu + rate (L(retain) - epsilon)), once the warm-up is over."""
        done = state["steps"] + 1
        if done <= self.warmup:
            return {**state, "steps": done}
        risen = state["multiplier"] + self.rate * (values["retain"] - state["bound"])
        return {**state, "steps": done, "multiplier": risen.clamp_min(0)}
