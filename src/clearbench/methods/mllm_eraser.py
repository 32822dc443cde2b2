"""Moves the hidden states of forget questions towards refusals and leaves those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.errors import ModelError
from clearbench.libraries import torch, without_gradient
from clearbench.methods.guard import FittedGuard, Guard
from clearbench.methods.paper import Paper
from clearbench.methods.step import Data, Model, State

if TYPE_CHECKING:
    from torch import Tensor


class MLLMEraser(
    Guard,
    name="mllm_eraser",
    paper=Paper(
        "MLLMEraser: Achieving Test-Time Unlearning in Multimodal Large Language Models through "
        "Activation Steering",
        2025,
        "2510.04217",
    ),
    needs=("forget", "idk", "retain"),
    status="adapted",
    trial={"strength": 8.0, "ridge": 1e-2, "null_share": 0.9},
):
    """A guard: states of a question move along an erasure direction, by a linear function of them.

    The function is fitted to 1 on forget questions and sees only what retain questions have none
    of. Read was the authors' code (an anonymous repository, in public copies) and of the paper the
    abstract: the state of the last prompt token decides, in every layer after the first, and all of
    the prompt is moved. Its matrix is the outer product kept here. Ridge 0.1, a null space of 30 %
    of the directions and strength 0.35 (0.25 for choices and gaps) are its defaults for LLaVA (0.20
    and 0.30 for Qwen). Departures: directions that no retain question has are all taken, where the
    code takes 30 % in any case; it leaves out layer 18 of LLaVA's; its direction is that of harmful
    questions, refused or with an image attacked so that they are answered; a model taught the
    people answers without an attack and knows no refusal, so here it is the difference of the
    states that refusals and true answers are read from, and images stay as they are. The last layer
    is left out.

    Attributes:
        null_share: Least share of the directions that count as a null space of the retain states.
        first: Lowest layer after which states are moved, from 1.
        last: Highest one; None for all but the model's last.
    """

    strength: float = Field(default=0.35, ge=0)
    ridge: float = Field(default=0.1, gt=0)
    null_share: float = Field(default=0.3, gt=0, le=1)
    first: int = Field(default=2, ge=1)
    last: int | None = Field(default=None, ge=1)

    def _put_on(self, model: Model, data: Data) -> None:
        """Fits one guard per layer, all to the model without any of them."""
        top = model.depth - 1
        last = top if self.last is None else self.last
        if not 1 <= last <= top:
            raise ModelError(
                f"no layer above {last} to read what is steered", "last", f"choose one to {top}"
            )
        layers = range(min(self.first, last), last + 1)
        fitted = [FittedGuard(self, self.fit(model, data, layer)) for layer in layers]
        model.guards = (*model.guards, *fitted)

    @without_gradient
    def fit(self, model: Model, data: Data, layer: int) -> State:
        """Computes the direction d and w = Q (Y^T Y + ridge)^-1 Y^T 1 with Y = H_forget Q.

        Q is an orthonormal basis of the null space of the retain states H_retain.
        """
        forget = last_states(model, data, "forget", layer)
        basis = self._null_space(last_states(model, data, "retain", layer))
        seen = forget @ basis
        squares = seen.T @ seen + self.ridge * torch.eye(seen.shape[1]).to(seen)
        weight = basis @ torch.linalg.solve(squares, seen.sum(0))
        answered, refused = (answer_states(model, data, role, layer) for role in ("forget", "idk"))
        return {
            "weight": weight.float(),
            "direction": (refused - answered).float(),
            "layer": torch.tensor(layer),
        }

    def _null_space(self, states: Tensor) -> Tensor:
        """The (width, directions) in which (rows, width) states have no, or the least, size."""
        sizes: Tensor
        directions: Tensor
        sizes, directions = torch.linalg.eigh(states.T @ states)
        tiny = torch.finfo(sizes.dtype).eps * max(states.shape)
        none = int((sizes <= sizes[-1] * tiny).sum())
        basis: Tensor = directions[:, : max(none, int(self.null_share * len(sizes)), 1)]
        return basis

    def steer(self, states: Tensor, prompts: Tensor, state: State) -> Tensor:
        """H + strength <h_last, w> d at every place of the question."""
        places = torch.arange(prompts.shape[1], device=prompts.device)
        ends = (prompts * places).argmax(1)
        lasts = states[torch.arange(len(states), device=ends.device), ends].float()
        amounts = self.strength * (lasts @ state["weight"])
        moved = states + (amounts[:, None, None] * state["direction"]).to(states.dtype)
        return torch.where(prompts[..., None], moved, states)


def last_states(model: Model, data: Data, role: str, layer: int) -> Tensor:
    """The (rows, width) states of the last token of each question."""
    batches = (batch for group in data.batches(role) for batch in group)
    return torch.cat([model.states([b], layer)[b.begins] for b in batches]).double()


def answer_states(model: Model, data: Data, role: str, layer: int) -> Tensor:
    """The (width,) mean state that answer tokens are read from."""
    return torch.cat([model.states(group, layer) for group in data.batches(role)]).double().mean(0)
