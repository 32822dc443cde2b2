"""What a loss sees of the world: models, rows and one step. Nothing here knows a model class."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.batches.items import Item, Kind
from clearbench.errors import RecipeError
from clearbench.methods.losses import Term

Batches = Sequence[Batch]
#: Tensors that a method keeps between steps, by name; checkpointed as safetensors.
State = dict[str, Tensor]

#: Rows a loss may ask for. Those after `retain` are made from the step's forget rows, one for one:
#: `idk` answers them with a refusal (for a classifier: a retained person's label), `random` with
#: the answer of a retained person's row of the same task, `shuffled` with that of another forget
#: row; `paired` are rows of the same person on the other track; `decoupled` asks the same of a
#: retained person and is answered truthfully; `kept` are retained rows of the same task, with
#: their own questions; `mirrored` are the same rows, images flipped left to right. `spared` are
#: the forgotten people's rows on a track that is not to be forgotten; where there is none, the
#: step has no such batch.
ROLES = (
    "forget", "retain", "spared", "idk", "random", "shuffled", "paired", "decoupled", "kept",
    "mirrored",
)  # fmt: skip
#: What else it may ask for. `reference`: the model before unlearning, frozen;
#: `reference_log_probs`: only what that model thought of whole forget, idk, random and kept
#: answers, read beforehand; `untrained`: a model of the same shape with random weights; `shadow`:
#: one more label on a classifier's head, the last, while the method works; `unsharded`: whole
#: weights in one place.
NEEDS = (*ROLES, "reference", "reference_log_probs", "untrained", "shadow", "unsharded")


class Reference(Protocol):
    """A frozen model, in whichever form is cheapest and exact."""

    def answers(self, batches: Batches) -> Answers:
        """Its logits on the answer tokens, without gradient."""

    def states(self, batches: Batches, layer: int) -> Tensor:
        """(tokens, width) its hidden states after `layer`, from which the answers are read."""

    def sequence_log_probs(self, batches: Batches) -> Tensor:
        """(rows,) log-probability of each whole answer."""


class Model(Protocol):
    """What a method needs of a model; `clearbench.models.base.Model` has it."""

    kind: ClassVar[Kind]
    module: Any
    guards: tuple[Any, ...]
    backwards: int

    @property
    def depth(self) -> int:
        """How many layers `states` knows."""

    def answers(self, batches: Batches) -> Answers:
        """Logits on the answer tokens, with gradient."""

    def answers_together(self, groups: Sequence[Batches]) -> Sequence[Answers]:
        """`answers` of each group, in one pass through the network."""

    def states(self, batches: Batches, layer: int) -> Tensor:
        """(tokens, width) hidden states after `layer`, from which the answers are read."""

    def prompt_states(self, batch: Batch, layer: int | None = None) -> Tensor:
        """(rows, width) mean hidden state over each row's prompt, without gradient.

        After `layer`, counted from 1; None for the last, after its normalisation.
        """

    def batch(self, items: Sequence[Item]) -> Batches:
        """Items as padded batches, a row each."""

    def generate(self, items: Sequence[Item], max_new_tokens: int = 40) -> list[str]:
        """Greedy answers to the items' questions."""

    def trainable(self) -> dict[str, nn.Parameter]:
        """Parameters that learn, by name."""

    def part_of(self, parameter: str) -> str:
        """`vision`, `projector` or `language`."""

    def is_perceptron(self, parameter: str) -> bool:
        """Whether a parameter is the last matrix of a perceptron, or of a classifier's head."""

    def layer_of(self, parameter: str) -> int | None:
        """Which layer a parameter lies in, counted from 1 as in `states`."""

    def entering(
        self, batches: Batches, weights: Collection[str], *, everywhere: bool = False
    ) -> dict[str, Tensor]:
        """(places, inputs) what enters the linear layers of these weights, without gradient."""

    def name_tokens(self, names: Sequence[str]) -> Tensor:
        """(tokens,) that people's names are written with; on a classifier their labels."""

    def holding(self, weights: Mapping[str, Tensor]) -> AbstractContextManager[None]:
        """While entered, the model has these weights in place of its own of that name."""

    def rescale_change(self, start: Mapping[str, Tensor], factor: float) -> None:
        """What learns becomes start + factor (now - start)."""

    def untrained(self, seed: int) -> Model:
        """A model of the same shape with random weights."""

    @property
    def pixel_range(self) -> tuple[Tensor, Tensor]:
        """Two (channels, 1, 1): what a black and what a white pixel is to the network."""


class Data(Protocol):
    """All training rows, for statistics, edits and guards."""

    @property
    def start(self) -> Mapping[str, Tensor]:
        """The weights that learn, before the first stage, for an `Edit` that looks back."""

    @property
    def state(self) -> State:
        """The method's, as the stages before left it, for an `Edit` that follows."""

    @property
    def seed(self) -> int:
        """The run's."""

    @property
    def forgotten(self) -> tuple[str, ...]:
        """The names of the people to forget."""

    def batches(self, role: str) -> Iterator[Batches]:
        """Every row of a role once, in a fixed order, in batches of the recipe's size."""


class NoReference:
    """Stands where a method asked for no reference."""

    def answers(self, batches: Batches) -> Answers:
        """Refuses."""
        raise self._missing()

    def states(self, batches: Batches, layer: int) -> Tensor:
        """Refuses."""
        raise self._missing()

    def sequence_log_probs(self, batches: Batches) -> Tensor:
        """Refuses."""
        raise self._missing()

    @staticmethod
    def _missing() -> RecipeError:
        return RecipeError("this step has no such reference", "method", "declare it in `needs`")


@dataclass(frozen=True)
class Step:
    """What a loss sees: the model, the references, and one batch of each role it asked for.

    Attributes:
        state: From `prepare`, as the steps before left it.
        number: Of this step, from 0.
        steps: In this stage.
        together: Whether all terms have one gradient, so that their rows may share a pass.
    """

    model: Model
    reference: Reference
    batches: Mapping[str, Batches]
    state: State = field(default_factory=dict)
    untrained: Reference = field(default_factory=NoReference)
    number: int = 0
    steps: int = 1
    together: bool = False

    def __getattr__(self, name: str) -> Batches:
        try:
            return self.batches[name]
        except KeyError:
            raise AttributeError(
                f"this step has no '{name}' batch; declare it in `needs`"
            ) from None

    def answers(self, *groups: Batches) -> Sequence[Answers]:
        """The model's answers to each group of rows, in one pass where that saves work."""
        if self.together:
            return self.model.answers_together(groups)
        return [self.model.answers(batches) for batches in groups]

    def log_ratio(self, batches: Batches, answers: Answers) -> Tensor:
        """(rows,) log(model / reference) of each whole answer."""
        ours = answers.per_row(answers.log_probs)
        return ours - self.reference.sequence_log_probs(batches)


Loss = Callable[[Step], dict[str, Term]]
