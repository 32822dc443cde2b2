"""Moves the hidden states of forget rows to a random vector and keeps those of retain rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from clearbench.libraries import torch, without_gradient
from clearbench.methods.base import Data, Method, Model, Stage, State, Step, Train
from clearbench.methods.losses import Term, uniform
from clearbench.methods.paper import Paper

if TYPE_CHECKING:
    from torch import Tensor

#: Number of layers that are trained, up to the steered one.
_REACH = 3
#: Prefix of the state's target of one row.
_OF_ROW = "target|"


class RMU(
    Method,
    name="rmu",
    paper=Paper(
        "The WMDP Benchmark: Measuring and Reducing Malicious Use With Unlearning",
        2024,
        "2403.03218",
        "centerforaisafety/wmdp",
    ),
    needs=("forget", "retain", "reference"),
    status="adapted",
    trial={"retain_weight": 1.0},
):
    """Representation misdirection: forget states go to one fixed vector, retain states stay.

    The vector is drawn once for the run (errata E29: not at every step), is one for all rows
    (errata E28: not one per row), and every token counts for itself (errata E104: not divided by
    other rows' counts). Departure: the states are those from which the answer tokens are read, the
    published code takes every place, padding too. Nothing above the steered layer is computed. Only
    the last perceptron matrices of that layer and the two below it learn, as published. Steering
    6.5 and a retain weight of 1200 are those of the run in the README of the WMDP code; its
    argparse has 20 and 100. CLEAR used 300 and 1. Its vision track steers a classifier's
    embeddings, every image to a vector of its own: `targets` "row", steering 2, retain weight 1.
    Adaptive RMU (arXiv 2408.06223) is `steering_unit` "norm" with steering 5 and a retain weight of
    1200; its code takes the norm from one batch, here it is the mean over the answer tokens of all
    forget rows.

    Attributes:
        layer: Steered layer, from 1; None for 8 of 32, in proportion (layer 7 of the published
            codes, which count from 0), and a classifier's last.
        steering: Length c of the target, in `steering_unit`.
        steering_unit: Unit of c: `absolute`, or `norm`, the mean norm of the original's states of
            the forget rows after the steered layer, which fits any model and depth.
        targets: `shared`, c u for all rows, or `row`, a fixed vector per forget row with entries
            drawn evenly between -c and c (errata E54: by row, not by caption as published).
        trains: `mlp`, those three matrices, or `all` parameters of the recipe's parts, as in CLEAR
            and OpenUnlearning. A classifier has no such matrices and always trains all.
    """

    layer: int | None = Field(default=None, ge=1)
    steering: float = Field(default=6.5, gt=0)
    steering_unit: Literal["absolute", "norm"] = "absolute"
    retain_weight: float = Field(default=1200.0, ge=0)
    trains: Literal["mlp", "all"] = "mlp"
    targets: Literal["shared", "row"] = "shared"

    def stages(self) -> Sequence[Stage]:
        """One stage, which trains few matrices."""
        return (Train(self.loss, parameters=self._learns),)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Draws c u, u a unit vector with direction from [0, 1); or a vector per row."""
        batches = next(data.batches("forget"))
        with torch.no_grad():
            width = model.states(batches, self._layer(model)).shape[-1]
        random = torch.Generator().manual_seed(seed)
        length = self._length(model, data)
        if self.targets == "shared":
            drawn = torch.rand(width, generator=random)
            return {"target": length * drawn / drawn.norm()}
        rows = [i.row for group in data.batches("forget") for batch in group for i in batch.items]
        drawn = 2 * torch.rand(len(rows), width, generator=random) - 1
        return {_OF_ROW + row: length * target for row, target in zip(rows, drawn, strict=True)}

    @without_gradient
    def _length(self, model: Model, data: Data) -> float:
        """The length c of the target, in the units of the states."""
        if self.steering_unit == "absolute":
            return self.steering
        layer, groups = self._layer(model), data.batches("forget")
        norms = torch.cat([model.states(group, layer).norm(dim=-1) for group in groups])
        return self.steering * float(norms.double().mean())

    def loss(self, step: Step) -> dict[str, Term]:
        """|h(forget) - target|^2 / d + alpha |h(retain) - h_original(retain)|^2 / d, per token."""
        layer = self._layer(step.model)
        away = step.model.states(step.forget, layer) - self._targets(step)
        drift = step.model.states(step.retain, layer) - step.reference.states(step.retain, layer)
        return {
            "forget": uniform(away.square().mean(-1)),
            "retain": self.retain_weight * uniform(drift.square().mean(-1)),
        }

    def _targets(self, step: Step) -> Tensor:
        """The target of all tokens, (width,), or of each, (tokens, width)."""
        if self.targets == "shared":
            return step.state["target"]
        targets = [
            torch.stack([step.state[_OF_ROW + item.row] for item in batch.items])[batch.owners]
            for batch in step.forget
        ]
        return torch.cat(targets)

    def _layer(self, model: Model) -> int:
        if self.layer is not None:
            return self.layer
        return model.depth if model.kind == "classifier" else max(1, (model.depth + 2) // 4)

    def _learns(self, model: Model, name: str) -> bool:
        """Whether a parameter is trained."""
        if self.trains == "all" or model.kind == "classifier":
            return True
        below = self._layer(model) - (model.layer_of(name) or -_REACH)
        in_language = model.part_of(name) == "language"
        return in_language and 0 <= below < _REACH and model.is_perceptron(name)
