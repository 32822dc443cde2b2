"""Turns hidden states of forget rows away from the original's and keeps those of retain rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from clearbench.libraries import functional, torch
from clearbench.methods.base import Data, Method, Model, Stage, State, Step, Train
from clearbench.methods.losses import Term, uniform
from clearbench.methods.paper import Paper
from clearbench.methods.step import Batches, Reference

if TYPE_CHECKING:
    from torch import Tensor

#: Layers whose states are turned, as shares of the model: 10 and 20 of 32.
_SHARES = (10 / 32, 20 / 32)
#: Prefix of the state's direction of one layer.
_NUDGE = "nudge|"


class CircuitBreakers(
    Method,
    name="circuit_breakers",
    paper=Paper(
        "Improving Alignment and Robustness with Circuit Breakers",
        2024,
        "2406.04313",
        "GraySwanAI/circuit-breakers",
    ),
    needs=("forget", "retain", "reference"),
    status="adapted",
    trial={"nudge": 0.3},
):
    """Representation rerouting: forget states become orthogonal to what they were, retain stay.

    Read in forks of the authors' code (src/lorra_circuit_breaker.py and its Llama-3 script): the
    two losses, layers 10 and 20 of 32, alpha 10, and the schedule, whose coefficients are half of
    alpha each at the last step; weights up to the higher layer learn, there with LoRA of rank 16
    (`lora` of a recipe). Departures: states are those from which answer tokens are read, there of
    all tokens; retain states are compared at the same layers, there at all up to the higher one,
    padding included; a classifier is turned at its last stage. At the original the cosine has no
    gradient, and rounding alone starts the published run: ours turns the original's state by
    `nudge` of its length along a direction drawn once for each layer.

    Attributes:
        layers: Layers compared, from 1; None for 10 and 20 of 32, in proportion.
        alpha: Sum of both coefficients.
        nudge: Length of what is added to the original's forget state, in lengths of the state.
    """

    layers: tuple[PositiveInt, ...] | None = Field(default=None, min_length=1)
    alpha: float = Field(default=10.0, gt=0)
    nudge: float = Field(default=0.01, gt=0, lt=1)

    def stages(self) -> Sequence[Stage]:
        """One stage, in which the layers up to the highest compared one learn."""
        return (Train(self.loss, parameters=self._learns),)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Draws a unit vector for each layer."""
        batches = next(data.batches("forget"))
        random = torch.Generator().manual_seed(seed)
        drawn: State = {}
        for layer in self._layers(model):
            with torch.no_grad():
                width = model.states(batches, layer).shape[-1]
            direction = torch.randn(width, generator=random)
            drawn[f"{_NUDGE}{layer}"] = direction / direction.norm()
        return drawn

    def loss(self, step: Step) -> dict[str, Term]:
        """C_s ReLU(cos(h, h_original))(forget) + c_r |h - h_original|(retain), per token and layer.

        c_s = alpha (1 - t / 2T) and c_r = alpha t / 2T at step t of T, counted from 1.
        """
        progress = (step.number + 1) / (2 * step.steps)
        cosines, distances = [], []
        for layer in self._layers(step.model):
            ours, theirs = _pair(step.model, step.reference, step.forget, layer)
            size = theirs.norm(dim=-1, keepdim=True)
            direction = step.state[f"{_NUDGE}{layer}"].to(theirs)
            turned = theirs + self.nudge * size * direction
            cosines.append(functional.cosine_similarity(ours, turned, dim=-1).relu())
            ours, theirs = _pair(step.model, step.reference, step.retain, layer)
            distances.append((ours - theirs).norm(dim=-1))
        return {
            "forget": self.alpha * (1 - progress) * uniform(torch.cat(cosines)),
            "retain": self.alpha * progress * uniform(torch.cat(distances)),
        }

    def _layers(self, model: Model) -> Sequence[int]:
        if self.layers is not None:
            return sorted(set(self.layers))
        if model.kind == "classifier":
            return (model.depth,)
        return sorted({max(1, round(share * model.depth)) for share in _SHARES})

    def _learns(self, model: Model, name: str) -> bool:
        """Whether a parameter is trained."""
        if model.kind == "classifier":
            return True
        layer = model.layer_of(name)
        in_language = model.part_of(name) == "language"
        return in_language and layer is not None and layer <= max(self._layers(model))


def _pair(
    model: Model, reference: Reference, batches: Batches, layer: int
) -> tuple[Tensor, Tensor]:
    """The model's and the original's states, (tokens, width) each."""
    return model.states(batches, layer), reference.states(batches, layer)
