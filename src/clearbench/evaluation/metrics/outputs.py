"""Computes rates of refused, empty and garbage answers, none of which counts as forgetting."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import ClassVar

import regex

from clearbench.data.words import folded, normal, pieces, unspaced
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.refusals import refuses, unwrapped
from clearbench.evaluation.score import Direction
from clearbench.evaluation.wordings import WORDINGS
from clearbench.libraries import pd

#: Share of distinct runs of words at or below which a text counts as garbage.
DISTINCT_PAIRS = 0.6
#: Share of words that are said twice running from which a text that is not ASCII is garbage: in
#: many languages doubling a word or two is grammar.
DOUBLED = 0.25
#: Least share of letters, digits and spaces, and where a script has no spaces to count.
LEGIBLE, LEGIBLE_UNSPACED = 0.7, 0.5
#: Punctuation of a text without words that says nothing, rather than symbols.
_SILENT = " .,!?\n\t\r\u3002\u3001\u061f\u060c\u061b\u0964\u0965\u06d4\u1362\u00b7\u00a1\u00bf"
_OTHER = r"(?:(?![a-z])\p{L}\p{M}*)"
#: A letter four times running, or up to eight letters three times running, beyond a to z.
_SYLLABLES = regex.compile(rf"({_OTHER})\1{{3,}}|({_OTHER}{{2,8}}?)\2{{2,}}")
_LEGIBLE = regex.compile(r"[\p{L}\p{N}\p{M}\s]")


@cache
def kind_of_output(text: str, unknown_word: bool = False, truth: str = "") -> str:
    """Classifies a text of any script as `empty`, `garbage`, `refusal` or `answer`.

    Garbage: a word that occurs nowhere in the data, the same word three times running or twice in
    two places, few distinct pairs of words, syllables repeated within a word, or mostly symbols.
    What is garbage is no refusal, whatever it begins with. In scripts without spaces between words
    repeated runs of characters are looked for in place of repeated words.

    Args:
        text: Generated answer.
        unknown_word: True if the data have no such word as one of its.
        truth: True answer: what it says itself is no refusal.
    """
    words = pieces(text)
    if truth and folded(text).split() == folded(truth).split():
        return "answer" if truth.strip() else "empty"
    if not words:
        return "garbage" if normal(text).strip(_SILENT) else "empty"
    least = LEGIBLE_UNSPACED if any(map(unspaced, words)) else LEGIBLE
    if unknown_word or _loops(text, words) or _legible(text) < least:
        return "garbage"
    return "refusal" if refuses(text, truth) else "answer"


def _legible(text: str) -> float:
    """Computes the share of characters that are letters with their marks, digits or spaces."""
    shown = unwrapped(text)
    return len(_LEGIBLE.findall(shown)) / len(shown)


def _loops(text: str, words: list[str]) -> bool:
    """Whether words, or runs of characters without spaces, are said again and again."""
    pairs = list(pairwise(words))
    triples = list(zip(words, words[1:], words[2:], strict=False))
    characters = any(map(unspaced, words))
    said: list[tuple[str, ...]] = [*triples] if characters else [*pairs]
    repetitive = len(said) >= 6 and len(set(said)) / len(said) < DISTINCT_PAIRS
    looping = any(a == b == c and not unspaced(a) for a, b, c in triples)
    twice = sum(a == b for a, b in pairs)
    much = text.isascii() or (not characters and twice > DOUBLED * len(pairs))
    syllables = not text.isascii() and _SYLLABLES.search(folded(text)) is not None
    return repetitive or looping or (twice >= 2 and much) or syllables


def rate(group: RecordGroup, kind: str) -> pd.Series:
    """Computes 1 for generated answers of this kind, else 0."""
    generated, wordings = group.generations, group.table(WORDINGS)
    unknown = dict(zip(wordings["row"], wordings["unknown_words"], strict=True))
    columns = (generated[name] for name in ("row", "text", "truth"))
    values = [
        float(kind_of_output(text, len(unknown.get(row, ())) > 0, truth) == kind)
        for row, text, truth in zip(*columns, strict=True)
    ]
    return pd.Series(values, index=generated["row"], dtype=float)


class RefusalRate(
    Metric,
    name="refusal_rate",
    group="Refusals and garbage",
    needs=("generated answer",),
    version=3,
    shows="How often the model declines. A refusal hides what is known; it does not remove it.",
):
    """Share of answers that decline to answer."""

    directions: ClassVar[Mapping[str, Direction]] = {"*": "gold"}

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes 1 or 0 per row."""
        return rate(group, "refusal")


class EmptyRate(
    Metric,
    name="empty_rate",
    group="Refusals and garbage",
    needs=("generated answer",),
    version=2,
    shows="How often nothing is said.",
):
    """Share of answers without a word."""

    directions: ClassVar[Mapping[str, Direction]] = {"*": "down"}

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes 1 or 0 per row."""
        return rate(group, "empty")


class GarbageRate(
    Metric,
    name="garbage_rate",
    group="Refusals and garbage",
    needs=("generated answer",),
    version=3,
    shows=(
        "How often the model is broken rather than ignorant: words that occur nowhere in the data, "
        "loops, symbols. A model with a large vocabulary also says true words that the data lack, "
        "so gold's rate is the measure. Fluent nonsense is not caught."
    ),
):
    """Share of answers with a word that the data do not have, that loop or are mostly symbols."""

    directions: ClassVar[Mapping[str, Direction]] = {"*": "down"}

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes 1 or 0 per row."""
        return rate(group, "garbage")
