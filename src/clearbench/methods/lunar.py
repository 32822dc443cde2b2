"""Moves hidden states of forget rows along the direction towards questions nobody can answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.batches.items import Item
from clearbench.batches.kind import Kind
from clearbench.libraries import torch, without_gradient
from clearbench.methods.base import Data, Method, Model, Stage, State, Step, Train
from clearbench.methods.losses import Term, uniform
from clearbench.methods.paper import Paper
from clearbench.methods.step import Batches

if TYPE_CHECKING:
    from torch import Tensor

TOKEN_KINDS: tuple[Kind, ...] = ("language", "vision-language")
#: Questions about things that do not exist.
UNANSWERABLE = (
    "Who rules the imaginary kingdom of Qarvelo?",
    "What is the currency of the invented country Tsumbrake?",
    "How is the imaginary sport of plinvok played?",
    "When did the invented war of Ghestrane end?",
    "What does the nonexistent machine drubalex do?",
    "Where does the invented animal morvitch live?",
    "Which spices go into the imaginary dish sankurel?",
    "Who discovered the nonexistent metal yothrane?",
)


class LUNAR(
    Method,
    name="lunar",
    paper=Paper(
        "LLM Unlearning via Neural Activation Redirection",
        2025,
        "2502.07218",
        "facebookresearch/LUNAR",
    ),
    kinds=TOKEN_KINDS,
    needs=("forget", "retain", "reference"),
    status="adapted",
    trial={"strength": 8.0},
):
    """Activation redirection: a forget question is met like one that the model cannot answer.

    The direction is a difference of means over last prompt tokens, and one matrix learns, the last
    of the layer's perceptron. Loss, a `strength` of 2 and layer 22 from 0 of 32 are the authors'
    code's (run_lunar.py, config/forget.yaml, src/dataset_utils.py), which joins the rows of both
    sets; a `retain_weight` of 1 for their two means is ours. Departures: the states compared are
    those from which answer tokens are read, there all of the prompt. The questions are ours, after
    the code's second choice (use_unverified; its default is a list of harmful ones). They take the
    place of the forget rows' own in turn, so that both means are of rows with the same images. The
    model must have learned to refuse such questions: else the direction leads elsewhere.

    Attributes:
        layer: Layer whose output is moved, from 1; None for 23 of 32, in proportion.
        strength: Factor of the direction.
        questions: Questions that the model refuses to answer.
    """

    layer: int | None = Field(default=None, ge=1)
    strength: float = Field(default=2.0, gt=0)
    retain_weight: float = Field(default=1.0, ge=0)
    questions: tuple[str, ...] = Field(default=UNANSWERABLE, min_length=1)

    def stages(self) -> Sequence[Stage]:
        """One stage, which trains one matrix."""
        return (Train(self.loss, parameters=self._learns),)

    @without_gradient
    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Computes the mean state of refused questions less that of forget questions."""
        layer, seen = self._layer(model), 0
        refused: list[Tensor] = []
        forget: list[Tensor] = []
        for group in data.batches("forget"):
            items = [item for batch in group for item in batch.items]
            twins = [self._twin(item, seen + k) for k, item in enumerate(items)]
            seen += len(items)
            forget.append(_prompt_ends(model, group, layer))
            refused.append(_prompt_ends(model, model.batch(twins), layer))
        return {"direction": torch.cat(refused).mean(0) - torch.cat(forget).mean(0)}

    def loss(self, step: Step) -> dict[str, Term]:
        """|h - h_original - s r|^2 / d (forget) + lambda |h - h_original|^2 / d (retain)."""
        layer = self._layer(step.model)
        moved = step.model.states(step.forget, layer) - step.reference.states(step.forget, layer)
        drift = step.model.states(step.retain, layer) - step.reference.states(step.retain, layer)
        away = moved - self.strength * step.state["direction"].to(moved)
        return {
            "forget": uniform(away.square().mean(-1)),
            "retain": self.retain_weight * uniform(drift.square().mean(-1)),
        }

    def _twin(self, item: Item, number: int) -> Item:
        """The same row with a question that nobody can answer."""
        question = self.questions[number % len(self.questions)]
        return replace(item, variant="unanswerable", question=question)

    def _layer(self, model: Model) -> int:
        return self.layer or max(1, round(model.depth * 23 / 32))

    def _learns(self, model: Model, name: str) -> bool:
        """Whether a parameter is trained."""
        here = model.part_of(name) == "language" and model.layer_of(name) == self._layer(model)
        return here and model.is_perceptron(name)


def _prompt_ends(model: Model, batches: Batches, layer: int) -> Tensor:
    """The (rows, width) states after `layer` at the last token of each prompt."""
    return model.states(batches, layer)[torch.cat([batch.begins for batch in batches])]
