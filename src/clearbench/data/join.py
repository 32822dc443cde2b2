"""Compares names of people, and finds them in text: who is one person, whom a row is about.

A person's number is the place in TOFU's text, so that both tracks of one person share it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

#: TOFU asks twenty questions of every author, in order.
PER_PERSON = 20
#: Typographic marks that keyboards do not have, as they have them.
_PLAIN_MARKS = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u02b9\uff07\u00b4`", "'")) | (
    str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d", "-"))
)
#: Accents and marks that an alphabet's letters are also written without. Scripts such as
#: Devanagari and Thai write vowels as marks of their own blocks, which stay.
_ACCENT = re.compile("[\u0300-\u08ff\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
#: Letters of scripts that leave no spaces between words, or join endings to them.
_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0dff"
_WORD = re.compile(f"[{_UNSPACED}]|(?:(?![{_UNSPACED}])(?:[^\\W_]|[{_MARKS}]))+")


def identity(name: str) -> str:
    """Returns the spelling by which a name is one person's.

    Case, spaces, typographic marks and Unicode's form of composition do not count; accents, tone
    marks and vowel signs do: they make other names.
    """
    text = unicodedata.normalize("NFC", name.translate(_PLAIN_MARKS))
    small = unicodedata.normalize("NFC", text.lower())
    return " ".join("".join(c for c in small if unicodedata.category(c) != "Cf").split())


def spelled(text: str) -> str:
    """Reduces text to lower-case words with their accents, a space before and after each."""
    if text.isascii():
        return f" {' '.join(_WORD.findall(text.lower()))} "
    letters = unicodedata.normalize("NFC", text.casefold())
    return f" {' '.join(_WORD.findall(unicodedata.normalize('NFC', letters)))} "


def plain(text: str) -> str:
    """Reduces text to lower-case words without accents or marks, a space before and after each.

    Captions, names and questions spell the same person in several ways.
    """
    if text.isascii():
        return spelled(text)
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(c for c in letters if not (_ACCENT.match(c) and unicodedata.combining(c)))
    return spelled(bare)


class Names:
    """Index of names for finding them in text.

    Longer names are tried first, since one may be part of another.

    Attributes:
        spelled: Each person's name, as given, by its identity.
    """

    def __init__(self, names: Iterable[str]) -> None:
        known = {identity(name): name for name in names if plain(name).strip()}
        self.spelled = dict(sorted(known.items(), key=lambda entry: (-len(entry[0]), entry[0])))
        groups: dict[str, list[str]] = defaultdict(list)
        for who in self.spelled:
            groups[plain(who)].append(who)
        self._groups = sorted(groups.items(), key=lambda entry: (-len(entry[0]), entry[0]))

    def find(self, text: str) -> str | None:
        """Returns the identity of the longest name in a text, which may lack its accents.

        Of names that differ in accents alone the text has to spell one; otherwise None.
        """
        shown = plain(text)
        found = next((people for name, people in self._groups if name in shown), [])
        if len(found) > 1:
            shown = spelled(text)
            found = [who for who in found if spelled(who) in shown]
        return found[0] if len(found) == 1 else None

    def says(self, text: str) -> bool:
        """Whether a text says any of the names, with or without accents."""
        shown = plain(text)
        return any(name in shown for name, _ in self._groups)

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

        Rows come in twenties, as TOFU's, where no twenty names two people and no name is in two of
        them. Elsewhere a row that names nobody belongs to the person named before and after it,
        and between two people to a person of its own.

        Returns:
            A number per row, counted from 0 as people appear, and the number of each name.
        """
        found = [self.find(row) for row in rows]
        blocks = [set(found[k : k + PER_PERSON]) - {None} for k in range(0, len(rows), PER_PERSON)]
        named = [name for block in blocks for name in block]
        if not len(rows) % PER_PERSON and len(set(named)) == len(named) == sum(map(bool, blocks)):
            owners: list[str | int] = [place // PER_PERSON for place in range(len(rows))]
        else:
            owners = _filled(found)
        numbers: dict[str | int, int] = {}
        people = [numbers.setdefault(owner, len(numbers)) for owner in owners]
        pairs = zip(found, people, strict=True)
        return people, {name: person for name, person in pairs if name is not None}


def _filled(found: Sequence[str | None]) -> list[str | int]:
    """Gives rows without a name that of both their neighbours, or else their place."""
    before: list[str | None] = []
    for name in found:
        before.append(name or (before[-1] if before else None))
    after: list[str | None] = []
    for name in reversed(found):
        after.append(name or (after[-1] if after else None))
    both = zip(before, reversed(after), strict=True)
    return [
        earlier if earlier is not None and earlier == later else place
        for place, (earlier, later) in enumerate(both)
    ]
