"""Fine-tunes on the answers that the model gives to corrupted forget questions."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from pydantic import Field

from clearbench.batches.items import Item
from clearbench.batches.kind import Kind
from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, Model, State, Step
from clearbench.methods.eco import ECO
from clearbench.methods.guard import FittedGuard, as_tensor, as_text
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import CLEAR

#: Longest answer to a corrupted question, in tokens.
LONGEST = 40
TEXT_KINDS: tuple[Kind, ...] = ("language", "vision-language")


class ECOFinetune(
    Method,
    name="eco_finetune",
    paper=CLEAR,
    kinds=TEXT_KINDS,
    modalities=("text",),
    needs=("forget", "retain"),
    status="unverified",
    trial={"zeroed": 1.0},
):
    """Fine-tuning on the model's own answers to corrupted forget questions.

    Unlike ECO it changes the weights. The answers are greedy and made once, with every forget
    question corrupted as in `eco`. No paper describes it, and the file of answers that the code
    reads is not published: that they were made this way is inferred from the file's name. The
    weights of 1 are the code's, `zeroed` is that of `eco`.
    """

    zeroed: float = Field(default=0.25, gt=0, le=1)
    forget_weight: float = Field(default=1.0, ge=0)
    retain_weight: float = Field(default=1.0, ge=0)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Generates the answers to corrupted questions, kept by row as JSON."""
        batches = [batch for group in data.batches("forget") for batch in group]
        items = [item for batch in batches for item in batch.items]
        width = model.prompt_states(batches[0]).shape[-1]
        always = {"weight": torch.zeros(width), "bias": torch.tensor(math.inf)}
        guards = model.guards
        model.guards = (*guards, FittedGuard(ECO(zeroed=self.zeroed), always))
        try:
            answers = model.generate(items, LONGEST)
        finally:
            model.guards = guards
        rows = [item.row for item in items]
        return {"answers": as_tensor(json.dumps(dict(zip(rows, answers, strict=True))))}

    def loss(self, step: Step) -> dict[str, Term]:
        """B L(forget questions, answers to corrupted questions) + lambda L(retain)."""
        answers = json.loads(as_text(step.state["answers"]))
        questions = [item for batch in step.forget for item in batch.items]
        garbled = step.model.batch([_answered(item, answers[item.row]) for item in questions])
        return {
            "forget": self.forget_weight * cross_entropy(step.model.answers(garbled)),
            "retain": self.retain_weight * cross_entropy(step.model.answers(step.retain)),
        }


def _answered(question: Item, answer: str) -> Item:
    return replace(question, variant="garbled", answer=answer)
