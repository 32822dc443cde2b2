"""Numbers the people of published rows: CLEAR names them, TOFU asks twenty questions of each.

A person's number is the place in TOFU's text, so that both tracks of one person share it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

#: TOFU asks twenty questions of every author, in order.
PER_PERSON = 20


def plain(text: str) -> str:
    """Reduces text to lower-case words without accents or marks, a space before and after each.

    Captions, names and questions spell the same person in several ways.
    """
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = re.findall(r"[^\W_]+", bare)
    return f" {' '.join(words)} "


class Names:
    """Index of names by their plain spelling, for finding them in text."""

    def __init__(self, names: Iterable[str]) -> None:
        spelled = {plain(name): name for name in names if plain(name).strip()}
        self.spelled = dict(sorted(spelled.items(), key=lambda entry: (-len(entry[0]), entry[0])))

    def find(self, text: str) -> str | None:
        """Finds the longest name in the text, plainly spelled: one may be part of another."""
        spelled = plain(text)
        return next((name for name in self.spelled if name in spelled), None)

    def by_text(self, texts: Mapping[int, Sequence[str]]) -> dict[str, int]:
        """Maps each name that is mentioned to the person most of whose rows mention it."""
        counts: dict[str, Counter[int]] = {}
        for person, rows in texts.items():
            for row in rows:
                if (name := self.find(row)) is not None:
                    counts.setdefault(name, Counter())[person] += 1
        return {name: count.most_common(1)[0][0] for name, count in counts.items()}

    def by_order(self, rows: Sequence[str]) -> tuple[list[int], dict[str, int]]:
        """Numbers the person of each row, where the rows of a person follow each other.

        A row that names nobody belongs to the person of the row before it, until that one has
        twenty; then a person begins who is never named (TOFU's author 88).

        Returns:
            A number per row, counted from 0 as people appear, and the number of each name.
        """
        people: list[int] = []
        numbers: dict[str, int] = {}
        rows_of: Counter[int] = Counter()
        for row in rows:
            name, current = self.find(row), people[-1] if people else None
            if name is not None:
                current = numbers.setdefault(name, len(rows_of))
            elif current is None or rows_of[current] == PER_PERSON:
                current = len(rows_of)
            rows_of[current] += 1
            people.append(current)
        return people, numbers
