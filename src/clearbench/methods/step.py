"""Declares what a method reads: models, references, rows and one training step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.batches.items import Item
from clearbench.batches.kind import Kind
from clearbench.errors import RecipeError
from clearbench.methods.losses import Term

if TYPE_CHECKING:
    from torch import Tensor, nn

Batches = Sequence[Batch]
#: Tensors that a method keeps between steps, by name; checkpointed as safetensors.
State = dict[str, "Tensor"]

#: Rows that a loss can read. `spared` are the forgotten people's rows on tracks that are not to be
#: forgotten; a step has no such batch where there are none. The roles after it are made from the
#: step's forget rows, one for one: `idk` has a refusal for an answer (on a classifier a retained
#: person's label), `random` the answer of a retained person's row of the same task, `alternate`
#: that of one of the rows with the most similar questions, `shuffled` that of another forget row;
#: `paired` are rows of the same person on the other track; `decoupled` has the same question about
#: a retained person and the true answer (without an image, one of the most similar questions);
#: `kept` are retained rows of the same task with their own questions; `mirrored` has images flipped
#: left to right. `refused` is made from the step's retain rows, one for one: it has a refusal for
#: an answer.
ROLES = (
    "forget", "retain", "spared", "idk", "random", "alternate", "shuffled", "paired", "decoupled",
    "kept", "mirrored", "refused",
)  # fmt: skip
#: Everything that a method can declare. `reference`: the frozen model before unlearning;
#: `reference_log_probs`: only that model's log-probabilities of whole forget, idk, random,
#: alternate and kept answers, computed beforehand; `untrained`: a model of the same shape with
#: random weights; `shadow`: one more label on a classifier's head, the last, during the method;
#: `unsharded`: whole weights in every process; `pixels`: pictures as the network takes them, which
#: are changed.
NEEDS = (*ROLES, "reference", "reference_log_probs", "untrained", "shadow", "unsharded", "pixels")


class Reference(Protocol):
    """A frozen model, in whichever form is cheapest and exact."""

    def answers(self, batches: Batches) -> Answers:
        """The logits on the answer tokens, without gradient."""

    def states(self, batches: Batches, layer: int) -> Tensor:
        """The (tokens, width) hidden states after `layer` at the places of answer tokens."""

    def sequence_log_probs(self, batches: Batches) -> Tensor:
        """The (rows,) log-probabilities of whole answers."""


class Model(Protocol):
    """The part of `clearbench.models.base.Model` that methods use."""

    kind: ClassVar[Kind]
    module: Any
    guards: tuple[Any, ...]
    backwards: int

    @property
    def depth(self) -> int:
        """The number of layers of `states`."""

    def answers(self, batches: Batches) -> Answers:
        """The logits on the answer tokens, with gradient."""

    def answers_together(self, groups: Sequence[Batches]) -> Sequence[Answers]:
        """The `answers` of each group, from one pass through the network."""

    def states(self, batches: Batches, layer: int) -> Tensor:
        """The (tokens, width) hidden states after `layer` at the places of answer tokens."""

    def prompt_states(self, batch: Batch, layer: int | None = None) -> Tensor:
        """The (rows, width) mean hidden states over prompts, without gradient.

        After `layer`, counted from 1; None for the last, after its normalisation.
        """

    def batch(self, items: Sequence[Item]) -> Batches:
        """Makes padded batches of items, one row per item."""

    def generate(self, items: Sequence[Item], max_new_tokens: int = 40) -> list[str]:
        """Generates greedy answers to the items' questions."""

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained, by name."""

    def part_of(self, parameter: str) -> str:
        """The part of a parameter: `vision`, `projector` or `language`."""

    def is_perceptron(self, parameter: str) -> bool:
        """Whether a parameter is the last matrix of a perceptron, or of a classifier's head."""

    def layer_of(self, parameter: str) -> int | None:
        """The layer of a parameter, counted from 1 as in `states`."""

    def entering(
        self, batches: Batches, weights: Collection[str], *, everywhere: bool = False
    ) -> dict[str, Tensor]:
        """The (places, inputs) inputs of the linear layers of these weights, without gradient."""

    def name_tokens(self, names: Sequence[str]) -> Tensor:
        """The (tokens,) of people's names; on a classifier their labels."""

    def holding(self, weights: Mapping[str, Tensor]) -> AbstractContextManager[None]:
        """Replaces the weights of these names while entered."""

    def rescale_change(self, start: Mapping[str, Tensor], factor: float) -> None:
        """Sets every trained weight to start + factor (now - start)."""

    def untrained(self, seed: int) -> Model:
        """Makes a model of the same shape with random weights."""

    @property
    def pixel_range(self) -> tuple[Tensor, Tensor]:
        """The network's values of a black and of a white pixel, (channels, 1, 1) each."""


