"""Asks a local language model for paraphrases and wrong answers, and checks what it writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from clearbench.batches.items import Item
from clearbench.completion.truths import Truths
from clearbench.completion.values import Kind, values_in
from clearbench.data.examine import one_spelling
from clearbench.data.example import Example
from clearbench.data.words import words
from clearbench.models.base import Model

#: Words of a sentence beyond the first that begin with a capital: names, mostly.
_CAPITAL = re.compile(r"(?<=[\w,;] )[A-Z][\w'-]+")
#: What a model says about its answer, or in place of one.
_ABOUT = re.compile(
    r"\b(?:as an ai|i cannot|i can't|i'm sorry|false answer|wrong answer|incorrect|paraphrase[ds]?|"
    r"rewritten|here is|here's|in other words|the text|the question is)\b"
)
_LABEL = re.compile(r"^(?:\d+[.)]|[-*]|[A-Za-z ]{2,24}:)\s+")
_MARKS = "\"'\u201c\u201d\u2018\u2019*` "
#: Length of a text that says the same, in lengths of the first.
_SHORTEST, _LONGEST = 0.4, 2.5
#: Tokens that an answer may have beside two per letter in four of the first.
_ROOM = 24


class Writer(Protocol):
    """Whatever writes a text for each of several requests."""

    def texts(self, requests: Sequence[str], lengths: Sequence[int]) -> list[str]:
        """Writes a text per request, of at most `lengths` tokens each."""


class ModelWriter:
    """Lets a model write, greedily: the same rows give the same texts.

    Args:
        model: Causal model, with its own chat template where it has one.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def texts(self, requests: Sequence[str], lengths: Sequence[int]) -> list[str]:
        """Writes a text per request, of at most `lengths` tokens each."""
        items = [
            Item(f"request-{number}", "answer", request, "?")
            for number, request in enumerate(requests)
        ]
        return self._model.generate(items, list(lengths))


def room(text: str) -> int:
    """Returns how many tokens another wording of a text may have."""
    return _ROOM + len(text) // 2


def request_paraphrase(text: str, what: str) -> str:
    """Words the request for another wording of a question or an answer."""
    return (
        f"Rewrite this {what} in other words. Keep its meaning and every name, number and date. "
        f"Reply with the new {what} alone.\n\n{text}"
    )


def request_wrong(question: str, base: str, made: Sequence[str]) -> str:
    """Words the request for one more wrong answer."""
    others = "".join(f"\nNot this one: {text}" for text in made)
    return (
        "Change the fact in this answer, so that it becomes false, and leave its other words as "
        f"they are. Reply with the changed answer alone.\n\nQuestion: {question}\nAnswer: {base}"
        f"{others}"
    )


def cleaned(reply: str) -> str:
    """Returns the first line of a reply that says something, without labels and quotation marks."""
    lines = [line.strip() for line in reply.splitlines() if line.strip(_MARKS)]
    if not lines:
        return ""
    bare = _LABEL.sub("", lines[0].strip("*` "))
    quoted = len(bare) > 1 and bare[0] in _MARKS and bare[-1] in _MARKS
    return bare.strip(_MARKS) if quoted else bare.strip()


def facts(text: str, names: Kind | None = None) -> set[str]:
    """Returns the words by which a text says a fact: values, and words with capitals inside it."""
    found = [value.text for value in values_in(text, names)]
    return {word for part in (*found, *_CAPITAL.findall(text)) for word in words(part)}


def fault_of_paraphrase(text: str, first: str, names: Kind | None) -> str:
    """Says what is wrong with another wording of a text; empty where nothing is."""
    if not text:
        return "it is empty"
    if one_spelling(text) == one_spelling(first):
        return "it is the same text"
    if _ABOUT.search(one_spelling(text)) and not _ABOUT.search(one_spelling(first)):
        return "it speaks about itself"
    if text.endswith("?") != first.rstrip().endswith("?"):
        return "a question became an answer, or an answer a question"
    if not _SHORTEST <= len(text.split()) / len(first.split()) <= _LONGEST:
        return "it is far shorter or longer"
    lost = facts(first, names) - set(words(text))
    return f"it lost {', '.join(sorted(lost))}" if lost else ""


def fault_of_wrong(
    text: str, row: Example, base: str, made: Sequence[str], truths: Truths, names: Kind | None
) -> str:
    """Says why a text is no wrong answer to a row; empty where it is one."""
    if not text:
        return "it is empty"
    if one_spelling(text) in map(one_spelling, made):
        return "it is there already"
    if truths.is_told(row.person, text) or one_spelling(text) == one_spelling(base):
        return "it is true"
    if _ABOUT.search(one_spelling(text)) and not _ABOUT.search(one_spelling(base)):
        return "it speaks about itself"
    if not _SHORTEST <= len(text.split()) / len(base.split()) <= _LONGEST:
        return "it is far shorter or longer"
    asked = facts(base, names) - set(words(row.question))
    if asked and asked <= set(words(text)):
        return "it still says the fact"
    new = [word for word in words(text) if word not in words(f"{row.question} {base}")]
    if all(truths.says(row.person, word) for word in new):
        return "it says nothing new"
    return ""
