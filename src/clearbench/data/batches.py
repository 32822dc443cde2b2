"""Rows become items, items become padded batches, and a model answers them token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional

from clearbench.data.example import Example, Picture

if TYPE_CHECKING:
    from clearbench.data.trees import Tree

Kind = Literal["language", "vision-language", "classifier"]
#: Logits that a core's cache holds, with what is computed from them.
CACHED = 2**17


@dataclass(frozen=True)
class Item:
    """One sequence to score: a row with one of its answers.

    `variant` is `answer`, `paraphrase`, `perturbed_K`, `known_K` or, for training on refusals,
    `refusal`. `key` names the pair everywhere, in caches and in records.
    """

    row: str
    variant: str
    question: str
    answer: str
    picture: Picture | None = None
    person: int | None = None

    @property
    def key(self) -> str:
        """`row/variant`."""
        return f"{self.row}/{self.variant}"


def item(example: Example, variant: str = "answer", answer: str | None = None) -> Item:
    """The item of a row's own answer, or of another answer to the same question."""
    text = example.answer if answer is None else answer
    return Item(example.id, variant, example.question, text, example.image, example.person)


@dataclass(frozen=True)
class Encoded:
    """Token ids (ints), where the answer starts, and the tensors of the picture, if any."""

    ids: tuple[int, ...]
    answer_start: int
    tensors: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """What the model eats, and where in what comes out the answers are.

    Attributes:
        inputs: Tensors for `forward`; `input_ids` is (rows, length) for text.
        places: (tokens,) for every answer token, the flat position (row * length + column) that
            predicts it; for classifiers the row.
        targets: (tokens,) the token, or label, that stands there.
        owners: (tokens,) which item each token belongs to.
        items: What is answered; several items may share a row.
        pictures: Keys of the pictures, in the order of the image tensors.
        trees: What it was collated from; none where its pictures were replaced.
    """

    inputs: dict[str, Tensor]
    places: Tensor
    targets: Tensor
    owners: Tensor
    items: tuple[Item, ...]
    pictures: tuple[str, ...] = ()
    trees: tuple[Tree, ...] = ()

    def showing(self, pixels: Tensor) -> Batch:
        """The same questions about other pictures, given as the network takes them."""
        return replace(self, inputs=self.inputs | {"pixel_values": pixels}, pictures=(), trees=())

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return replace(
            self,
            inputs={name: tensor.to(device) for name, tensor in self.inputs.items()},
            places=self.places.to(device),
            targets=self.targets.to(device),
            owners=self.owners.to(device),
        )


@dataclass(frozen=True)
class Answers:
    """The model's view of every answer token in a batch; a label counts as one token.

    Attributes:
        logits: (tokens, vocabulary) before the softmax.
        targets: (tokens,) the token that stands there.
        rows: (tokens,) which row of the batch each token belongs to.
        items: What the rows are; `len(items)` is the number of rows.
        margin: What teaching takes from the target's logit, under an additive-margin head.
    """

    logits: Tensor
    targets: Tensor
    rows: Tensor
    items: tuple[Item, ...]
    margin: float = 0.0

    @property
    def log_probs(self) -> Tensor:
        """(tokens,) log-probability of each target."""
        return -functional.cross_entropy(self.logits, self.targets, reduction="none")

    @property
    def ordinals(self) -> Tensor:
        """(tokens,) which token of its answer each is, from 0; an answer's tokens are in order."""
        sizes = torch.bincount(self.rows, minlength=len(self.items))
        begins = sizes.cumsum(0) - sizes
        return torch.arange(len(self.rows), device=self.rows.device) - begins[self.rows]

    @property
    def losses(self) -> Tensor:
        """(tokens,) negative log-probability of each target, its logit lowered by the margin."""
        lowered = self.logits
        if self.margin:
            places = torch.arange(len(self.targets), device=self.targets.device)
            cut = torch.full_like(self.targets, -self.margin, dtype=self.logits.dtype)
            lowered = self.logits.index_put((places, self.targets), cut, accumulate=True)
        return functional.cross_entropy(lowered, self.targets, reduction="none")

    def per_row(self, values: Tensor) -> Tensor:
        """(rows,) sums of per-token values."""
        return values.new_zeros(len(self.items)).index_add(0, self.rows, values)

    def split(self, sizes: Sequence[int]) -> list[Answers]:
        """Parts of so many items each, in order; `join` undone."""
        counts = torch.bincount(self.rows, minlength=len(self.items)).split(list(sizes))
        tokens = [int(part.sum()) for part in counts]
        firsts = [sum(sizes[:k]) for k in range(len(sizes))]
        columns = (each.split(tokens) for each in (self.logits, self.targets, self.rows))
        return [
            Answers(logits, targets, rows - first, self.items[first : first + size], self.margin)
            for logits, targets, rows, first, size in zip(*columns, firsts, sizes, strict=True)
        ]

    @staticmethod
    def join(parts: Sequence[Answers]) -> Answers:
        """Several batches as one."""
        if len(parts) == 1:
            return parts[0]
        shifts = [sum(len(part.items) for part in parts[:k]) for k in range(len(parts))]
        return Answers(
            torch.cat([part.logits for part in parts]),
            torch.cat([part.targets for part in parts]),
            torch.cat([part.rows + shift for part, shift in zip(parts, shifts, strict=True)]),
            tuple(each for part in parts for each in part.items),
            parts[0].margin,
        )


def cut(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices grouped by similar length, each group of at most `budget` padded tokens."""
    groups: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not groups or longest * (len(groups[-1]) + 1) > budget:
            groups.append([])
            longest = lengths[index]
        groups[-1].append(index)
    return groups