class Data(Protocol):
    """The training rows that `prepare`, edits and guards read."""

    @property
    def start(self) -> Mapping[str, Tensor]:
        """The trained weights before the first stage, for an `Edit` with `looks_back`."""

    @property
    def state(self) -> State:
        """The method's state after the stages before, for an `Edit`."""

    @property
    def seed(self) -> int:
        """The seed of the run."""

    @property
    def forgotten(self) -> tuple[str, ...]:
        """The names of the people to forget."""

    def batches(self, *roles: str, sees: bool | None = None) -> Iterator[Batches]:
        """Yields every row of the roles once, in batches of the recipe's size.

        The rows of all roles are mixed and shuffled, in an order that the seed fixes; `sees`
        leaves only those with media, or only those without.
        """


class NoReference:
    """The reference of a step whose method declares none: every use raises an error."""

    def answers(self, batches: Batches) -> Answers:
        """Raises a `RecipeError`."""
        raise self._missing()

    def states(self, batches: Batches, layer: int) -> Tensor:
        """Raises a `RecipeError`."""
        raise self._missing()

    def sequence_log_probs(self, batches: Batches) -> Tensor:
        """Raises a `RecipeError`."""
        raise self._missing()

    @staticmethod
    def _missing() -> RecipeError:
        return RecipeError("this step has no such reference", "method", "declare it in `needs`")


@dataclass(frozen=True)
class Step:
    """The input of a loss: the model, the references and the batches of the declared roles.

    A batch is an attribute with the name of its role, such as `step.forget`.

    Attributes:
        model: Model that is trained.
        reference: Frozen model before unlearning.
        batches: Batches by role.
        state: State from `prepare`, after the steps before.
        untrained: Frozen model with random weights.
        number: Number of this step, from 0.
        steps: Number of steps of the stage.
        gradient: Gradient of the stage's `probe` over all rows of the step, by weight.
        together: True if all terms have one gradient, so that their rows can share a pass.
    """

    model: Model
    reference: Reference
    batches: Mapping[str, Batches]
    state: State = field(default_factory=dict)
    untrained: Reference = field(default_factory=NoReference)
    number: int = 0
    steps: int = 1
    gradient: Mapping[str, Tensor] = field(default_factory=dict)
    together: bool = False

    def __getattr__(self, name: str) -> Batches:
        try:
            return self.batches[name]
        except KeyError:
            raise AttributeError(
                f"this step has no '{name}' batch; declare it in `needs`"
            ) from None

    def answers(self, *groups: Batches) -> Sequence[Answers]:
        """The model's answers to each group of rows, from one pass where terms share a gradient."""
        if self.together:
            return self.model.answers_together(groups)
        return [self.model.answers(batches) for batches in groups]

    def log_ratio(self, batches: Batches, answers: Answers) -> Tensor:
        """The (rows,) log(model / reference) of whole answers."""
        ours = answers.per_row(answers.log_probs)
        return ours - self.reference.sequence_log_probs(batches)


Loss = Callable[[Step], dict[str, Term]]
