"""Declares the stages of a method: those that train and those that edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clearbench.methods.rules import Rule
from clearbench.methods.step import Data, Loss, Model, State

if TYPE_CHECKING:
    from torch import Tensor

#: Names of weights that exist in every method: before its first stage, before this stage.
ORIGINAL, PREVIOUS = "original", "previous"
#: Prefix of the weights that a stage keeps in the state during training.
SNAPSHOT = "snapshot|"


@dataclass(frozen=True)
class Train:
    """A stage of gradient steps on one loss.

    Attributes:
        loss: Function from a step to named terms, whose sum is minimised.
        needs: Roles and references that the loss reads; None for all that the method declares.
        name: Name of the resulting weights for later stages.
        share: Share of the recipe's steps.
        rate: Factor of the recipe's learning rate.
        start: Weights at the start: `previous`, `original` or an earlier stage's name.
        reference: Weights of the frozen model that the loss is compared with, named likewise.
        parameters: Function from (model, name) to whether a parameter is trained; None for all.
        rule: Rule that mixes the terms' gradients; None for their sum.
        snapshots: Number of parts of the stage; the weights after each but the last are kept for
            an `Edit` that follows: `snapshots(data.state)` reads them.
        tensor_rule: Rule that mixes them tensor by tensor, in the order of `Model.trainable`; it
            takes the method's state last.
        by_modality: True if the terms on each modality's rows are means of their own, weighted by
            the recipe; False where the loss itself tells the modalities apart.
        probe: Loss whose gradient, over all rows of a step, is found before the step's own loss,
            which reads it as `step.gradient`; None for no such pass.
    """

    loss: Loss
    needs: tuple[str, ...] | None = None
    name: str = ""
    share: float = 1.0
    rate: float = 1.0
    start: str = PREVIOUS
    reference: str = ORIGINAL
    parameters: Callable[[Model, str], bool] | None = None
    rule: Rule | None = None
    snapshots: int = 0
    tensor_rule: Callable[[Tensor, Sequence[str], State], Tensor] | None = None
    by_modality: bool = True
    probe: Loss | None = None


@dataclass(frozen=True)
class Edit:
    """A stage that changes the trained weights once, or puts a guard on the model.

    Attributes:
        function: Function that changes the model in place, except for weights that are not trained.
        name: Name of the resulting weights for later stages.
        looks_back: True if the function reads `data.start`.
    """

    function: Callable[[Model, Data], None]
    name: str = ""
    looks_back: bool = False


Stage = Train | Edit


def snapshot(done: int, steps: int, stage: Train, weights: Mapping[str, Tensor]) -> State:
    """Copies the weights at the end of a part of a stage; nothing inside a part or at the last."""
    number = done * stage.snapshots // steps
    if done == steps or number == (done - 1) * stage.snapshots // steps:
        return {}
    return {f"{SNAPSHOT}{number}|{n}": value.detach().clone() for n, value in weights.items()}


def snapshots(state: State) -> list[State]:
    """Reads the weights that a stage kept during training, the earliest first."""
    parts: dict[int, State] = {}
    for key, value in state.items():
        if key.startswith(SNAPSHOT):
            number, _, name = key.removeprefix(SNAPSHOT).partition("|")
            parts.setdefault(int(number), {})[name] = value
    return [parts[number] for number in sorted(parts)]
