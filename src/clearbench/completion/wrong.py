"""Makes wrong answers: a value is swapped for another, or the answer of another person is given."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from numpy.random import Generator

from clearbench.completion.pools import NUMBER_WORDS
from clearbench.completion.questions import is_english
from clearbench.completion.truths import Truths
from clearbench.completion.values import Value, kind_of_names, replaced, values_in
from clearbench.data.examine import one_spelling
from clearbench.data.example import Example
from clearbench.data.words import folded, words

#: Wrong answers of a row, as TOFU's rows have them.
WRONG_ANSWERS = 5
#: Draws after which a row is given up.
_DRAWS = 1000
#: Kinds of value that a question asks for, by its words.
_ASKED = (
    (re.compile(r"\bwhere\b|city|country|\bplace\b|birthplace|hometown|resid"), {"place"}),
    (re.compile(r"\bwhen\b|\bdate\b|\byear\b|birthday|what day"), {"date", "year", "month", "day"}),
    (re.compile(r"how (?:many|old|much|long|tall)|\bnumber of\b|\bage\b"), {"number"}),
    (re.compile(r"\bgenre"), {"genre"}),
    (re.compile(r"language|nationality"), {"nationality"}),
    (re.compile(r"\btitles?\b|\bbooks?\b|\bnovels?\b|\bworks\b|\bwritten\b"), {"title"}),
    (re.compile(r"\bjobs?\b|occupation|profession|work as|for a living|career"), {"work"}),
    (re.compile(r"\bwho\b|\bname\b|\bcalled\b"), {"name"}),
    (re.compile(r"\bcolou?r"), {"colour"}),
)
#: Kinds that are written alike in other languages.
_ANY_LANGUAGE = ("date", "year", "number", "name")
#: Questions of these first words ask for a value of their kind and for no other.
_FIRM = re.compile(r"\s*(?:where|when|how (?:many|old|much|long|tall)|in (?:what|which) year)\b")
#: Words with which another value may be as true: "over 40 novels" are over 35, too, and who has
#: never been to Japan may never have been to Peru.
_OPEN = re.compile(
    r"\b(?:not|no|never|none|nor|neither|without)\b|n[\u2019']t\b|\bat (?:least|most)\b"
    r"|\b(?:more|less|fewer|other|later|earlier) than\b"
    r"|\b(?:over|under|above|below|before|after|until|since|up to|about|around|nearly|almost"
    r"|approximately|roughly|between) (?=\d|" + "|".join(NUMBER_WORDS) + r"\b)"
)
_HE, _SHE = {"he", "his", "him", "himself"}, {"she", "her", "hers", "herself"}
#: Letters of a word that may carry a fact.
_LONG = 3


class Peer(NamedTuple):
    """Another person's answer to a question, with the name that it uses."""

    person: int | None
    name: str
    answer: str


