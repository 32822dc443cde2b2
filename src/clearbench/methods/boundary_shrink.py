"""Trains each forget image towards the nearest label that is kept."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, Model, State, Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import Paper

#: Prefix of the entries of the state that hold each row's label.
NEAREST = "nearest|"


class BoundaryShrink(
    Method,
    name="boundary_shrink",
    paper=Paper("Boundary Unlearning", 2023, "2303.11570"),
    kinds=("classifier",),
    modalities=("image",),
    needs=("forget", "pixels"),
    status="adapted",
):
    """Fine-tuning of each forget image on the nearest label that is kept.

    The nearest label is the original's prediction after one step of the fast gradient sign method,
    of `bound` times the difference of black and white; 0.1 is hard-coded in the published code.
    Labels to forget are excluded: the published code takes them where the step crosses no boundary.
    """

    bound: float = Field(default=0.1, gt=0)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Finds the nearest label of each forget row."""
        batches = [batch for group in data.batches("forget") for batch in group]
        forgotten = torch.cat([batch.targets for batch in batches]).unique()
        black, white = model.pixel_range
        nearest: State = {}
        for batch in batches:
            pixels = batch.inputs["pixel_values"].detach().clone().requires_grad_()
            loss = cross_entropy(model.answers([batch.showing(pixels)])).mean
            (slope,) = torch.autograd.grad(loss, pixels)
            model.backwards += 1
            with torch.no_grad():
                moved = pixels + self.bound * (white - black) * slope.sign()
                seen = batch.showing(moved.clamp(black, white))
                logits = model.answers([seen]).logits.index_fill(-1, forgotten, -torch.inf)
            for row, label in zip(batch.items, logits.argmax(-1), strict=True):
                nearest[NEAREST + row.row] = label.clone()
        return nearest

    def loss(self, step: Step) -> dict[str, Term]:
        """L(forget, nearest labels)."""
        answers = step.model.answers(step.forget)
        labels = [step.state[NEAREST + answers.items[row].row] for row in answers.rows.tolist()]
        targets = torch.stack(labels) if labels else answers.targets
        return {"forget": cross_entropy(replace(answers, targets=targets))}
