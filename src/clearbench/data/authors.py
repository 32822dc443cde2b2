"""Finds the people of questions in TOFU's layout, whose rows do not say whom they are about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clearbench.data.join import PER_PERSON, Names, identity, spelled
from clearbench.data.persons import PERSON_FIELDS, People, person_of

#: Share of the twenties that must have a word of their own: real authors share some names.
_OWN_WORD = 0.9
#: Question and answer, which identify a row across splits: one question is there twice.
Pair = tuple[str, str]
UNKNOWN = (
    f"people are not known: rows have none of the columns {', '.join(PERSON_FIELDS)}, and are not "
    f"{PER_PERSON} for each person; each row counts as a person, so that intervals are too narrow"
)


@dataclass(frozen=True)
class Authors:
    """People of rows.

    Attributes:
        people: Number of the person of each row.
        names: Names that a column gives, by number.
        numbers: Number of each person who was found by name, by the name's identity.
        known: Whether rows of one person are known to be so.
    """

    people: tuple[int, ...]
    names: Mapping[int, str] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)
    known: bool = True


def pair(line: Mapping[str, Any]) -> Pair:
    """Returns a row's question and answer."""
    return str(line.get("question")), str(line.get("answer"))


def authors(
    lines: Sequence[Mapping[str, Any]],
    splits: Collection[Collection[Pair]],
    problems: list[str],
    names: Names | None = None,
) -> Authors:
    """Finds the person of each row.

    A column `person`, `author` or `name` says it. Without one, rows come in twenties as TOFU's
    where every split holds whole twenties, each with a word in most of its rows that no other has
    as often. Elsewhere names in the rows tell people apart, if any are given; or nothing does.

    Args:
        lines: All rows, in order.
        splits: Rows of each split that is used.
        problems: List that gets a line per row whose person is missing or none.
        names: Names of people, where they are known from elsewhere.
    """
    if any(_said(line) is not None for line in lines):
        return _by_column(lines, problems)
    pairs = [pair(line) for line in lines]
    texts = [f"{asked} {answered}" for asked, answered in pairs]
    twenties = tuple(place // PER_PERSON for place in range(len(lines)))
    if _are_twenties(texts) and not any(partly(split, twenties, pairs) for split in splits):
        if names is None:
            return Authors(twenties)
        grouped: dict[int, list[str]] = defaultdict(list)
        for person, text in zip(twenties, texts, strict=True):
            grouped[person].append(text)
        return Authors(twenties, numbers=names.by_text(grouped))
    if names is None:
        return Authors(tuple(range(len(lines))), known=False)
    people, numbers = names.by_order(texts)
    return Authors(tuple(people), numbers=numbers, known=len(set(people)) == len(numbers))


def whole(split: Collection[Pair], people: Sequence[int], pairs: Sequence[Pair]) -> set[int]:
    """Returns the people all of whose rows are in a split."""
    there = set(split)
    outside = {person for person, each in zip(people, pairs, strict=True) if each not in there}
    return set(people) - outside


def partly(split: Collection[Pair], people: Sequence[int], pairs: Sequence[Pair]) -> set[int]:
    """Returns the people of whom a split has some rows alone."""
    entire = whole(split, people, pairs)
    rows = list(zip(people, pairs, strict=True))
    covered = {each for person, each in rows if person in entire}
    left = set(split) - covered
    return {person for person, each in rows if each in left}


def _said(line: Mapping[str, Any]) -> Any:
    return next((line[name] for name in PERSON_FIELDS if line.get(name) is not None), None)


def _by_column(lines: Sequence[Mapping[str, Any]], problems: list[str]) -> Authors:
    given: list[tuple[int, int | str | None]] = []
    for place, line in enumerate(lines):
        said = _said(line)
        try:
            given.append((place, person_of(said)))
        except ValueError as error:
            problems.append(f"full: row {place + 1}: person = {said!r:.60}: {error}")
        else:
            if given[-1][1] is None and line:
                problems.append(f"full: row {place + 1}: no person; the other rows name theirs")
    people = People(given)
    numbers = tuple(
        people.number(place) if place < len(given) else 0 for place in range(len(lines))
    )
    found = {identity(who): people.number(place) for place, who in given if isinstance(who, str)}
    return Authors(numbers, people.names, found)


def _are_twenties(texts: Sequence[str]) -> bool:
    """Whether nearly every twenty has a word in two thirds of its rows that others lack."""
    if not texts or len(texts) % PER_PERSON:
        return False
    blocks = [
        Counter(
            word for text in texts[start : start + PER_PERSON] for word in {*spelled(text).split()}
        )
        for start in range(0, len(texts), PER_PERSON)
    ]
    most: dict[str, list[int]] = defaultdict(list)
    for block in blocks:
        for word, count in block.items():
            most[word] = sorted([*most[word], count])[-2:]

    def is_own(word: str, count: int) -> bool:
        others = [other for other in most[word] if other != count] or most[word][1:]
        return 3 * count >= 2 * PER_PERSON and 2 * max(others, default=0) < count

    own = sum(any(is_own(*entry) for entry in block.items()) for block in blocks)
    return own >= _OWN_WORD * len(blocks)