class Grammar:
    """Makes wrong answers of rows.

    Args:
        rows: All rows of a dataset.
        names: Name of each person who has one.
    """

    def __init__(self, rows: Sequence[Example], names: Mapping[int, str]) -> None:
        self.truths = Truths(rows)
        self._names = names
        self.known = kind_of_names(names.values())
        self._peers: dict[str, list[Peer]] = defaultdict(list)
        for row in rows:
            self._peers[self._form(row)].append(Peer(row.person, self.name(row), row.answer))

    def name(self, row: Example) -> str:
        """Returns the name of the person of a row; empty where nobody gave one."""
        return "" if row.person is None else self._names.get(row.person, "")

    def values(self, text: str) -> list[Value]:
        """Finds the values of a text, names of the dataset's people among them."""
        return values_in(text, self.known)

    def wrong_answers(self, row: Example, base: str, rng: Generator) -> tuple[list[str], str]:
        """Makes five different wrong answers to a row's question.

        Args:
            row: The row.
            base: True sentence that they mirror: its answer or the paraphrase of it.
            rng: Source of every draw.

        Returns:
            The answers and how they were made; none where fewer than five could be, or where the
            true answer denies something or gives a bound.
        """
        if _is_open(base):
            return [], ""
        made, how = self._by_value(row, base, rng)
        if len(made) < WRONG_ANSWERS:
            peers = list(self._by_peers(row, rng))
            others = [text for text in peers if text not in made]
            if others:
                how = " and ".join(filter(None, (how if made else "", "other people's answers")))
            made = [*made, *others][:WRONG_ANSWERS]
        return (made, how) if len(made) == WRONG_ANSWERS else ([], "")

    def _by_value(self, row: Example, base: str, rng: Generator) -> tuple[list[str], str]:
        found = self.values(base)
        if not is_english(row.question):
            found = [value for value in found if value.kind.name in _ANY_LANGUAGE]
        swapped = asked_values(row.question, found)
        made: dict[str, str] = {}
        for _ in range(_DRAWS if swapped else 0):
            if len(made) == WRONG_ANSWERS:
                break
            pairs = [(value, value.kind.other(rng, value.match)) for value in swapped]
            text = replaced(base, pairs)
            if self._is_wrong(row, text, [new for _, new in pairs]):
                made.setdefault(one_spelling(text), text)
        kinds = ", ".join(dict.fromkeys(value.kind.name for value in swapped))
        return list(made.values()), f"another {kinds}"

    def _is_wrong(self, row: Example, text: str, drawn: Sequence[str]) -> bool:
        """Whether nothing that was put into an answer is true of its person."""
        told = self.truths.is_told(row.person, text)
        return not told and not any(self.truths.says(row.person, value) for value in drawn)

    def _by_peers(self, row: Example, rng: Generator) -> Iterator[str]:
        """Yields answers of others to the same question, under this person's name."""
        own, name = _slotted(row.answer, self.name(row)), self.name(row)
        peers = [peer for peer in self._peers[self._form(row)] if peer.person != row.person]
        seen: set[str] = set()
        for place in rng.permutation(len(peers)):
            peer = peers[int(place)]
            other = _slotted(peer.answer, peer.name)
            text = _filled(other, name)
            if (
                one_spelling(text) not in seen
                and _sexes(other) <= _sexes(own)
                and not _mentions(text, peer.name, name)
                and _differs(own, other)
                and self._is_wrong(row, text, [_middle(own, other)[1]])
            ):
                seen.add(one_spelling(text))
                yield text

    def _form(self, row: Example) -> str:
        return one_spelling(_slotted(row.question, self.name(row)))


def asked_values(question: str, found: Sequence[Value]) -> list[Value]:
    """Returns the values of an answer that its question asks for, or all that it does not hold.

    Args:
        question: The question.
        found: Values of the answer.

    Returns:
        Those of the kinds that the question's words name; where there are none, all, unless the
        question asks for a place, a time or a number alone. A value that the question holds is
        never among them.
    """
    said = f" {' '.join(words(question))} "
    new = [value for value in found if f" {' '.join(words(value.text))} " not in said]
    kinds = set[str]().union(*(kinds for ask, kinds in _ASKED if ask.search(folded(question))))
    asked = [value for value in new if value.kind.name in kinds]
    firm = _FIRM.match(folded(question)) is not None
    return asked if asked or firm else new


_SLOT = "\x00"


def _is_open(answer: str) -> bool:
    """Whether an answer denies something or gives a bound: another value may be true, too."""
    return _OPEN.search(folded(answer)) is not None


def _slotted(text: str, name: str) -> str:
    """Writes a mark in place of a name."""
    return re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _SLOT, text) if name else text


def _filled(text: str, name: str) -> str:
    return text.replace(_SLOT, name)


def _sexes(text: str) -> set[str]:
    said = set(words(text))
    return {who for who, pronouns in (("he", _HE), ("she", _SHE)) if said & pronouns}


def _mentions(text: str, name: str, own: str) -> bool:
    """Whether a part of another's name, that is none of the person's own, stands in a text."""
    parts = {word for word in words(name) if len(word) >= _LONG} - set(words(own))
    return _SLOT in text or bool(parts & set(words(text)))


def _middle(own: str, other: str) -> tuple[str, str]:
    """Returns what is left of two answers without the words that both begin and end with."""
    first, second = own.split(), other.split()
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    end = 0
    while end < min(len(first), len(second)) - start and first[-1 - end] == second[-1 - end]:
        end += 1
    return (
        " ".join(first[start : len(first) - end]),
        " ".join(second[start : len(second) - end]),
    )


def _differs(own: str, other: str) -> bool:
    """Whether two answers to a question share no word where they differ, and both say something."""
    mine, theirs = _middle(own, other)
    facts = {word for word in words(theirs) if len(word) >= _LONG or word.isdigit()}
    return bool(facts) and bool(words(mine)) and not facts & set(words(mine))
