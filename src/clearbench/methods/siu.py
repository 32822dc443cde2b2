"""Give a forgotten face another name, and hold every other token where it was."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from clearbench.batches.answers import Answers
from clearbench.methods.base import Data, Method, Model, State, Step
from clearbench.methods.losses import Term, masked_divergence, uniform
from clearbench.methods.step import Batches


class SIU(
    Method,
    name="siu",
    paper="Li et al. 2024, Single Image Unlearning, arXiv 2405.12523",
    kinds=("vision-language", "classifier"),
    modalities=("image",),
    needs=("forget", "random", "spared", "retain", "reference"),
    forget_loss=None,
):
    """Fine-tune on substitute answers and on what is kept, with a dual masked divergence.

    The paper's four targets: the image gets another name and another description (here a retained
    person's answer to the same task, where the paper invents one), facts told in text stay, and so
    do other people. The divergence from the original leaves out the tokens of the substitute that
    the true answer has not, and, in the vocabulary, every token of the forgotten names. 0.9 and
    0.75 are the paper's; its targets have equally many rows, so here they weigh the same.
    """

    answer_weight: float = Field(default=0.9, ge=0)
    divergence_weight: float = Field(default=0.75, ge=0)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Which tokens of the vocabulary count: all but those of the forgotten names."""
        with torch.no_grad():
            size = model.answers(next(data.batches("forget"))).logits.shape[-1]
        kept = torch.ones(size, dtype=torch.bool)
        kept[model.name_tokens(data.forgotten).cpu()] = False
        return {"kept": kept}

    def loss(self, step: Step) -> dict[str, Term]:
        """Per target: a L + b K_S sum_v K_V(v) p_0(v) log(p_0(v) / p(v)), per answer token."""
        found = {"forget": self._target(step, step.random, step.forget)}
        if "spared" in step.batches:
            found["facts"] = self._target(step, step.spared, step.spared)
        return found | {"retain": self._target(step, step.retain, step.retain)}

    def _target(self, step: Step, asked: Batches, true: Batches) -> Term:
        ours = step.model.answers(asked)
        drift = masked_divergence(step.reference.answers(asked), ours, step.state["kept"])
        held = _stands_in_truth(ours, true)
        return uniform(self.answer_weight * ours.losses + self.divergence_weight * held * drift)


def _stands_in_truth(ours: Answers, true: Batches) -> Tensor:
    """(tokens,) 1 for a token that the true answer of the same row has, too."""
    pairs: set[tuple[int, int]] = set()
    rows = 0
    for batch in true:
        owners = (batch.owners + rows).tolist()
        pairs.update(zip(owners, batch.targets.tolist(), strict=True))
        rows += len(batch.items)
    asked = zip(ours.rows.tolist(), ours.targets.tolist(), strict=True)
    found = [pair in pairs for pair in asked]
    return torch.tensor(found, device=ours.targets.device, dtype=ours.logits.dtype)
