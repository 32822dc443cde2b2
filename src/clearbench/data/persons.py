"""Numbers the people of own rows, who are given by number, by name or not at all."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from clearbench.data.join import identity, plain

#: Fields that name the person of a row; the first that a row has counts.
PERSON_FIELDS = ("person", "author", "name")
#: Largest number of a person: what files of ours can hold.
LARGEST = 2**31 - 1


def person_of(value: Any) -> int | str | None:
    """Returns a person's number or name as a row gives it; None for a row without one.

    Raises:
        ValueError: It is neither a whole number from 0 nor a name.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        name = " ".join(value.split())
        value = int(name) if name.isascii() and name.isdigit() and len(name) < 12 else name
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
        raise ValueError(f"give a name, or a whole number from 0 to {LARGEST}")
    return value


#: Names of people whom nobody named: by their number, or by their only row.
_NUMBERED, _ALONE = "person {}", "the person of "


def given_name(number: int, name: str) -> int | str | None:
    """Returns a person as a row gave it: a name, a number, or None for a row without a person."""
    if name.startswith(_ALONE):
        return None
    return number if name == _NUMBERED.format(number) else name


class People:
    """Assigns numbers: given ones, then named people in order, then rows without a person.

    A row without a person is about a person of its own, so that it can be forgotten alone and
    counts as one cluster. Names are one person's where they differ in case, spaces, typographic
    marks or the form of Unicode alone.

    Args:
        given: Each row's key, and its person as a number, a name or None.

    Attributes:
        names: Every person's name by number.
    """

    def __init__(self, given: Iterable[tuple[Hashable, int | str | None]]) -> None:
        rows = list(given)
        numbers = sorted({person for _, person in rows if isinstance(person, int)})
        self.names = {number: _NUMBERED.format(number) for number in numbers}
        self._numbers: dict[Hashable, int] = {}
        following = max(numbers, default=-1) + 1
        named = [(identity(person), person) for _, person in rows if isinstance(person, str)]
        alone = [(key, f"{_ALONE}{key}") for key, person in rows if person is None]
        for key, name in (*named, *alone):
            if key not in self._numbers:
                self._numbers[key] = following
                self.names[following] = name
                following += 1
        self._of_row = {
            key: person
            if isinstance(person, int)
            else self._numbers[key if person is None else identity(person)]
            for key, person in rows
        }

    def number(self, key: Hashable) -> int:
        """Returns the number of the person of a row."""
        return self._of_row[key]


def alike(names: Iterable[str]) -> Iterator[str]:
    """Yields a sentence per group of names that differ in marks alone."""
    groups: dict[str, dict[str, str]] = {}
    for name in names:
        groups.setdefault(plain(name), {})[identity(name)] = name
    for group in groups.values():
        if len(group) > 1:
            shown = ", ".join(f"'{name}'" for name in group.values())
            yield f"names that differ in marks alone are taken for different people: {shown}"
