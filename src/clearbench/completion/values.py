"""Finds the values in a text that other values of their kind can replace, and draws these."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from numpy.random import Generator

from clearbench.completion import pools
from clearbench.people.phrases import pick, title

Match = re.Match[str]
#: Largest distance of a wrong year from the true one, either way.
_YEARS = 15
_LATEST_YEAR = 2026
_MONTH = "|".join([*pools.MONTH_NAMES, *(rf"{month}\b\.?" for month in pools.SHORT_MONTHS)])
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
_TEENS = range(11, 14)


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    Attributes:
        name: Word for it in messages and records.
        pattern: Expression that finds its values.
        other: Draw of a text that differs from a found one in every part that is a value.
    """

    name: str
    pattern: re.Pattern[str]
    other: Callable[[Generator, Match], str]


@dataclass(frozen=True)
class Value:
    """A value as found in a text, with its place."""

    kind: Kind
    match: Match

    @property
    def text(self) -> str:
        """The value as it is written."""
        return self.match.group()


def values_in(text: str, names: Kind | None = None) -> list[Value]:
    """Finds the values of a text, in its order; none overlaps another.

    Args:
        text: An answer or a question.
        names: Names of people as a kind of value.
    """
    found: list[Value] = []
    named = () if names is None else (names,)
    for kind in (*_KINDS[:_BEFORE_NAMES], *named, *_KINDS[_BEFORE_NAMES:]):
        for match in kind.pattern.finditer(text):
            free = all(
                match.end() <= value.match.start() or match.start() >= value.match.end()
                for value in found
            )
            if free:
                found.append(Value(kind, match))
    return sorted(found, key=lambda value: value.match.start())


def replaced(text: str, chosen: Iterable[tuple[Value, str]]) -> str:
    """Writes other texts in place of values of a text; `a` and `an` before them follow."""
    for value, other in sorted(chosen, key=lambda pair: -pair[0].match.start()):
        before, after = text[: value.match.start()], text[value.match.end() :]
        article = re.search(r"\b([Aa])n? $", before)
        if article:
            sounds = "n" if other[0].lower() in "aeiou" else ""
            before = f"{before[: article.start()]}{article.group(1)}{sounds} "
        text = before + other + after
    return text


def kind_of_names(names: Iterable[str]) -> Kind | None:
    """Returns names of people as a kind of value, drawn for each other; None without names."""
    known = tuple(dict.fromkeys(name for name in names if name.strip()))
    return _of_pool("name", known) if known else None


def _any_of(words: Iterable[str], *, caseless: bool = False, around: str = "{}") -> re.Pattern[str]:
    """Returns an expression for whole words or phrases, the longest first, in their context."""
    ordered = sorted(set(words), key=lambda word: (-len(word), word))
    body = rf"(?<!\w)(?:{'|'.join(map(re.escape, ordered))})(?!\w)"
    return re.compile(around.replace("{}", body), re.IGNORECASE if caseless else 0)


def _another(rng: Generator, pool: Sequence[str], word: str) -> str:
    """Draws another word of a pool, with a capital where the word has one; itself if alone."""
    others = [other for other in pool if other.casefold() != word.casefold()]
    if not others:
        return word
    drawn = pick(rng, tuple(others))
    return drawn[0].upper() + drawn[1:] if word[0].isupper() else drawn


def _of_pool(
    name: str, pool: tuple[str, ...], *, caseless: bool = False, around: str = "{}"
) -> Kind:
    pattern = _any_of(pool, caseless=caseless, around=around)
    return Kind(name, pattern, lambda rng, match: _another(rng, pool, match.group()))


def _refilled(match: Match, parts: dict[str, str]) -> str:
    """Writes other texts in place of named parts of a match."""
    start, text = match.start(), match.group()
    for part in sorted(parts, key=lambda name: -match.start(name)):
        text = text[: match.start(part) - start] + parts[part] + text[match.end(part) - start :]
    return text


def _year(rng: Generator, year: int) -> int:
    """Draws another year near one, not in the future unless that one is."""
    latest = max(_LATEST_YEAR, year)
    near = [y for y in range(year - _YEARS, year + _YEARS + 1) if y != year and y <= latest]
    return pick(rng, tuple(near))


def _other_than(rng: Generator, number: int, largest: int) -> int:
    return pick(rng, tuple(k for k in range(1, largest + 1) if k != number))


def _ending(number: int) -> str:
    return "th" if number % 100 in _TEENS else _ENDINGS.get(number % 10, "th")


def _other_date(rng: Generator, match: Match) -> str:
    parts = {name: text for name, text in match.groupdict().items() if text}
    day = _other_than(rng, int(parts["day"]), 28)
    month, dot, _ = parts["month"].partition(".")
    months = pools.MONTH_NAMES if month in pools.MONTH_NAMES else pools.SHORT_MONTHS
    drawn = {"day": str(day), "month": _another(rng, months, month) + dot}
    if "th" in parts:
        drawn["th"] = _ending(day)
    if "year" in parts:
        drawn["year"] = str(_year(rng, int(parts["year"])))
    return _refilled(match, drawn)


