"""Pairs a question with one answer to score, and holds its token sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clearbench.data.example import Example
from clearbench.data.media import EncodedImage, Media
from clearbench.data.modality import modalities, modality_of

if TYPE_CHECKING:
    from torch import Tensor

#: Number of logits that fit into a core's cache, with what is computed from them.
CACHED = 2**17
#: Smallest share of a batch's padded tokens for which its short rows are read apart. Chosen, not
#: measured: where a quarter is padding, reading apart saves 8 to 13 % of a pass.
LEAST_SAVED = 0.05


@dataclass(frozen=True)
class Item:
    """One sequence to score: a row with one of its answers.

    `variant` is `answer`, `paraphrase`, `perturbed_K`, `known_K` or, for training on refusals,
    `refusal`. `key` identifies the pair everywhere, in caches and in records. `track` names the
    modality; that of the media by default.
    """

    row: str
    variant: str
    question: str
    answer: str
    media: Media | None = None
    person: int | None = None
    track: str = ""

    def __post_init__(self) -> None:
        if not self.track:
            object.__setattr__(self, "track", modality_of(self.media).name)

    @property
    def key(self) -> str:
        """Identifier `row/variant`."""
        return f"{self.row}/{self.variant}"

    @property
    def medium(self) -> str:
        """Name of the modality of its media; `text` without media."""
        return "text" if self.media is None else self.track

    @property
    def image(self) -> EncodedImage | None:
        """The media, where it is an image."""
        return self.media if isinstance(self.media, EncodedImage) else None


def item(example: Example, variant: str = "answer", answer: str | None = None) -> Item:
    """Builds the item of a row's own answer, or of another answer to the same question."""
    text = example.answer if answer is None else answer
    shown = (example.media, example.person, example.track)
    return Item(example.id, variant, example.question, text, *shown)


@dataclass(frozen=True)
class Encoded:
    """The token sequence of one item.

    Attributes:
        ids: Token ids.
        answer_start: Position of the answer's first token.
        tensors: Tensors of the media, if there are any.
        extras: Further integers per token, by name, such as `token_type_ids`.
        spans: Tensors of the media with a row per token, (1, tokens, ...), by name; tokens after
            the last row have that row, too.
    """

    ids: tuple[int, ...]
    answer_start: int
    tensors: dict[str, Tensor] = field(default_factory=dict)
    extras: dict[str, tuple[int, ...]] = field(default_factory=dict)
    spans: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Tokens:
    """Token ids with their extras, and the media tensors that have a row per token."""

    ids: tuple[int, ...]
    extras: dict[str, tuple[int, ...]] = field(default_factory=dict)
    spans: dict[str, Tensor] = field(default_factory=dict)

    def first(self, count: int) -> Tokens:
        """Returns the first tokens."""
        extras = {name: values[:count] for name, values in self.extras.items()}
        spans = {name: tensor[:, :count] for name, tensor in self.spans.items()}
        return Tokens(self.ids[:count], extras, spans)


def by_medium(items: Iterable[Item]) -> dict[str, list[Item]]:
    """Groups items by the modality of their media, in the order of the modalities."""
    groups: dict[str, list[Item]] = {}
    for entry in items:
        groups.setdefault(entry.medium, []).append(entry)
    return {name: groups[name] for name in modalities() if name in groups}


def cut(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Groups indices by similar length, each group of at most `budget` padded tokens."""
    groups: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not groups or longest * (len(groups[-1]) + 1) > budget:
            groups.append([])
            longest = lengths[index]
        groups[-1].append(index)
    return groups


def cut_padding(lengths: Sequence[int]) -> list[list[int]]:
    """Groups indices into short and long rows, where padding each apart saves `LEAST_SAVED`.

    Args:
        lengths: Number of tokens of each row.

    Returns:
        One group or two, each in increasing order; none of no rows.
    """
    if not lengths:
        return []
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    longest, rows = lengths[order[-1]], len(order)
    padded = [k * lengths[order[k - 1]] + (rows - k) * longest for k in range(1, rows)]
    best = min(range(len(padded)), key=padded.__getitem__, default=None)
    if best is None or padded[best] > (1 - LEAST_SAVED) * rows * longest:
        return [list(range(rows))]
    return [sorted(order[: best + 1]), sorted(order[best + 1 :])]
