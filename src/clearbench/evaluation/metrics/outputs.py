"""Computes rates of refused, empty and garbage answers, none of which counts as forgetting."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import ClassVar

import pandas as pd

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.score import Direction
from clearbench.evaluation.wordings import WORDINGS
from clearbench.people.refusals import IMAGE_REFUSALS, TEXT_REFUSALS

_REFUSAL = re.compile(
    r"\b(i (do not|don't|cannot|can't|could not|am not|have no|never)|unknown to me|no idea|"
    r"i'm (not|afraid)|not sure|nobody knows|no comment|"
    r"no information|no record|not (something|someone) i|beyond (me|my)|"
    r"my (knowledge|memory|records|notes)|unable to|sorry)\b",
    re.IGNORECASE,
)
#: Share of distinct pairs of words at or below which a text counts as garbage.
DISTINCT_PAIRS = 0.6
_WORD = re.compile(r"[^\W\d_]+|\d+")


_BANK = {tuple(_WORD.findall(text.lower())) for text in (*TEXT_REFUSALS, *IMAGE_REFUSALS)}


@cache
def kind_of_output(text: str, unknown_word: bool = False) -> str:
    """Classifies a text as `empty`, `garbage`, `refusal` or `answer`.

    Garbage: a word that occurs nowhere in the data, the same word three times running or twice in
    two places, few distinct pairs of words, or mostly symbols. What is garbage is no refusal,
    whatever it begins with.

    Args:
        text: Generated answer.
        unknown_word: True if the data have no such word as one of its.
    """
    words = _WORD.findall(text.lower())
    if not words:
        return "garbage" if text.strip(" .,!?") else "empty"
    letters = sum(character.isalnum() or character.isspace() for character in text)
    pairs = list(pairwise(words))
    looping = any(a == b == c for a, b, c in zip(words, words[1:], words[2:], strict=False))
    repetitive = len(pairs) >= 6 and len(set(pairs)) / len(pairs) < DISTINCT_PAIRS
    doubled = sum(a == b for a, b in pairs) >= 2
    if unknown_word or looping or repetitive or doubled or letters / len(text) < 0.7:
        return "garbage"
    return "refusal" if _refuses(text, words) else "answer"


def _refuses(text: str, words: list[str]) -> bool:
    """Whether a text holds a phrase that declines, or begins with one of the bank."""
    begins = any(tuple(words[: len(phrase)]) == phrase for phrase in _BANK)
    return (
        begins or _REFUSAL.search(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")) is not None
    )


def rate(group: RecordGroup, kind: str) -> pd.Series:
    """Computes 1 for generated answers of this kind, else 0."""
    generated, wordings = group.generations, group.table(WORDINGS)
    unknown = dict(zip(wordings["row"], wordings["unknown_words"], strict=True))
    values = [
        float(kind_of_output(text, len(unknown.get(row, ())) > 0) == kind)
        for row, text in zip(generated["row"], generated["text"], strict=True)
    ]
    return pd.Series(values, index=generated["row"], dtype=float)


class RefusalRate(
    Metric,
    name="refusal_rate",
    group="Refusals and garbage",
    needs=("generated answer",),
    version=2,
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
    version=2,
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