def _other_digits(rng: Generator, match: Match) -> str:
    """Draws a date written in numbers: day and month are both at most 12, whichever is first."""
    drawn = {
        part: str(_other_than(rng, int(match[part]), 12)).zfill(len(match[part]))
        for part in ("one", "two")
    }
    return _refilled(match, drawn | {"year": str(_year(rng, int(match["year"])))})


def _other_number(rng: Generator, match: Match) -> str:
    """Draws a number of the same form: separators, decimals and ending follow."""
    whole = int(re.sub(r"\D", "", match["whole"]))
    spread = max(4, whole // 3)
    near = range(max(1, whole - spread), whole + spread + 1)
    some = near[:: max(1, len(near) // 40)]
    number = pick(rng, tuple(k for k in some if k != whole))
    comma = "," in match["whole"]
    drawn = {"whole": f"{number:,}" if comma else str(number)}
    if match["th"]:
        drawn["th"] = _ending(number)
    return _refilled(match, drawn)


def _city_and_country(rng: Generator, match: Match) -> str:
    taken = match["city"], match["country"]
    land = pick(rng, tuple(land for land in pools.LANDS if land.name != taken[1]))
    return _refilled(match, {"city": pick(rng, land.cities), "country": land.name})


def _nationality(rng: Generator, match: Match) -> str:
    word = match.group()
    return _another(rng, pools.TONGUES if word in pools.TONGUES else pools.ADJECTIVES, word)


def _title(rng: Generator, match: Match) -> str:
    return _refilled(match, {"title": title(rng)})


_YEAR = r"(?P<year>1\d{3}|20\d{2})"
_DAY = r"(?P<day>[0-3]?\d)(?P<th>st|nd|rd|th)?"
_QUOTED = (
    r"(?<!\w)'(?P<title>[A-Z0-9][^'\"\n]{0,60}?(?:'\w[^'\"\n]{0,60}?)*)[,.]?'(?!\w)",
    r"[\"\u201c](?P<title>[A-Z0-9][^\"\u201d\n]{0,100}?)[,.]?[\"\u201d]",
    r"\u2018(?P<title>[A-Z0-9][^\u2018\n]{0,100}?)[,.]?\u2019(?!\w)",
)
#: Contexts in which a word is no verb, and in which one is a genre and no other noun.
_NO_VERB = "(?<!to )(?<!not )(?<!can ){}"
_OF_BOOKS = (
    r"{}(?= (?:genre|novel|writ|author|book|stor|literature|works?\b|fiction))"
    r"|(?:(?<=genre of )|(?<=genre is )|(?<=writes )|(?<=write )){}"
)
_CITY, _COUNTRY = ("|".join(map(re.escape, words)) for words in (pools.CITIES, pools.COUNTRIES))
#: Kinds in the order in which they are looked for: what a date holds is no number of its own.
_KINDS: tuple[Kind, ...] = (
    Kind("date", re.compile(rf"\b{_DAY}(?: day)?(?: of)? (?P<month>{_MONTH})(?:,? {_YEAR}\b)?"
                            r"(?!\w)"), _other_date),
    Kind("date", re.compile(rf"\b(?P<month>{_MONTH}) {_DAY}(?:,? {_YEAR}\b)?(?!\w)"), _other_date),
    Kind("date", re.compile(rf"\b(?P<one>\d\d?)([/.-])(?P<two>\d\d?)\2{_YEAR}\b"), _other_digits),
    Kind("date", re.compile(rf"\b{_YEAR}-(?P<one>\d\d)-(?P<two>\d\d)\b"), _other_digits),
    *(Kind("title", re.compile(quoted), _title) for quoted in _QUOTED),
    Kind("place", re.compile(rf"(?<!\w)(?P<city>{_CITY}), (?P<country>{_COUNTRY})(?!\w)"),
         _city_and_country),
    Kind("year", re.compile(rf"(?<![\d.,/-]){_YEAR}(?=s?\b)(?![\d/-]|[.,]\d)"),
         lambda rng, match: str(_year(rng, int(match["year"])))),
    Kind("number", re.compile(r"(?<![\w.,/-])(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
                              r"(?P<th>st|nd|rd|th)?(?![\w/-]|[.,]\d)"), _other_number),
    _of_pool("number", pools.NUMBER_WORDS, caseless=True),
    _of_pool("place", pools.CITIES),
    _of_pool("place", pools.COUNTRIES),
    Kind("nationality", _any_of(pools.ADJECTIVES), _nationality),
    _of_pool("work", pools.JOBS, caseless=True, around=_NO_VERB),
    _of_pool("genre", pools.GENRES, caseless=True, around=_OF_BOOKS),
    _of_pool("colour", pools.COLOURS, caseless=True),
    _of_pool("day", pools.DAYS),
    _of_pool("month", pools.MONTH_NAMES),
)  # fmt: skip
#: Dates and quoted titles are found before names, which may stand in a title.
_BEFORE_NAMES = 7
