"""Base of methods that leave the weights alone and change what goes in or what comes out.

They change a question's text, embeddings or hidden states, an image's tokens, or the logits of an
answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from clearbench.batches.items import Item
from clearbench.batches.kind import Kind
from clearbench.errors import ModelError
from clearbench.libraries import torch
from clearbench.methods.base import Method, method
from clearbench.methods.stages import Edit, Stage
from clearbench.methods.step import Data, Model, State
from clearbench.storage import read_json, write_json

if TYPE_CHECKING:
    from torch import Tensor

SETTINGS, TENSORS = "guard.json", "guard.safetensors"
#: Prefix of an assistant's weights in a state, before their names in the model.
ASSISTANT = "assistant|"


def as_tensor(text: str) -> Tensor:
    """Encodes text as a tensor for a state: (bytes,) of UTF-8."""
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def as_text(values: Tensor) -> str:
    """Decodes text from a tensor of UTF-8 bytes."""
    return bytes(values.tolist()).decode()


class Guard(Method):
    """Base of methods that make a guard: `prepare` computes its state, a function applies it.

    `ask` changes the question, `change` its embeddings, `steer` its hidden states after the layer
    that the state names as `layer`, `see` its visual tokens, `compose` the logits of answers. The
    weights still hold what was to be forgotten: an attack on the weights recovers it.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("language", "vision-language")
    artefact: ClassVar[Literal["weights", "guard"]] = "guard"

    def stages(self) -> Sequence[Stage]:
        """One edit, which fits the guard and appends it to `model.guards`."""
        return (Edit(self._put_on),)

    def _put_on(self, model: Model, data: Data) -> None:
        state = self.prepare(model, data, data.seed)
        model.guards = (*model.guards, FittedGuard(self, state))

    def ask(self, item: Item, state: State) -> Item:
        """Replaces a question; the answer stays the same."""
        return item

    def change(
        self, embeddings: Tensor, prompts: Tensor, prompt_states: Tensor, state: State
    ) -> Tensor:
        """Replaces the token embeddings of questions.

        Args:
            embeddings: Embeddings, (rows, length, width).
            prompts: Mask of the tokens of questions, (rows, length).
            prompt_states: Mean states of questions, (rows, width), as `Model.prompt_states`.
            state: State from `prepare`.
        """
        return embeddings

    def steer(self, states: Tensor, prompts: Tensor, state: State) -> Tensor:
        """Replaces the hidden states of questions for the layers above.

        Args:
            states: Hidden states, (rows, length, width).
            prompts: Mask of the tokens of questions, (rows, length).
            state: State from `prepare`.
        """
        return states

    def see(self, states: Tensor, visual: Tensor, attention: Tensor, state: State) -> Tensor:
        """Replaces the visual tokens that enter the language part.

        Args:
            states: Embeddings of text and visual tokens, (rows, length, width).
            visual: Mask of the visual tokens, (rows, length).
            attention: Mean attention that the question's text pays to each token, (rows, length).
            state: State from `prepare`.
        """
        return states

    def compose(self, logits: Tensor, assistant: Tensor, state: State) -> Tensor:
        """Replaces the logits of answer tokens.

        Args:
            logits: The model's logits, (tokens, vocabulary).
            assistant: Logits of the model with the state's weights under `ASSISTANT` in place of
                its own, (tokens, vocabulary).
            state: State from `prepare`.
        """
        return logits


@dataclass(frozen=True)
class FittedGuard:
    """A guard with the state that `prepare` returned; a model applies those in `model.guards`."""

    guard: Guard
    state: State

    @property
    def changes(self) -> bool:
        """Whether the guard changes embeddings."""
        return type(self.guard).change is not Guard.change

    @property
    def layer(self) -> int | None:
        """The layer, from 1, after which hidden states are changed; None for none."""
        return int(self.state["layer"]) if type(self.guard).steer is not Guard.steer else None

    @property
    def sees(self) -> bool:
        """Whether the guard changes visual tokens."""
        return type(self.guard).see is not Guard.see

    def see(self, states: Tensor, visual: Tensor, attention: Tensor) -> Tensor:
        """Replaces visual tokens by `Guard.see` with this guard's state."""
        return self.guard.see(states, visual, attention, self._at(states))

    @property
    def assists(self) -> bool:
        """Whether the guard has an assistant and composes logits with it."""
        return type(self.guard).compose is not Guard.compose

    @property
    def assistant(self) -> State:
        """The assistant's weights, by their names in the model."""
        kept = self.state.items()
        return {n.removeprefix(ASSISTANT): w for n, w in kept if n.startswith(ASSISTANT)}

    def to(self, like: Tensor) -> FittedGuard:
        """Moves the assistant's weights to a tensor's device and type; itself if they are there."""
        moved = {ASSISTANT + name: weight.to(like) for name, weight in self.assistant.items()}
        if all(self.state[name] is weight for name, weight in moved.items()):
            return self
        return FittedGuard(self.guard, self.state | moved)

    def compose(self, logits: Tensor, assistant: Tensor) -> Tensor:
        """Replaces logits by `Guard.compose` with this guard's state."""
        return self.guard.compose(logits, assistant, self.state)

    def ask(self, item: Item) -> Item:
        """Replaces a question by `Guard.ask` with this guard's state."""
        return self.guard.ask(item, self.state)

    def change(self, embeddings: Tensor, prompts: Tensor, prompt_states: Tensor) -> Tensor:
        """Replaces embeddings by `Guard.change` with this guard's state."""
        return self.guard.change(embeddings, prompts, prompt_states, self._at(embeddings))

    def steer(self, states: Tensor, prompts: Tensor) -> Tensor:
        """Replaces hidden states by `Guard.steer` with this guard's state."""
        return self.guard.steer(states, prompts, self._at(states))

    def _at(self, other: Tensor) -> State:
        return {name: value.to(other.device) for name, value in self.state.items()}

    @property
    def about(self) -> dict[str, Any]:
        """The method and its hyper-parameters, as JSON."""
        return {"method": self.guard.name, "hyperparameters": self.guard.model_dump(mode="json")}

    def save(self, folder: Path) -> None:
        """Writes the guard's two files."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / SETTINGS, self.about)
        save_file(
            {name: value.contiguous() for name, value in self.state.items()}, folder / TENSORS
        )

    @staticmethod
    def load(folder: Path) -> FittedGuard:
        """Reads a saved guard; a plugin's guard needs the plugin loaded first."""
        from safetensors.torch import load_file

        about = read_json(folder / SETTINGS)
        try:
            guard = method(about["method"], **about["hyperparameters"])
        except (KeyError, TypeError) as error:
            raise ModelError("not a guard's settings", str(folder / SETTINGS)) from error
        if not isinstance(guard, Guard):
            raise ModelError(f"'{guard.name}' is no guard", str(folder / SETTINGS))
        return FittedGuard(guard, load_file(folder / TENSORS))
