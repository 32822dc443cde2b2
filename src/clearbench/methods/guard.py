"""Methods that leave the weights alone and stand between a model and what it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from clearbench.batches.items import Item, Kind
from clearbench.errors import ModelError
from clearbench.methods.base import Method, method
from clearbench.methods.stages import Edit, Stage
from clearbench.methods.step import Data, Model, State
from clearbench.storage import read_json, write_json

SETTINGS, TENSORS = "guard.json", "guard.safetensors"


def as_tensor(text: str) -> Tensor:
    """Text as a state can hold it: (bytes,) of UTF-8."""
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def as_text(values: Tensor) -> str:
    """The text of such a tensor."""
    return bytes(values.tolist()).decode()


class Guard(Method):
    """Base of methods whose artefact is a guard: `prepare` learns it, one of three applies it.

    `ask` changes the question, `change` its embeddings, `steer` its hidden states after the layer
    that the state names as `layer`.

    Whatever is true of the weights stays true: an attack on them finds everything.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("language", "vision-language")
    artefact: ClassVar[Literal["weights", "guard"]] = "guard"

    def stages(self) -> Sequence[Stage]:
        """One edit: the guard takes its place."""
        return (Edit(self._stand),)

    def _stand(self, model: Model, data: Data) -> None:
        state = self.prepare(model, data, data.seed)
        model.guards = (*model.guards, FittedGuard(self, state))

    def ask(self, each: Item, state: State) -> Item:
        """What the model is asked instead; its answer is not touched."""
        return each

    def change(
        self, embeddings: Tensor, prompts: Tensor, prompt_states: Tensor, state: State
    ) -> Tensor:
        """The token embeddings that the model shall read instead.

        Args:
            embeddings: (rows, length, width).
            prompts: (rows, length) whether a token belongs to the question.
            prompt_states: (rows, width) as `Model.prompt_states`.
            state: From `prepare`.
        """
        return embeddings

    def steer(self, states: Tensor, prompts: Tensor, state: State) -> Tensor:
        """The hidden states that the layers above shall read instead.

        Args:
            states: (rows, length, width).
            prompts: (rows, length) whether a token belongs to the question.
            state: From `prepare`.
        """
        return states


@dataclass(frozen=True)
class FittedGuard:
    """A guard in its place, with what it has learned."""

    guard: Guard
    state: State

    @property
    def changes(self) -> bool:
        """Whether it works on embeddings."""
        return type(self.guard).change is not Guard.change

    @property
    def layer(self) -> int | None:
        """After which layer, from 1, it changes hidden states; None where it does not."""
        return int(self.state["layer"]) if type(self.guard).steer is not Guard.steer else None

    def ask(self, each: Item) -> Item:
        """`Guard.ask` with this guard's state."""
        return self.guard.ask(each, self.state)

    def change(self, embeddings: Tensor, prompts: Tensor, prompt_states: Tensor) -> Tensor:
        """`Guard.change` with this guard's state."""
        return self.guard.change(embeddings, prompts, prompt_states, self._at(embeddings))

    def steer(self, states: Tensor, prompts: Tensor) -> Tensor:
        """`Guard.steer` with this guard's state."""
        return self.guard.steer(states, prompts, self._at(states))

    def _at(self, other: Tensor) -> State:
        return {name: value.to(other.device) for name, value in self.state.items()}

    @property
    def about(self) -> dict[str, Any]:
        """The method and its hyper-parameters, as JSON."""
        return {"method": self.guard.name, "hyperparameters": self.guard.model_dump(mode="json")}

    def save(self, folder: Path) -> None:
        """Writes the guard's two files."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / SETTINGS, self.about)
        save_file(
            {name: value.contiguous() for name, value in self.state.items()}, folder / TENSORS
        )

    @staticmethod
    def load(folder: Path) -> FittedGuard:
        """A saved guard; a plugin's guard needs the plugin loaded first."""
        about = read_json(folder / SETTINGS)
        try:
            guard = method(about["method"], **about["hyperparameters"])
        except (KeyError, TypeError) as error:
            raise ModelError("not a guard's settings", str(folder / SETTINGS)) from error
        if not isinstance(guard, Guard):
            raise ModelError(f"'{guard.name}' is no guard", str(folder / SETTINGS))
        return FittedGuard(guard, load_file(folder / TENSORS))
