"""Raises the divergence from the original on forget rows and lowers it on retain rows, in turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.libraries import without_gradient
from clearbench.methods.base import Data, Edit, Method, Model, Stage, Step, Train
from clearbench.methods.losses import Term, cross_entropy, kl_divergence
from clearbench.methods.paper import Paper
from clearbench.methods.stages import snapshots

if TYPE_CHECKING:
    from torch import Tensor


class SCRUB(
    Method,
    name="scrub",
    paper=Paper("Towards Unbounded Machine Unlearning", 2023, "2302.09880", "meghdadk/SCRUB"),
    needs=("forget", "retain", "reference"),
    status="adapted",
    trial={"max_share": 1.0},
):
    """Max steps raise the divergence on forget; min steps lower it, and the loss, on retain.

    Both kinds share one optimiser, as in the paper, so they alternate within one stage, and only in
    the first `max_share` of its steps; all later ones are min steps. The
    paper alternates whole passes: a max pass in the first 3 of 10 epochs (`max_share` 0.3), a min
    pass in each; here a max step follows `min_steps` min steps. The min steps come first, because
    at the start the model equals the original and the divergence has no gradient. `kl_weight` 0.5,
    weight 1 and temperature 2 are the authors' small-scale settings; CLEAR used 1, 1 and 1. The
    divergence is from the original (errata E26: not from the student), over class or token logits
    (errata E59: not over the embedding's dimensions).

    With `rewind_to`, a loss in nats per token, it is SCRUB+R: the steps are cut into `epochs` equal
    parts, and the weights at the end of that part are kept whose forget loss is nearest to
    `rewind_to`. The paper compares errors, with the final error on held-out data as the level; here
    such data are the validation fold's people, and gold's loss on
    them is the natural level. The authors run 10 epochs.
    """

    kl_weight: float = Field(default=0.5, ge=0)
    retain_weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=2.0, gt=0)
    max_share: float = Field(default=0.3, ge=0, le=1)
    min_steps: int = Field(default=1, ge=1)
    rewind_to: float | None = Field(default=None, gt=0)
    epochs: int = Field(default=10, ge=1)

    def stages(self) -> Sequence[Stage]:
        """One stage of all steps and, with `rewind_to`, the choice among its parts."""
        if self.rewind_to is None:
            return (Train(self.loss),)
        choose = Edit(partial(rewind, level=self.rewind_to))
        return (Train(self.loss, snapshots=self.epochs), choose)

    def loss(self, step: Step) -> dict[str, Term]:
        """Max: -KL(original || model)(forget). Min: kl_weight KL + retain_weight L, on retain."""
        if self._is_max(step):
            original = step.reference.answers(step.forget)
            ours = step.model.answers(step.forget)
            return {"forget": -kl_divergence(original, ours, self.temperature)}
        original = step.reference.answers(step.retain)
        ours = step.model.answers(step.retain)
        return {
            "kl": self.kl_weight * kl_divergence(original, ours, self.temperature),
            "retain": self.retain_weight * cross_entropy(ours),
        }

    def _is_max(self, step: Step) -> bool:
        """Whether a step is a max step."""
        early = step.number < self.max_share * step.steps
        return early and step.number % (1 + self.min_steps) == self.min_steps


@without_gradient
def rewind(model: Model, data: Data, level: float) -> None:
    """Restores the epoch with min |L(forget) - level|; the earliest of equals."""
    weights = model.trainable()
    last = {name: weight.detach().clone() for name, weight in weights.items()}
    epochs = [*snapshots(data.state), last]

    def gap(epoch: Mapping[str, Tensor]) -> float:
        _put(weights, epoch)
        return abs(_mean_loss(model, data) - level)

    _put(weights, min(epochs, key=gap))


def _put(weights: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, weight in weights.items():
        weight.copy_(values[name])


def _mean_loss(model: Model, data: Data) -> float:
    """The mean loss per answer token over all forget rows."""
    terms = [cross_entropy(model.answers(group)) for group in data.batches("forget")]
    weight = sum(float(term.weights.sum()) for term in terms)
    return sum(float(term.total) for term in terms) / max(1.0, weight)
