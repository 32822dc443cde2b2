"""Subtracts the logits of an assistant that knows the forget rows and no retain rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.libraries import torch, without_gradient
from clearbench.methods.base import Data, Edit, Model, Stage, State, Step, Train
from clearbench.methods.guard import ASSISTANT, FittedGuard, Guard
from clearbench.methods.losses import Term, cross_entropy, uniform
from clearbench.methods.paper import Paper

if TYPE_CHECKING:
    from torch import Tensor


class ULD(
    Guard,
    name="uld",
    paper=Paper(
        "Reversing the Forget-Retain Objectives: An Efficient LLM Unlearning Framework from "
        "Logit Difference",
        2024,
        "2406.08607",
        "UCSB-NLP-Chang/ULD",
    ),
    needs=("forget", "retain"),
    status="adapted",
):
    """Logit difference: a guard whose assistant learns the opposite of what the model should.

    Only tokens that the model finds likely lose their share of the assistant. Both losses, their
    weights of 1 and 5, `alpha` 0.8 and `filter` 0.01 are those of the authors' code on TOFU
    (uld/model/forget_losses.py, configs/unlearn_loss, bashes/tofu/uld_train.sh). Departures: the
    assistant is the model's language part with all of its layers and weights, there the first 8 of
    32 layers with LoRA of rank 16; the retain loss is on answer tokens, there on all, padding
    included; no paraphrases or wrong answers are added to the rows; at least one token passes the
    filter. Log-probabilities are subtracted, not logits: with a filter the published scores depend
    on the constant that softmax takes away. Without one both are the same, and so are the tokens
    that the published decoding should choose (it sets what is filtered to 0, not to the least).

    Attributes:
        alpha: Share of the assistant's log-probabilities that is subtracted.
        filter: Probability, relative to the likeliest token's, below which a token keeps its own,
            and share of the vocabulary that passes in any case; 0 for no filter.
        retain_weight: Weight of the assistant's retain loss.
    """

    alpha: float = Field(default=0.8, gt=0)
    filter: float = Field(default=0.01, ge=0, lt=1)
    retain_weight: float = Field(default=5.0, ge=0)

    def stages(self) -> Sequence[Stage]:
        """Training of the assistant in place of the model, and the edit that puts both right."""
        train = Train(self.loss, parameters=lambda model, name: model.part_of(name) == "language")
        return (train, Edit(self._attach, looks_back=True))

    def loss(self, step: Step) -> dict[str, Term]:
        """L(forget) + lambda KL(uniform || assistant)(retain), of the assistant."""
        with _without_assistants(step.model):
            forget, retain = step.answers(step.forget, step.retain)
        log_probs = retain.logits.log_softmax(-1)
        apart = -log_probs.mean(-1) - math.log(log_probs.shape[-1])
        return {"forget": cross_entropy(forget), "retain": self.retain_weight * uniform(apart)}

    @without_gradient
    def _attach(self, model: Model, data: Data) -> None:
        """Moves the trained weights into a guard and gives the model its own again."""
        state: State = {}
        for name, weight in model.trainable().items():
            if model.part_of(name) == "language":
                state[ASSISTANT + name] = weight.detach().clone()
                weight.copy_(data.start[name])
        model.guards = (*model.guards, FittedGuard(self, state))

    def compose(self, logits: Tensor, assistant: Tensor, state: State) -> Tensor:
        """Log p - alpha log p_assistant where p passes the filter, log p elsewhere."""
        own = logits.float().log_softmax(-1)
        difference = own - self.alpha * assistant.float().log_softmax(-1)
        if not self.filter:
            return difference
        passing = max(1, int(self.filter * own.shape[-1]))
        least = own.topk(passing, dim=-1).values[..., -1:]
        relative = own.amax(-1, keepdim=True) + math.log(self.filter)
        return torch.where(own >= torch.minimum(least, relative), difference, own)


@contextmanager
def _without_assistants(model: Model) -> Iterator[None]:
    """Lifts the assistants of earlier requests while entered: this one is read alone, too."""
    guards = model.guards
    model.guards = tuple(guard for guard in guards if not guard.assists)
    try:
        yield
    finally:
        model.guards = guards
