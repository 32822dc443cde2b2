"""Trains the projector by a sine of its change, which is at most 1 in any entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from clearbench.errors import RecipeError
from clearbench.libraries import torch
from clearbench.methods.base import Data, Edit, Method, Model, Stage, State, Step, Train
from clearbench.methods.decoupling import decoupling_term
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import Paper

if TYPE_CHECKING:
    from torch import nn

_START = "start|"


class SineProject(
    Method,
    name="sine_project",
    paper=Paper(
        "SineProject: Machine Unlearning for Stable Vision Language Alignment", 2025, "2511.18444"
    ),
    kinds=("vision-language",),
    modalities=("image", "both"),
    needs=("forget", "idk", "retain", "decoupled"),
    status="unverified",
    forget_loss=None,
):
    """Unlearning with the projector reparametrised as W + sin(dW), and with decoupled prompts.

    The sine bounds the change of every entry, which keeps the projector's Jacobian well
    conditioned. Its biases stay; the language part is trained as the recipe says (LoRA of rank 32
    in the paper; with LoRA, the sine bounds the change of the projector's adapter). A decoupled
    prompt asks the forget question of a retained person and is answered truthfully. Uncertain: no
    code is published, and the equation was confirmed from a summary of the paper only; of prompt
    decoupling the summary differs from SafeEraser's code, which is followed here (the same
    question, another image, an ordinary answer, weight 1 as that of `preference`). An early stop
    and weight decay act on W + dW.

    Attributes:
        objective: Forget loss: `preference`, refusals, the paper's; or `difference`, ascent.
    """

    objective: Literal["preference", "difference"] = "preference"
    retain_weight: float = Field(default=1.0, ge=0)
    decoupling_weight: float = Field(default=1.0, ge=0)

    def stages(self) -> Sequence[Stage]:
        """Two stages: train dW as a plain change of W, then replace it by its sine."""
        return (
            Train(self.loss, parameters=self._learns),
            Edit(self.settle, looks_back=True),
        )

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Copies the projector's matrices at the start."""
        matrices = _matrices(model)
        if not matrices:
            raise RecipeError(
                "the projector is not among the weights that may learn",
                "train.parts",
                "add `projector`",
            )
        return {_START + name: weight.detach().clone() for name, weight in matrices.items()}

    def loss(self, step: Step) -> dict[str, Term]:
        """L(refusals) or -L(forget), + a L(retain) + b L(decoupled), under W + sin(dW)."""
        bounded = {}
        for name, weight in _matrices(step.model).items():
            start = step.state[_START + name]
            bounded[name] = start + (weight - start).sin()
        with step.model.holding(bounded):
            if self.objective == "preference":
                forget = cross_entropy(step.model.answers(step.idk))
            else:
                forget = -cross_entropy(step.model.answers(step.forget))
            retain = cross_entropy(step.model.answers(step.retain))
            decoupling = decoupling_term(step, self.decoupling_weight)
        return {
            "forget": forget,
            "retain": self.retain_weight * retain,
            **decoupling,
        }

    def settle(self, model: Model, data: Data) -> None:
        """Sets the projector to W + sin(dW)."""
        with torch.no_grad():
            for name, weight in _matrices(model).items():
                start = data.start[name]
                weight.copy_(start + (weight - start).sin())

    def _learns(self, model: Model, name: str) -> bool:
        """Whether a parameter is trained: all but the projector's biases."""
        return model.part_of(name) != "projector" or not name.endswith("bias")


def _matrices(model: Model) -> dict[str, nn.Parameter]:
    """The projector's matrices that are trained; with LoRA, its adapters."""
    return {
        name: weight
        for name, weight in model.trainable().items()
        if model.part_of(name) == "projector" and weight.dim() > 1
    }
