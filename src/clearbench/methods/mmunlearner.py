"""Raises the forget loss with the weights on which it depends more than the kept rows do."""

from __future__ import annotations

from pydantic import Field

from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, Model, State, Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import Paper
from clearbench.methods.statistics import importance

#: Prefix of the state's maps: entries on which the forget gradient acts.
_SALIENT = "salient|"
_TINY = 1e-15


class MMUnlearner(
    Method,
    name="mmunlearner",
    paper=Paper(
        "MMUnlearner: Reformulating Multimodal Machine Unlearning in the Era of Multimodal "
        "Large Language Models",
        2025,
        "2502.11051",
        "Z1zs/MMUnlearner",
    ),
    needs=("forget", "retain", "spared", "unsharded"),
    status="adapted",
    trial={"retain_steps": 1},
):
    """Gradient ascent under a saliency map that excludes weights of other people and of text.

    A weight is salient where its squared gradient on forget is at least `threshold` times that on
    the rows to keep. As in the authors' code those are one shuffled set: for the language part the
    retain rows and, where only images are forgotten, the same people's text; for the vision part
    and the projector the retain rows with an image, because text has no gradient there. Squared
    gradients are of batches, so they depend on the batch size. Forget and retain steps take turns;
    the map masks the forget gradient alone, as published, which costs a copy of what learns.
    Departures: the authors' code masks the linear layers only and clips before the mask; here every
    weight has its mask and the clipping is the recipe's. `threshold` and `forget_weight` 1 are
    theirs.

    Attributes:
        retain_steps: Retain steps after each forget step; None for the authors' number, retain
            batches per forget batch.
    """

    threshold: float = Field(default=1.0, gt=0)
    forget_weight: float = Field(default=1.0, ge=0)
    retain_steps: int | None = Field(default=None, ge=1)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Computes the map 1[(F_forget + e) / (F_keep + e) >= tau], and the turns."""
        forget = importance(model, data.batches("forget"))
        keep = self._kept(model, data)
        ratio = _count(data, "retain") // max(1, _count(data, "forget"))
        turns = max(1, ratio) if self.retain_steps is None else self.retain_steps
        maps = {
            _SALIENT + name: (value + _TINY) / (keep[name] + _TINY) >= self.threshold
            for name, value in forget.items()
        }
        return {"retain_steps": torch.tensor(turns), **maps}

    def _kept(self, model: Model, data: Data) -> State:
        """The squared gradients on the rows to keep, by the part that a weight belongs to."""
        everything = importance(model, data.batches("retain", "spared"))
        if model.kind != "vision-language":
            return everything
        seen = importance(model, data.batches("retain", sees=True))
        return {
            name: everything[name] if model.part_of(name) == "language" else seen[name]
            for name in everything
        }

    def loss(self, step: Step) -> dict[str, Term]:
        """In turns: -a L(forget), through salient weights alone; L(retain)."""
        if step.number % (1 + int(step.state["retain_steps"])):
            return {"retain": cross_entropy(step.model.answers(step.retain))}
        salient = {
            name: torch.where(step.state[_SALIENT + name], weight, weight.detach())
            for name, weight in step.model.trainable().items()
        }
        with step.model.holding(salient):
            forget = cross_entropy(step.model.answers(step.forget))
        return {"forget": -self.forget_weight * forget}


def _count(data: Data, role: str) -> int:
    """The number of batches of a role."""
    return sum(1 for _ in data.batches(role))
