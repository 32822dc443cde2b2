"""Scales down the weights that are far more important to forget rows than to all rows."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from clearbench.batches.answers import Answers
from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, Model, State
from clearbench.methods.losses import Term, uniform
from clearbench.methods.paper import Paper
from clearbench.methods.statistics import importance
from clearbench.methods.step import Batches


class SSD(
    Method,
    name="ssd",
    paper=Paper(
        "Fast Machine Unlearning Without Retraining Through Selective Synaptic Dampening",
        2023,
        "2308.07707",
        "if-loops/selective-synaptic-dampening",
    ),
    needs=("forget", "retain"),
    trial={"selection": 1.5, "dampening": 0.3},
):
    """Damping of each weight whose squared gradient on forget exceeds that on all data.

    I is the mean squared gradient of a batch, so it depends on the batch size. All data contain
    the forget rows; as in the authors' code they are one shuffled set, in whose batches the forget
    rows' gradients are averaged with others before they are squared. 10 and 1 are the paper's; for
    faces it used 50 and 0.1.

    With `loss_free` it is LFSSD (Foster et al. 2024, arXiv 2402.19308), which needs no labels: I is
    the mean size of the gradient of the squared norm of the output.
    """

    selection: float = Field(default=10.0, gt=0)
    dampening: float = Field(default=1.0, ge=0)
    loss_free: bool = False

    def edit(self, model: Model, data: Data) -> None:
        """Theta *= min(lambda I_all / I_forget, 1) where I_forget > alpha I_all."""
        everywhere = self._importance(model, data.batches("forget", "retain"))
        forget = self._importance(model, data.batches("forget"))
        with torch.no_grad():
            for name, weight in model.trainable().items():
                chosen = forget[name] > self.selection * everywhere[name]
                scale = self.dampening * everywhere[name] / forget[name].clamp_min(1e-30)
                weight.mul_(torch.where(chosen, scale.clamp_max(1.0), 1.0))

    def _importance(self, model: Model, batches: Iterable[Batches]) -> State:
        """The importance I of every trained weight."""
        if self.loss_free:
            return importance(model, batches, torch.abs, squared_norm)
        return importance(model, batches)


def squared_norm(answers: Answers) -> Term:
    """|f(x)|^2 per answer token, over class or token logits."""
    return uniform(answers.logits.square().sum(-1))
