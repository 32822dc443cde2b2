"""Raises the forget loss along a direction that does not raise the retain loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from clearbench.methods.base import Method, Stage, Step, Train
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import CLEAR
from clearbench.methods.rules import nearest, projection


class GradientProjection(
    Method,
    name="gradient_projection",
    paper=CLEAR,
    needs=("forget", "retain"),
    status="unverified",
):
    """Gradient ascent without the component that opposes the retain gradient.

    `project` follows g_F - min(0, <g_F, g_R> / |g_R|^2) g_R with whole gradients; the published
    code does the same tensor by tensor. `l2` is uncertain: the code adds gamma |g_F - g_R|^2, but
    of gradients that carry no graph, so the term does nothing there; here it is read as the
    direction d nearest to both, min |d - g_F|^2 + gamma |d - g_R|^2. No paper gives either.
    """

    form: Literal["project", "l2"] = "project"
    gamma: float = Field(default=1.0, ge=0)

    def stages(self) -> Sequence[Stage]:
        """One stage, with a gradient rule."""
        rule = projection if self.form == "project" else nearest(self.gamma)
        return (Train(self.loss, rule=rule),)

    def loss(self, step: Step) -> dict[str, Term]:
        """The terms whose gradients are mixed: -L(forget) and L(retain)."""
        return {
            "forget": -cross_entropy(step.model.answers(step.forget)),
            "retain": cross_entropy(step.model.answers(step.retain)),
        }
