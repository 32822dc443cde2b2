"""Trains another name for a forgotten face and keeps the distribution of all other tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.batches.answers import Answers
from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, Model, State, Step
from clearbench.methods.losses import Term, masked_divergence, uniform
from clearbench.methods.paper import Paper
from clearbench.methods.step import Batches

if TYPE_CHECKING:
    from torch import Tensor


class SIU(
    Method,
    name="siu",
    paper=Paper(
        "Single Image Unlearning: Efficient Machine Unlearning in Multimodal Large Language Models",
        2024,
        "2405.12523",
    ),
    kinds=("vision-language", "classifier"),
    modalities=("image",),
    needs=("forget", "random", "spared", "retain", "reference"),
    status="adapted",
    forget_loss=None,
):
    """Fine-tuning on substitute answers and on kept rows, with a dual masked divergence.

    The paper's four targets: the image gets another name and another description (here a retained
    person's answer to the same task, where the paper invents one), facts in text stay, and other
    people do. The divergence from the original leaves out the tokens of the substitute that the
    true answer does not have, and, in the vocabulary, every token of the forgotten names. 0.9 and
    0.75 are the paper's; its targets have equally many rows, so here they weigh the same.
    """

    answer_weight: float = Field(default=0.9, ge=0)
    divergence_weight: float = Field(default=0.75, ge=0)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Masks the vocabulary: all tokens count but those of the forgotten names."""
        with torch.no_grad():
            size = model.answers(next(data.batches("forget"))).logits.shape[-1]
        kept = torch.ones(size, dtype=torch.bool)
        kept[model.name_tokens(data.forgotten).cpu()] = False
        return {"kept": kept}

    def loss(self, step: Step) -> dict[str, Term]:
        """Per target: a L + b K_S sum_v K_V(v) p_0(v) log(p_0(v) / p(v)), per answer token."""
        terms = {"forget": self._target(step, step.random, step.forget)}
        if "spared" in step.batches:
            terms["facts"] = self._target(step, step.spared, step.spared)
        return terms | {"retain": self._target(step, step.retain, step.retain)}

    def _target(self, step: Step, trained: Batches, true: Batches) -> Term:
        """The loss of one target: answers that are trained, and the true answers of their rows."""
        ours = step.model.answers(trained)
        drift = masked_divergence(step.reference.answers(trained), ours, step.state["kept"])
        held = _in_true_answer(ours, true)
        return uniform(self.answer_weight * ours.losses + self.divergence_weight * held * drift)


def _in_true_answer(ours: Answers, true: Batches) -> Tensor:
    """Whether the true answer of the same row has a token: (tokens,) 1 or 0."""
    pairs: set[tuple[int, int]] = set()
    rows = 0
    for batch in true:
        owners = (batch.owners + rows).tolist()
        pairs.update(zip(owners, batch.targets.tolist(), strict=True))
        rows += len(batch.items)
    own = zip(ours.rows.tolist(), ours.targets.tolist(), strict=True)
    shared = [pair in pairs for pair in own]
    return torch.tensor(shared, device=ours.targets.device, dtype=ours.logits.dtype)
