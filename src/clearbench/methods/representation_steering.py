"""Moves the hidden states of a question away from those of forget questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from clearbench.errors import ModelError
from clearbench.libraries import torch
from clearbench.methods.guard import Guard
from clearbench.methods.paper import Paper
from clearbench.methods.step import Data, Model, State

if TYPE_CHECKING:
    from torch import Tensor


class RepresentationSteering(
    Guard,
    name="representation_steering",
    paper=Paper("Steering Language Models With Activation Engineering", 2023, "2308.10248"),
    needs=("forget", "retain"),
    status="unverified",
    trial={"strength": 8.0},
):
    """A guard: hidden states of the question move along the direction from forget to retain.

    The direction is the difference of the mean question states. `add` adds it to every question,
    so retain questions are moved as well; `affine` only sets a state's component along it to the
    retain mean, which hardly changes them. The weights keep everything. Uncertain: both papers
    steer behaviour, neither forgetting, so the contrast of forget with retain rows and its strength
    are ours; the first adds to the first tokens of a prompt, the second to all that follow, ours to
    the question's.

    Attributes:
        layer: Layer after which states are moved, from 1, not the last; None for the middle one.
        strength: Factor of the difference, or share of the component; 1 is the whole.
    """

    form: Literal["add", "affine"] = "add"
    layer: int | None = Field(default=None, ge=1)
    strength: float = Field(default=1.0, ge=0)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Computes the two means over all questions, and chooses the layer."""
        layer = self.layer or max(1, model.depth // 2)
        if layer >= model.depth:
            raise ModelError(
                f"no layer above {layer} to read what is steered",
                "layer",
                f"choose one from 1 to {model.depth - 1}",
            )
        means = {
            role: torch.cat(
                [model.prompt_states(b, layer) for group in data.batches(role) for b in group]
            ).mean(0)
            for role in ("forget", "retain")
        }
        return {**means, "layer": torch.tensor(layer)}

    def steer(self, states: Tensor, prompts: Tensor, state: State) -> Tensor:
        """H + s (mu_retain - mu_forget), or h - s u <u, h - mu_retain> with u its direction."""
        away = (state["retain"] - state["forget"]).to(states.dtype)
        if self.form == "add":
            moved = states + self.strength * away
        else:
            unit = away / away.norm().clamp_min(1e-12)
            excess = (states - state["retain"].to(states.dtype)) @ unit
            moved = states - self.strength * excess[..., None] * unit
        return torch.where(prompts[..., None], moved, states)
