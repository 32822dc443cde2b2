"""Trains on the tokens that stay likely once those raised by more forget training are lowered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.libraries import functional, without_gradient
from clearbench.methods.base import Data, Method, Model, Stage, State, Step, Train
from clearbench.methods.losses import Term, cross_entropy, uniform
from clearbench.methods.paper import Paper
from clearbench.methods.stages import ORIGINAL

if TYPE_CHECKING:
    from torch import Tensor

#: Name of the weights that were trained further on the forget rows.
_REINFORCED = "reinforced"
#: Prefix of the state's copy of the original weights.
_START = "start|"


class WHP(
    Method,
    name="whp",
    paper=Paper("Who's Harry Potter? Approximate Unlearning in LLMs", 2023, "2310.02238"),
    needs=("forget", "reference", "unsharded"),
    status="unverified",
):
    """Generic predictions: the original learns what it would say if it knew less.

    A first stage trains the original further on the forget rows (the reinforced model, with the
    steps of the run). Logits that this raised are lowered in the original's; the largest that is
    left is the label of each place, and the original is trained on these labels. There is no
    retain term. Uncertain: the paper could not be read and has no code; the equation, its Algorithm
    1 and the choice of the largest logit are from others' summaries. Departure: the paper also
    replaces names by generic ones before it asks the original (a dictionary made by GPT-4), which
    is left out; only answer tokens are labelled. `alpha` 5 is a re-implementation's. The original's
    logits cost a copy of what learns.
    """

    alpha: float = Field(default=5.0, ge=0)

    def stages(self) -> Sequence[Stage]:
        """Two stages: reinforce, then train the original on generic labels."""
        reinforce = Train(self.reinforce, needs=("forget",), name=_REINFORCED)
        return (reinforce, Train(self.loss, start=ORIGINAL, reference=_REINFORCED))

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Copies the weights before the first stage."""
        return {
            _START + name: weight.detach().clone() for name, weight in model.trainable().items()
        }

    def reinforce(self, step: Step) -> dict[str, Term]:
        """L(forget), descending."""
        return {"reinforced": cross_entropy(step.model.answers(step.forget))}

    def loss(self, step: Step) -> dict[str, Term]:
        """CE(model, argmax(z_original - alpha max(0, z_reinforced - z_original)))(forget)."""
        labels = self._generic_labels(step)
        ours = step.model.answers(step.forget)
        return {"forget": uniform(functional.cross_entropy(ours.logits, labels, reduction="none"))}

    @without_gradient
    def _generic_labels(self, step: Step) -> Tensor:
        """The (tokens,) labels of the forget answers' places."""
        start = {name: step.state[_START + name] for name in step.model.trainable()}
        with step.model.holding(start):
            original = step.model.answers(step.forget).logits
        raised = (step.reference.answers(step.forget).logits - original).clamp_min(0)
        return (original - self.alpha * raised).argmax(-1)
