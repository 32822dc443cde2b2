"""Items: a question with one answer to score, and its token sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from clearbench.data.example import EncodedImage, Example

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
    image: EncodedImage | None = None
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
    """Token ids (ints), where the answer starts, and the tensors of the image, if any."""

    ids: tuple[int, ...]
    answer_start: int
    tensors: dict[str, Tensor] = field(default_factory=dict)


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
